"""Movement of the highs: levels of the bands that a codec took out, their error taken apart by how fast it changes.

```
 error of the levels, dB = one number a clip + slow, by band (over half a second) + from frame to frame
```
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.evaluation.bands import FLOOR, FRAMES_A_SECOND, BandPowers, lost

_SLOW_FRAMES = round(0.5 * FRAMES_A_SECOND) // 2 * 2 + 1
"""Odd, so that a frame stands in the middle of its average."""


@dataclass(frozen=True)
class Movement:
    """Movement of the levels in the bands that lost more than 6 dB, left and right.

    Attributes:
        error_db: root mean square error.
        clip_db: magnitude of what of it is one number for the whole clip.
        slow_db: root mean square of what changes over half a second, by band.
        frame_db: root mean square of what changes from frame to frame.
        correlation: of the movements around each band's mean.
    """

    error_db: float
    clip_db: float
    slow_db: float
    frame_db: float
    correlation: float


def movement(ours: BandPowers, damaged: BandPowers, clean: BandPowers) -> Movement | None:
    """Takes the error of a clip's levels apart; None where no band lost anything."""
    chosen = lost(damaged.channels, clean.channels)
    if not chosen.any():
        return None
    return taken_apart(*(_levels_db(one, chosen) for one in (ours, clean)))


def taken_apart(levels: Tensor, wanted: Tensor) -> Movement:
    """Takes the error of levels in dB apart.

    Shape:
        (frames, bands), the same
    """
    error = levels - wanted
    clip = error.mean()
    slow = _smoothed(error - clip)
    mine, theirs = levels - levels.mean(0), wanted - wanted.mean(0)
    size = (mine.square().sum() * theirs.square().sum()).sqrt().clamp(min=1e-6)
    return Movement(
        error_db=_rms(error),
        clip_db=float(clip.abs()),
        slow_db=_rms(slow),
        frame_db=_rms(error - clip - slow),
        correlation=float((mine * theirs).sum() / size),
    )


def _levels_db(powers: BandPowers, chosen: Tensor) -> Tensor:
    """Shape: (frames, chosen bands of both channels)."""
    return 10 * torch.log10(powers.channels.transpose(1, 2)[chosen].T.clamp(min=FLOOR))


def _smoothed(levels: Tensor) -> Tensor:
    """Means over half a second around each frame; over what there is of it at the ends."""
    averaged = torch.nn.functional.avg_pool1d(
        levels.T[:, None], _SLOW_FRAMES, 1, _SLOW_FRAMES // 2, count_include_pad=False
    )
    return averaged[:, 0].T


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
