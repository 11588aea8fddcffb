"""Layers of the causal restorer: norm, maps between bins and bands, the causal layer, the newest hops."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from apollo_rt.config import Framing
from apollo_rt.stream.stft import asymmetric_windows
from training.nets.net_config import Groups, ModelConfig

SILENT_GAIN = -8.0  # added to the carrier's log gains: what nothing was learnt for is inaudible
LOG_ABSENT, LOG_ABSENT_WIDTH = -12.7, 0.9
"""Log power of a band against the frame's, below which a codec left nothing there (-55 dB), and how sharply."""


class RMSNorm(nn.Module):
    """Divide by the root mean square over the last axis, then scale (Zhang & Sennrich, arXiv 1910.07467)."""

    def __init__(self, width: int) -> None:
        """Start with a scale of one."""
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise.

        Shape:
            (..., width) -> (..., width)
        """
        # Written as a division, which ONNX Runtime knows how to fuse.
        return x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.scale


class BandLinear(nn.Module):
    """A linear layer of its own for every band; bands of equal size share one batched product.

    Args:
        width: channels of a band's token.
        band_groups: (number of bands, bins of each), from low to high.
        per_bin: features or outputs of a bin.
        to_bins: from tokens to bins if true, from bins to tokens if not.
    """

    def __init__(self, width: int, band_groups: Groups, per_bin: int, to_bins: bool) -> None:
        """Draw weights with the variance of `nn.Linear`; a layer towards the bins starts at zero."""
        super().__init__()
        self.band_groups = band_groups
        self.to_bins = to_bins
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for count, bins in band_groups:
            n_in, n_out = (width, bins * per_bin) if to_bins else (bins * per_bin, width)
            scale = 0.0 if to_bins else n_in**-0.5
            self.weights.append(nn.Parameter(torch.randn(count, n_in, n_out) * scale))
            self.biases.append(nn.Parameter(torch.zeros(count, 1, n_out)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply each band's own layer.

        Shape:
            (frames, bins, features) -> (frames, bands, width), or with `to_bins`
            (frames, bands, width) -> (frames, bins, outputs)
        """
        sizes = [count * (1 if self.to_bins else bins) for count, bins in self.band_groups]
        parts = []
        for (count, bins), part, weight, bias in zip(
            self.band_groups, x.split(sizes, dim=1), self.weights, self.biases, strict=True
        ):
            banded = part.reshape(part.shape[0], count, -1).transpose(0, 1)
            mapped = (banded @ weight + bias).transpose(0, 1)
            parts.append(mapped.reshape(part.shape[0], count * bins, -1) if self.to_bins else mapped)
        return torch.cat(parts, dim=1)


