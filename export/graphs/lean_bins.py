"""Between spectra and tokens with few nodes: what `Restorer` does around its layers, in planes, constants folded.

```
 spectrum, carrier -> planes -> one product -> mid and side, twice, and the carrier's: six times 8 rows of wider bins
 mid, side -> band power -> what is divided by, expanded to wider bins by a product -> features (rows, values) -> bands
 band power and its average -> rows of logarithms -> maps, one product -> where the carrier's gains begin
 tokens -> bands -> outputs (6, bins) -> gains times the planes -> one product that turns, adds and goes back
```

A plane holds real and imaginary parts of every `stride`-th bin in rows of their own: row (phase, part) has the bins
`stride * k + phase`. So all of it is sums and products of long rows, what the bins of a wider bin share is a row
repeated, and each way between spectra and planes is one transpose of two axes. Scales, the square root of a half of mid
and side, constant offsets and means are folded into weights.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.nets.causal_restorer import (
    LOG_FLOOR,
    LOG_GAIN_RANGE,
    LOG_MAGNITUDE_SCALE,
    LOUDNESS_SCALE,
    Restorer,
)
from training.nets.layers import LOG_ABSENT, LOG_ABSENT_WIDTH, SILENT_GAIN, BandLinear

_MID_SIDE = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) * 0.5**0.5
_TURN = torch.tensor([[0.0, -1.0], [1.0, 0.0]])  # times i


class Encoder(nn.Module):
    """Spectrum and carrier in, tokens out; and all that `Decoder` and the running level need.

    Args:
        net: the trained net.
        n_frames: frames of a call; one is written without the axis.
    """

    planes: Tensor
    part_sum: Tensor
    recent_sum: Tensor
    band_mean: Tensor
    frame_mean: Tensor
    channel_sum: Tensor
    to_wide: Tensor
    recent_kernel: Tensor
    level_in: Tensor
    bias: Tensor

    def __init__(self, net: Restorer, n_frames: int) -> None:
        """Fold the constants."""
        super().__init__()
        config = net.config
        self.n_frames, self.n_bins, self.stride = n_frames, config.framing.n_bins - 1, config.stride
        self.n_wide, self.n_low = self.n_bins // self.stride, config.n_fine // self.stride
        self.fine = config.recent_groups[: config.fine_groups]
        self.coarse = config.coarse_groups
        scaled = _MID_SIDE * net.spectrum_scale
        self.register_buffer("planes", torch.block_diag(torch.cat((scaled, scaled)), _MID_SIDE))
        self.register_buffer("part_sum", torch.kron(torch.eye(2 * self.stride), torch.ones(1, 2)))
        self.register_buffer("recent_sum", torch.kron(torch.eye(2), torch.ones(1, 2)))
        self.register_buffer("band_mean", _by_phase(net.bins_to_bands, self.stride).T.contiguous())
        self.register_buffer("frame_mean", net.band_share[:, None])
        self.register_buffer("channel_sum", torch.ones(1, 2))
        one_hot = functional.one_hot(net.band_of_bin[:: self.stride], config.n_bands).float().T
        self.register_buffer("to_wide", one_hot.contiguous())
        self.register_buffer("recent_kernel", _kernel_by_phase(net.recent.kernel, self.stride))
        self.weights = nn.ParameterList(_fine_weights(net) + _coarse_weights(net))
        self.register_buffer("level_in", net.level_in * LOUDNESS_SCALE)
        biases = [*net.split.biases, *net.split_coarse.biases]
        self.register_buffer("bias", torch.cat(biases) + torch.cat(list(net.split_recent.biases)))

    def planes_of(self, spectrum: Tensor, carrier: Tensor) -> Tensor:
        """Mid and side twice, then the carrier's.

        Shape:
            (..., 2, bins + 1, 2) twice -> (..., 6, stride * 2 * wider bins)
        """
        both = torch.cat((spectrum, carrier), dim=-3)[..., : self.n_bins, :]
        rows = both.unflatten(-2, (self.n_wide, self.stride)).flatten(-2).transpose(-1, -2)
        return self.planes @ rows.flatten(-2)

    def forward(self, planes: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Everything of the frame but what needs the running power.

        Returns:
            Features of the wider bins: below with those of the fine bins that make them, and above; power of each band,
            and what the carrier's gains are relative to, its root.

        Shape:
            (..., 6, stride * 2 * wider bins) -> [(..., rows, values)] * 2, (..., 2, bands), (..., 1, 1)
        """
        bins = planes[..., :2, :].unflatten(-1, (2 * self.stride, -1)).flatten(-3, -2)
        power = self.part_sum @ (bins * bins)
        band_power = power.unflatten(-2, (2, self.stride)).flatten(-2) @ self.band_mean
        total = self.channel_sum @ band_power
        divisor = (total + 1) @ self.to_wide
        recent = self._recent(bins)
        loudness = torch.linalg.vector_norm(recent, dim=(-2, -1), keepdim=True)
        log_recent = torch.log(self.recent_sum @ (recent * recent) / divisor + LOG_FLOOR)
        edges = (self.n_low, self.n_wide - self.n_low)
        low_recent, high_recent = log_recent.split(edges, dim=-1)
        low_divisor, high_divisor = divisor.split(edges, dim=-1)
        low, high = power.split(edges, dim=-1)
        normal, log_low = bins[..., : self.n_low] / torch.sqrt(low_divisor), torch.log(low / low_divisor + LOG_FLOOR)
        rows = [torch.cat((normal, log_low, low_recent), dim=-2).transpose(-1, -2)]
        if self.coarse:
            log_high = torch.log(high.unflatten(-2, (2, self.stride)).mean(-2) / high_divisor + LOG_FLOOR)
            rows.append(torch.cat((log_high, high_recent), dim=-2).transpose(-1, -2))
        return rows, band_power, loudness

    def _recent(self, bins: Tensor) -> Tensor:
        """The newest two hops' spectrum: two dimensions of which one is 1, which ONNX Runtime does faster than one."""
        reach = self.recent_kernel.shape[-1] // 2
        lines = bins.unsqueeze(-2) if self.n_frames > 1 else bins[None, :, None]
        wide = functional.conv2d(lines, self.recent_kernel, padding=(0, reach))
        return wide.squeeze(-2) if self.n_frames > 1 else wide.view(4, -1)

    def tokens(self, rows: list[Tensor], band_power: Tensor, average: Tensor) -> Tensor:
        """Features to one token a band.

        Shape:
            [(..., rows, values)] * 2, (..., 2, bands), (..., 2, bands) -> (frames * bands, width)
        """
        level = self.channel_sum @ average @ self.frame_mean
        groups = (*self.fine, *self.coarse)
        parts = [
            part
            for all_rows, of in zip(rows, (self.fine, self.coarse), strict=False)
            for part in all_rows.split([count * n_rows for count, n_rows in of], dim=-2)
        ]
        mapped = torch.cat(
            [
                self._by_band(part, count) @ weight
                for part, (count, _), weight in zip(parts, groups, self.weights, strict=True)
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


class Envelope(nn.Module):
    """Log gains that the carrier begins with: `EnvelopeMap` over rows, its answers for bins in the order of planes.

    Args:
        net: the trained net.
    """

    mean_of_sum: Tensor
    choice: Tensor
    maps: Tensor
    to_bins: Tensor

    def __init__(self, net: Restorer) -> None:
        """Lay the weights out for rows of bands; a frame's mean is a sum in `loudness`, which takes its logarithm."""
        super().__init__()
        config, one = net.config, net.envelope
        n_wide = (config.framing.n_bins - 1) // config.stride
        self.register_buffer("mean_of_sum", torch.tensor(1 / n_wide))
        self.register_buffer("choice", one.choice.weight.detach().T.contiguous())
        self.register_buffer("maps", one.maps.weight.detach().T.contiguous())
        self.choice_bias, self.maps_bias = one.choice.bias, one.maps.bias
        one_hot = functional.one_hot(net.band_of_bin, config.n_bands).float().T
        self.register_buffer("to_bins", _by_phase(one_hot, config.stride).contiguous())

    def forward(self, band_power: Tensor, average: Tensor, loudness: Tensor) -> Tensor:
        """Map both channels alike.

        Shape:
            (..., 2, bands), (..., 2, bands), (..., 1, 1) -> (..., 2, bins)
        """
        reference = loudness * loudness * self.mean_of_sum + 1
        rows = torch.log((torch.cat((band_power, average), dim=-1) + 1) / reference)
        usual = rows[..., band_power.shape[-1] :]
        present = torch.sigmoid((usual - LOG_ABSENT) / LOG_ABSENT_WIDTH)
        chosen = torch.softmax(present @ self.choice + self.choice_bias, dim=-1)
        mapped = (rows @ self.maps + self.maps_bias).unflatten(-1, (chosen.shape[-1], -1))
        return (chosen.unsqueeze(-2) @ mapped).squeeze(-2) @ self.to_bins


class Decoder(nn.Module):
    """Tokens and planes to restored frames.

    Args:
        net: the trained net.
        n_frames: frames of a call.
        tier: index of the exit.
    """

    fine_bias: Tensor
    coarse_bias: Tensor
    back: Tensor

    def __init__(self, net: Restorer, n_frames: int, tier: int) -> None:
        """Fold what is added to the outputs into the bias, and the way back into one product."""
        super().__init__()
        config = net.config
        self.n_frames, self.groups, self.n_fine_groups = n_frames, config.head_groups, config.fine_groups
        self.n_bins, self.n_bands, self.stride = config.framing.n_bins - 1, config.n_bands, config.stride
        self.norm = net.norms[tier]
        # `loudness` is the root of a sum where the net has that of a mean.
        shift = -0.5 * math.log(self.n_bins // self.stride)
        self.gain_range = tuple(bound + shift for bound in LOG_GAIN_RANGE)
        offset = torch.tensor([1.0, 1.0, 0.0, 0.0, SILENT_GAIN + shift, SILENT_GAIN + shift])
        head = cast("BandLinear", net.heads[tier])
        weights, biases = [], []
        for group, (weight, bias) in enumerate(zip(head.weights, head.biases, strict=True)):
            shifted = bias.detach().unflatten(-1, (-1, 6)) + offset
            if group < self.n_fine_groups:
                weight, shifted = (_outputs_by_phase(one, self.stride) for one in (weight, shifted.flatten(-2)))
            weights.append(weight)
            biases.append(shifted.flatten())
        self.weights = nn.ParameterList(weights)
        self.register_buffer("fine_bias", torch.cat(biases[: self.n_fine_groups]).view(-1, 6 * self.stride))
        coarse = biases[self.n_fine_groups :]
        self.register_buffer("coarse_bias", torch.cat(coarse).view(-1, 6) if coarse else torch.zeros(0, 6))
        parts = torch.stack((torch.eye(2), _TURN, torch.eye(2))) / net.spectrum_scale
        back = torch.einsum("cm,pab,ij->ciapmjb", _MID_SIDE, parts, torch.eye(self.stride))
        self.register_buffer("back", back.reshape(4 * self.stride, -1))

    def forward(self, tokens: Tensor, planes: Tensor, envelope: Tensor, loudness: Tensor, spectrum: Tensor) -> Tensor:
        """Correct what is there, add what is missing.

        Shape:
            (frames * bands, width), (..., 6, stride * 2 * wider bins), (..., 2, bins), (..., 1, 1),
            (..., 2, bins + 1, 2) -> (..., 2, bins + 1, 2)
        """
        correction, log_gain = self._outputs(self.norm(tokens)).split((4, 2), dim=-2)
        gain = torch.exp((log_gain + envelope).clamp(*self.gain_range)) * loudness
        factors = torch.cat((correction, gain), dim=-2).unflatten(-1, (self.stride, 1, -1))
        products = planes.unflatten(-1, (self.stride, 2, -1)) * factors
        rows = (self.back @ products.flatten(-4, -2)).unflatten(-2, (2, -1)).transpose(-1, -2)
        restored = rows.unflatten(-1, (self.stride, 2)).flatten(-3, -2)
        return torch.cat((restored, spectrum[..., self.n_bins :, :]), dim=-2)

    def _outputs(self, tokens: Tensor) -> Tensor:
        """(frames * bands, width) -> (..., 6, bins); above the fine bins, those of a wider bin share theirs."""
        by_band = tokens.view(self.n_frames, self.n_bands, -1).transpose(0, 1) if self.n_frames > 1 else tokens[:, None]
        parts = by_band.split([count for count, _ in self.groups])
        mapped = [part @ weight for part, weight in zip(parts, self.weights, strict=True)]
        if self.n_frames > 1:
            flat = [part.transpose(0, 1).flatten(1) for part in mapped]
        else:
            flat = [part.flatten() for part in mapped]
        fine = torch.cat(flat[: self.n_fine_groups], dim=-1).unflatten(-1, (-1, 6 * self.stride)) + self.fine_bias
        outputs = fine.transpose(-1, -2).unflatten(-2, (6, self.stride))
        if len(flat) > self.n_fine_groups:
            coarse = torch.cat(flat[self.n_fine_groups :], dim=-1).unflatten(-1, (-1, 6)) + self.coarse_bias
            shared = coarse.transpose(-1, -2).unsqueeze(-2)  # repeated by hand: Expand is no operator of model files
            outputs = torch.cat((outputs, torch.cat([shared] * self.stride, dim=-2)), dim=-1)
        return outputs.flatten(-2)


def _by_phase(rows: Tensor, stride: int) -> Tensor:
    """Bins in the order of planes. Shape: (..., bins) -> the same."""
    return rows.unflatten(-1, (-1, stride)).transpose(-1, -2).flatten(-2)


def _outputs_by_phase(rows: Tensor, stride: int) -> Tensor:
    """Outputs of a band from (bin, output) to (wider bin, output, bin within it).

    Shape:
        (..., bins * 6) -> the same
    """
    return rows.detach().unflatten(-1, (-1, stride, 6)).transpose(-1, -2).flatten(-3)


def _kernel_by_phase(kernel: Tensor, stride: int) -> Tensor:
    """The kernels of mid and of side as one over planes: (4, 2, taps) -> (4, 4 * stride, 1, wider taps).

    Tap t of the kernel meets bin `stride * k + t - reach`: number k + m of phase j, where t - reach = stride * m + j.
    """
    reach = kernel.shape[-1] // 2
    wide_reach = -(-reach // stride)
    dense = kernel.new_zeros(4, 2, stride, 2, 2 * wide_reach + 1)
    for tap in range(kernel.shape[-1]):
        m, j = divmod(tap - reach, stride)
        dense[:2, 0, j, :, m + wide_reach] = kernel[:2, :, tap]
        dense[2:, 1, j, :, m + wide_reach] = kernel[2:, :, tap]
    return dense.flatten(1, 3).unsqueeze(2)


def _fine_weights(net: Restorer) -> list[Tensor]:
    """Weights of each fine group for features in rows: of its `stride` bins 4 parts and 2 levels, the wider bin's 2."""
    folded = []
    for weight, recent in zip(net.split.weights, net.split_recent.weights, strict=False):
        count, _, width = weight.shape
        values = weight.detach().view(count, -1, net.config.stride, 6, width)
        parts, levels = values.split((4, 2), dim=3)
        parts = parts.unflatten(3, (2, 2)).transpose(2, 3)  # (mid or side, phase, part), as the planes have them
        wide = recent.detach().view(count, -1, 2, width) * LOG_MAGNITUDE_SCALE
        rows = (parts.flatten(2, 4), levels.transpose(2, 3).flatten(2, 3) * LOG_MAGNITUDE_SCALE, wide)
        folded.append(torch.cat(rows, dim=2).flatten(1, 2))
    return folded


def _coarse_weights(net: Restorer) -> list[Tensor]:
    """Weights of each group above: 2 values of the wider bin in the long window, 2 in the newest two hops."""
    recents = list(net.split_recent.weights)[net.config.fine_groups :]
    folded = []
    for weight, recent in zip(net.split_coarse.weights, recents, strict=True):
        rows = [one.detach().view(len(one), -1, 2, one.shape[-1]) for one in (weight, recent)]
        folded.append(LOG_MAGNITUDE_SCALE * torch.cat(rows, dim=2).flatten(1, 2))
    return folded
