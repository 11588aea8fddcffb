"""The causal restorer: bands of one frame attend to each other, causal convolutions look back in time.

A relative of Apollo (Li & Luo, arXiv 2409.08514). What differs, and why:

- no future frame is used, so that the latency is that of the synthesis window alone;
- both channels are predicted in one step, from mid and side;
- the input is corrected, `X * (1 + c)`, not replaced: what the codec kept well passes unharmed;
- what the codec removed is generated: noise (the `carrier`) times a predicted gain per bin, relative to the
  loudness of the newest two hops, so that silence stays silent and a hit is followed at once;
- beside the long window the net sees the newest two hops alone: what it generates lasts as long as they do;
- loudness is divided out by a causal running level;
- after some of the layers the bands can leave already: lighter tiers of one net, from one training.

One forward path: a whole clip is the same call as one frame, with another number of frames and a fresh state.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from apollo_rt.config import Framing
from apollo_rt.stream.stft import asymmetric_windows

_FEATURES_PER_BIN = 6  # re and im of mid and side, log magnitude of mid and side
_FEATURES_PER_RECENT_BIN = 2  # log magnitude of mid and side
_OUTPUTS_PER_BIN = 6  # complex correction of mid and side, log gain of the carrier of mid and side
# The unit of amplitude inside the net: -100 dB of full scale, below the noise of 16-bit audio. Powers then get a floor
# of one; a floor of 1e-10 would be taken for zero, and left out, by the exporter's optimiser.
_UNIT = 1e-5
_SILENT_GAIN = -8.0  # where the carrier's log gain starts: inaudible
_LOG_GAIN_RANGE = (-14.0, 3.0)  # inaudible to absurd: keeps a wild net finite

State = list[Tensor]
Groups = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the net.

    Attributes:
        framing: sample rate, hop and window.
        band_groups: (number of bands, bins of each), from low to high; together all bins but Nyquist.
        width: channels of a band's token.
        n_heads: attention heads; divides `width`.
        mlp_ratio: hidden channels of the feed-forward part, in widths.
        kernel_size: taps of the convolution over time.
        dilations: frames between taps, one entry a layer.
        level_time_s: time constant of the running level.
        exits: layers after which the bands can leave, best last: one tier each, the last is the whole net. None given:
            the whole net alone.
        recent_taps: width in bins of the kernel that picks out the newest two hops, odd; 0 leaves them out.
    """

    framing: Framing = field(default_factory=Framing)
    band_groups: tuple[tuple[int, int], ...] = ((16, 8), (12, 16), (10, 32), (6, 64))
    width: int = 64
    n_heads: int = 4
    mlp_ratio: int = 3
    kernel_size: int = 4
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    level_time_s: float = 0.5
    exits: tuple[int, ...] = ()
    recent_taps: int = 33

    def __post_init__(self) -> None:
        """Check that the parts fit together.

        Raises:
            ValueError: the bands don't cover the bins, the heads don't divide the width, or the exits aren't layers.
        """
        covered = sum(count * bins for count, bins in self.band_groups)
        if covered != self.framing.n_bins - 1:
            raise ValueError(f"band_groups must cover {self.framing.n_bins - 1} bins, they cover {covered}")
        if self.width % self.n_heads:
            raise ValueError(f"n_heads must divide width {self.width}, got {self.n_heads}")
        if not self.exits:
            object.__setattr__(self, "exits", (len(self.dilations),))
        if sorted({0, *self.exits}) != [0, *self.exits] or self.exits[-1] != len(self.dilations):
            raise ValueError(f"exits must rise from 1 to the {len(self.dilations)} layers, got {self.exits}")
        stride = self.framing.analysis_length // self.framing.synthesis_length
        if self.recent_taps and (self.recent_taps % 2 == 0 or any(bins % stride for _, bins in self.band_groups)):
            raise ValueError(f"recent_taps must be odd and all bands multiples of {stride} bins, or recent_taps 0")

    @property
    def n_bands(self) -> int:
        """Tokens of one frame."""
        return sum(count for count, _ in self.band_groups)


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


