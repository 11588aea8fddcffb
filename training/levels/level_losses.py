"""Losses tell how far levels are from those to be reached, for training and for validation."""

import torch
from torch import Tensor
from torch.nn import functional

from training.evaluation.movement import Movement, taken_apart
from training.nets.level_bands import FLOOR
from training.nets.level_net import LN10, LOWEST, NEEDED, Predicted, generated

_LOUDER = 0.2
"""How much more it counts to be too loud (expectiles, Newey & Powell 1987): a little rather too soft. At 0.5 all highs
of damaged music became too soft, and what isn't damaged had no more of it: that is decided by the evidence."""
_IN_VAIN = 0.5
"""How much more it counts to generate where nothing was lost: hiss is worse than highs that stay lost."""


def reached(short: Tensor, predicted: Predicted) -> Tensor:
    """Levels of the damaged music with what is generated added: powers of what has nothing in common add.

    Args:
        short: of the damaged music.
        predicted: what the net says of it.

    Shape:
        (batch, frames, 4, bands) -> the same
    """
    left, right = (10 ** generated(predicted, short[:, :, :2]).clamp(-13.0, 1.0)).unbind(2)
    half, common = (left + right) / 2, torch.sqrt(left * right) * predicted.coherence
    added = torch.stack((left, right, half + common, half - common), dim=2).clamp(min=0.0)  # rounding goes below
    return torch.log10(10**short + added + FLOOR)


def _dearer(error: Tensor) -> Tensor:
    """Weights of errors, where above nothing is too loud. Shape: any -> the same."""
    return 1 + _LOUDER * (error > 0)


def level_error(ours: Tensor, wanted: Tensor, known: Tensor, loud: Tensor) -> Tensor:
    """Mean square error in bels of left, right, mid and side; what lies below `LOWEST` of the music is all the same.

    Beyond 10 dB an error counts by its size alone (Huber 1964): much open music was published as Vorbis, whose highs
    have holes that nobody can foretell, and squares would pull all highs down to meet them.

    Shape:
        (batch, frames, 4, bands), the same, (batch, bands), (batch, frames) -> ()
    """
    lowest = (loud + LOWEST)[..., None, None].clamp(min=-10.5)
    error = torch.logaddexp(ours * LN10, lowest * LN10) - torch.logaddexp(wanted * LN10, lowest * LN10)
    weights = known[:, None, None, :] * _dearer(error)
    squares = 2 * functional.huber_loss(error, torch.zeros_like(error), reduction="none", delta=LN10)
    return (squares * weights).sum() / weights.sum() / LN10**2


_INAUDIBLE = -10.0  # -100 dB of full scale


def missing_error(missing: Tensor, short: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """Mean error in bels of what is predicted for the bands that lost more than 3 dB, at once and not in the sum.

    In the sum a level that has fallen far below what is there has no gradient any more, and would never come back.

    Shape:
        (batch, frames, 2, bands), (batch, frames, 4, bands) twice, (batch, bands) -> ()
    """
    there, whole = 10 ** short[:, :, :2], 10 ** wanted[:, :, :2]
    is_lost = (whole > 2 * there) & (wanted[:, :, :2] > _INAUDIBLE) & known.bool()[:, None, None]
    error = missing - torch.log10((whole - there).clamp(min=FLOOR))
    weights = is_lost * _dearer(error)
    errors = functional.smooth_l1_loss(error, torch.zeros_like(error), reduction="none")
    return (errors * weights).sum() / (weights.sum() + 1)


def evidence_error(evidence: Tensor, short: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """Mean cross entropy of whether a band of a channel lost something, over the whole crop.

    It did where the clean music has more than 3 dB more in the mean, and didn't where it has less than 1 dB more;
    between these either is right. To generate where nothing was lost is the worse mistake, by `_IN_VAIN`.

    Shape:
        (batch, frames, 2, bands), (batch, frames, 4, bands) twice, (batch, bands) -> ()
    """
    there, whole = ((10 ** part[:, :, :2]).mean(1) for part in (short, wanted))
    audible = (whole > 10**_INAUDIBLE) & known.bool()[:, None]
    lost, kept = (whole > 2.0 * there) & audible, (whole < 1.26 * there + 10**_INAUDIBLE) & known.bool()[:, None]
    more = evidence - NEEDED
    errors = functional.softplus(-more) * lost[:, None] + (1 + _IN_VAIN) * functional.softplus(more) * kept[:, None]
    return errors.mean(1).sum() / (lost.sum() + (1 + _IN_VAIN) * kept.sum() + 1)


def image_error(missing: Tensor, short: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """Mean error in bels of the level difference between left and right, in bands that lost more than 3 dB in either.

    Shape:
        (batch, frames, 2, bands), (batch, frames, 4, bands) twice, (batch, bands) -> ()
    """
    there, whole = 10 ** short[:, :, :2], 10 ** wanted[:, :, :2]
    is_lost = ((whole > 2 * there) & (wanted[:, :, :2] > _INAUDIBLE)).any(2) & known.bool()[:, None]
    ours, theirs = (torch.log10(part + 1e-9) for part in (10**missing, (whole - there).clamp(min=0.0)))
    error = (ours[:, :, 0] - ours[:, :, 1] - theirs[:, :, 0] + theirs[:, :, 1]) * is_lost
    return functional.smooth_l1_loss(error, torch.zeros_like(error), reduction="sum") / (is_lost.sum() + 1)


_CLOSEST = 10**-4.5
"""A crop this close to the clean music, 45 dB, is done."""


def correction_error(gains: Tensor, present: Tensor, wanted: Tensor, distance: Tensor) -> Tensor:
    """Mean over channels of the error's power against the clean music's, as its logarithm, as SI-SDR has it.

    Each channel is compared at the loudness that suits it best: encoders make music softer by up to 0.4 dB, and gains
    that only made it louder again would be all that is learnt. Gains that change the loudness count as an error.

    Args:
        gains: of what is there.
        present: its levels, left and right.
        wanted: levels of the clean music.
        distance: between both (`level_bands.measure_likeness`).

    Shape:
        (batch, frames, 2, bands) each -> ()
    """
    there, whole = 10 ** (present / 2), 10 ** (wanted / 2)
    ours = gains * there
    power, clean = (_energy(one.square()) for one in (ours, whole))
    common = _energy((1 - distance) * ours * whole)
    share = (1 - common.square() / (power * clean)).clamp(min=0.0)
    louder = torch.log10(power / _energy(there.square()))
    return (torch.log10(share + _CLOSEST) + louder.square()).mean()


def _energy(part: Tensor) -> Tensor:
    """Sum over a crop, above nothing. Shape: (batch, frames, 2, bands) -> (batch, 2)."""
    return part.sum((1, 3)) + FLOOR


def movement(ours: Tensor, wanted: Tensor, damaged: Tensor, known: Tensor) -> Movement | None:
    """Take the error of the bands that lost more than 6 dB apart, left and right; None where nothing is missing.

    Shape:
        ours, wanted, damaged: (frames, 4, bands); known: (bands,)
    """
    ours, wanted, damaged = ours[:, :2], wanted[:, :2], damaged[:, :2]
    lost = ((10**wanted).mean(0) > 4 * (10**damaged).mean(0)) & known.bool() & (wanted.mean(0) > -9.0)
    if not lost.any():
        return None
    return taken_apart(*(10 * part.clamp(min=_INAUDIBLE)[:, lost] for part in (ours, wanted)))
