"""Parts of the level net's graph: the correction, running averages, a layer, powers of bands, all over rows."""

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.nets.correction_net import HIGHEST
from training.nets.layers import RMSNorm
from training.nets.level_bands import Groups, scale_of
from training.nets.level_net import DOUBT, FEATURE_OFFSET, FEATURE_SCALE, HEARD, LN10, SUREST, LevelLayer, LevelNet
from training.nets.level_restorer import LevelRestorer

# Powers are counted from -100 dB of full scale: a floor of 1e-12 would be taken for zero, and left out, by the
# exporter's optimiser.
UNIT = 1e-10


class Correction(nn.Module):
    """`CorrectionNet` over rows, and what it says done to frames."""

    encode_weight: Tensor
    encode_bias: Tensor
    listen_weight: Tensor
    decode_weight: Tensor
    decode_bias: Tensor

    def __init__(self, levels: LevelNet, n_frames: int) -> None:
        super().__init__()
        net = levels.correction
        assert net
        self.n_frames, self.n_values = n_frames, 2 * (levels.config.framing.n_bins - 1)
        self.groups = doubled(levels.config.bands.long_groups)
        weight, scale = net.encode.weight.detach(), FEATURE_SCALE / LN10
        self.register_buffer("encode_weight", weight.T.contiguous() * scale)
        self.register_buffer("encode_bias", net.encode.bias.detach() + FEATURE_OFFSET * weight.sum(1))
        self.trunk_norm = norm_of(torch.ones(levels.config.width))
        self.register_buffer("listen_weight", net.listen.weight.detach().T.contiguous())
        self.layers = nn.ModuleList(LevelLayerInRows(one, n_frames) for one in cast("list[LevelLayer]", net.layers))
        self.norm = norm_of(net.scale)
        self.register_buffer("decode_weight", net.decoder.weight.detach().T.contiguous())
        self.register_buffer("decode_bias", net.decoder.bias.detach())

    def forward(
        self, frames: Tensor, features: Tensor, trunk: Tensor, evident: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, list[Tensor]]:
        """(frames, 2, values), features, trunk, (frames, 2, bands), states -> (frames, 2, values), states."""
        x = torch.addmm(self.encode_bias, features, self.encode_weight) + self.trunk_norm(trunk) @ self.listen_weight
        newest = []
        for layer, past in zip(self.layers, state, strict=True):
            x, kept = layer(x, past)
            newest.append(kept)
        change = torch.addmm(self.decode_bias, self.norm(x), self.decode_weight).view(self.n_frames, 2, -1)
        gains = (1 + change * evident.amax(-1, keepdim=True)).clamp(0.0, HIGHEST)
        rows = frames[..., : self.n_values].split([count * values for count, values in self.groups], dim=-1)
        parts = gains.split([count for count, _ in self.groups], dim=-1)
        kept = [
            (row.unflatten(-1, group) * part.unsqueeze(-1)).flatten(-2)
            for row, part, group in zip(rows, parts, self.groups, strict=True)
        ]
        return torch.cat((*kept, frames[..., self.n_values :]), dim=-1), newest


