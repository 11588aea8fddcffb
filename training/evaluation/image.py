"""The stereo image above the cut is measured by what parametric stereo calls the spatial cues.

Level difference and coherence between channels, in bands and short spans (Breebaart, van de Par, Kohlrausch and
Schuijers, "Parametric coding of stereo audio", EURASIP JASP 2005, equations 3 and 6). Here: eighths of an octave; the
real part of the coherence, which tells side from middle; spans of 0.1 s, as slowly as the ear follows a moving source.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.evaluation.bands import FLOOR, FRAMES_A_SECOND, BandPowers, lost

_SPAN_FRAMES = round(0.1 * FRAMES_A_SECOND)
_HARD_DB = 30.0
"""A level difference beyond is a source that is heard in one channel alone, however much further it goes."""

_SILENT = 0.01  # of the band's own mean: what is softer than that lies between the notes
_NO_IMAGE_DB = 0.5


@dataclass(frozen=True)
class Image:
    """Errors of the image in the bands that lost more than 6 dB.

    Attributes:
        level_difference_db: mean magnitude of the error of the level difference between channels, over bands and spans.
        plain_centre_db: the same of a centre without any image.
        coherence: mean magnitude of the error of the coherence between channels, 0 to 2.
        side_to_mid_db: error of the ratio of side to mid, over all bands and the whole clip; above 0 is too wide.
    """

    level_difference_db: float
    plain_centre_db: float
    coherence: float
    side_to_mid_db: float

    @property
    def share(self) -> float | None:
        """The error of the level difference against a plain centre's; None where there is no image to be lost."""
        return self.level_difference_db / self.plain_centre_db if self.plain_centre_db > _NO_IMAGE_DB else None


def image_errors(ours: BandPowers, damaged: BandPowers, clean: BandPowers) -> Image | None:
    """Compares the image of a restored clip with the original's; None where no band lost anything."""
    chosen = lost(damaged.both, clean.both)
    if not chosen.any():
        return None
    ours, clean = (_spans(one, chosen) for one in (ours, clean))
    sounding = clean.both > (_SILENT * clean.both.mean(0)).clamp(min=FLOOR)
    difference, wanted = (_level_difference_db(one)[sounding] for one in (ours, clean))
    return Image(
        level_difference_db=float((difference - wanted).abs().mean()),
        plain_centre_db=float(wanted.abs().mean()),
        coherence=float((_coherence(ours) - _coherence(clean))[sounding].abs().mean()),
        side_to_mid_db=_side_to_mid_db(ours) - _side_to_mid_db(clean),
    )


def _spans(powers: BandPowers, chosen: Tensor) -> BandPowers:
    """Means over spans of the chosen bands."""

    def means(power: Tensor) -> Tensor:
        n_frames = max(power.shape[-2] // _SPAN_FRAMES, 1) * _SPAN_FRAMES
        return power[..., :n_frames, chosen].unflatten(-2, (-1, min(_SPAN_FRAMES, power.shape[-2]))).mean(-2)

    return BandPowers(means(powers.channels), means(powers.common))


def _level_difference_db(powers: BandPowers) -> Tensor:
    left, right = 10 * torch.log10(powers.channels + FLOOR)
    return (left - right).clamp(-_HARD_DB, _HARD_DB)


def _coherence(powers: BandPowers) -> Tensor:
    return powers.common / torch.sqrt((powers.channels + FLOOR).prod(0))


def _side_to_mid_db(powers: BandPowers) -> float:
    both, common = powers.both.sum() / 2, powers.common.sum()
    ratio_db = 10 * torch.log10((both - common).clamp(min=0.0) + FLOOR) - 10 * torch.log10(
        (both + common).clamp(min=0.0) + FLOOR
    )
    return float(ratio_db.clamp(-_HARD_DB, _HARD_DB))
