"""Critics that look at the spectrum of a clip at several resolutions (Li & Luo, arXiv 2409.08514).

Clip -> unit energy -> STFT of one window length -> planes: re and im of each channel -> 2-D convolutions -> verdicts.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

_SLOPE = 0.2
_SMALLEST_ENERGY = 1e-8

FeatureMaps = list[Tensor]
"""What each layer of one critic makes of a clip, (batch, channels, bins, frames); the last are its verdicts."""


class SpectrumCritic(nn.Module):
    """Judges clips at one resolution.

    Args:
        window_length: of the Hann window and the FFT, in samples; the hop is half of it.
        widths: channels of the layers before the verdict; every second layer halves bins and frames.
    """

    window: Tensor

    def __init__(self, window_length: int, widths: Sequence[int]) -> None:
        """Build the layers, each with the norm that keeps its slope at one (Miyato et al., arXiv 1802.05957)."""
        super().__init__()
        self.register_buffer("window", torch.hann_window(window_length), persistent=False)
        sizes = [4, *widths, 1]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(n_in, n_out, 3, padding=1, stride=1 + (index % 2 and index < len(widths))))
            for index, (n_in, n_out) in enumerate(pairwise(sizes))
        )

    def forward(self, clip: Tensor) -> FeatureMaps:
        """Judge.

        Args:
            clip: stereo music at least as long as the window.

        Shape:
            (batch, 2, samples) -> (batch, channels, bins, frames) of each layer
        """
        n_fft = len(self.window)
        spectrum = torch.stft(clip.flatten(0, 1), n_fft, n_fft // 2, window=self.window, return_complex=True)
        planes = torch.view_as_real(spectrum).permute(0, 3, 1, 2)
        x = planes.reshape(len(clip), 4, *planes.shape[-2:])
        *hidden, verdict = self.layers
        maps = []
        for layer in hidden:
            x = functional.leaky_relu(layer(x), _SLOPE)
            maps.append(x)
        return [*maps, verdict(x)]


class MultiResolutionCritic(nn.Module):
    """One critic for every window length; the published ones have 2,771,503 parameters together.

    Args:
        window_lengths: in samples.
        widths: channels of each critic's layers.

    Raises:
        ValueError: there is no window length or width, or one is out of its bounds.
    """

    def __init__(
        self,
        window_lengths: tuple[int, ...] = (32, 64, 128, 256, 512, 1024, 2048),
        widths: tuple[int, ...] = (8, 16, 32, 64, 128, 256),
    ) -> None:
        """Build them all."""
        super().__init__()
        if not window_lengths or min(window_lengths) < 16 or any(length % 2 for length in window_lengths):
            raise ValueError(f"window_lengths must be even numbers from 16 up, got {list(window_lengths)}")
        if not widths or min(widths) < 1:
            raise ValueError(f"widths must be numbers from 1 up, got {list(widths)}")
        self.critics = nn.ModuleList(SpectrumCritic(length, widths) for length in window_lengths)

    def forward(self, clip: Tensor) -> list[FeatureMaps]:
        """Judge clips scaled to unit energy, so that loudness tells nothing.

        Shape:
            (batch, 2, samples) -> for each window length, as `SpectrumCritic`
        """
        energy = clip.square().sum((1, 2), keepdim=True)
        scaled = clip * torch.rsqrt(energy + _SMALLEST_ENERGY)
        return [critic(scaled) for critic in self.critics]
