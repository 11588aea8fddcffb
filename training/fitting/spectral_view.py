"""Short-time spectra for losses, with gradients at the price of a real transform.

What automatic differentiation makes of a real FFT is a complex one of twice the work, and planes of a transposed
spectrum that no vector unit likes; here frames stay in rows, and the way back is an inverse real FFT and an
overlap-add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable


class _Spectra(Function):
    """Windowed frames and their real FFT, real and imaginary part last."""

    @staticmethod
    def forward(ctx: Any, audio: Tensor, window: Tensor) -> Tensor:
        """(clips, samples), (n_fft,) -> (clips, frames, bins, 2)."""
        ctx.save_for_backward(window)
        ctx.n_samples = audio.shape[-1]
        frames = audio.unfold(-1, len(window), len(window) // 4) * window
        return torch.view_as_real(torch.fft.rfft(frames))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The transposed transform: what an inverse FFT of the gradient would be without its division by the length.

        There all bins but the first and the last stand for two.
        """
        (window,) = ctx.saved_tensors
        n_fft, hop = len(window), len(window) // 4
        doubled = torch.view_as_complex(gradients[0].contiguous()).clone()
        doubled[..., 0] *= 2
        doubled[..., -1] *= 2
        frames = torch.fft.irfft(doubled, n_fft, norm="forward").mul_(0.5 * window)
        quarters = frames.unflatten(-1, (4, hop))
        n_frames = frames.shape[1]
        audio = frames.new_zeros(len(frames), n_frames + 3, hop)
        for place in range(4):
            audio[:, place : place + n_frames] += quarters[:, :, place]
        audio = audio.flatten(1)
        return functional.pad(audio, (0, ctx.n_samples - audio.shape[1])), None


class SpectralView(nn.Module):
    """Spectra of one resolution, and sums of their powers over bands as wide as the ear's.

    Args:
        n_fft: length of the FFT and of the Hann window, in samples; a frame begins every quarter of it.
        sample_rate: samples per second.
        n_bands: bands between 50 Hz and Nyquist, equally wide in ERB (Glasberg & Moore 1990, eq. 4).
    """

    window: Tensor
    bands: Tensor

    def __init__(self, n_fft: int, sample_rate: int, n_bands: int) -> None:
        """Lay out the bands."""
        super().__init__()
        self.n_fft, self.bin_hz = n_fft, sample_rate / n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        frequency = torch.fft.rfftfreq(n_fft, 1 / sample_rate)
        erb = 21.4 * torch.log10(1 + 0.00437 * frequency)
        position = (erb - erb.new_tensor(1.83)) / (erb[-1] - 1.83) * n_bands
        band_of_bin = position.floor().clamp(0, n_bands - 1).long()
        one_hot = functional.one_hot(band_of_bin, n_bands).float()
        self.register_buffer("bands", one_hot[:, one_hot.sum(0) > 0], persistent=False)

    def spectrum(self, audio: Tensor) -> Tensor:
        """Shape: (clips, samples) -> (clips, frames, bins, 2), real and imaginary part last."""
        transform = cast("Callable[..., Tensor]", _Spectra.apply)  # without hints in some releases of torch
        return transform(audio, self.window)

    def power(self, spectrum: Tensor) -> Tensor:
        """Scaled to the energy of a window of 2048. Shape: (clips, frames, bins, 2) -> (clips, frames, bins)."""
        real, imaginary = spectrum.unbind(-1)
        return (real.square() + imaginary.square()) * (2048 / self.n_fft)