class CausalLayer(nn.Module):
    """Looks back in time, then to the other bands, then transforms; one residual around all of it.

    - time: a depthwise dilated convolution over past frames, with taps of its own for every band. It is written as
      shifted products: their backward pass is several times faster on a CPU than that of a depthwise `Conv1d`.
    - bands: a matrix that mixes them (as MLP-Mixer does, Tolstikhin et al., arXiv 2105.01601), and a few numbers that
      sum up the whole frame and go back to every band. Attention did no better at three times the cost
      (training/EXPERIMENTS.md).
    - channels: a small MLP.

    With taps that look ahead it answers for an earlier frame, `n_frames_ahead` back: what it adds to is that frame.
    """

    def __init__(self, config: ModelConfig, dilation: int) -> None:
        """Start as a pass-through of the frame that it answers for, each band for itself."""
        super().__init__()
        self.dilation, self.n_frames_ahead = dilation, config.taps_ahead * dilation
        n_bands, width, hidden, context = config.n_bands, config.width, config.hidden, config.context
        taps = torch.randn(config.kernel_size, n_bands, width) * 0.1
        taps[-1 - config.taps_ahead] += 1.0
        self.taps = nn.Parameter(taps)
        self.norm = RMSNorm(width)
        self.mixing = nn.Parameter(torch.randn(n_bands, n_bands) * (0.3 * n_bands**-0.5))
        self.summary = nn.Linear(n_bands * width, context) if context else None
        self.spread = nn.Linear(context, n_bands * width, bias=False) if context else None
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)

    @property
    def n_past_frames(self) -> int:
        """Frames of the past that the layer keeps."""
        return (len(self.taps) - 1) * self.dilation

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Look back, sideways, and transform.

        Args:
            x: new frames.
            past: the `n_past_frames` frames before them.

        Returns:
            The frames transformed, late by `n_frames_ahead`, and the newest `n_past_frames` frames for the next call.

        Shape:
            (batch, frames, bands, width), (batch, n_past_frames, bands, width) -> the same two
        """
        n_frames = x.shape[1]
        known = torch.cat((past, x), dim=1)
        mixed = sum(known[:, i * self.dilation : i * self.dilation + n_frames] * tap for i, tap in enumerate(self.taps))
        normal = self.norm(mixed)
        gathered = normal + self.mixing @ normal
        if self.summary and self.spread:
            gathered = gathered + self.spread(functional.silu(self.summary(normal.flatten(2)))).view(normal.shape)
        answered = known[:, self.n_past_frames - self.n_frames_ahead :][:, :n_frames]
        return answered + self.narrow(functional.silu(self.widen(gathered))), known[:, n_frames:]


class EnvelopeMap(nn.Module):
    """Envelope maps predict how loud the music goes on where the codec ended it: linear, and softly chosen among.

    Piecewise linear mapping, as speech was widened with (Nakatoh, Tsushima & Norimatsu, Eurospeech 1997); chosen among
    by where the music ends. What is linear in levels goes on with a slope that it has never met.

    Args:
        n_bands: bands of a frame.
        n_maps: how many there are to choose among.
    """

    def __init__(self, n_bands: int, n_maps: int) -> None:
        """Start with a carrier as loud as the music: learnt from silence, maps were 3 dB worse after 1200 steps."""
        super().__init__()
        self.choice = nn.Linear(n_bands, n_maps)
        self.maps = nn.Linear(2 * n_bands, n_maps * n_bands)
        # Not all alike, or nothing would tell which to choose.
        nn.init.normal_(self.maps.weight, std=0.003)
        nn.init.constant_(self.maps.bias, -SILENT_GAIN)

    def forward(self, now: Tensor, usual: Tensor) -> Tensor:
        """Map both channels alike.

        Args:
            now: log power of bands against what the carrier's gains are relative to.
            usual: the same of their running power.

        Returns:
            Log gains of the carrier.

        Shape:
            (frames, bands, 2), the same -> (frames, bands, 2)
        """
        present = torch.sigmoid((usual - LOG_ABSENT) / LOG_ABSENT_WIDTH)
        chosen = torch.softmax(self.choice(present.transpose(1, 2)), dim=-1)
        mapped = self.maps(torch.cat((now, usual), dim=1).transpose(1, 2)).unflatten(-1, (chosen.shape[-1], -1))
        return (chosen[..., None, :] @ mapped).squeeze(-2).transpose(1, 2)


class RecentSpectrum(nn.Module):
    """The spectrum of the newest two hops alone, from that of the long window.

    A product with a window in time is a convolution over frequency: the window is the synthesis window, whose product
    with the analysis window is what overlap-add sees, so a frame's features last as long as what is made of them. The
    kernel is cut to a few bins: nothing leaks from the bass to the highs, 60 dB below.

    Args:
        framing: the windows.
        n_taps: bins of the kernel.
    """

    kernel: Tensor
    block: Tensor

    def __init__(self, framing: Framing, n_taps: int) -> None:
        """Make the kernel; bins of two hops are as many times wider as the long window is longer."""
        super().__init__()
        length, recent = framing.analysis_length, framing.synthesis_length
        self.stride = length // recent
        window = torch.zeros(length)
        window[-recent:] = torch.from_numpy(asymmetric_windows(framing)[1])
        reach = n_taps // 2
        taper = torch.hann_window(n_taps + 2, periodic=False)[1:-1]
        # Flipped, for the framework's convolution is a correlation; scaled so that a steady sound keeps its power.
        taps = torch.fft.fft(window)[torch.arange(reach, -reach - 1, -1)] / length * taper
        taps = taps * (length / 2 / (3 / 8 * recent)) ** 0.5
        real, imaginary = taps.real, taps.imag
        one_side = torch.stack((torch.stack((real, -imaginary)), torch.stack((imaginary, real))))
        self.register_buffer("kernel", one_side.repeat(2, 1, 1), persistent=False)
        self.wide_bins = math.gcd(_WIDE_BINS, framing.hop_length)
        self.register_buffer("block", _toeplitz(one_side, self.stride, self.wide_bins), persistent=False)

    def forward(self, bins: Tensor) -> Tensor:
        """Power of each of the wider bins, mid and side.

        Shape:
            (frames, bins, 4) -> (frames, bins / stride, 2)
        """
        reach = self.kernel.shape[-1] // 2
        recent = functional.conv1d(bins.transpose(1, 2), self.kernel, stride=self.stride, padding=reach, groups=2)
        return recent.square().unflatten(1, (2, 2)).sum(2).transpose(1, 2)

    def of_planes(self, bins: Tensor) -> Tensor:
        """The same as products of blocks of bins with one matrix: for many frames eight times as fast on a CPU.

        Shape:
            (frames, 2, 2, bins): mid and side, real and imaginary part -> (frames, bins / stride, 2)
        """
        reach = self.kernel.shape[-1] // 2
        blocks = functional.pad(bins, (reach, reach)).unfold(-1, len(self.block) // 2, self.wide_bins * self.stride)
        recent = blocks.permute(0, 3, 1, 2, 4).flatten(3) @ self.block
        power = recent.unflatten(-1, (2, self.wide_bins)).square().sum(-2)
        return power.transpose(2, 3).flatten(1, 2)


_WIDE_BINS = 16  # of a block, where the hop can be divided by it


def _toeplitz(one_side: Tensor, stride: int, wide_bins: int) -> Tensor:
    """A strided convolution of two planes as a matrix. Shape: (2, 2, taps) -> (2 * bins of a block, 2 * wide bins)."""
    n_taps = one_side.shape[-1]
    block = one_side.new_zeros(2, (wide_bins - 1) * stride + n_taps, 2, wide_bins)
    for place in range(wide_bins):
        block[:, place * stride : place * stride + n_taps, :, place] = one_side.permute(1, 2, 0)
    return block.flatten(0, 1).flatten(1)
