"""The published Apollo (Li & Luo, arXiv 2409.08514): the non-causal restorer that ours is measured against.

    samples -> STFT -> 80 bands -> token a band and frame -> 6 x (attention over bands, convolutions over time)
            -> spectrum of each band -> inverse STFT -> samples

Parameters have the names and shapes of the published checkpoints; 1x1 convolutions hold their weight as one does, but
work on the last axis. Tokens are `(batch, frames, bands, width)` from end to end.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

SAMPLE_RATE = 44_100
HOP_LENGTH = 441
BAND_WIDTHS = (5,) * 79 + (47,)
"""Bins of each band, from low to high: together the 442 of one frame of 20 ms, two hops."""

FIRST_TENSOR = "BN.0.0.weight"
"""The name by which a state dict of this net is known."""

_N_HEADS = 8
_N_TABLED_BANDS = 100
_ROTARY_BASE = 10_000.0
_TAPS = 7
_BLOCKS_A_LAYER = 3
_MOST_LAYERS = 64
SMALLEST_POWER = 1.1920929e-7
"""Added to the power of a band."""

NORM_EPSILON = 1e-5
"""Added to the mean square of a token."""


class PublishedRMSNorm(nn.Module):
    """Divide each token by its root mean square, then scale (Zhang & Sennrich, arXiv 1910.07467)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis. Shape: (..., width) -> the same."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + NORM_EPSILON) * self.weight


