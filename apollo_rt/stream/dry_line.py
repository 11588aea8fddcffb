"""The dry signal, delayed by exactly the latency of the wet one, mixed with it, and what the mixture goes through."""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.control.parameters import Parameters
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.stream.mixer import crossfade, finish, new_mixer, read_mixer_targets

Samples = NDArray[np.float32]
"""`(samples, 2)`, full scale 1.0."""


class DryLine:
    """Remembers the newest input and mixes what is old enough with the restored signal.

    Args:
        latency: samples by which the wet signal lags behind the dry one.
        parameters: live values; all that act on samples (mix, bypass, delta, low cut, gain) are obeyed here, and moved
            to by small steps when they change.
        sample_rate: Hz.
    """

    def __init__(self, latency: int, parameters: Parameters, sample_rate: float) -> None:
        """Fill the line with silence; the parameters hold from the first sample on."""
        self._parameters, self._sample_rate = parameters, sample_rate
        self._mixer = new_mixer(parameters.values)
        self._held: Samples = np.zeros((latency, 2), np.float32)

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
        read_mixer_targets(self._mixer, self._parameters.values)
        crossfade(line[: len(dry)], wet, n_wet, self._mixer, out)
        finish(self._mixer, out, self._sample_rate)
        return out
