"""Conversion between two rates that may move apart a little, block by block, in Python's time: beside the audio path.

The filter is `resample`'s: 64 samples of delay and no more, which `RateConverter`'s better one can't do.
"""

import numpy as np
import numpy.typing as npt

from apollo_rt.stream.resample import make_resampler, n_ready, pull, push

_LONGEST_BLOCK = 8192


class SteeredConverter:
    """Blocks of stereo at one rate in, the same stream at about another rate out.

    Args:
        in_rate: Hz.
        out_rate: Hz.
    """

    def __init__(self, in_rate: float, out_rate: float) -> None:
        """Start a stream, with silence before it."""
        self._resampler = make_resampler(in_rate, out_rate, _LONGEST_BLOCK)
        self._step = in_rate / out_rate

    def convert(self, samples: npt.NDArray[np.float32], correction: float = 0.0) -> npt.NDArray[np.float32]:
        """Take the next block and give all that is ready.

        Args:
            samples: any number of samples.
            correction: by how much faster than its rate the input is read, a fraction of 1 %.

        Shape:
            `(samples, 2)` in, `(converted samples, 2)` out.
        """
        parts = []
        for begin in range(0, len(samples), _LONGEST_BLOCK):
            push(self._resampler, np.ascontiguousarray(samples[begin : begin + _LONGEST_BLOCK], np.float32))
            step = self._step * (1.0 + correction)
            out = np.empty((n_ready(self._resampler, step), 2), np.float32)
            pull(self._resampler, out, step)
            parts.append(out)
        return np.concatenate(parts) if parts else np.empty((0, 2), np.float32)
