"""The level net: from levels of damaged music, how loud what is missing is, and how alike in both channels.

Levels are log10 of power (`level_bands`). Depthwise dilated convolutions look back over time, an MLP mixes
channels; running averages over seconds stand beside the newest levels, so that how a spectrum ends is known from now
and from before. What is generated is loud relative to both channels together, its image follows from the one that is
there (`level_image`), and it is never louder than the rest of its channel: a silent channel stays silent.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from apollo_rt.config import Framing
from training.nets.correction_net import CorrectionNet
from training.nets.level_bands import FLOOR, LevelBands
from training.nets.level_image import ImageHead

LOWEST = -8.0
"""Levels further below the running level of the music are all the same: 80 dB, below 16-bit rounding."""

QUIETEST = -10.5
"""Levels of bands below -105 dB of full scale are all the same: what rounding to 16 bits leaves lies at -114 dB."""

FEATURE_SCALE, FEATURE_OFFSET = 0.5, 1.0  # of levels as features: about unit size
SHRINK = -0.6  # a quarter of the power that is there
LN10 = math.log(10)
_OUTPUTS = 4  # level, how alike both channels are, evidence of loss for left and for right
HOLD_S = 1.0
"""Evidence is averaged over this long: one frame's word on how a spectrum ends is doubtful, that of many is not."""

HEARD = -9.0
"""A frame of -90 dB of full scale weighs half as evidence, a louder one more: silence tells nothing, and music that
begins after it is judged by itself."""

DOUBT = 0.06
"""Weight of having seen nothing yet, beside the one that evidence has in the end: as much as of the first 60 ms."""

WIDEST = 6.0
"""Of what the coherence is the hyperbolic tangent of: nearer to one, the share apart is a root of rounding errors."""

SHARPNESS, NEEDED, SUREST = 3.0, 1.0, 4.0
"""How sharply evidence decides; how much is needed, so that a stream, which begins with none, begins with nothing
generated; and the most that one frame has of it, so that other music is soon believed."""

_STRETCH = 768
State = list[Tensor]


class Predicted(NamedTuple):
    """Prediction of a level net for frames.

    Attributes:
        missing: levels of what is missing, (batch, frames, 2, bands) for left and right.
        coherence: between what is missing in both, -1 to 1, (batch, frames, bands).
        evidence: that something was lost, over `HOLD_S`; nothing is generated where it is well below `NEEDED`,
            (batch, frames, 2, bands).
        gains: of what is there, (batch, frames, 2, long bands) for left and right; none of a net without a correction.
    """

    missing: Tensor
    coherence: Tensor
    evidence: Tensor
    gains: Tensor | None = None


@dataclass(frozen=True)
class LevelNetConfig:
    """Sizes.

    Attributes:
        bands: what is measured and what is predicted.
        width: channels of a frame.
        hidden: channels inside the MLP of a layer.
        kernel_size: taps of a convolution over time.
        dilations: frames between taps, one entry a layer.
        exits: layers after which levels can be read, best last: one tier each, the last is the whole net.
        correction: width of the correction's layers; 0 leaves it out.
        correction_dilations: of these.
    """

    bands: LevelBands = field(default_factory=LevelBands)
    width: int = 256
    hidden: int = 256
    kernel_size: int = 4
    dilations: tuple[int, ...] = (1, 4, 16, 1, 2, 4, 8, 2, 1)
    exits: tuple[int, ...] = (3, 9)
    correction: int = 0
    correction_dilations: tuple[int, ...] = (1, 4)

    @property
    def framing(self) -> Framing:
        """The engine's."""
        return self.bands.framing

    def __post_init__(self) -> None:
        """Check the exits.

        Raises:
            ValueError: they don't rise from 1 to the number of layers.
        """
        if sorted({0, *self.exits}) != [0, *self.exits] or self.exits[-1] != len(self.dilations):
            raise ValueError(f"exits must rise from 1 to the {len(self.dilations)} layers, got {self.exits}")


