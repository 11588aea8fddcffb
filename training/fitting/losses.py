"""Losses measure a restored clip against the clean one, each from one source; the net is trained on their sum.

A clip is `(batch, 2, samples)` at full scale 1.0. Spectral losses see mid and one of left, right, side, chosen
anew by the caller each step: a loss on all of them costs twice the time and taught no more. Every measure is a mean
over items, so that a batch shared by several processes gives the same gradients.
"""

import math
from dataclasses import asdict, dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.fitting.spectral_view import SpectralView

_POWER_FLOOR = 1e-7  # of |X|^2 with an unnormalised Hann window of 2048: about -100 dB of full scale
_LEVEL_FLOOR = 30.0  # of a band's power in the net's unit: -85 dB of full scale
_BEST_SNR_DB = 45.0  # a clip this close is done: undamaged items must not rule the gradient
_STEEP_DB, _STEEP_WITHIN_HZ, _LOWEST_END_HZ = 25.0, 1000.0, 10_000.0  # no instrument ends like that up there
_PUBLISHED_N_FFTS = (32, 64, 128, 256, 512, 1024, 2048)


@dataclass(frozen=True)
class LossWeights:
    """Weights of the measures say how much each counts.

    Attributes:
        snr: per dB of signal-to-error ratio of the waveform.
        band: per decade of error of the energies of bands.
        bin: per decade of error of the energies of bins.
        magnitude: of the relative error of compressed magnitudes.
        multi_magnitude: of the relative error of plain magnitudes at seven resolutions, the published recipe's.
        complex: of the relative error of compressed spectra, phases included.
        waveform: of the relative error of samples.

    Raises:
        ValueError: a weight is negative, or all are zero.
    """

    snr: float = 0.06
    band: float = 1.0
    bin: float = 0.4
    magnitude: float = 0.5
    multi_magnitude: float = 0.0
    complex: float = 0.0
    waveform: float = 0.0

    def __post_init__(self) -> None:
        """Check the weights."""
        values = asdict(self)
        if min(values.values()) < 0 or not any(values.values()):
            raise ValueError(f"weights must not be negative nor all zero, got {values}")


