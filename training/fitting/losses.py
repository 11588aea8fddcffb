"""What the net is trained on: four measures of a restored clip against the clean one, each from one source.

A clip is `(batch, 2, samples)` at full scale 1.0. Spectral losses see mid and one of left, right, side, drawn anew each
call by the caller's generator of random numbers: a loss on all of them costs twice the time and taught no more.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_POWER_FLOOR = 1e-7  # of |X|^2 with an unnormalised Hann window of 2048: about -100 dB of full scale
_BEST_SNR_DB = 45.0  # a clip this close is done: undamaged items must not rule the gradient


@dataclass(frozen=True)
class LossWeights:
    """How much each measure counts.

    Attributes:
        snr: per dB of signal-to-error ratio of the waveform.
        band: per decade of error of the energies of bands.
        bin: per decade of error of the energies of bins.
        magnitude: of the relative error of compressed magnitudes.
    """

    snr: float = 0.06
    band: float = 1.0
    bin: float = 0.4
    magnitude: float = 0.5


class SpectralView(nn.Module):
    """Power spectra of one resolution, and sums of them over bands as wide as the ear's.

    Args:
        n_fft: length of the FFT and of the Hann window, in samples.
        sample_rate: samples per second.
        n_bands: bands between 50 Hz and Nyquist, equally wide in ERB (Glasberg & Moore 1990, eq. 4).
    """

    window: Tensor
    bands: Tensor

    def __init__(self, n_fft: int, sample_rate: int, n_bands: int) -> None:
        """Lay out the bands."""
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        frequency = torch.fft.rfftfreq(n_fft, 1 / sample_rate)
        erb = 21.4 * torch.log10(1 + 0.00437 * frequency)
        position = (erb - erb.new_tensor(1.83)) / (erb[-1] - 1.83) * n_bands
        band_of_bin = position.floor().clamp(0, n_bands - 1).long()
        one_hot = functional.one_hot(band_of_bin, n_bands).float()
        self.register_buffer("bands", one_hot[:, one_hot.sum(0) > 0], persistent=False)

    def power(self, audio: Tensor) -> Tensor:
        """(clips, samples) -> (clips, bins, frames), scaled to the energy of a window of 2048."""
        spectrum = torch.stft(audio, self.n_fft, self.n_fft // 4, window=self.window, center=False, return_complex=True)
        return (spectrum.real.square() + spectrum.imag.square()) * (2048 / self.n_fft)


def snr_db(estimate: Tensor, target: Tensor) -> Tensor:
    """Signal-to-error ratio of each item in dB, both channels together, bounded above softly.

    Shape:
        (batch, 2, samples), the same -> (batch,)
    """
    error = (estimate - target).square().mean((1, 2))
    signal = target.square().mean((1, 2))
    return 10 * torch.log10((signal + 1e-9) / (error + signal * 10 ** (-_BEST_SNR_DB / 10) + 1e-9))


class RestorationLoss(nn.Module):
    """The weighted sum.

    Args:
        weights: how much each part counts.
        sample_rate: samples per second.
        n_ffts: resolutions of the spectral parts, in samples.
    """

    def __init__(self, weights: LossWeights, sample_rate: int, n_ffts: tuple[int, ...] = (512, 2048)) -> None:
        """Build one view for each resolution."""
        super().__init__()
        self.weights = weights
        self.views = nn.ModuleList(SpectralView(n, sample_rate, 32 if n < 1024 else 48) for n in n_ffts)

    def forward(self, estimate: Tensor, target: Tensor, other: int) -> tuple[Tensor, dict[str, float]]:
        """Compare.

        Args:
            estimate: restored clips.
            target: clean clips.
            other: what is compared beside mid: 0 left, 1 right, 2 side.

        Returns:
            The loss, and its parts unweighted.

        Shape:
            (batch, 2, samples), the same -> ()
        """
        seen = [_views_of(clip, other) for clip in (estimate, target)]
        parts = {"snr": -snr_db(estimate, target).mean()}
        for name in ("band", "bin", "magnitude"):
            parts[name] = estimate.new_zeros(())
        for view in self.views:
            ours, wanted = (view.power(clip) for clip in seen)
            share = 1 / len(self.views)
            parts["band"] = parts["band"] + share * _log_error(view.bands.T @ ours, view.bands.T @ wanted)
            parts["bin"] = parts["bin"] + share * _log_error(ours, wanted)
            parts["magnitude"] = parts["magnitude"] + share * _compressed_error(ours, wanted)
        total = sum(getattr(self.weights, name) * value for name, value in parts.items())
        return total, {name: float(value.detach()) for name, value in parts.items()}


def _views_of(clip: Tensor, other: int) -> Tensor:
    """(batch, 2, samples) -> (2 batch, samples): mid, and left, right or side."""
    left, right = clip.unbind(1)
    return torch.cat((0.5 * (left + right), (left, right, 0.5 * (left - right))[other]))


def _log_error(ours: Tensor, wanted: Tensor) -> Tensor:
    """Root mean square over bands of the distance in decades, mean over frames: what the log-spectral distance is.

    An L1 distance instead let the net be content with the median, which left bright music 20 dB too dark.
    """
    decades = torch.log10(ours + _POWER_FLOOR) - torch.log10(wanted + _POWER_FLOOR)
    return torch.sqrt(decades.square().mean(1) + 1e-4).mean()


def _compressed_error(ours: Tensor, wanted: Tensor) -> Tensor:
    """L1 of magnitudes to the power 0.5, relative to the clip's mean: loud and soft parts both count."""
    ours, wanted = (ours + 1e-9) ** 0.25, (wanted + 1e-9) ** 0.25
    return ((ours - wanted).abs().mean((1, 2)) / (wanted.mean((1, 2)) + 1e-3)).mean()
