"""Conversion between two fixed sample rates: streaming, aligned and of exact length.

The filters have linear phase and their delay is taken out, so output sample t lies at the same moment as input sample
`t * in_rate / out_rate`. Two clocks that drift against each other need another means: see `resample`.
"""

import numpy as np
import numpy.typing as npt
import soxr


class RateConverter:
    """Blocks at one sample rate in, the same stream at another rate out.

    The same rate on both sides passes blocks through untouched.

    Args:
        in_rate: Hz, greater than 0.
        out_rate: Hz, greater than 0.
        n_channels: columns of every block.
        quality: soxr's recipe: "VHQ" has 28 bits, which is below the noise of a 24-bit file, "HQ" 20 and less delay.
    """

    def __init__(self, in_rate: float, out_rate: float, n_channels: int, quality: str = "VHQ") -> None:
        """Start a stream."""
        self.in_rate = in_rate
        self.out_rate = out_rate
        self._n_channels = n_channels
        self._n_in = 0
        self._n_out = 0
        self._stream = (
            None if in_rate == out_rate else soxr.ResampleStream(in_rate, out_rate, n_channels, quality=quality)
        )

    def convert(self, samples: npt.NDArray[np.float32], last: bool = False) -> npt.NDArray[np.float32]:
        """Take the next block and give what is ready; output runs behind input until the last block.

        Args:
            samples: any number of samples, none included.
            last: the stream ends with this block; everything outstanding comes out.

        Returns:
            Converted samples. Over the whole stream they number `ceil(n_in * out_rate / in_rate)`.

        Shape:
            `(samples, channels)` in, `(converted samples, channels)` out.
        """
        if self._stream is None:
            return samples
        self._n_in += len(samples)
        converted: npt.NDArray[np.float32] = self._stream.resample_chunk(samples, last=last)
        if last:
            converted = self._exactly(converted, self.converted_length(self._n_in) - self._n_out)
        self._n_out += len(converted)
        return converted

    def converted_length(self, n_samples: int) -> int:
        """Length of a stream of `n_samples` after conversion; never 0 for a stream that holds something."""
        return int(-(-n_samples * self.out_rate // self.in_rate))

    def _exactly(self, samples: npt.NDArray[np.float32], length: int) -> npt.NDArray[np.float32]:
        """Cut or pad by the sample or two that rounding inside soxr leaves."""
        missing = max(length - len(samples), 0)
        return np.concatenate((samples[:length], np.zeros((missing, self._n_channels), np.float32)))
