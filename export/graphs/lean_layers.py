"""The causal layer with few nodes: no transposes, sums inside the products, states in long rows."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.nets.layers import CausalLayer


class LeanLayer(nn.Module):
    """`CausalLayer` over states in rows: the taps' products are summed by one product with ones.

    Args:
        layer: the trained layer.
        n_frames: frames of a call.
    """

    taps: Tensor
    tap_sum: Tensor
    mixing: Tensor
    summary: Tensor
    spread: Tensor
    widen: Tensor
    narrow: Tensor

    def __init__(self, layer: CausalLayer, n_frames: int) -> None:
        """Lay the taps out as the states; a band's own share goes into the matrix that mixes them."""
        super().__init__()
        self.n_frames, self.dilation, self.norm = n_frames, layer.dilation, layer.norm
        self.n_bands, self.width = layer.taps.shape[1:]
        self.register_buffer("taps", layer.taps.detach().flatten(1))
        self.register_buffer("tap_sum", torch.ones(1, len(layer.taps)))
        self.register_buffer("mixing", layer.mixing.detach() + torch.eye(self.n_bands))
        self.has_context = layer.summary is not None
        if layer.summary is not None and layer.spread is not None:
            self.register_buffer("summary", layer.summary.weight.detach().T.contiguous())
            self.register_buffer("spread", layer.spread.weight.detach().T.contiguous())
            self.summary_bias = layer.summary.bias
        self.register_buffer("widen", layer.widen.weight.detach().T.contiguous())
        self.register_buffer("narrow", layer.narrow.weight.detach().T.contiguous())
        self.widen_bias, self.narrow_bias = layer.widen.bias, layer.narrow.bias

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Look back, sideways, and transform.

        Shape:
            (frames * bands, width), (n_past_frames, bands * width) -> the same two
        """
        known = torch.cat((past, x.view(self.n_frames, -1)))
        normal = self.norm(self._mixed(known).view(x.shape))
        hidden = functional.silu(torch.addmm(self.widen_bias, self._gathered(normal), self.widen))
        return x + torch.addmm(self.narrow_bias, hidden, self.narrow), known[self.n_frames :]

    def _mixed(self, known: Tensor) -> Tensor:
        if self.n_frames == 1:
            return self.tap_sum @ (known[:: self.dilation] * self.taps)
        shifted = (known[i * self.dilation : i * self.dilation + self.n_frames] for i in range(len(self.taps)))
        return cast("Tensor", sum(rows * tap for rows, tap in zip(shifted, self.taps, strict=True)))

    def _gathered(self, normal: Tensor) -> Tensor:
        if not self.has_context:
            if self.n_frames == 1:
                return self.mixing @ normal
            return (self.mixing @ normal.view(self.n_frames, self.n_bands, -1)).view(normal.shape)
        rows = normal.view(self.n_frames, -1)
        context = functional.silu(torch.addmm(self.summary_bias, rows, self.summary)) @ self.spread
        if self.n_frames == 1:
            return torch.addmm(context.view(normal.shape), self.mixing, normal)
        mixed = self.mixing @ normal.view(self.n_frames, self.n_bands, -1)
        return mixed.view(normal.shape) + context.view(normal.shape)


class PlainLayer(nn.Module):
    """The net's own layer with the interface of `LeanLayer`, to measure what folding brings."""

    def __init__(self, layer: CausalLayer, n_frames: int) -> None:
        """Keep the layer."""
        super().__init__()
        self.layer, self.n_frames = layer, n_frames

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """As `LeanLayer`.

        Shape:
            (frames * bands, width), (n_past_frames, bands * width) -> the same two
        """
        rows = x.view(1, self.n_frames, -1, x.shape[-1])
        out, newest = self.layer(rows, past.view(1, len(past), *rows.shape[2:]))
        return out.view(x.shape), newest.view(past.shape)
