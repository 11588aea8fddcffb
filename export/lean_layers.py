"""The layers with few nodes: no transposes but one of 11 kB, residuals inside the products, states in long rows."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.nets.layers import BandAttention, CausalTimeBlock


class LeanAttention(nn.Module):
    """`BandAttention`, with weights of each head for itself: queries, keys and values come out as heads need them.

    Args:
        attention: the trained layer.
        n_frames: frames of a call.
    """

    def __init__(self, attention: BandAttention, n_frames: int) -> None:
        """Cut the weights into heads; the scale of the scores goes into the queries."""
        super().__init__()
        self.n_frames, self.norm = n_frames, attention.norm
        width, n_heads = attention.output.weight.shape[0], attention.n_heads
        heads = attention.query_key_value.weight.detach().T.reshape(width, 3, n_heads, -1).permute(1, 2, 0, 3)
        self.register_buffer("query", heads[0] * heads.shape[-1] ** -0.5)
        self.register_buffer("key", heads[1].clone())
        self.register_buffer("value", heads[2].clone())
        self.register_buffer("output", attention.output.weight.detach().T.contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """Add what each band gathers from the others.

        Shape:
            (frames * bands, width) -> the same
        """
        normal = self.norm(x)
        if self.n_frames > 1:
            normal = normal.view(self.n_frames, 1, -1, normal.shape[-1])
        query, key, value = normal @ self.query, normal @ self.key, normal @ self.value
        gathered = torch.softmax(query @ key.transpose(-1, -2), dim=-1) @ value
        return torch.addmm(x, gathered.transpose(-3, -2).reshape(x.shape), self.output)


class LeanTimeBlock(nn.Module):
    """`CausalTimeBlock` over states in rows: the taps' products are summed by one product with ones.

    Args:
        block: the trained layer.
        n_frames: frames of a call.
    """

    def __init__(self, block: CausalTimeBlock, n_frames: int) -> None:
        """Lay the taps out as the states."""
        super().__init__()
        self.n_frames, self.dilation, self.norm = n_frames, block.dilation, block.norm
        self.register_buffer("taps", block.taps.detach().flatten(1))
        self.register_buffer("tap_sum", torch.ones(1, len(block.taps)))
        self.register_buffer("widen", block.widen.weight.detach().T.contiguous())
        self.register_buffer("narrow", block.narrow.weight.detach().T.contiguous())
        self.widen_bias, self.narrow_bias = block.widen.bias, block.narrow.bias

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Look back and transform.

        Shape:
            (frames * bands, width), (n_past_frames, bands * width) -> the same two
        """
        known = torch.cat((past, x.view(self.n_frames, -1)))
        mixed = self._mixed(known).view(x.shape)
        hidden = functional.silu(torch.addmm(self.widen_bias, self.norm(mixed), self.widen))
        return x + torch.addmm(self.narrow_bias, hidden, self.narrow), known[self.n_frames :]

    def _mixed(self, known: Tensor) -> Tensor:
        if self.n_frames == 1:
            return self.tap_sum @ (known[:: self.dilation] * self.taps)
        shifted = (known[i * self.dilation : i * self.dilation + self.n_frames] for i in range(len(self.taps)))
        return sum(rows * tap for rows, tap in zip(shifted, self.taps, strict=True))


class PlainAttention(nn.Module):
    """The net's own layer with the face of `LeanAttention`, to measure what folding brings."""

    def __init__(self, attention: BandAttention, n_frames: int) -> None:
        """Keep the layer."""
        super().__init__()
        self.layer, self.n_frames = attention, n_frames

    def forward(self, x: Tensor) -> Tensor:
        """As `LeanAttention`."""
        return self.layer(x.view(self.n_frames, -1, x.shape[-1])).flatten(0, 1)


class PlainTimeBlock(nn.Module):
    """The net's own layer with the face of `LeanTimeBlock`."""

    def __init__(self, block: CausalTimeBlock, n_frames: int) -> None:
        """Keep the layer."""
        super().__init__()
        self.layer, self.n_frames = block, n_frames

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """As `LeanTimeBlock`."""
        rows = x.view(1, self.n_frames, -1, x.shape[-1])
        out, newest = self.layer(rows, past.view(1, len(past), *rows.shape[2:]))
        return out.view(x.shape), newest.view(past.shape)
