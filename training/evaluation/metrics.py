"""Measures of restoration that need no perceptual model; each stands beside that of the untouched input.

A clip is `(2, samples)` or `(1, samples)` at full scale 1.0. What needs a model of hearing is in `judge`.
"""

import torch
from torch import Tensor
from torchmetrics.functional.audio import (
    scale_invariant_signal_distortion_ratio,
    scale_invariant_signal_noise_ratio,
    signal_noise_ratio,
)

N_FFT = 2048
HOP_LENGTH = 512
BIN_HZ = 44_100 / N_FFT
FLOOR = 1e-8
"""Of powers; with the two above the terms of the published figures (data.md)."""

_SMOOTHED_BINS = 9
_REMOVED = 0.1  # a band that lost 10 dB is no longer there: codecs' low-passes fall by much more within 200 Hz
_FADED = 1e-8  # of the loudest bin: what the original itself doesn't have tells nothing of the codec


def sdr_db(estimate: Tensor, target: Tensor) -> float:
    """Signal-to-distortion ratio with nothing forgiven, both channels as one signal.

    Shape:
        estimate, target: ``(channels, samples)``
    """
    return float(signal_noise_ratio(estimate.flatten(), target.flatten()))


def si_sdr_db(estimate: Tensor, target: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al., arXiv 1811.02508), both channels as one signal.

    Shape:
        estimate, target: ``(channels, samples)``
    """
    return float(scale_invariant_signal_distortion_ratio(estimate.flatten(), target.flatten()))


def si_snr_db(estimate: Tensor, target: Tensor) -> float:
    """The same after the means are taken off (Luo & Mesgarani, arXiv 1711.00541): what the published tables hold.

    Shape:
        estimate, target: ``(channels, samples)``
    """
    return float(scale_invariant_signal_noise_ratio(estimate.flatten(), target.flatten()))


def change_db(estimate: Tensor, reference: Tensor) -> float:
    """Energy of the difference against that of the reference; the lower, the less was done.

    Shape:
        estimate, reference: ``(channels, samples)``
    """
    changed, whole = ((clip.double() ** 2).sum() for clip in (estimate - reference, reference))
    return float(10 * torch.log10(changed / whole.clamp(min=1e-20) + 1e-20))


def log_spectral_distance(estimate: Tensor, target: Tensor, above_hz: float = 0.0, below_hz: float = 1e9) -> float:
    """Mean over frames of the root mean squared difference of log10 powers over bins.

    n_fft 2048, hop 512, Hann, floor 1e-8: the terms of the published figures (data.md).

    Args:
        estimate: restored.
        target: what it should be.
        above_hz: bins below are left out, at 44.1 kHz.
        below_hz: bins from there on are left out; there must be one between the two.

    Shape:
        estimate, target: ``(channels, samples)``
    """
    chosen = slice(*(min(round(edge / BIN_HZ), N_FFT // 2 + 1) for edge in (above_hz, below_hz)))
    ours, wanted = (torch.log10(_power(clip)[:, chosen] + FLOOR) for clip in (estimate, target))
    return float((ours - wanted).square().mean(-2).sqrt().mean())


def measure_cut_hz(damaged: Tensor, clean: Tensor) -> float | None:
    """Frequency where a codec's low-pass ends the music: the lower end of the widest band that is gone.

    What is kept above it doesn't count: loud music that a decoder clipped has a trace of that up to the top.

    Args:
        damaged: after the codec.
        clean: before.

    Returns:
        Hz, or None where nothing to speak of is missing: the original has less than 1 kHz there itself.

    Shape:
        damaged, clean: ``(channels, samples)``
    """
    kept, whole = (_smoothed(_power(clip).mean((0, 2))) for clip in (damaged, clean))
    heard = whole > max(_FADED * float(whole.max()), FLOOR)
    there = heard & (kept > _REMOVED * whole)
    n_lost = torch.bincount(there.cumsum(0)[heard & ~there], minlength=1)  # by how many kept bins lie below
    widest = int(n_lost.argmax())
    if widest == 0 or int(n_lost[widest]) * BIN_HZ < 1000:
        return None
    return (int(there.nonzero()[widest - 1]) + 1) * BIN_HZ


def level_errors_db(estimate: Tensor, target: Tensor, above_hz: float) -> tuple[float, float]:
    """Level errors of everything above a frequency: how much too loud or too soft.

    Args:
        estimate: restored.
        target: what it should be.
        above_hz: the cut.

    Returns:
        The error of the level over all in dB, above 0 where it is too loud; and the mean over frames of the error's
        magnitude, which sees pumping too. Levels below -60 dB of the target's own count as that.

    Shape:
        estimate, target: ``(channels, samples)``
    """
    ours, wanted = (_power(clip)[:, round(above_hz / BIN_HZ) :].sum((0, 1)) for clip in (estimate, target))
    softest = wanted.mean() * 1e-6 + FLOOR

    def level_db(power: Tensor) -> Tensor:
        return 10 * torch.log10(power.clamp(min=softest))

    overall = level_db(ours.mean()) - level_db(wanted.mean())
    return float(overall), float((level_db(ours) - level_db(wanted)).abs().mean())


def _power(clip: Tensor) -> Tensor:
    """(channels, samples) -> (channels, bins, frames)."""
    spectrum = torch.stft(clip, N_FFT, HOP_LENGTH, window=torch.hann_window(N_FFT), return_complex=True)
    return spectrum.abs().square()


def _smoothed(power: Tensor) -> Tensor:
    """A running mean over bins."""
    reach = _SMOOTHED_BINS // 2
    padded = torch.nn.functional.pad(power[None, None], (reach, reach), mode="replicate")
    return torch.nn.functional.avg_pool1d(padded, _SMOOTHED_BINS, 1)[0, 0]