class Running(nn.Module):
    """Averages over the past: recursions, for a batch written as products with their kernels."""

    kernels: Tensor
    faded: Tensor
    ones: Tensor

    def __init__(self, net: LevelRestorer, n_frames: int) -> None:
        super().__init__()
        self.n_frames = n_frames
        decays = net.decays[:, None]
        age = torch.arange(n_frames)[:, None] - torch.arange(n_frames)[None]
        kernels = torch.where(age >= 0, decays[:, :, None] ** age.clamp(min=0), 0.0)
        self.register_buffer("kernels", kernels)
        self.register_buffer("faded", decays[..., None] ** torch.arange(1.0, n_frames + 1)[:, None])
        self.register_buffer("ones", kernels.sum(-1, keepdim=True))

    def forward(self, power: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(frames, values), ((times, values), (times, 1)) -> (frames, times * values), the next state."""
        sums, weights = (one[:, None] * self.faded for one in state)
        sums, weights = sums + self.kernels @ power, weights + self.ones
        averages = (sums / weights).transpose(0, 1).reshape(self.n_frames, -1)
        return averages, (sums[:, -1], weights[:, -1])


class Holding(nn.Module):
    """`LevelNet`'s running average of the evidence over rows."""

    kernel: Tensor
    faded: Tensor

    def __init__(self, levels: LevelNet, n_frames: int) -> None:
        super().__init__()
        age = torch.arange(n_frames)[:, None] - torch.arange(n_frames)[None]
        kernel = torch.where(age >= 0, (1 - levels.hold) * levels.hold ** age.clamp(min=0), 0.0)
        self.register_buffer("kernel", kernel)
        self.register_buffer("faded", levels.hold ** torch.arange(1.0, n_frames + 1)[:, None])

    def forward(self, evidence: Tensor, power: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """(frames, values), (frames, 1), (1, values + 1) -> (frames, values), (1, values + 1), the last of all weights.

        Args:
            evidence: of each frame.
            power: of each frame, both channels together, in `UNIT`.
            before: the state.
        """
        heard = power * power
        weights = heard / (heard + (10**HEARD / UNIT) ** 2)
        weighed = torch.cat((weights * evidence.clamp(-SUREST, SUREST), weights), dim=1)
        sums = self.kernel @ weighed + self.faded @ before
        values = evidence.shape[1]
        return sums[:, :values] / (sums[:, values:] + DOUBT), sums[-1:]


class LevelLayerInRows(nn.Module):
    """`LevelLayer` over states in rows."""

    taps: Tensor
    tap_sum: Tensor
    gate: Tensor
    value: Tensor
    narrow: Tensor

    def __init__(self, layer: LevelLayer, n_frames: int) -> None:
        super().__init__()
        self.n_frames, self.dilation = n_frames, layer.dilation
        self.norm = norm_of(layer.scale)
        self.register_buffer("taps", layer.taps.detach())
        self.register_buffer("tap_sum", torch.ones(1, len(layer.taps)))
        gate, value = layer.widen.weight.detach().T.chunk(2, dim=1)
        self.register_buffer("gate", gate.contiguous())
        self.register_buffer("value", value.contiguous())
        self.gate_bias, self.value_bias = (nn.Parameter(one) for one in layer.widen.bias.detach().chunk(2))
        self.register_buffer("narrow", layer.narrow.weight.detach().T.contiguous())
        self.narrow_bias = layer.narrow.bias

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(frames, width), (n_past_frames, width) -> the same two."""
        known = torch.cat((past, x))
        if self.n_frames == 1:
            mixed = self.tap_sum @ (known[:: self.dilation] * self.taps)
        else:
            shifted = (known[i * self.dilation : i * self.dilation + self.n_frames] for i in range(len(self.taps)))
            mixed = cast("Tensor", sum(rows * tap for rows, tap in zip(shifted, self.taps, strict=True)))
        normal = self.norm(mixed)
        gate = torch.addmm(self.gate_bias, normal, self.gate)
        hidden = functional.silu(gate) * torch.addmm(self.value_bias, normal, self.value)
        return x + torch.addmm(self.narrow_bias, hidden, self.narrow), known[self.n_frames :]


def norm_of(scale: Tensor) -> RMSNorm:
    """A norm makes rows of unit size, then scales them. Shape: (width,) -> a module over (..., width)."""
    norm = RMSNorm(len(scale))
    with torch.no_grad():
        norm.scale.copy_(scale)
    return norm


def dft(window: Tensor) -> Tensor:
    """Windowed samples to (re, im) of the bins below Nyquist, scaled so that a square is a power."""
    length = len(window)
    turn = 2 * np.pi * np.outer(np.arange(length), np.arange(length // 2)) / length
    parts = np.stack((np.cos(turn), -np.sin(turn)), axis=-1).reshape(length, -1)
    scaled = parts * window.double().numpy()[:, None] * math.sqrt(scale_of(window.double()) / UNIT)
    return torch.from_numpy(scaled).float()


def band_power(rows: Tensor, groups: Groups) -> Tensor:
    """Power of bands. Shape: (..., 2 * bins) -> (..., bands)."""
    power = rows * rows
    parts = power.split([2 * count * bins for count, bins in groups], dim=-1)
    summed = [
        part.reshape(*part.shape[:-1], *group).sum(-1) for part, group in zip(parts, doubled(groups), strict=True)
    ]
    return torch.cat(summed, dim=-1)


def doubled(groups: Groups) -> Groups:
    """Groups of bins become those of their values, real and imaginary."""
    return tuple((count, 2 * bins) for count, bins in groups)
