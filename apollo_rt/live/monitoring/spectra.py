"""Two live spectra: of what came in and of what is heard, of the same moment, for every interface that draws them.

Computed by who asks, out of rings that the audio path writes anyway (`tap`): 4096 samples, Hann window, power summed
in 64 bands that are equally wide for the ear. It takes about 0.3 ms and may be had at any rate; below 10 a second
parts of the sound lie between two of them. Smoothing in time is the interface's affair.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.live.monitoring.tap import Tap
from apollo_rt.live.realtime.shared_state import SharedState

N_BANDS = 64
_LENGTH = 4096
"""93 ms at 44.1 kHz: bins of 10.8 Hz, so that the narrowest band, 18 Hz wide, holds one whole."""
_LOWEST_HZ, _HIGHEST_HZ = 30.0, 20_000.0

FLOOR_DB = -120.0
"""Silence: no level is given as lower."""
_RESTORED_DB, _AUDIBLE_DB = 6.0, -90.0

Levels = NDArray[np.float64]


@dataclass(frozen=True)
class Spectra:
    """Both spectra at one moment.

    Levels are the power of a band, averaged over both channels, relative to a sine of full scale, which has 0 dB in its
    band whatever its frequency. Pink noise is nearly flat.

    Attributes:
        frequencies_hz: centres of the bands, rising, in equal steps of the ERB-rate scale.
        edges_hz: where bands begin and end.
        before_db: the input of D samples ago, that is of the moment that is heard.
        after_db: what is heard.

    Shape:
        frequencies_hz, before_db, after_db (N_BANDS,); edges_hz (N_BANDS + 1,)
    """

    frequencies_hz: Levels
    edges_hz: Levels
    before_db: Levels
    after_db: Levels

    @cached_property
    def restored(self) -> NDArray[np.bool_]:
        """Bands that the codec had emptied and that are heard now.

        There the output is audible and by 6 dB further above the input than in the median of the bands that have sound
        before and after, so that a gain which concerns all of them (an output gain, say) marks none.
        """
        rise_db = self.after_db - self.before_db
        sounds = (self.before_db > _AUDIBLE_DB) & (self.after_db > _AUDIBLE_DB)
        usual_db = float(np.median(rise_db[sounds])) if sounds.any() else 0.0
        restored: NDArray[np.bool_] = (rise_db > usual_db + _RESTORED_DB) & (self.after_db > _AUDIBLE_DB)
        return restored

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON: tenths of a decibel, hertz, and `restored` as 0 and 1."""
        return {
            "frequencies_hz": [round(value) for value in self.frequencies_hz],
            "before_db": [round(float(value), 1) for value in self.before_db],
            "after_db": [round(float(value), 1) for value in self.after_db],
            "restored": [int(value) for value in self.restored],
        }


class SpectrumAnalyser:
    """Measures the spectra of input and output, see `Engine.spectra`; it keeps no state between two measurements.

    An interface calls it from a thread of its own (or a timer), say 15 times a second, and sends `Spectra.to_dict` on
    or draws it: `before_db` and `after_db` over `frequencies_hz`, `restored` in another colour.

    Args:
        shared: may be running.
    """

    def __init__(self, shared: SharedState) -> None:
        rate = float(shared.control.sample_rate)
        self._tap = Tap(shared)
        self._window = np.hanning(_LENGTH + 1)[:_LENGTH].astype(np.float32)[:, None]
        edges = np.linspace(_erb_rate(_LOWEST_HZ), _erb_rate(min(_HIGHEST_HZ, rate / 2.0)), 2 * N_BANDS + 1)
        self._edges_hz, self._frequencies_hz = _hz(edges[::2]), _hz(edges[1::2])
        # Bin k is taken to reach from k - 1/2 to k + 1/2: sums of bins, read between two of them, are a band's power.
        self._places = self._edges_hz * _LENGTH / rate + 0.5
        # Sum over k of |X_k|^2 of a sine of amplitude 1, negative frequencies apart, is N sum(w^2) / 4 (Parseval).
        self._full_scale = _LENGTH * float(np.sum(self._window.astype(np.float64) ** 2)) / 4.0

    def measure(self) -> Spectra:
        """The newest spectra; of silence where nothing has been heard, or nothing could be read in time."""
        before, after = np.zeros((2, _LENGTH, 2), np.float32)
        if not self._tap.read(self._tap.end - _LENGTH, before, after):
            before[:], after[:] = 0.0, 0.0
        return Spectra(self._frequencies_hz, self._edges_hz, self._levels_db(before), self._levels_db(after))

    def _levels_db(self, samples: NDArray[np.float32]) -> Levels:
        spectrum = np.fft.rfft(samples * self._window, axis=0)
        power = np.mean(spectrum.real.astype(np.float64) ** 2 + spectrum.imag.astype(np.float64) ** 2, axis=1)
        sums = np.concatenate([[0.0], np.cumsum(power)])
        bands = np.diff(np.interp(self._places, np.arange(len(sums)), sums)) / self._full_scale
        return np.asarray(10.0 * np.log10(np.maximum(bands, 10.0 ** (FLOOR_DB / 10.0))))


def _erb_rate(frequency_hz: float) -> float:
    """Number of equivalent rectangular bandwidths below a frequency: Glasberg & Moore, Hear. Res. 47 (1990), eq. 4."""
    return 21.4 * float(np.log10(4.37e-3 * frequency_hz + 1.0))


def _hz(erb_rate: Levels) -> Levels:
    return np.asarray((10.0 ** (erb_rate / 21.4) - 1.0) / 4.37e-3)
