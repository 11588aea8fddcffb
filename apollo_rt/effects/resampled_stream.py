"""A restoration stream seen from another sample rate: as many samples out as in, at a constant latency.

```
 samples at the caller's rate -> converter -> stream at the model's rate -> converter -> queue -> as many samples
```
Both converters deliver in bursts, so the queue begins with as much silence as they ever hold back.
"""

from functools import lru_cache

import numpy as np

from apollo_rt.effects.effect import Samples
from apollo_rt.stream.rate_converter import RateConverter
from apollo_rt.stream.restoration_stream import RestorationStream

_QUALITY = "HQ"
"""20 bits, half the latency of VHQ: 40 ms against 60 ms both ways between 44.1 and 48 kHz (measured, soxr 1.1.0)."""

_LONGEST_PADDING = 441
"""Within so many samples at 44.1 kHz each common rate (32 kHz: 320 for 441) has a sample at the same moment."""

_PROBE_BLOCK = 32
_PROBE_DURATION_S = 1.0


class ResampledStream:
    """`RestorationStream` for audio of any sample rate; the same rate on both sides costs nothing.

    Args:
        stream: at the model's rate; nobody else may push into it.
        sample_rate: the caller's, in Hz.

    Attributes:
        latency_samples: at the caller's rate. Exact for rates that share a divisor of at least 100 Hz with the model's;
            with a stranger one the restored signal lies up to half a sample beside it.
    """

    def __init__(self, stream: RestorationStream, sample_rate: float) -> None:
        """Start a fresh stream."""
        self.sample_rate = sample_rate
        self._stream = stream
        model_rate = stream.framing.sample_rate
        self._ratio = sample_rate / model_rate
        same = sample_rate == model_rate
        self._padding = 0 if same else _padding(stream.latency_samples, self._ratio)
        self._n_queued = 0 if same else _held_back(sample_rate, model_rate)
        inside = round((stream.latency_samples + self._padding) * self._ratio)
        self.latency_samples = inside + self._n_queued
        self.reset()

    def reset(self) -> None:
        """Forget everything: equals a new stream."""
        self._stream.reset()
        self._to_model = RateConverter(self.sample_rate, self._stream.framing.sample_rate, 2, _QUALITY)
        self._to_caller = RateConverter(self._stream.framing.sample_rate, self.sample_rate, 2, _QUALITY)
        padding = self._to_caller.convert(np.zeros((self._padding, 2), np.float32))
        self._queue = np.concatenate((np.zeros((self._n_queued, 2), np.float32), padding))

    def process(self, samples: Samples) -> Samples:
        """Restore the next samples of the stream, any number of them.

        Returns:
            the stream `latency_samples` earlier, restored; zeros come before its start.

        Shape:
            (samples, 2)
        """
        restored = self._to_caller.convert(self._stream.process(self._to_model.convert(samples)))
        ready = np.concatenate((self._queue, restored))
        self._queue = ready[len(samples) :].copy()
        return ready[: len(samples)]

    def finish(self) -> Samples:
        """End the stream: give what is still inside it, `latency_samples` of them. Only `reset` may follow.

        The model sees the end as its framing says where nothing is converted; else silence comes behind it, in which
        the converter's own tail lies.
        """
        if self.sample_rate == self._stream.framing.sample_rate:
            return self._stream.finish()
        return self.process(np.zeros((self.latency_samples, 2), np.float32))


def _padding(latency: int, ratio: float) -> int:
    """Samples to add at the model's rate so that the latency is whole at the caller's, as nearly as can be."""

    def beside(padding: int) -> float:
        latency_at_caller = (latency + padding) * ratio
        return round(abs(latency_at_caller - round(latency_at_caller)), 3)

    return min(range(_LONGEST_PADDING), key=lambda padding: (beside(padding), padding))


@lru_cache(maxsize=16)
def _held_back(sample_rate: float, model_rate: float) -> int:
    """The most samples by which both converters together ever lag; how they lag depends on nothing but their count."""
    to_model = RateConverter(sample_rate, model_rate, 2, _QUALITY)
    to_caller = RateConverter(model_rate, sample_rate, 2, _QUALITY)
    silence = np.zeros((_PROBE_BLOCK, 2), np.float32)
    n_in = n_out = most = 0
    while n_in < _PROBE_DURATION_S * sample_rate:
        n_in += len(silence)
        n_out += len(to_caller.convert(to_model.convert(silence)))
        most = max(most, n_in - n_out)
    return most + _PROBE_BLOCK
