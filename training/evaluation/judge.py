"""All measures of one clip at once, those that model hearing included."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.audio import SAMPLE_RATE, Audio, resample
from training.evaluation import metrics

_HEARING_RATE = 48_000  # of both models of hearing


@dataclass(frozen=True)
class Scores:
    """One signal against the clean one; None where a measure has no meaning, as above a cut that isn't there.

    Attributes:
        sdr_db: signal-to-distortion ratio.
        si_sdr_db: the same, whatever the gain.
        si_snr_db: the same with the means taken off.
        lsd: log-spectral distance in decades, lower is better.
        lsd_in_band: of what the codec kept, below its cut.
        lsd_above: above the cut.
        visqol: ViSQOL in audio mode, mono mix at 48 kHz, 1 to 5.
        zimtohrli: Zimtohrli's opinion score, mono mix at 48 kHz, 1 to 5.
        level_above_db: how much too loud everything above the cut is.
        level_above_abs_db: mean magnitude of that over frames.
        change_db: energy of the change against that of the input; None where nothing was changed.
    """

    sdr_db: float
    si_sdr_db: float
    si_snr_db: float
    lsd: float
    lsd_in_band: float | None
    lsd_above: float | None
    visqol: float
    zimtohrli: float
    level_above_db: float | None
    level_above_abs_db: float | None
    change_db: float | None


NAMES = tuple(field.name for field in fields(Scores))


class Judge:
    """Measures signals; the models are loaded once."""

    def __init__(self) -> None:
        """Load ViSQOL's audio mode and Zimtohrli."""
        import zimtohrli
        from visqol import VisqolApi

        self._visqol = VisqolApi()
        self._visqol.create(mode="audio")
        self._zimtohrli = zimtohrli.mos_from_signals

    def __call__(self, audio: Audio, damaged: Audio, clean: Audio, cut_hz: float | None) -> Scores:
        """Compare.

        Args:
            audio: what is judged.
            damaged: what it was made from.
            clean: what it should be.
            cut_hz: from `metrics.measure_cut_hz`.

        Shape:
            (samples, 2), the same for all
        """
        ours, given, wanted = as_tensor(audio), as_tensor(damaged), as_tensor(clean)
        reference, judged = _mono(clean), _mono(audio)
        level = metrics.level_errors_db(ours, wanted, cut_hz) if cut_hz else (None, None)
        return Scores(
            sdr_db=metrics.sdr_db(ours, wanted),
            si_sdr_db=metrics.si_sdr_db(ours, wanted),
            si_snr_db=metrics.si_snr_db(ours, wanted),
            lsd=metrics.log_spectral_distance(ours, wanted),
            lsd_in_band=metrics.log_spectral_distance(ours, wanted, below_hz=cut_hz) if cut_hz else None,
            lsd_above=metrics.log_spectral_distance(ours, wanted, above_hz=cut_hz) if cut_hz else None,
            visqol=float(self._visqol.measure_from_arrays(reference, judged, _HEARING_RATE).moslqo),
            zimtohrli=float(self._zimtohrli(reference, judged)),
            level_above_db=level[0],
            level_above_abs_db=level[1],
            change_db=None if torch.equal(ours, given) else metrics.change_db(ours, given),
        )


def as_tensor(audio: Audio) -> Tensor:
    """(samples, channels) -> (channels, samples)."""
    return torch.from_numpy(np.ascontiguousarray(audio.T))


def _mono(audio: Audio) -> NDArray[np.float64]:
    return resample(audio.mean(1, keepdims=True), SAMPLE_RATE, _HEARING_RATE)[:, 0].astype(np.float64)
