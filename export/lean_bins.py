"""Between spectra and tokens with few nodes: what `Restorer` does around its layers, in planes, constants folded.

```
 spectrum, carrier -> planes (8, bins) -> one product -> mid and side, twice, and the carrier's (12, bins)
 mid, side -> band power -> what is divided by, expanded to bins by a product -> features (rows, values) -> bands
 tokens -> bands -> outputs (6, bins) -> gains times the 12 planes -> one product that turns, adds and goes back
```

A plane is one row of bins: real and imaginary parts stand in rows of their own, so that all of it is sums and products
of long rows. Scales, the square root of a half of mid and side, constant offsets and means are folded into weights.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.nets.layers import BandLinear
from training.nets.model import (
    LOG_FLOOR,
    LOG_GAIN_RANGE,
    LOG_MAGNITUDE_SCALE,
    LOUDNESS_SCALE,
    SILENT_GAIN,
    Restorer,
)

_MID_SIDE = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) * 0.5**0.5
_TURN = torch.tensor([[0.0, -1.0], [1.0, 0.0]])  # times i


class Encoder(nn.Module):
    """Spectrum and carrier in, tokens out; and all that `Decoder` and the running level need.

    Args:
        net: the trained net.
        n_frames: frames of a call; one is written without the axis.
    """

    def __init__(self, net: Restorer, n_frames: int) -> None:
        """Fold the constants."""
        super().__init__()
        config = net.config
        self.n_frames, self.n_bins = n_frames, config.framing.n_bins - 1
        self.recent = net.recent
        self.stride = net.recent.stride if net.recent else 1
        self.groups = [(count, bins // self.stride) for count, bins in config.band_groups]
        mid_side = torch.kron(_MID_SIDE, torch.eye(2))
        scaled = mid_side * net.spectrum_scale
        planes = torch.zeros(12, 8)
        planes[0:4, 0:4], planes[4:8, 0:4], planes[8:12, 4:8] = scaled, scaled, mid_side
        self.register_buffer("planes", planes)
        self.register_buffer("pair_sum", torch.kron(torch.eye(2), torch.ones(1, 2)))
        self.register_buffer("band_mean", net.bins_to_bands.T.contiguous())
        widths = torch.bincount(net.band_of_bin).float()
        self.register_buffer("frame_mean", (widths / self.n_bins)[:, None])
        self.register_buffer("channel_sum", torch.ones(1, 2))
        one_hot = functional.one_hot(net.band_of_bin, config.n_bands).float().T
        self.register_buffer("to_bins", torch.cat((one_hot, one_hot[:, :: self.stride]), 1)[:, : self._n_expanded])
        if net.recent:
            self.register_buffer("recent_kernel", _dense_kernel(net.recent.kernel))
        self.weights = nn.ParameterList(_split_weights(net))
        self.register_buffer("level_in", net.level_in * LOUDNESS_SCALE)
        bias = torch.cat(list(net.split.biases))
        if net.recent:
            bias = bias + torch.cat(list(net.split_recent.biases))
        self.register_buffer("bias", bias)

    @property
    def _n_expanded(self) -> int:
        """Bins, and the wider ones."""
        return self.n_bins + (self.n_bins // self.stride if self.recent else 0)

    def planes_of(self, spectrum: Tensor, carrier: Tensor) -> Tensor:
        """Mid and side twice, then the carrier's, real and imaginary rows.

        Shape:
            (..., 2, bins + 1, 2) twice -> (..., 12, bins)
        """
        both = torch.cat((spectrum, carrier), dim=-3)[..., : self.n_bins, :]
        return self.planes @ both.transpose(-1, -2).flatten(-3, -2)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Everything of the frame but the running level.

        Returns:
            Features of all bins, power of each band, of the frame, and what the carrier's gains are relative to, its
            root.

        Shape:
            (..., 12, bins) -> (..., rows, values), (..., 2, bands), (..., 1, 1), (..., 1, 1)
        """
        bins = planes[..., :4, :]
        power = self.pair_sum @ (bins * bins)
        band_power = power @ self.band_mean
        total = self.channel_sum @ band_power
        frame_power = total @ self.frame_mean
        divisor = (total + 1) @ self.to_bins
        if not self.recent:
            normal = bins / torch.sqrt(divisor)
            log_magnitude = torch.log(power / divisor + LOG_FLOOR)
            rows = torch.cat((normal, log_magnitude), dim=-2).transpose(-1, -2)
            return rows, band_power, frame_power, torch.sqrt(frame_power + 1e-12)
        narrow, wide = divisor.split((self.n_bins, self.n_bins // self.stride), dim=-1)
        recent = self._recent(bins)
        loudness = torch.linalg.vector_norm(recent, dim=(-2, -1), keepdim=True)
        recent_power = self.pair_sum @ (recent * recent)
        normal = torch.cat((bins / torch.sqrt(narrow), torch.log(power / narrow + LOG_FLOOR)), dim=-2)
        wide_rows = torch.log(recent_power / wide + LOG_FLOOR).transpose(-1, -2)
        rows = normal.transpose(-1, -2).unflatten(-2, (-1, self.stride)).flatten(-2)
        return torch.cat((rows, wide_rows), dim=-1), band_power, frame_power, loudness

    def _recent(self, bins: Tensor) -> Tensor:
        """The newest two hops' spectrum: two dimensions of which one is 1, which ONNX Runtime does faster than one."""
        reach = self.recent_kernel.shape[-1] // 2
        lines = bins.unsqueeze(-2) if self.n_frames > 1 else bins[None, :, None]
        wide = functional.conv2d(lines, self.recent_kernel, stride=(1, self.stride), padding=(0, reach))
        return wide.squeeze(-2) if self.n_frames > 1 else wide.view(4, -1)

    def tokens(self, rows: Tensor, band_power: Tensor, level: Tensor) -> Tensor:
        """Features to one token a band.

        Shape:
            (..., rows, values), (..., 2, bands), (..., 1, 1) -> (frames * bands, width)
        """
        parts = rows.split([count * n_rows for count, n_rows in self.groups], dim=-2)
        mapped = torch.cat(
            [
                self._by_band(part, count) @ weight
                for part, (count, _), weight in zip(parts, self.groups, self.weights, strict=True)
            ]
        )
        loudness = torch.log((band_power + 1) / (level + 1))
        by_band = loudness.movedim(-1, 0) if self.n_frames > 1 else loudness.T[:, None]
        tokens = mapped + by_band @ self.level_in + self.bias
        return (tokens.transpose(0, 1) if self.n_frames > 1 else tokens).flatten(0, 1)

    def _by_band(self, part: Tensor, count: int) -> Tensor:
        """(..., rows of the group, values) -> (count, frames, values of a band)."""
        if self.n_frames == 1:
            return part.reshape(count, 1, -1)
        return part.reshape(self.n_frames, count, -1).transpose(0, 1)


class Decoder(nn.Module):
    """Tokens and planes to restored frames.

    Args:
        net: the trained net.
        n_frames: frames of a call.
        tier: index of the exit.
    """

    def __init__(self, net: Restorer, n_frames: int, tier: int) -> None:
        """Fold what is added to the outputs into the bias, and the way back into one product."""
        super().__init__()
        config = net.config
        self.n_frames, self.groups = n_frames, config.band_groups
        self.n_bins, self.n_bands = config.framing.n_bins - 1, config.n_bands
        self.norm = net.norms[tier]
        head = cast("BandLinear", net.heads[tier])
        self.weights = nn.ParameterList(head.weights)
        # `loudness` is the root of a sum where the net has that of a mean.
        shift = -0.5 * math.log(self.n_bins // net.recent.stride) if net.recent else 0.0
        self.gain_range = tuple(bound + shift for bound in LOG_GAIN_RANGE)
        bias = torch.cat([bias.flatten() for bias in head.biases]).view(self.n_bins, 6)
        offset = torch.tensor([1.0, 1.0, 0.0, 0.0, SILENT_GAIN + shift, SILENT_GAIN + shift])
        self.register_buffer("bias", bias + offset)
        mid_side = torch.kron(_MID_SIDE, torch.eye(2)) / net.spectrum_scale
        self.register_buffer(
            "back", torch.cat((mid_side, torch.kron(_MID_SIDE, _TURN) / net.spectrum_scale, mid_side), 1)
        )

    def forward(self, tokens: Tensor, planes: Tensor, loudness: Tensor, spectrum: Tensor) -> Tensor:
        """Correct what is there, add what is missing.

        Shape:
            (frames * bands, width), (..., 12, bins), (..., 1, 1), (..., 2, bins + 1, 2) -> (..., 2, bins + 1, 2)
        """
        outputs = self._outputs(self.norm(tokens))
        correction, log_gain = outputs.split((4, 2), dim=-2)
        gain = torch.exp(log_gain.clamp(*self.gain_range)) * loudness
        factors = torch.cat((correction, gain), dim=-2).unsqueeze(-2)
        products = (planes.unflatten(-2, (6, 2)) * factors).flatten(-3, -2)
        restored = (self.back @ products).unflatten(-2, (2, 2)).transpose(-1, -2)
        return torch.cat((restored, spectrum[..., self.n_bins :, :]), dim=-2)

    def _outputs(self, tokens: Tensor) -> Tensor:
        """(frames * bands, width) -> (..., 6, bins)."""
        by_band = tokens.view(self.n_frames, self.n_bands, -1).transpose(0, 1) if self.n_frames > 1 else tokens[:, None]
        parts = by_band.split([count for count, _ in self.groups])
        mapped = [part @ weight for part, weight in zip(parts, self.weights, strict=True)]
        if self.n_frames > 1:
            flat = [part.transpose(0, 1).flatten(1) for part in mapped]
        else:
            flat = [part.flatten() for part in mapped]
        return (torch.cat(flat, dim=-1).unflatten(-1, (-1, 6)) + self.bias).transpose(-1, -2)


def _dense_kernel(kernel: Tensor) -> Tensor:
    """The kernels of mid and of side as one, which leaves no groups: (4, 2, taps) -> (4, 4, 1, taps)."""
    dense = kernel.new_zeros(4, 4, 1, kernel.shape[-1])
    dense[:2, :2, 0], dense[2:, 2:, 0] = kernel[:2], kernel[2:]
    return dense


def _split_weights(net: Restorer) -> list[Tensor]:
    """Weights of each group for features in rows: `stride` bins of 6 values each, then the wider bin's 2."""
    stride = net.recent.stride if net.recent else 1
    folded = []
    for group, weight in enumerate(net.split.weights):
        count, _, width = weight.shape
        rows = weight.detach().view(count, -1, stride, 6, width).clone()
        rows[..., 4:, :] *= LOG_MAGNITUDE_SCALE
        rows = rows.flatten(2, 3)
        if net.recent:
            wide = net.split_recent.weights[group].detach().view(count, -1, 2, width) * LOG_MAGNITUDE_SCALE
            rows = torch.cat((rows, wide), dim=2)
        folded.append(rows.flatten(1, 2))
    return folded