class BandAttention(nn.Module):
    """Multi-head attention among the bands of one frame; the position of a band is in its own input layer's bias."""

    def __init__(self, width: int, n_heads: int) -> None:
        """Set up the projections."""
        super().__init__()
        self.n_heads = n_heads
        self.norm = RMSNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add what each band gathers from the others.

        Shape:
            (frames, bands, width) -> (frames, bands, width)
        """
        heads = self.query_key_value(self.norm(x)).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = heads.unbind(0)
        gathered = functional.scaled_dot_product_attention(query, key, value)
        return x + self.output(gathered.transpose(1, 2).flatten(2))


class CausalTimeBlock(nn.Module):
    """A depthwise dilated convolution over past frames, with taps of its own for every band, then a small MLP.

    The convolution is written as shifted products: its backward pass is several times faster on a CPU than that of a
    depthwise `Conv1d`.
    """

    def __init__(self, config: ModelConfig, dilation: int) -> None:
        """Start as a pass-through of the newest frame."""
        super().__init__()
        self.dilation = dilation
        taps = torch.randn(config.kernel_size, config.n_bands, config.width) * 0.1
        taps[-1] += 1.0
        self.taps = nn.Parameter(taps)
        self.norm = RMSNorm(config.width)
        self.widen = nn.Linear(config.width, config.mlp_ratio * config.width)
        self.narrow = nn.Linear(config.mlp_ratio * config.width, config.width)

    @property
    def n_past_frames(self) -> int:
        """Frames of the past that the block keeps."""
        return (len(self.taps) - 1) * self.dilation

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Look back and transform.

        Args:
            x: new frames.
            past: the `n_past_frames` frames before them.

        Returns:
            The frames transformed, and the newest `n_past_frames` frames for the next call.

        Shape:
            (batch, frames, bands, width), (batch, n_past_frames, bands, width) -> the same two
        """
        n_frames = x.shape[1]
        known = torch.cat((past, x), dim=1)
        mixed = sum(known[:, i * self.dilation : i * self.dilation + n_frames] * tap for i, tap in enumerate(self.taps))
        return x + self.narrow(functional.silu(self.widen(self.norm(mixed)))), known[:, n_frames:]


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

    def forward(self, bins: Tensor) -> Tensor:
        """Power of each of the wider bins, mid and side.

        Shape:
            (frames, bins, 4) -> (frames, bins / stride, 2)
        """
        reach = self.kernel.shape[-1] // 2
        recent = functional.conv1d(bins.transpose(1, 2), self.kernel, stride=self.stride, padding=reach, groups=2)
        return recent.square().unflatten(1, (2, 2)).sum(2).transpose(1, 2)


