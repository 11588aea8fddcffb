"""The causal restorer over whole clips, laid out for vector units: the numbers of `Restorer.forward`, sooner.

One frame of a graph doesn't mind that real and imaginary parts, mid and side and the outputs of a bin lie side by
side; a thousand frames do, since no vector unit likes steps of two, four and six. Here each is a plane of its own, bins
last; weights are turned accordingly, which costs nothing beside a thousand frames, and those of wide bins are repeated,
so that the products themselves write what neighbours share.

Shape of frames: `(batch, frames, channels, 2, bins)`, the 2 being the real and the imaginary part.
"""

from typing import cast

import torch
from torch import Tensor

from training.nets.causal_restorer import LOG_FLOOR, LOG_GAIN_RANGE, LOG_MAGNITUDE_SCALE, LOUDNESS_SCALE, Restorer
from training.nets.layers import SILENT_GAIN, BandLinear


def in_planes(spectrum: Tensor) -> Tensor:
    """Shape: (batch, frames, 2, bins, 2) -> (batch, frames, 2, 2, bins)."""
    return spectrum.transpose(-1, -2).contiguous()


def from_planes(planes: Tensor) -> Tensor:
    """Shape: (batch, frames, 2, 2, bins) -> (batch, frames, 2, bins, 2)."""
    return torch.view_as_real(torch.complex(*planes.unbind(-2)))


def restored_planes(net: Restorer, spectrum: Tensor, carrier: Tensor, tier: int) -> Tensor:
    """Restore clips from their beginning on, with a net that doesn't look ahead.

    Args:
        net: whose weights.
        spectrum: planes of both channels.
        carrier: noise of unit variance per complex bin, the same shape.
        tier: index of the exit.

    Shape:
        (batch, frames, 2, 2, bins), the same -> the same
    """
    batch = len(spectrum)
    with torch.autocast(spectrum.device.type, enabled=False):
        bins = _to_mid_side(spectrum.flatten(0, 1), net.spectrum_scale)
        power = bins.square().sum(2)
        band_power = (power @ net.bins_to_bands.T).transpose(1, 2)
        average, _ = net.averages(band_power, net.initial_state(batch)[0])
        recent = net.recent.of_planes(bins)
        loudness = recent.mean(1).sum(-1)
        envelope = net.envelope_of(band_power, average, loudness).detach()
        features = _features(net, bins, power, band_power, recent)
    tokens = _tokens(net, features, band_power, average).unflatten(0, (batch, -1))
    depth = net.config.exits[tier]
    for layer, past in zip(net.layers[:depth], net.initial_state(batch, tier)[1:], strict=True):
        tokens, _ = layer(tokens, past)
    head = cast("BandLinear", net.heads[tier])
    outputs = _outputs(head, net.norms[tier](tokens.flatten(0, 1)), net.config.fine_groups, net.config.stride)
    with torch.autocast(spectrum.device.type, enabled=False):
        correction, log_gain = outputs.float().split((4, 2), dim=1)
        log_gain = log_gain + envelope[:, net.band_of_bin].transpose(1, 2)
        noise = _to_mid_side(carrier.flatten(0, 1), 1.0)
        restored = _rendered(bins, noise, correction, log_gain, loudness)
        mid, side = (restored * (0.5**0.5 / net.spectrum_scale)).unbind(1)
        restored = torch.stack((mid + side, mid - side), dim=1)
        return torch.cat((restored.unflatten(0, (batch, -1)), spectrum[..., -1:]), dim=-1)


def carrier_levels(net: Restorer, spectrum: Tensor, every: int) -> tuple[Tensor, Tensor]:
    """Levels of the carrier if the maps alone were asked, which they are taught by, and of what is there.

    Args:
        net: whose maps; they alone have a gradient.
        spectrum: planes of both channels, from the beginning of a clip.
        every: frames from one answer to the next; the last of so many is the first.

    Returns:
        Log power of each band of mid and side that would be added, and power of what is there (`recent_power`).

    Shape:
        (batch, frames, 2, 2, bins) -> (batch, frames / every, bands, 2) twice
    """
    batch = len(spectrum)
    with torch.no_grad():
        bins = _to_mid_side(spectrum.flatten(0, 1), net.spectrum_scale)
        band_power = (bins.square().sum(2) @ net.bins_to_bands.T).transpose(1, 2)
        average, _ = net.averages(band_power, net.initial_state(batch)[0])
        bins, band_power, average = (
            part.unflatten(0, (batch, -1))[:, every - 1 :: every].flatten(0, 1) for part in (bins, band_power, average)
        )
        recent = net.recent.of_planes(bins)
        loudness = recent.mean(1).sum(-1)
    log_gain = net.envelope_of(band_power, average, loudness) + SILENT_GAIN
    heard = torch.log((loudness + 1e-12) * net.carrier_kept)[:, None, None]
    return tuple(levels.unflatten(0, (batch, -1)) for levels in (2 * log_gain + heard, _banded(net, recent)))


@torch.no_grad()
def recent_power(net: Restorer, spectrum: Tensor) -> Tensor:
    """Power of each band of mid and side in the newest two hops, in squares of -100 dB of full scale.

    Shape:
        (batch, frames, 2, 2, bins) -> (batch, frames, bands, 2)
    """
    recent = net.recent.of_planes(_to_mid_side(spectrum.flatten(0, 1), net.spectrum_scale))
    return _banded(net, recent).unflatten(0, spectrum.shape[:2])