class LevelLayer(nn.Module):
    """Looks back, then mixes channels; one residual around both."""

    def __init__(self, width: int, hidden: int, kernel_size: int, dilation: int) -> None:
        """Start close to a pass-through."""
        super().__init__()
        self.dilation = dilation
        self.taps = nn.Parameter(torch.randn(kernel_size, width) * 0.3)
        self.scale = nn.Parameter(torch.ones(width))
        self.widen = nn.Linear(width, 2 * hidden)
        self.narrow = nn.Linear(hidden, width)
        nn.init.normal_(self.narrow.weight, std=0.1 * hidden**-0.5)
        with torch.no_grad():
            self.taps[-1] += 1.0

    @property
    def n_past_frames(self) -> int:
        """Frames of the past that the layer keeps."""
        return (len(self.taps) - 1) * self.dilation

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Transform frames.

        Shape:
            (batch, frames, width), (batch, n_past_frames, width) -> the same two
        """
        n_frames = x.shape[1]
        known = torch.cat((past, x), dim=1)
        taps = self.taps.to(x.dtype)
        mixed = sum(known[:, i * self.dilation : i * self.dilation + n_frames] * tap for i, tap in enumerate(taps))
        gate, value = self.widen(_normal(mixed) * self.scale.to(x.dtype)).chunk(2, dim=-1)
        return x + self.narrow(functional.silu(gate) * value), known[:, n_frames:]


class LevelNet(nn.Module):
    """Levels in, levels out.

    Args:
        config: sizes.
    """

    def __init__(self, config: LevelNetConfig) -> None:
        """Begin with something soft in both channels."""
        super().__init__()
        self.config = config
        bands = config.bands
        n_in = sum(int(torch.tensor(shape).prod()) for shape in bands.widths.values())
        self.encode = nn.Linear(n_in, config.width)
        sizes = config.width, config.hidden, config.kernel_size
        self.layers = nn.ModuleList(LevelLayer(*sizes, dilation) for dilation in config.dilations)
        self.scales = nn.ParameterList(torch.ones(config.width) for _ in config.exits)
        self.decoders = nn.ModuleList(nn.Linear(config.width, _OUTPUTS * bands.n_short) for _ in config.exits)
        self.image = ImageHead(bands, config.width, len(config.exits))
        self.slopes = nn.Linear(n_in, _OUTPUTS * bands.n_short, bias=False)  # goes on where layers have met nothing
        nn.init.zeros_(self.slopes.weight)
        # So many features that move together would make each step of the optimiser a leap.
        self.slope_scale = n_in**-0.5
        for decoder in cast("list[nn.Linear]", self.decoders):
            nn.init.normal_(decoder.weight, std=0.01)
            with torch.no_grad():
                decoder.bias.view(_OUTPUTS, -1)[0] = -2.0
                decoder.bias.view(_OUTPUTS, -1)[1] = 0.5
        self.hold = math.exp(-bands.framing.hop_period_s / HOLD_S)
        self.correction = _correction(config, n_in) if config.correction else None

    @property
    def n_correction_states(self) -> int:
        """States of the correction, which come first: those of a lighter tier are the first of a better one's."""
        return len(self.correction.layers) if self.correction else 0

    def initial_state(self, batch: int = 1, tier: int = -1) -> State:
        """Everything before the first frame was nothing: evidence, then one a layer of the correction and of the net.

        Shape:
            (batch, 2 * bands + 1), then (batch, n_past_frames, width) each
        """
        layers = [*(self.correction.layers if self.correction else ()), *self.layers[: self.config.exits[tier]]]
        new_zeros = self.encode.weight.new_zeros
        past = [new_zeros(batch, one.n_past_frames, one.taps.shape[-1]) for one in layers]
        return [new_zeros(batch, 2 * self.config.bands.n_short + 1), *past]

    def forward(self, levels: dict[str, Tensor], state: State, tier: int = -1) -> tuple[Predicted, State]:
        """Predict what is missing.

        Args:
            levels: of damaged music, by part.
            state: from `initial_state` or the call before, of the same tier or a better one.
            tier: index of the exit.

        Shape:
            parts (batch, frames, *bands.widths[part]), state -> what is predicted, the next state
        """
        features, (first, depth) = self._features(levels), (self.config.exits[0], self.config.exits[tier])
        held, *state = state
        of_correction, state = state[: self.n_correction_states], state[self.n_correction_states :]
        trunk, next_state = self._through(self.encode(features), state, 0, first)
        x, further = self._through(trunk, state[first:], first, depth)
        predicted, held = self._read(x, features, levels, held, tier)
        if not self.correction:
            return predicted, [held, *next_state, *further]
        gains, newest = self.correction(features, _normal(trunk), evident(predicted), of_correction)
        return predicted._replace(gains=gains), [held, *newest, *next_state, *further]

    def gains(self, levels: dict[str, Tensor]) -> Tensor:
        """Predict the correction alone, as the lightest tier has it, from silence on; nothing but it has a gradient.

        Shape:
            parts (batch, frames, *bands.widths[part]) -> (batch, frames, 2, long bands)
        """
        assert self.correction
        (held, *state), count = self.initial_state(len(levels["short"]), 0), self.n_correction_states
        with torch.no_grad():
            features = self._features(levels)
            trunk, _ = self._through(self.encode(features), state[count:], 0, self.config.exits[0])
            lost = evident(self._read(trunk, features, levels, held, 0)[0])
        found: Tensor = self.correction(features, _normal(trunk), lost, state[:count])[0]
        return found

    def of_all_tiers(self, levels: dict[str, Tensor]) -> list[Predicted]:
        """Predict from silence on, once for each tier: what all of them are trained by at once.

        Shape:
            parts (batch, frames, *bands.widths[part]) -> what is predicted, by tier
        """
        held, *state = self.initial_state(len(levels["short"]))
        state, begin, found = state[self.n_correction_states :], 0, []
        features = self._features(levels)
        x = self.encode(features)
        for tier, end in enumerate(self.config.exits):
            x, _ = self._through(x, state[begin:], begin, end)
            found.append(self._read(x, features, levels, held, tier)[0])
            begin = end
        return found

    def _features(self, levels: dict[str, Tensor]) -> Tensor:
        """All levels of a frame in a row, as the net takes them."""
        loud = reference(levels)
        return torch.cat([_relative(levels[part], loud).flatten(2) for part in self.config.bands.widths], dim=-1)

    def _through(self, x: Tensor, state: State, begin: int, end: int) -> tuple[Tensor, State]:
        """The layers from `begin` to `end`, of which the first state is that of `begin`."""
        next_state = []
        for layer, past in zip(self.layers[begin:end], state[: end - begin], strict=True):
            x, newest = layer(x, past.to(x.dtype))
            next_state.append(newest)
        return x, next_state

    def _read(
        self, x: Tensor, features: Tensor, levels: dict[str, Tensor], held: Tensor, tier: int
    ) -> tuple[Predicted, Tensor]:
        """Predict, and remember the evidence."""
        frames = _normal(x) * self.scales[tier].to(x.dtype)
        out = self.decoders[tier](frames) + self.slopes(features) * self.slope_scale
        level, coherence, *said = out.float().unflatten(-1, (_OUTPUTS, -1)).unbind(-2)
        half = self.image(features, frames, tier).float() / 2
        own = own_level(levels)
        both = torch.log10((10**own).mean(-1))[..., None]
        # Never louder than the rest of its channel, so that in a silent one nothing is.
        missing = torch.stack((both + level + half, both + level - half), dim=2).minimum(own[..., None])
        coherence = torch.tanh(coherence.clamp(-WIDEST, WIDEST))
        weights = torch.sigmoid(2 * LN10 * (both - HEARD))
        evidence, held = self._held(torch.cat(said, dim=-1), weights, held)
        return Predicted(missing, coherence, evidence.unflatten(-1, (2, -1))), held

    def _held(self, evidence: Tensor, weights: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Average of what all frames said, the newest most: of a stream that has just begun, of the few that there are.

        A recursion, in stretches written as a product with its kernel; the last value is the weight of all.

        Shape:
            (batch, frames, values), (batch, frames, 1), (batch, values + 1)
            -> (batch, frames, values), (batch, values + 1)
        """
        found, weighed = [], torch.cat((weights * evidence.clamp(-SUREST, SUREST), weights), dim=-1)
        for stretch in weighed.split(_STRETCH, dim=1):
            index = torch.arange(stretch.shape[1], device=stretch.device)
            age = index[:, None] - index
            kernel = torch.where(age >= 0, (1 - self.hold) * self.hold ** age.clamp(min=0), 0.0)
            found.append(kernel @ stretch + before[:, None] * (self.hold ** (index + 1))[:, None])
            before = found[-1][:, -1]
        sums = torch.cat(found, dim=1)
        return sums[..., :-1] / (sums[..., -1:] + DOUBT), before


def _correction(config: LevelNetConfig, n_features: int) -> CorrectionNet:
    width = config.correction
    layers = (LevelLayer(width, width, config.kernel_size, dilation) for dilation in config.correction_dilations)
    return CorrectionNet(n_features, config.width, nn.ModuleList(layers), width, config.bands.n_long)


def _normal(x: Tensor) -> Tensor:
    """Frames over their root mean square (Zhang & Sennrich, arXiv 1910.07467)."""
    return x * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6).to(x.dtype)


def reference(levels: dict[str, Tensor]) -> Tensor:
    """The running level of both channels together, over the shortest time. Shape: -> (batch, frames)."""
    return torch.log10((10 ** levels["slow"][:, :, 0, :2]).sum((-1, -2)) + 100 * FLOOR)


def own_level(levels: dict[str, Tensor]) -> Tensor:
    """The level of each channel in the newest two hops. Shape: -> (batch, frames, 2)."""
    return torch.log10((10 ** levels["short"][:, :, :2]).sum(-1))


def evident(predicted: Predicted) -> Tensor:
    """Probability that each band of a channel lost something, 0 to 1. Shape: -> (batch, frames, 2, bands)."""
    return torch.sigmoid(SHARPNESS * (predicted.evidence - NEEDED))


def generated(predicted: Predicted, present: Tensor) -> Tensor:
    """Levels of what is generated: what is missing, less where there is no evidence, or little need.

    A level 6 dB below what is there loses 6 dB, one 20 dB below 28 dB: it would hardly be heard, and would only harm.
    Without evidence it loses up to 65 dB: music that lacks nothing gets nothing.

    Args:
        predicted: what the net says.
        present: levels of the damaged music, left and right.

    Shape:
        ..., (batch, frames, 2, bands) -> the same
    """
    missing = predicted.missing
    both = torch.logaddexp(missing * LN10, (present + SHRINK) * LN10) / LN10
    return missing + 2 * (missing - both) + functional.logsigmoid(SHARPNESS * (predicted.evidence - NEEDED)) / LN10


def _relative(part: Tensor, loud: Tensor) -> Tensor:
    """Features: against the running level, nothing below `LOWEST`, nor below `QUIETEST`."""
    relative = part.clamp(min=QUIETEST) - loud.reshape(*loud.shape, *[1] * (part.ndim - 2))
    return relative.clamp(min=LOWEST) * FEATURE_SCALE + FEATURE_OFFSET
