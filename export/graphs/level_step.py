"""The level restorer with the shapes of the model contract: a step or a block of frames, few nodes, constants folded.

Logarithms are natural here, and what is affine around them is folded into weights. Bins stay interleaved (re, im) and
in order; a band's power is the sum of a row of them, and noise meets its gain in the same rows, so nothing is gathered
or spread out.
"""

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.nets.correction_net import HIGHEST
from training.nets.layers import RMSNorm
from training.nets.level_bands import FLOOR, Groups, scale_of
from training.nets.level_net import (
    FEATURE_OFFSET,
    FEATURE_SCALE,
    LOWEST,
    NEEDED,
    QUIETEST,
    SHARPNESS,
    SHRINK,
    SUREST,
    WIDEST,
    LevelLayer,
    LevelNet,
)
from training.nets.level_restorer import SILENT, LevelRestorer

_LN10 = math.log(10)
# Powers are counted from -100 dB of full scale: a floor of 1e-12 would be taken for zero, and left out, by the
# exporter's optimiser.
_UNIT = 1e-10
_FLOOR, _QUIETEST, _SILENT = FLOOR / _UNIT, 10**QUIETEST / _UNIT, 10**SILENT / _UNIT
_FOUR = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5**0.5, 0.5**0.5], [0.5**0.5, -(0.5**0.5)]])


