"""The published Apollo's parts with few nodes: rows of tokens, bands of equal width in one product.

A row is one channel of one frame: channel 0 and 1 of the first frame, then those of the next.
"""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.nets.apollo_published import (
    NORM_EPSILON,
    SMALLEST_POWER,
    BandTransformer,
    Pointwise,
    PublishedApollo,
    PublishedRMSNorm,
    TimeBlock,
    TimeConvolution,
)


class Norm(nn.Module):
    """Root mean square norm in the form that ONNX Runtime makes one node of."""

    def __init__(self, norm: PublishedRMSNorm) -> None:
        super().__init__()
        self.weight = norm.weight

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis. Shape: (..., width) -> the same."""
        return x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + NORM_EPSILON) * self.weight


class EqualBands(nn.Module):
    """Maps of neighbouring bands of equal width, as one product.

    Args:
        weights: of each band, (inputs, outputs).
        biases: of each band, (outputs,).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
        super().__init__()
        self.register_buffer("weight", torch.stack(tuple(weights)).detach().contiguous())
        self.register_buffer("bias", torch.stack(tuple(biases)).detach()[:, None].contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """Map each band. Shape: (rows, bands, inputs) -> (rows, bands, outputs)."""
        if len(self.weight) == 1:
            return torch.addmm(self.bias[0], x[:, 0], self.weight[0])[:, None]
        return (x.transpose(0, 1) @ self.weight + self.bias).transpose(0, 1)


def equal_widths(band_widths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Runs of neighbouring bands of equal width: first band, number of bands, bins of each."""
    runs, first = [], 0
    for width, bands in groupby(band_widths):
        n_bands = len(list(bands))
        runs.append((first, n_bands, width))
        first += n_bands
    return runs


def _interleaved(n_bins: int) -> Tensor:
    """Places of re 0, im 0, re 1 ... in what has all real parts first."""
    return torch.stack((torch.arange(n_bins), n_bins + torch.arange(n_bins)), 1).flatten()


def _norm_and_map(parts: nn.Module) -> tuple[PublishedRMSNorm, Pointwise]:
    norm, mapped, *_ = cast("nn.Sequential", parts)
    return cast("PublishedRMSNorm", norm), cast("Pointwise", mapped)


def _bias(one: nn.Conv1d) -> Tensor:
    assert one.bias is not None
    return one.bias


class PublishedEncoder(nn.Module):
    """Bins to tokens; the norms' scales go into the maps."""

    def __init__(self, net: PublishedApollo) -> None:
        super().__init__()
        self.runs, maps = equal_widths(net.band_widths), []
        for first, n_bands, n_bins in self.runs:
            order = torch.cat((_interleaved(n_bins), torch.tensor([2 * n_bins])))
            pairs = [_norm_and_map(net.BN[band]) for band in range(first, first + n_bands)]
            weights = [(one.weight.squeeze(-1) * norm.weight).T[order] for norm, one in pairs]
            maps.append(EqualBands(weights, [_bias(one) for _, one in pairs]))
        self.maps = nn.ModuleList(maps)

    def forward(self, bins: Tensor) -> Tensor:
        """Encode. Shape: (rows, bins, 2) -> (rows, bands, width)."""
        tokens, begin = [], 0
        for (_, n_bands, n_bins), mapped in zip(self.runs, self.maps, strict=True):
            band = bins[:, begin : begin + n_bands * n_bins].reshape(-1, n_bands, 2 * n_bins)
            begin += n_bands * n_bins
            power = band.pow(2).sum(-1, keepdim=True) + SMALLEST_POWER
            feature = torch.cat((band / torch.sqrt(power), 0.5 * torch.log(power)), -1)
            tokens.append(mapped(feature / torch.sqrt(feature.pow(2).mean(-1, keepdim=True) + NORM_EPSILON)))
        return torch.cat(tokens, 1)


class PublishedDecoder(nn.Module):
    """Tokens to bins."""

    def __init__(self, net: PublishedApollo) -> None:
        super().__init__()
        self.runs, maps = equal_widths(net.band_widths), []
        for first, n_bands, n_bins in self.runs:
            order = torch.cat((_interleaved(n_bins), 2 * n_bins + _interleaved(n_bins)))
            pairs = [_norm_and_map(net.output[band]) for band in range(first, first + n_bands)]
            weights = [(one.weight.squeeze(-1) * norm.weight).T[:, order] for norm, one in pairs]
            maps.append(EqualBands(weights, [_bias(one)[order] for _, one in pairs]))
        self.maps = nn.ModuleList(maps)

    def forward(self, tokens: Tensor) -> Tensor:
        """Decode. Shape: (rows, bands, width) -> (rows, bins, 2)."""
        normal = tokens / torch.sqrt(tokens.pow(2).mean(-1, keepdim=True) + NORM_EPSILON)
        bins = []
        for (first, n_bands, _), mapped in zip(self.runs, self.maps, strict=True):
            values, gates = mapped(normal[:, first : first + n_bands]).chunk(2, -1)
            bins.append((values * torch.sigmoid(gates)).reshape(len(tokens), -1, 2))
        return torch.cat(bins, 1)


class LeanTransformer(nn.Module):
    """`BandTransformer` over rows: rotated pairs lie in halves, and the scores' scale in the queries' weights.

    Args:
        layer: the trained one.
        n_bands: tokens of a row.
    """

    even: Tensor
    odd: Tensor
    value: Tensor
    cos_0: Tensor
    cos_1: Tensor
    sin_0: Tensor
    sin_1: Tensor
    gate: Tensor
    z: Tensor
    output: Tensor
    narrow: Tensor

    def __init__(self, layer: BandTransformer, n_bands: int) -> None:
        super().__init__()
        self.n_bands, self.n_heads = n_bands, layer.n_heads
        self.input_norm, self.hidden_norm = Norm(layer.input_norm), Norm(layer.MLP[0])  # type: ignore[arg-type]
        width = layer.output.weight.shape[0]
        head_width = width // self.n_heads
        query, key, value = layer.weight.weight.squeeze(-1).view(self.n_heads, 3, head_width, width).unbind(1)
        query = query / math.sqrt(head_width)
        both = torch.stack((query, key))  # (2, heads, head width, width)
        for name, rows in (("even", both[:, :, 0::2]), ("odd", both[:, :, 1::2]), ("value", value)):
            self._keep(name, rows.reshape(-1, width).T)
        for name, table in (("cos", layer.cos_freq), ("sin", layer.sin_freq)):
            for parity in range(2):
                self._keep(f"{name}_{parity}", table[:n_bands, parity::2].repeat(1, 2 * self.n_heads).flatten())
        gate, z = cast("Pointwise", layer.MLP[1]).weight.squeeze(-1).chunk(2)
        self._keep("gate", gate.T)
        self._keep("z", z.T)
        self._keep("output", layer.output.weight.squeeze(-1).T)
        self._keep("narrow", layer.MLP_output.weight.squeeze(-1).T)

    def _keep(self, name: str, tensor: Tensor) -> None:
        self.register_buffer(name, tensor.detach().contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """Attend, then transform each token. Shape: (rows * bands, width) -> the same."""
        normal = self.input_norm(x)
        query, key = self._rotated(normal @ self.even, normal @ self.odd)
        value = self._heads(normal @ self.value)
        gathered = torch.softmax(query @ key.transpose(-1, -2), -1) @ value
        x = torch.addmm(x, gathered.transpose(1, 2).reshape(x.shape), self.output)
        normal = self.hidden_norm(x)
        gate, z = functional.silu(normal @ self.gate), functional.silu(normal @ self.z)
        return torch.addmm(x, functional.silu(gate) * z, self.narrow)

    def _rotated(self, even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys, each pair of channels turned by the angle of its band."""
        shape = even.shape
        even, odd = even.view(-1, len(self.cos_0)), odd.view(-1, len(self.cos_0))
        turned = even * self.cos_0 - odd * self.sin_0, odd * self.cos_1 + even * self.sin_1
        halves = [half.view(shape).chunk(2, -1) for half in turned]
        return tuple(torch.cat([self._heads(half[i]) for half in halves], -1) for i in range(2))  # type: ignore[return-value]

    def _heads(self, x: Tensor) -> Tensor:
        """(rows * bands, channels) -> (rows, heads, bands, channels of a head)."""
        return x.view(-1, self.n_bands, self.n_heads, x.shape[-1] // self.n_heads).transpose(1, 2)


class LeanTimeBlock(nn.Module):
    """`TimeBlock` over what it remembers and what is new, late by what its convolution looks ahead.

    Args:
        block: the trained one.
        n_frames: frames of a call.
        n_tokens: of a frame.
    """

    taps: Tensor
    widen: Tensor
    narrow: Tensor

    def __init__(self, block: TimeBlock, n_frames: int, n_tokens: int) -> None:
        super().__init__()
        convolution, norm, widen, _, narrow = cast(
            "tuple[TimeConvolution, PublishedRMSNorm, Pointwise, nn.SiLU, Pointwise]", tuple(block.conv)
        )
        self.n_frames, self.n_tokens = n_frames, n_tokens
        self.norm = Norm(norm)
        taps = convolution.weight.detach()
        self.n_past = taps.shape[-1] - 1
        self.register_buffer("taps", taps[..., None].contiguous())
        self.register_buffer("widen", widen.weight.detach().squeeze(-1).T.contiguous())
        self.register_buffer("narrow", narrow.weight.detach().squeeze(-1).T.contiguous())
        self.taps_bias, self.widen_bias, self.narrow_bias = _bias(convolution), _bias(widen), _bias(narrow)

    def forward(self, x: Tensor, past: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Add what the neighbouring frames say, for the frames that the newest ones complete.

        Args:
            x: the newest frames.
            past: those before.
            present: of each frame that comes out, 1 or 0: where there is none, it stays zero.

        Returns:
            Frames that are late by half of `past`, and what the next call gets as `past`.

        Shape:
            (frames * tokens, width), (n_past, tokens * width), (frames, 1) -> the first two
        """
        width = x.shape[-1]
        known = torch.cat((past, x.view(self.n_frames, -1)))
        planes = known.view(1, -1, self.n_tokens, width).permute(0, 3, 1, 2)
        filtered = functional.conv2d(planes, self.taps, self.taps_bias, groups=width).permute(0, 2, 3, 1)
        hidden = functional.silu(torch.addmm(self.widen_bias, self.norm(filtered.reshape(x.shape)), self.widen))
        middle = known[self.n_past // 2 : self.n_past // 2 + self.n_frames]
        added = torch.addmm(self.narrow_bias, hidden, self.narrow).view(self.n_frames, -1)
        return ((middle + added) * present).view(x.shape), known[self.n_frames :]