class Restorer(nn.Module):
    """Frames of damaged music in, frames of restored music out.

    Args:
        config: sizes.
    """

    bins_to_bands: Tensor
    band_of_bin: Tensor

    def __init__(self, config: ModelConfig) -> None:
        """Build a net that passes its input through unchanged until it is trained."""
        super().__init__()
        self.config = config
        groups = config.band_groups
        self.split = BandLinear(config.width, groups, _FEATURES_PER_BIN, to_bins=False)
        self.recent = RecentSpectrum(config.framing, config.recent_taps) if config.recent_taps else None
        if self.recent:
            wider = tuple((count, bins // self.recent.stride) for count, bins in groups)
            self.split_recent = BandLinear(config.width, wider, _FEATURES_PER_RECENT_BIN, to_bins=False)
        self.level_in = nn.Parameter(torch.randn(config.n_bands, 2, config.width) * 0.5)
        self.attention = nn.ModuleList(BandAttention(config.width, config.n_heads) for _ in config.dilations)
        self.time = nn.ModuleList(CausalTimeBlock(config, dilation) for dilation in config.dilations)
        self.norms = nn.ModuleList(RMSNorm(config.width) for _ in config.exits)
        self.heads = nn.ModuleList(
            BandLinear(config.width, groups, _OUTPUTS_PER_BIN, to_bins=True) for _ in config.exits
        )
        widths = torch.tensor([bins for count, bins in config.band_groups for _ in range(count)])
        band_of_bin = torch.repeat_interleave(torch.arange(config.n_bands), widths)
        self.register_buffer("band_of_bin", band_of_bin, persistent=False)
        one_hot = functional.one_hot(band_of_bin, config.n_bands).float()
        self.register_buffer("bins_to_bands", (one_hot / widths).T.contiguous(), persistent=False)
        # A squared sine has half the energy of a rectangle: this makes a bin's power that of the samples, in units.
        self.spectrum_scale = (config.framing.analysis_length / 2) ** -0.5 / _UNIT

    def initial_state(self, batch: int = 1, tier: int = -1) -> State:
        """Everything before the first frame was silence.

        Args:
            batch: clips.
            tier: index of the exit; its states are the first of those of a better one.

        Returns:
            The running power (batch, 1), then each layer's past frames (batch, n_past_frames, bands, width).
        """
        weight = self.level_in
        past = [
            weight.new_zeros(batch, block.n_past_frames, self.config.n_bands, self.config.width)
            for block in self.time[: self.config.exits[tier]]
        ]
        return [weight.new_zeros(batch, 1), *past]

    @torch.no_grad()
    def turn(self, correction: float = 1.0, carrier_db: float = 0.0) -> None:
        """Correct and generate more or less than was learnt; both are folded into the last layer.

        Generated music can't be the waveform that was lost: each dB less costs some highs and gains some SI-SDR. Which
        setting is best is found on validation music, after training.

        Args:
            correction: factor of the predicted corrections.
            carrier_db: added to the predicted gains of the carrier.
        """
        for head in self.heads:
            for weight, bias in zip(head.weights, head.biases, strict=True):
                for tensor in (weight, bias):
                    tensor.view(*tensor.shape[:-1], -1, _OUTPUTS_PER_BIN)[..., :4] *= correction
                bias.view(*bias.shape[:-1], -1, _OUTPUTS_PER_BIN)[..., 4:] += carrier_db * math.log(10) / 20

    def forward(self, spectrum: Tensor, carrier: Tensor, state: State, tier: int = -1) -> tuple[Tensor, State]:
        """Restore frames.

        Args:
            spectrum: frames of both channels as the analysis gives them.
            carrier: noise of unit variance per complex bin.
            state: from `initial_state` or the call before, of the same tier or a better one.
            tier: index of the exit.

        Returns:
            Restored frames, and the state for the next call.

        Shape:
            (batch, frames, 2, bins, 2), the same, state -> (batch, frames, 2, bins, 2), state
        """
        batch, n_frames = spectrum.shape[:2]
        bins = self._to_mid_side(spectrum.flatten(0, 1))
        power = bins.square().unflatten(-1, (2, 2)).sum(-1)
        frame_power = power.mean(1).sum(-1)
        level, running = self._running_level(frame_power.view(batch, n_frames), state[0])
        tokens, loudness = self._encode(bins, power, level.reshape(-1, 1, 1))
        next_state = [running]
        depth = self.config.exits[tier]
        for attention, block, past in zip(self.attention[:depth], self.time[:depth], state[1 : depth + 1], strict=True):
            tokens = attention(tokens).unflatten(0, (batch, n_frames))
            tokens, newest = block(tokens, past)
            tokens = tokens.flatten(0, 1)
            next_state.append(newest)
        outputs = self.heads[tier](self.norms[tier](tokens))
        restored = self._render(bins, self._to_mid_side(carrier.flatten(0, 1), 1.0), outputs, loudness)
        return self._from_mid_side(restored, spectrum.flatten(0, 1)).unflatten(0, (batch, n_frames)), next_state

    def _to_mid_side(self, frames: Tensor, scale: float | None = None) -> Tensor:
        """(frames, 2, bins, 2) -> (frames, bins - 1, 4): re and im of mid, then of side; Nyquist left out."""
        left, right = frames[:, :, :-1].unbind(1)
        return torch.cat((left + right, left - right), dim=-1) * (0.5**0.5 * (scale or self.spectrum_scale))

    def _from_mid_side(self, bins: Tensor, spectrum: Tensor) -> Tensor:
        """The way back; the Nyquist bin is the input's."""
        mid, side = (bins * (0.5**0.5 / self.spectrum_scale)).split(2, dim=-1)
        return torch.cat((torch.stack((mid + side, mid - side), dim=1), spectrum[:, :, -1:]), dim=2)

    def _running_level(self, frame_power: Tensor, running: Tensor) -> tuple[Tensor, Tensor]:
        """One-pole average of the power: the recursion written as one product with its decaying kernel."""
        n_frames = frame_power.shape[1]
        decay = math.exp(-self.config.framing.hop_period_s / self.config.level_time_s)
        index = torch.arange(n_frames, device=frame_power.device)
        age = index[None, :] - index[:, None]
        kernel = torch.where(age >= 0, (1 - decay) * decay ** age.clamp(min=0), 0.0)
        averaged = frame_power @ kernel + running * decay ** (index + 1)
        return averaged, averaged[:, -1:]

    def _encode(self, bins: Tensor, power: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Bins to one token a band: shape within the band, and loudness of the band against the running level.

        Returns:
            Tokens, and the power (frames,) that the carrier's gains are relative to.
        """
        band_power = self.bins_to_bands @ power
        total = band_power.sum(-1, keepdim=True) + 1
        per_bin = total[:, self.band_of_bin]
        log_magnitude = 0.25 * torch.log(power / per_bin + 1e-5)
        tokens = self.split(torch.cat((bins * torch.rsqrt(per_bin), log_magnitude), dim=-1))
        loudness = 0.2 * torch.log((band_power + 1) / (level + 1))
        tokens = tokens + loudness[..., :1] * self.level_in[:, 0] + loudness[..., 1:] * self.level_in[:, 1]
        if not self.recent:
            return tokens, power.mean(1).sum(-1)
        recent = self.recent(bins)
        per_recent_bin = per_bin[:, :: self.recent.stride]
        return tokens + self.split_recent(0.25 * torch.log(recent / per_recent_bin + 1e-5)), recent.mean(1).sum(-1)

    def _render(self, bins: Tensor, carrier: Tensor, outputs: Tensor, loudness: Tensor) -> Tensor:
        """Correct what is there, add what is missing."""
        re, im, c_re, c_im = bins[..., 0::2], bins[..., 1::2], outputs[..., 0:2], outputs[..., 2:4]
        gain = torch.exp((outputs[..., 4:] + _SILENT_GAIN).clamp(*_LOG_GAIN_RANGE))
        gain = gain * torch.sqrt(loudness + 1e-12)[:, None, None]  # the root of zero has no gradient
        new_re = re + re * c_re - im * c_im + gain * carrier[..., 0::2]
        new_im = im + re * c_im + im * c_re + gain * carrier[..., 1::2]
        return torch.stack((new_re, new_im), dim=-1).flatten(-2)