class LevelStep(nn.Module):
    """`spectrum`, `carrier`, `recent` and states in; `restored` and the next states out.

    Args:
        net: the trained net.
        tier: index of the exit.
        n_frames: frames of a call; one is written without the axis.
    """

    frame_inputs = LevelRestorer.frame_inputs
    four: Tensor
    short_dft: Tensor
    fast_dft: Tensor
    encode_weight: Tensor
    slopes_weight: Tensor
    encode_bias: Tensor
    decode_weight: Tensor
    decode_bias: Tensor
    to_power: Tensor
    nothing: Tensor
    both_signs: Tensor

    def __init__(self, net: LevelRestorer, tier: int = -1, n_frames: int = 1) -> None:
        """Fold the weights; the net is left as it is."""
        super().__init__()
        self.net, self.tier, self.n_frames = net, tier, n_frames
        levels, bands = net.levels, net.config.bands
        self.bands, self.n_bins = bands, bands.framing.n_bins - 1
        self.register_buffer("four", _FOUR)
        self.register_buffer("short_dft", _dft(net.short_window))
        self.register_buffer("fast_dft", _dft(net.fast_window))
        self.running = _Running(net, n_frames)
        layers = cast("list[LevelLayer]", levels.layers[: levels.config.exits[tier]])
        self.layers = nn.ModuleList(_Layer(one, n_frames) for one in layers)
        self.holding = _Holding(levels, n_frames)
        self.trunk_depth, self.n_correction_states = levels.config.exits[0], levels.n_correction_states
        self.correction = _Correction(levels, n_frames) if levels.correction else None
        scale = FEATURE_SCALE / _LN10
        slopes = levels.slopes.weight.detach() * levels.slope_scale
        self.register_buffer("encode_weight", levels.encode.weight.detach().T.contiguous() * scale)
        self.register_buffer("slopes_weight", slopes.T.contiguous() * scale)
        self.register_buffer("encode_bias", levels.encode.bias.detach() + FEATURE_OFFSET * levels.encode.weight.sum(1))
        self.norm = _norm(levels.scales[tier])
        decoder = cast("nn.Linear", levels.decoders[tier])
        self.register_buffer("decode_weight", decoder.weight.detach().T.contiguous())
        decode_bias = decoder.bias.detach() + FEATURE_OFFSET * slopes.sum(1)
        self.register_buffer("decode_bias", decode_bias)
        self.register_buffer("to_power", 10**net.level_to_power * _UNIT)
        self.register_buffer("nothing", torch.zeros(n_frames, 2, 2))
        self.register_buffer("both_signs", torch.tensor([1.0, -1.0])[:, None])

    def initial_state(self) -> list[Tensor]:
        """Sums (times, 4 * bands), weights (times, 1), evidence (1, 2 * bands), then each layer's past frames."""
        sums, weights, held, *past = self.net.initial_state(1, self.tier)
        return [sums[0].flatten(1), weights[0][:, None], held.flatten(1), *(one[0] for one in past)]

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Inputs of the right shapes, for tracing."""
        lead = () if self.n_frames == 1 else (self.n_frames,)
        random = torch.Generator().manual_seed(0)
        frames = torch.randn((*lead, 2, self.n_bins + 1, 2), generator=random)
        recent = torch.randn((*lead, 2, self.bands.framing.synthesis_length), generator=random)
        return frames, frames.flip(-3), recent, *self.initial_state()

    def forward(self, spectrum: Tensor, carrier: Tensor, recent: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Restore one frame or a block.

        Shape:
            (2, bins, 2), (2, bins, 2), (2, synthesis length), states -> (2, bins, 2), states; in blocks with (frames,)
            before
        """
        frames, noise = (one.reshape(self.n_frames, 2, -1) for one in (spectrum, carrier))
        features, short, averages = self._levels(frames, recent.reshape(self.n_frames, 2, -1), state[:2])
        x, newest = torch.addmm(self.encode_bias, features, self.encode_weight), []
        trunk, first = x, 3 + self.n_correction_states
        for place, (layer, past) in enumerate(zip(self.layers, state[first:], strict=True), 1):
            x, kept = layer(x, past)
            newest.append(kept)
            trunk = x if place == self.trunk_depth else trunk
        out = torch.addmm(self.decode_bias, self.norm(x), self.decode_weight) + features @ self.slopes_weight
        levels, evidence = out.view(self.n_frames, 5, -1).split((3, 2), dim=1)
        evidence, held = self.holding(evidence.reshape(self.n_frames, -1), state[2])
        evident = torch.sigmoid(SHARPNESS * (evidence - NEEDED)).view(self.n_frames, 2, -1)
        gains, coherence = self._gains(levels, short, evident)
        if self.correction:
            frames, of_correction = self.correction(frames, features, trunk, evident, state[3:first])
            newest = [*of_correction, *newest]
        restored = frames + self._placed(noise, gains, coherence)
        return restored.view(spectrum.shape), *averages, held, *newest

    def _levels(
        self, frames: Tensor, recent: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Features (frames, values), powers of the short window (frames, 4, bands), the next sums and weights."""
        bands = self.bands
        long = _banded(self.four @ frames[..., : 2 * self.n_bins], bands.long_groups) * (self.net.long_scale / _UNIT)
        short = _banded(self.four @ (recent @ self.short_dft), bands.short_groups)
        hop, count = bands.fast_length // 2, bands.fast_a_hop
        begin = recent.shape[-1] - (count + 1) * hop
        pieces = [recent[..., begin + i * hop : begin + i * hop + bands.fast_length] for i in range(count)]
        fast = _banded(torch.stack(pieces, dim=2) @ self.fast_dft, bands.fast_groups)
        slow, averages = self.running(long.reshape(self.n_frames, 4 * bands.n_short, 2).sum(-1) * _UNIT, state)
        slow = slow / _UNIT
        together = torch.cat([part.reshape(self.n_frames, -1) for part in (long, short, fast, slow)], dim=-1)
        loud = slow[:, : 2 * bands.n_short].sum(-1, keepdim=True) + (2 * bands.n_short + 100) * _FLOOR
        features = torch.log((together + _FLOOR).clamp(min=_QUIETEST)) - torch.log(loud)
        return features.clamp(min=LOWEST * _LN10), short, averages

    def _gains(self, out: Tensor, short: Tensor, evident: Tensor) -> tuple[Tensor, Tensor]:
        """Gains of left and right (frames, 2, bands), and the coherence (frames, 1, bands)."""
        present = short[:, :2]
        own = present.sum(-1, keepdim=True) + self.bands.n_short * _FLOOR
        missing = torch.exp((out[:, :2] * _LN10).clamp(max=0.0)) * own
        share = missing / (missing + 10**SHRINK * (present + _FLOOR))
        heard = (missing * share * share * evident).clamp(max=10.0 / _UNIT) - _SILENT
        # ONNX Runtime's Tanh of more reaches 1.0000001, and the root of what is missing to one would be no number.
        return torch.sqrt(heard.clamp(min=0.0) * self.to_power), torch.tanh(out[:, 2:].clamp(-WIDEST, WIDEST))

    def _placed(self, noise: Tensor, gains: Tensor, coherence: Tensor) -> Tensor:
        """Noise for left and right, Nyquist none. Shape: (frames, 2, 2 * bins + 2)."""
        alike = gains * torch.sqrt(0.5 + 0.5 * coherence)
        apart = gains * torch.sqrt(0.5 - 0.5 * coherence) * self.both_signs
        factor = 2 * self.bands.framing.analysis_length // self.bands.framing.synthesis_length
        groups = tuple((count, bins * factor) for count, bins in self.bands.short_groups)
        rows = noise[..., : 2 * self.n_bins].split([count * values for count, values in groups], dim=-1)
        placed, begin = [], 0
        for (count, values), row in zip(groups, rows, strict=True):
            first, second = row.reshape(self.n_frames, 2, count, values).split(1, dim=1)
            ours = slice(begin, begin + count)
            both = first * alike[..., ours, None] + second * apart[..., ours, None]
            placed.append(both.reshape(self.n_frames, 2, -1))
            begin += count
        return torch.cat((*placed, self.nothing), dim=-1)


class _Correction(nn.Module):
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
        self.groups = _doubled(levels.config.bands.long_groups)
        weight, scale = net.encode.weight.detach(), FEATURE_SCALE / _LN10
        self.register_buffer("encode_weight", weight.T.contiguous() * scale)
        self.register_buffer("encode_bias", net.encode.bias.detach() + FEATURE_OFFSET * weight.sum(1))
        self.trunk_norm = _norm(torch.ones(levels.config.width))
        self.register_buffer("listen_weight", net.listen.weight.detach().T.contiguous())
        self.layers = nn.ModuleList(_Layer(one, n_frames) for one in cast("list[LevelLayer]", net.layers))
        self.norm = _norm(net.scale)
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


class _Running(nn.Module):
    """Averages over the past: recursions, for a block written as products with their kernels."""

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


class _Holding(nn.Module):
    """`LevelNet`'s running average of the evidence over rows."""

    kernel: Tensor
    faded: Tensor

    def __init__(self, levels: LevelNet, n_frames: int) -> None:
        super().__init__()
        age = torch.arange(n_frames)[:, None] - torch.arange(n_frames)[None]
        kernel = torch.where(age >= 0, (1 - levels.hold) * levels.hold ** age.clamp(min=0), 0.0)
        self.register_buffer("kernel", kernel)
        self.register_buffer("faded", levels.hold ** torch.arange(1.0, n_frames + 1)[:, None])

    def forward(self, evidence: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """(frames, values), (1, values) -> the same two."""
        averaged = self.kernel @ evidence.clamp(-SUREST, SUREST) + self.faded @ before
        return averaged, averaged[-1:]


class _Layer(nn.Module):
    """`LevelLayer` over states in rows."""

    taps: Tensor
    tap_sum: Tensor
    gate: Tensor
    value: Tensor
    narrow: Tensor

    def __init__(self, layer: LevelLayer, n_frames: int) -> None:
        super().__init__()
        self.n_frames, self.dilation = n_frames, layer.dilation
        self.norm = _norm(layer.scale)
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


def _norm(scale: Tensor) -> RMSNorm:
    norm = RMSNorm(len(scale))
    with torch.no_grad():
        norm.scale.copy_(scale)
    return norm


def _dft(window: Tensor) -> Tensor:
    """Windowed samples to (re, im) of the bins below Nyquist, scaled so that a square is a power."""
    length = len(window)
    turn = 2 * np.pi * np.outer(np.arange(length), np.arange(length // 2)) / length
    parts = np.stack((np.cos(turn), -np.sin(turn)), axis=-1).reshape(length, -1)
    scaled = parts * window.double().numpy()[:, None] * math.sqrt(scale_of(window.double()) / _UNIT)
    return torch.from_numpy(scaled).float()


def _banded(rows: Tensor, groups: Groups) -> Tensor:
    """Power of bands. Shape: (..., 2 * bins) -> (..., bands)."""
    power = rows * rows
    parts = power.split([2 * count * bins for count, bins in groups], dim=-1)
    summed = [
        part.reshape(*part.shape[:-1], *group).sum(-1) for part, group in zip(parts, _doubled(groups), strict=True)
    ]
    return torch.cat(summed, dim=-1)


def _doubled(groups: Groups) -> Groups:
    return tuple((count, 2 * bins) for count, bins in groups)