class RestorationLoss(nn.Module):
    """The weighted sum; what has no weight is not computed.

    Args:
        weights: how much each part counts.
        sample_rate: samples per second.
        n_ffts: resolutions of the spectral parts, in samples.
    """

    def __init__(self, weights: LossWeights, sample_rate: int, n_ffts: tuple[int, ...] = (512, 2048)) -> None:
        """Build one view for each resolution."""
        super().__init__()
        self.weights = weights
        self._errors = self._spectral_errors
        self.views = nn.ModuleList(SpectralView(n, sample_rate, 32 if n < 1024 else 48) for n in n_ffts)

    def forward(self, estimate: Tensor, target: Tensor, other: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Compare.

        Args:
            estimate: restored clips.
            target: clean clips.
            other: what is compared beside mid: 0 left, 1 right, 2 side.

        Returns:
            The loss, and its parts unweighted and without gradient.

        Shape:
            (batch, 2, samples), the same -> ()
        """
        weights, parts = self.weights, {}
        if weights.snr:
            parts["snr"] = -snr_db(estimate, target).mean()
        if weights.band or weights.bin or weights.magnitude or weights.complex:
            parts |= self._spectral_parts(_views_of(estimate, other), _views_of(target, other))
        if weights.multi_magnitude:
            parts["multi_magnitude"] = multi_magnitude_error(estimate, target)
        if weights.waveform:
            parts["waveform"] = waveform_error(estimate, target)
        total = sum(getattr(weights, name) * value for name, value in parts.items())
        return total, {name: value.detach() for name, value in parts.items()}

    def fuse(self) -> None:
        """Fuse what is computed of spectra with `torch.compile`: one pass over each instead of some twenty."""
        self._errors = torch.compile(self._spectral_errors, dynamic=False)

    def _spectral_parts(self, ours: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """Means over the resolutions. Shape: (clips, samples), the same -> ()."""
        each = [
            self._errors(view.spectrum(ours), view.spectrum(wanted), view)
            for view in cast("list[SpectralView]", self.views)
        ]
        return {name: torch.stack([errors[name] for errors in each]).mean() for name in each[0]}

    def _spectral_errors(self, ours: Tensor, wanted: Tensor, view: SpectralView) -> dict[str, Tensor]:
        """All of one resolution. Shape: (clips, frames, bins, 2), the same -> ()."""
        powers = [view.power(spectrum) for spectrum in (ours, wanted)]
        known = known_bins(powers[1], view.bin_hz)
        powers, found = [power * known for power in powers], {}
        if self.weights.band:
            found["band"] = log_error(*(power @ view.bands for power in powers))
        if self.weights.bin:
            found["bin"] = log_error(*powers)
        if self.weights.magnitude:
            found["magnitude"] = compressed_error(*powers)
        if self.weights.complex:
            found["complex"] = complex_error(*(spectrum * known[..., None] for spectrum in (ours, wanted)))
        return found


def _views_of(clip: Tensor, other: int) -> Tensor:
    """(batch, 2, samples) -> (2 batch, samples): mid, and left, right or side."""
    left, right = clip.unbind(1)
    return torch.cat((0.5 * (left + right), (left, right, 0.5 * (left - right))[other]))


# What the clean music tells nothing about


def known_bins(power: Tensor, bin_hz: float) -> Tensor:
    """Leave out what a codec took from the clean music itself: all above a fall of 25 dB within 1 kHz, above 10 kHz.

    Much open music was only ever published as Vorbis or MP3. That its highs are lost is no reason to learn that music
    has none.

    Args:
        power: of the clean music.
        bin_hz: width of a bin.

    Returns:
        1 where there is something to learn, else 0.

    Shape:
        (clips, frames, bins) -> (clips, 1, bins)
    """
    reach = max(1, round(_STEEP_WITHIN_HZ / bin_hz / 6)) * 2 + 1
    level_db = 10 * torch.log10(power.mean(1) + _POWER_FLOOR)
    level_db = functional.avg_pool1d(level_db[:, None], reach, 1, reach // 2, count_include_pad=False)[:, 0]
    loudest_above = level_db.flip(1).cummax(1).values.flip(1)
    within, lowest = round(_STEEP_WITHIN_HZ / bin_hz), round(_LOWEST_END_HZ / bin_hz)
    falls = functional.pad(level_db[:, :-within] - loudest_above[:, within:] >= _STEEP_DB, (0, within))
    falls[:, :lowest] = False
    return (falls.cumsum(1) == 0)[:, None].to(power.dtype)


# Waveform: the signal-to-noise ratio as everyone knows it


def snr_db(estimate: Tensor, target: Tensor) -> Tensor:
    """Signal-to-error ratio of each item in dB, both channels together, bounded above softly.

    Shape:
        (batch, 2, samples), the same -> (batch,)
    """
    error = (estimate - target).square().mean((1, 2))
    signal = target.square().mean((1, 2))
    return 10 * torch.log10((signal + 1e-9) / (error + signal * 10 ** (-_BEST_SNR_DB / 10) + 1e-9))


# Levels that a codec took


def missing_level_error(added: Tensor, damaged: Tensor, clean: Tensor, known: Tensor) -> Tensor:
    """Mean square error in decades of how loud what is added is, against what is missing.

    Bands that lost more than 3 dB count ten times as much as others. There what is missing is taken to be at least 20
    dB below the music, so that a band that lost nothing is no logarithm of zero.

    Args:
        added: log power of bands.
        damaged: power of bands.
        clean: power of bands.
        known: 1 where the clean music has something to teach, else 0 (`known_bins`).

    Shape:
        (batch, frames, bands, channels) three times, what broadcasts to it -> ()
    """
    missing = (clean - damaged).clamp(min=0) + 0.01 * clean
    floor = added.new_tensor(_LEVEL_FLOOR)
    decades = (torch.logaddexp(added, floor.log()) - torch.log(missing + floor)) / math.log(10)
    return (decades.square() * known * torch.where(clean > 2 * damaged + floor, 1.0, 0.1)).mean()


# Energies of bins, or of bands (Glasberg & Moore 1990): the log-spectral distance (Gray & Markel 1976)


def log_error(ours: Tensor, wanted: Tensor) -> Tensor:
    """Root mean square over bands of the distance in decades, mean over frames: what the log-spectral distance is.

    An L1 distance instead let the net be content with the median, which left bright music 20 dB too dark.

    Shape:
        powers (clips, frames, bands), the same -> ()
    """
    decades = torch.log10(ours + _POWER_FLOOR) - torch.log10(wanted + _POWER_FLOOR)
    return torch.sqrt(decades.square().mean(-1) + 1e-4).mean()


# Compressed magnitudes: the magnitude part of Braun & Tashev, arXiv 2009.12286, with an L1 distance


def compressed_error(ours: Tensor, wanted: Tensor) -> Tensor:
    """L1 of magnitudes to the power 0.5, relative to the clip's mean: loud and soft parts both count.

    Shape:
        powers (clips, frames, bins), the same -> ()
    """
    ours, wanted = (torch.sqrt(torch.sqrt(power + 1e-9)) for power in (ours, wanted))
    return ((ours - wanted).abs().mean((1, 2)) / (wanted.mean((1, 2)) + 1e-3)).mean()


# Compressed spectra with their phases: Braun & Tashev, arXiv 2009.12286, eq. 6, c = 0.3


def complex_error(ours: Tensor, wanted: Tensor) -> Tensor:
    """Squared distance of spectra whose magnitudes are raised to the power 0.3, relative to the clip's mean square.

    Shape:
        (clips, frames, bins, 2), the same -> ()
    """
    ours, wanted = (_compressed(spectrum, 0.3) for spectrum in (ours, wanted))
    error, size = ((planes.square().mean((1, 2, 3))) for planes in (ours - wanted, wanted))
    return (error / (size + 1e-3)).mean()


def _compressed(planes: Tensor, exponent: float) -> Tensor:
    """Re and im (..., 2) to a power of the magnitude; it has a floor, for the root of zero has no gradient."""
    power = planes.square().sum(-1, keepdim=True) + 1e-9
    return planes * power ** ((exponent - 1) / 2)


# Plain magnitudes at the critics' resolutions: Li & Luo (Apollo), arXiv 2409.08514


def multi_magnitude_error(estimate: Tensor, target: Tensor) -> Tensor:
    """L1 of magnitudes relative to the target's mean, mean over seven windows.

    Shape:
        (batch, 2, samples), the same -> ()
    """
    errors = []
    for n_fft in _PUBLISHED_N_FFTS:
        window = torch.hann_window(n_fft, device=target.device)
        ours, wanted = (
            torch.stft(clip.flatten(0, 1), n_fft, n_fft // 2, window=window, return_complex=True)
            .abs()
            .unflatten(0, clip.shape[:2])
            for clip in (estimate, target)
        )
        errors.append(((ours - wanted).abs().mean((1, 2, 3)) / (wanted.mean((1, 2, 3)) + 1e-6)).mean())
    return torch.stack(errors).mean()


# Samples: the L1 distance of Défossez et al. (Demucs), arXiv 1911.13254, relative to the target's mean


def waveform_error(estimate: Tensor, target: Tensor) -> Tensor:
    """L1 of samples relative to the target's mean.

    Shape:
        (batch, 2, samples), the same -> ()
    """
    return ((estimate - target).abs().mean((1, 2)) / (target.abs().mean((1, 2)) + 1e-5)).mean()
