"""All measures of one clip at once, channel by channel, those that model hearing included."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.audio import SAMPLE_RATE, Audio, resample
from training.evaluation import metrics
from training.evaluation.bands import band_powers
from training.evaluation.image import image_errors
from training.evaluation.movement import movement
from training.evaluation.silence import is_silent, leakage_db

_HEARING_RATE = 48_000  # of both models of hearing


@dataclass(frozen=True)
class ChannelScores:
    """One channel against the clean one; None where a measure has no meaning, as above a cut that isn't there.

    Attributes:
        sdr_db: signal-to-distortion ratio.
        si_sdr_db: the same, whatever the gain.
        si_snr_db: the same with the means taken off.
        lsd: log-spectral distance in decades, lower is better.
        lsd_in_band: of what the codec kept, below its cut.
        lsd_above: above the cut.
        visqol: ViSQOL in audio mode, at 48 kHz, 1 to 5.
        zimtohrli: Zimtohrli's opinion score, at 48 kHz, 1 to 5.
    """

    sdr_db: float | None
    si_sdr_db: float | None
    si_snr_db: float | None
    lsd: float | None
    lsd_in_band: float | None
    lsd_above: float | None
    visqol: float | None
    zimtohrli: float | None


@dataclass(frozen=True)
class Scores(ChannelScores):
    """A stereo signal against the clean one: means over the channels that aren't silent, and what only both tell.

    Attributes:
        si_sdr_worst_db: of the worse channel.
        lsd_worst: of the worse channel.
        visqol_worst: of the worse channel.
        zimtohrli_worst: of the worse channel.
        level_above_db: how much too loud everything above the cut is.
        level_above_abs_db: mean magnitude of that over frames.
        level_error_db: root mean square error of the levels of the bands that lost more than 6 dB.
        level_clip_db: what of it is one number for the clip.
        level_slow_db: what of it changes over half a second, by band.
        level_frame_db: what of it changes from frame to frame.
        movement: correlation of the movements of these levels around each band's mean.
        image_db: mean error of the level difference between the channels in these bands.
        image_share: of that against a plain centre's; None where the original has no image there.
        coherence_error: mean error of the coherence between the channels in these bands, 0 to 2.
        side_to_mid_db: error of the ratio of side to mid in these bands, above 0 is too wide.
        leakage_db: dB of full scale of what is heard where the original is silent.
        change_db: energy of the change against that of the input; None where nothing was changed.
    """

    si_sdr_worst_db: float | None
    lsd_worst: float | None
    visqol_worst: float | None
    zimtohrli_worst: float | None
    level_above_db: float | None
    level_above_abs_db: float | None
    level_error_db: float | None
    level_clip_db: float | None
    level_slow_db: float | None
    level_frame_db: float | None
    movement: float | None
    image_db: float | None
    image_share: float | None
    coherence_error: float | None
    side_to_mid_db: float | None
    leakage_db: float | None
    change_db: float | None


NAMES = tuple(field.name for field in fields(Scores))
_CHANNEL_NAMES = tuple(field.name for field in fields(ChannelScores))


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
        channels = [
            self._channel(audio[:, index], clean[:, index], cut_hz)
            for index in range(_n_different(audio, clean))
            if not is_silent(clean[:, index])
        ]
        level = metrics.level_errors_db(ours, wanted, cut_hz) if cut_hz else (None, None)
        return Scores(
            **{name: _mean([getattr(one, name) for one in channels]) for name in _CHANNEL_NAMES},
            si_sdr_worst_db=min((one.si_sdr_db for one in channels if one.si_sdr_db is not None), default=None),
            lsd_worst=max((one.lsd for one in channels if one.lsd is not None), default=None),
            visqol_worst=min((one.visqol for one in channels if one.visqol is not None), default=None),
            zimtohrli_worst=min((one.zimtohrli for one in channels if one.zimtohrli is not None), default=None),
            level_above_db=level[0],
            level_above_abs_db=level[1],
            **_of_lost_bands(ours, given, wanted),
            leakage_db=leakage_db(audio, clean),
            change_db=None if torch.equal(ours, given) else metrics.change_db(ours, given),
        )

    def _channel(self, audio: NDArray[np.float32], clean: NDArray[np.float32], cut_hz: float | None) -> ChannelScores:
        ours, wanted = as_tensor(audio[:, None]), as_tensor(clean[:, None])
        reference, judged = _for_hearing(clean), _for_hearing(audio)
        return ChannelScores(
            sdr_db=metrics.sdr_db(ours, wanted),
            si_sdr_db=metrics.si_sdr_db(ours, wanted),
            si_snr_db=metrics.si_snr_db(ours, wanted),
            lsd=metrics.log_spectral_distance(ours, wanted),
            lsd_in_band=metrics.log_spectral_distance(ours, wanted, below_hz=cut_hz) if cut_hz else None,
            lsd_above=metrics.log_spectral_distance(ours, wanted, above_hz=cut_hz) if cut_hz else None,
            visqol=float(self._visqol.measure_from_arrays(reference, judged, _HEARING_RATE).moslqo),
            zimtohrli=float(self._zimtohrli(reference, judged)),
        )


def as_tensor(audio: Audio) -> Tensor:
    """(samples, channels) -> (channels, samples)."""
    return torch.from_numpy(np.ascontiguousarray(audio.T))


def _of_lost_bands(ours: Tensor, given: Tensor, wanted: Tensor) -> dict[str, float | None]:
    """Levels, movements and image of what the codec took out."""
    powers = band_powers(ours), band_powers(given), band_powers(wanted)
    moved, image = movement(*powers), image_errors(*powers)
    return {
        "level_error_db": moved.error_db if moved else None,
        "level_clip_db": moved.clip_db if moved else None,
        "level_slow_db": moved.slow_db if moved else None,
        "level_frame_db": moved.frame_db if moved else None,
        "movement": moved.correlation if moved else None,
        "image_db": image.level_difference_db if image else None,
        "image_share": image.share if image else None,
        "coherence_error": image.coherence if image else None,
        "side_to_mid_db": image.side_to_mid_db if image else None,
    }


def _n_different(audio: Audio, clean: Audio) -> int:
    """Channels to judge: of two that are the same on both sides one says it all, in half the time."""
    return 1 if all(np.array_equal(one[:, 0], one[:, 1]) for one in (audio, clean)) else 2


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _for_hearing(channel: NDArray[np.float32]) -> NDArray[np.float64]:
    return resample(channel[:, None], SAMPLE_RATE, _HEARING_RATE)[:, 0].astype(np.float64)