class Pointwise(nn.Conv1d):
    """A 1x1 convolution whose channels are the last axis."""

    def __init__(self, n_in: int, n_out: int, bias: bool = True) -> None:
        super().__init__(n_in, n_out, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply. Shape: (..., n_in) -> (..., n_out)."""
        return functional.linear(x, self.weight.squeeze(-1), self.bias)


class TimeConvolution(nn.Conv1d):
    """A convolution over frames with taps of its own for every channel, the same for every band."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, _TAPS, padding=_TAPS // 2, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """Look three frames back and three ahead. Shape: (batch, frames, bands, width) -> the same."""
        batch, _, n_bands, _ = x.shape
        filtered = super().forward(x.permute(0, 2, 3, 1).flatten(0, 1))
        return filtered.unflatten(0, (batch, n_bands)).permute(0, 3, 1, 2)


class BandTransformer(nn.Module):
    """The bands of one frame attend to each other; a band's position is rotated in (Su et al., arXiv 2104.09864)."""

    cos_freq: Tensor
    sin_freq: Tensor
    n_heads = _N_HEADS

    def __init__(self, width: int) -> None:
        super().__init__()
        self.input_norm = PublishedRMSNorm(width)
        self.weight = Pointwise(width, 3 * width, bias=False)
        self.output = Pointwise(width, width, bias=False)
        self.MLP = nn.Sequential(PublishedRMSNorm(width), Pointwise(width, 8 * width, bias=False), nn.SiLU())
        self.MLP_output = Pointwise(4 * width, width, bias=False)
        head_width = width // _N_HEADS
        speeds = _ROTARY_BASE ** (-torch.arange(0, head_width, 2) / head_width)
        angles = (torch.arange(_N_TABLED_BANDS)[:, None] * speeds).repeat_interleave(2, dim=1)
        self.register_buffer("cos_freq", angles.cos())
        self.register_buffer("sin_freq", angles.sin())

    def forward(self, x: Tensor) -> Tensor:
        """Attend, then transform each token. Shape: (batch, frames, bands, width) -> the same."""
        heads = self.weight(self.input_norm(x)).unflatten(-1, (_N_HEADS, -1)).transpose(2, 3)
        query, key, value = heads.chunk(3, dim=-1)
        gathered = functional.scaled_dot_product_attention(self._rotated(query), self._rotated(key), value)
        x = x + self.output(gathered.transpose(2, 3).flatten(3))
        gate, z = self.MLP(x).chunk(2, dim=-1)
        return x + self.MLP_output(functional.silu(gate) * z)

    def _rotated(self, x: Tensor) -> Tensor:
        """Turn each pair of channels by the angle of its band. Shape: (..., bands, head width) -> the same."""
        even, odd = x[..., 0::2], x[..., 1::2]
        quarter_turned = torch.stack((-odd, even), dim=-1).flatten(-2)
        n_bands = x.shape[-2]
        return x * self.cos_freq[:n_bands] + quarter_turned * self.sin_freq[:n_bands]


class TimeBlock(nn.Module):
    """One residual block over time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            TimeConvolution(width),
            PublishedRMSNorm(width),
            Pointwise(width, 4 * width),
            nn.SiLU(),
            Pointwise(4 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add what the neighbouring frames say. Shape: (batch, frames, bands, width) -> the same."""
        return x + self.conv(x)


class TimeNet(nn.Module):
    """The blocks over time of one layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(TimeBlock(width) for _ in range(_BLOCKS_A_LAYER)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply all. Shape: (batch, frames, bands, width) -> the same."""
        return self.blocks(x)


class BandAndTimeLayer(nn.Module):
    """First over bands, then over time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.band_net = BandTransformer(width)
        self.seq_net = TimeNet(width)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both. Shape: (batch, frames, bands, width) -> the same."""
        return self.seq_net(self.band_net(x))


class PublishedApollo(nn.Module):
    """Damaged samples in, restored samples out; channels know nothing of each other.

    Args:
        width: channels of a token, a multiple of 16.
        n_layers: layers, 1 or more.
        band_widths: bins of each band, from low to high, at most 100 bands; together they are those of a frame.
        sample_rate: Hz.

    Attributes:
        band_widths, sample_rate: as given.
        window_length: samples of a frame, two hops.
        hop_length: samples from frame to frame.

    Raises:
        ValueError: a size is out of its bounds.
    """

    window: Tensor

    def __init__(
        self,
        width: int = 256,
        n_layers: int = 6,
        band_widths: Sequence[int] = BAND_WIDTHS,
        sample_rate: int = SAMPLE_RATE,
    ) -> None:
        super().__init__()
        if width < 2 * _N_HEADS or width % (2 * _N_HEADS):
            raise ValueError(f"width must be a multiple of {2 * _N_HEADS}, got {width}")
        if n_layers < 1:
            raise ValueError(f"n_layers must be at least 1, got {n_layers}")
        if not 1 <= len(band_widths) <= _N_TABLED_BANDS or min(band_widths) < 1 or sum(band_widths) < 3:
            raise ValueError(f"band_widths must be 1 to {_N_TABLED_BANDS} bands of at least a bin, got {band_widths}")
        self.band_widths, self.sample_rate = tuple(band_widths), sample_rate
        self.window_length = 2 * (sum(band_widths) - 1)
        self.hop_length = self.window_length // 2
        self.BN = nn.ModuleList(
            nn.Sequential(PublishedRMSNorm(2 * n_bins + 1), Pointwise(2 * n_bins + 1, width)) for n_bins in band_widths
        )
        self.net = nn.Sequential(*(BandAndTimeLayer(width) for _ in range(n_layers)))
        self.output = nn.ModuleList(
            nn.Sequential(PublishedRMSNorm(width), Pointwise(width, 4 * n_bins), nn.GLU(-1)) for n_bins in band_widths
        )
        self.register_buffer("window", torch.hann_window(self.window_length), persistent=False)

    @property
    def sizes(self) -> dict[str, int]:
        """Width and layers by the names that checkpoints give them."""
        return {"feature_dim": self.BN[0][1].weight.shape[0], "layer": len(self.net)}  # type: ignore[index]

    @property
    def context_frames(self) -> int:
        """Frames on either side that a restored one depends on."""
        return len(self.net) * _BLOCKS_A_LAYER * (_TAPS // 2)

    @property
    def context_samples(self) -> int:
        """Samples on either side that a restored one depends on, in whole hops; further away nothing matters."""
        return (self.context_frames + 2) * self.hop_length

    def forward(self, audio: Tensor) -> Tensor:
        """Restore.

        The end is padded with zeros to a whole number of hops: a window's own end, which is almost zero, would
        otherwise be all that the last samples are made from.

        Args:
            audio: music at 44.1 kHz, any length.

        Shape:
            (batch, channels, samples) -> the same
        """
        *_, n_samples = audio.shape
        lengths = self.window_length, self.hop_length
        missing = max(-n_samples % self.hop_length, self.window_length - n_samples)
        padded = functional.pad(audio.flatten(0, 1), (0, missing))
        spectrum = torch.stft(padded, *lengths, window=self.window, return_complex=True)
        restored = self.restored_frames(spectrum.transpose(1, 2)).transpose(1, 2)
        samples = torch.istft(restored, *lengths, window=self.window, length=padded.shape[-1])
        return samples[:, :n_samples].view_as(audio)

    def restored_frames(self, spectrum: Tensor) -> Tensor:
        """Restore the frames of a whole piece. Shape: (batch, frames, bins), complex -> the same."""
        return self._decode(self.net(self._encode(spectrum)))

    def _encode(self, spectrum: Tensor) -> Tensor:
        """(batch, frames, bins), complex -> (batch, frames, bands, width)."""
        tokens = []
        for norm_and_map, band in zip(self.BN, spectrum.split(self.band_widths, dim=-1), strict=True):
            power = (torch.view_as_real(band).square().sum((-2, -1)) + SMALLEST_POWER).unsqueeze(-1)
            shape = torch.cat((band.real, band.imag), dim=-1) * torch.rsqrt(power)
            tokens.append(norm_and_map(torch.cat((shape, 0.5 * torch.log(power)), dim=-1)))
        return torch.stack(tokens, dim=2)

    def _decode(self, tokens: Tensor) -> Tensor:
        """(batch, frames, bands, width) -> (batch, frames, bins), complex."""
        bands = [head(token) for head, token in zip(self.output, tokens.unbind(2), strict=True)]
        return torch.cat([torch.complex(*band.float().chunk(2, dim=-1)) for band in bands], dim=-1)


def is_state(state: Mapping[str, object]) -> bool:
    """Whether these are names of this net's tensors."""
    return any(isinstance(name, str) and name.endswith(FIRST_TENSOR) for name in state)


def from_state(state: Mapping[str, Tensor], sample_rate: int = SAMPLE_RATE) -> PublishedApollo:
    """Build the net that a state dict was taken from; its sizes are those of its tensors.

    Args:
        state: names of tensors may have a common beginning, such as `module.`; tensors that don't are left out.
        sample_rate: Hz.

    Raises:
        ValueError: it is no state of this net, or holds numbers that are not finite.
    """
    prefix = next((name.removesuffix(FIRST_TENSOR) for name in state if name.endswith(FIRST_TENSOR)), None)
    if prefix is None:
        raise ValueError(f"it holds no tensor named {FIRST_TENSOR}, so it is none of the published Apollo's")
    state = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    strange = [name for name, tensor in state.items() if not _is_weight(tensor)]
    if strange:
        raise ValueError(f"its {strange[0]} is no dense tensor, or holds numbers that are not finite")
    n_layers = len({name.split(".")[1] for name in state if name.startswith("net.")})
    if n_layers > _MOST_LAYERS:
        raise ValueError(f"it has {n_layers} layers, at most {_MOST_LAYERS} are taken")
    width = state["BN.0.1.weight"].shape[0] if "BN.0.1.weight" in state else 0
    sizes = width, n_layers, _band_widths(state), sample_rate
    try:
        with torch.device("meta"):  # no memory is taken for sizes that most of the tensors don't have
            PublishedApollo(*sizes).load_state_dict(state, assign=True)
        net = PublishedApollo(*sizes)
        net.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split("\n", 1)[-1].split())
        raise ValueError(f"its tensors don't fit {n_layers} layers of width {width}: {reason[:200]}") from None
    return net.eval()


def _is_weight(tensor: object) -> bool:
    """Finite numbers, each with a place of its own: one number may claim to be a tensor of any size."""
    is_plain = isinstance(tensor, Tensor) and tensor.layout == torch.strided and tensor.is_contiguous()
    return is_plain and tensor.is_floating_point() and bool(tensor.isfinite().all())  # type: ignore[attr-defined]


def _band_widths(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Bins of each band: its norm has a scale for both parts of each, and one for the band's power."""
    scales = (state.get(f"BN.{band}.0.weight") for band in range(_N_TABLED_BANDS))
    return tuple((len(scale) - 1) // 2 for scale in scales if scale is not None)