def _banded(net: Restorer, recent: Tensor) -> Tensor:
    """Means over bands of the wider bins. Shape: (frames, wide bins, 2) -> (frames, bands, 2)."""
    return net.bins_to_bands[:, :: net.config.stride] * net.config.stride @ recent


def _to_mid_side(frames: Tensor, scale: float) -> Tensor:
    """Nyquist left out. Shape: (frames, 2, 2, bins) -> the same, one bin less."""
    left, right = frames[..., :-1].unbind(1)
    return torch.stack((left + right, left - right), dim=1) * (0.5**0.5 * scale)


def _features(
    net: Restorer, bins: Tensor, power: Tensor, band_power: Tensor, recent: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of fine bins, of wide ones above them, of the newest two hops. Shape: (frames, features, bins) each."""
    n_fine, stride = net.config.n_fine, net.config.stride
    per_bin = (band_power.sum(-1) + 1)[:, None, net.band_of_bin]
    per_fine, per_wide = per_bin[..., :n_fine], per_bin[..., ::stride]
    shape = bins[..., :n_fine].flatten(1, 2) * torch.rsqrt(per_fine)
    fine = torch.cat((shape, _log_share(power[..., :n_fine], per_fine)), dim=1)
    coarse = power[..., n_fine:].unflatten(-1, (-1, stride)).mean(-1)
    coarse = _log_share(coarse, per_wide[..., n_fine // stride :])
    return fine, coarse, _log_share(recent.transpose(1, 2), per_wide)


def _log_share(power: Tensor, of: Tensor) -> Tensor:
    return LOG_MAGNITUDE_SCALE * torch.log(power / of + LOG_FLOOR)


def _tokens(net: Restorer, features: tuple[Tensor, Tensor, Tensor], band_power: Tensor, average: Tensor) -> Tensor:
    """Shape: features, (frames, bands, 2), the same -> (frames, bands, width)."""
    fine, coarse, recent = features
    tokens = _to_bands(net.split, fine)
    if net.config.coarse_groups:
        tokens = torch.cat((tokens, _to_bands(net.split_coarse, coarse)), dim=1)
    level = (net.band_share @ average).sum(-1)
    loudness = LOUDNESS_SCALE * torch.log((band_power + 1) / (level + 1)[:, None, None])
    tokens = tokens + loudness[..., :1] * net.level_in[:, 0] + loudness[..., 1:] * net.level_in[:, 1]
    return tokens + _to_bands(net.split_recent, recent)


def _to_bands(layer: BandLinear, planes: Tensor) -> Tensor:
    """`BandLinear` from planes. Shape: (frames, features, bins) -> (frames, bands, width)."""
    n_frames, n_features, _ = planes.shape
    parts, begin = [], 0
    for (count, bins), weight, bias in zip(layer.band_groups, layer.weights, layer.biases, strict=True):
        part = planes[..., begin : begin + count * bins].unflatten(-1, (count, bins)).permute(2, 0, 1, 3)
        turned = weight.unflatten(1, (bins, n_features)).transpose(1, 2).flatten(1, 2)
        parts.append((part.reshape(count, n_frames, -1) @ turned + bias).transpose(0, 1))
        begin += count * bins
    return torch.cat(parts, dim=1)


def _outputs(head: BandLinear, tokens: Tensor, fine_groups: int, stride: int) -> Tensor:
    """`BandLinear` to planes, those of wide bins repeated. Shape: (frames, bands, width) -> (frames, outputs, bins)."""
    n_frames = len(tokens)
    parts = tokens.transpose(0, 1).split([count for count, _ in head.band_groups])
    planes = []
    for group, (part, weight, bias) in enumerate(zip(parts, head.weights, head.biases, strict=True)):
        count, bins = head.band_groups[group]
        n_outputs = weight.shape[-1] // bins
        times = 1 if group < fine_groups else stride
        turned, shift = (
            of.unflatten(-1, (bins, n_outputs)).transpose(-1, -2).repeat_interleave(times, dim=-1).flatten(-2)
            for of in (weight, bias)
        )
        mapped = (part @ turned + shift).unflatten(-1, (n_outputs, bins * times))
        planes.append(mapped.permute(1, 2, 0, 3).reshape(n_frames, n_outputs, count * bins * times))
    return torch.cat(planes, dim=-1)


def _rendered(bins: Tensor, noise: Tensor, correction: Tensor, log_gain: Tensor, loudness: Tensor) -> Tensor:
    """Correct what is there, add what is missing. Shape: (frames, 2, 2, bins) -> the same."""
    (re, im), (noise_re, noise_im) = bins.unbind(2), noise.unbind(2)
    c_re, c_im = correction.split(2, dim=1)
    gain = torch.exp((log_gain + SILENT_GAIN).clamp(*LOG_GAIN_RANGE)) * torch.sqrt(loudness + 1e-12)[:, None, None]
    new_re = re + re * c_re - im * c_im + gain * noise_re
    return torch.stack((new_re, im + re * c_im + im * c_re + gain * noise_im), dim=2)
