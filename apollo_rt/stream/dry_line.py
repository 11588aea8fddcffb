"""The dry signal, delayed by exactly the latency of the wet one and mixed with it."""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.control.parameters import parameter
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.stream.mixer import crossfade

Samples = NDArray[np.float32]


class DryLine:
    """Remembers the newest input and mixes what is old enough with the restored signal.

    Args:
        latency: samples by which the wet signal lags behind the dry one.
        mix: gain of the wet signal, 0 to 1. When it is changed later, it moves by at most `1 / FADE_LENGTH` per sample.

    Raises:
        ValueError: the mix is out of bounds.
    """

    def __init__(self, latency: int, mix: float) -> None:
        """Fill the line with silence."""
        self.mix = mix
        self._gain = self._mix
        self._held: Samples = np.zeros((latency, 2), np.float32)

    @property
    def mix(self) -> float:
        """Gain of the wet signal."""
        return self._mix

    @mix.setter
    def mix(self, value: float) -> None:
        self._mix = parameter("mix").check(value)

    def mixed(self, dry: Samples, wet: Samples) -> Samples:
        """Mix the next samples of the stream; mix 0 gives the delayed input bit for bit.

        Args:
            dry: input.
            wet: the restored signal that came out when `dry` went in.

        Shape:
            all `(samples, 2)`, equally long
        """
        line = np.concatenate((self._held, dry))
        self._held = line[len(dry) :].copy()
        out = np.empty_like(wet)
        n_wet = len(wet) + FADE_LENGTH  # never runs out: nothing is late here
        self._gain, _ = crossfade(line[: len(dry)], wet, n_wet, self._mix, self._gain, out)
        return out
