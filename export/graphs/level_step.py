"""The level restorer with the shapes of the model contract: a step or a batch of frames, few nodes, constants folded.

Logarithms are natural here, and what is affine around them is folded into weights. Bins stay interleaved (re, im) and
in order; a band's power is the sum of a row of them.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from export.graphs.level_parts import UNIT, Correction, Holding, LevelLayerInRows, Running, band_power, dft, norm_of
from training.nets.level_bands import FLOOR
from training.nets.level_net import (
    FEATURE_OFFSET,
    FEATURE_SCALE,
    LN10,
    LOWEST,
    NEEDED,
    QUIETEST,
    SHARPNESS,
    SHRINK,
    WIDEST,
    LevelLayer,
)
from training.nets.level_restorer import SILENT, LevelRestorer

_FLOOR, _QUIETEST, _SILENT = FLOOR / UNIT, 10**QUIETEST / UNIT, 10**SILENT / UNIT
_MOST = 3 * LN10  # of what is cut off at its own channel's level anyway
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
    fast_samples: Tensor
    band_of_cell: Tensor
    encode_weight: Tensor
    slopes_weight: Tensor
    encode_bias: Tensor
    decode_weight: Tensor
    decode_bias: Tensor
    image_weight: Tensor
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
        self.register_buffer("short_dft", dft(net.short_window))
        self.register_buffer("fast_dft", dft(net.fast_window))
        self.running = Running(net, n_frames)
        layers = cast("list[LevelLayer]", levels.layers[: levels.config.exits[tier]])
        self.layers = nn.ModuleList(LevelLayerInRows(one, n_frames) for one in layers)
        self.holding = Holding(levels, n_frames)
        self.trunk_depth, self.n_correction_states = levels.config.exits[0], levels.n_correction_states
        self.correction = Correction(levels, n_frames) if levels.correction else None
        scale = FEATURE_SCALE / LN10
        slopes = levels.slopes.weight.detach() * levels.slope_scale
        image, gate = levels.image, cast("nn.Linear", levels.image.gates[tier])
        listened = torch.zeros(len(image.listen.weight), slopes.shape[1])
        listened[:, image.left], listened[:, image.right] = image.listen.weight.detach(), -image.listen.weight.detach()
        self.register_buffer("encode_weight", levels.encode.weight.detach().T.contiguous() * scale)
        self.register_buffer("slopes_weight", torch.cat((slopes, listened)).T.contiguous() * scale)
        self.register_buffer("encode_bias", levels.encode.bias.detach() + FEATURE_OFFSET * levels.encode.weight.sum(1))
        self.norm = norm_of(levels.scales[tier])
        decoder = cast("nn.Linear", levels.decoders[tier])
        self.register_buffer("decode_weight", torch.cat((decoder.weight, gate.weight)).detach().T.contiguous())
        decode_bias = decoder.bias + FEATURE_OFFSET * slopes.sum(1)
        self.register_buffer("decode_bias", torch.cat((decode_bias, gate.bias)).detach())
        self.register_buffer("image_weight", image.place.weight.detach().T.contiguous() / 2)
        self.register_buffer("to_power", 10**net.level_to_power * UNIT)
        self.register_buffer("nothing", torch.zeros(n_frames, 2, 2))
        widths = torch.tensor([bins for count, bins in bands.short_groups for _ in range(count)])
        # The widest cells that no band shares: few numbers are gathered, and each meets a row of noise.
        cells = widths // math.gcd(*widths.tolist())
        self.register_buffer("band_of_cell", torch.arange(bands.n_short).repeat_interleave(cells))
        hop, length = bands.fast_length // 2, bands.fast_length
        begins = bands.framing.synthesis_length - length - hop * torch.arange(bands.fast_a_hop - 1, -1, -1)
        self.register_buffer("fast_samples", (begins[:, None] + torch.arange(length)).flatten())
        self.register_buffer("both_signs", torch.tensor([1.0, -1.0])[:, None])

    def initial_state(self) -> list[Tensor]:
        """Sums (times, 4 * bands), weights (times, 1), evidence (1, 2 * bands + 1), then each layer's past frames."""
        sums, weights, held, *past = self.net.initial_state(1, self.tier)
        return [sums[0].flatten(1), weights[0][:, None], held, *(one[0] for one in past)]

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Inputs of the right shapes, for tracing.

        Shape:
            (2, bins, 2) twice, (2, synthesis length), states; in batches with (frames,) before the first three
        """
        lead = () if self.n_frames == 1 else (self.n_frames,)
        random = torch.Generator().manual_seed(0)
        frames = torch.randn((*lead, 2, self.n_bins + 1, 2), generator=random)
        recent = torch.randn((*lead, 2, self.bands.framing.synthesis_length), generator=random)
        return frames, frames.flip(-3), recent, *self.initial_state()

    def forward(self, spectrum: Tensor, carrier: Tensor, recent: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Restore one frame or a batch.

        Shape:
            (2, bins, 2), (2, bins, 2), (2, synthesis length), states -> (2, bins, 2), states; in batches with (frames,)
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
        decoded, sloped = torch.addmm(self.decode_bias, self.norm(x), self.decode_weight), features @ self.slopes_weight
        n_out = 4 * self.bands.n_short
        half = (decoded[:, n_out:] * sloped[:, n_out:]) @ self.image_weight
        out = (decoded[:, :n_out] + sloped[:, :n_out]).view(self.n_frames, 4, -1)
        level, coherence, evidence = out.split((1, 1, 2), dim=1)
        own = short[:, :2].sum(-1, keepdim=True) + self.bands.n_short * _FLOOR
        both = own.mean(1, keepdim=True)
        evidence, held = self.holding(evidence.reshape(self.n_frames, -1), both[:, 0], state[2])
        evident = torch.sigmoid(SHARPNESS * (evidence - NEEDED)).view(self.n_frames, 2, -1)
        gains = self._gains(level + half[:, None] * self.both_signs, short[:, :2], own, both, evident)
        # ONNX Runtime's Tanh of more reaches 1.0000001, and the root of what is missing to one would be no number.
        coherence = torch.tanh(coherence.clamp(-WIDEST, WIDEST))
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
        long = band_power(self.four @ frames[..., : 2 * self.n_bins], bands.long_groups) * (self.net.long_scale / UNIT)
        short = band_power(self.four @ (recent @ self.short_dft), bands.short_groups)
        count = bands.fast_a_hop
        pieces = recent.index_select(2, self.fast_samples).view(self.n_frames, 2, count, bands.fast_length)
        fast = band_power(pieces @ self.fast_dft, bands.fast_groups)
        slow, averages = self.running(long.reshape(self.n_frames, 4 * bands.n_short, 2).sum(-1) * UNIT, state)
        slow = slow / UNIT
        together = torch.cat([part.reshape(self.n_frames, -1) for part in (long, short, fast, slow)], dim=-1)
        loud = slow[:, : 2 * bands.n_short].sum(-1, keepdim=True) + (2 * bands.n_short + 100) * _FLOOR
        features = torch.log((together + _FLOOR).clamp(min=_QUIETEST)) - torch.log(loud)
        return features.clamp(min=LOWEST * LN10), short, averages

    def _gains(self, level: Tensor, present: Tensor, own: Tensor, both: Tensor, evident: Tensor) -> Tensor:
        """Gains of left and right, (frames, 2, bands), from levels against both channels together."""
        missing = torch.exp((level * LN10).clamp(max=_MOST)) * both
        missing = torch.minimum(missing, own)
        share = missing / (missing + 10**SHRINK * (present + _FLOOR))
        heard = (missing * share * share * evident).clamp(max=10.0 / UNIT) - _SILENT
        return torch.sqrt(heard.clamp(min=0.0) * self.to_power)

    def _placed(self, noise: Tensor, gains: Tensor, coherence: Tensor) -> Tensor:
        """Noise for left and right, Nyquist none. Shape: (frames, 2, 2 * bins + 2)."""
        alike = gains * torch.sqrt(0.5 + 0.5 * coherence)
        apart = gains * torch.sqrt(0.5 - 0.5 * coherence) * self.both_signs
        both = torch.cat((alike, apart), dim=1).index_select(2, self.band_of_cell).unsqueeze(-1)
        first, second = noise[..., : 2 * self.n_bins].view(self.n_frames, 2, len(self.band_of_cell), -1).split(1, dim=1)
        placed = first * both[:, :2] + second * both[:, 2:]
        return torch.cat((placed.view(self.n_frames, 2, -1), self.nothing), dim=-1)
