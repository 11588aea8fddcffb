"""Levels: log powers of ear-wide bands of left, right, mid and side, in windows of three lengths.

Frame k of all of them ends with sample `(k + 1) * hop - 1`, as in `training.nets.framing`. A window's power is scaled
so that a steady sound has the same level in all three. One level is log10 of a band's share of full-scale power.

```
 long   2048 samples, the framing's own window    how the spectrum is shaped
 short  512 samples, the synthesis window         what one frame can change: also what is learnt
 fast   128 samples, four a hop                   attacks
```
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter
from torch import Tensor

from apollo_rt.config import Framing
from apollo_rt.stream.stft import asymmetric_windows

Groups = tuple[tuple[int, int], ...]

FLOOR = 1e-12
"""Added to every power: -120 dB of full scale, inaudible, and no logarithm of zero."""

_EDGE_HZ = 300
"""Above the last band that is whole: where a low-pass ends is not told to the bin."""

SIGNALS = ("left", "right", "mid", "side")


@dataclass(frozen=True)
class LevelBands:
    """Windows and bands, and what follows from them.

    Attributes:
        framing: the engine's.
        long_groups: (number of bands, bins of each) of the long window, from low to high.
        short_groups: of the short window; these bands are also those that are learnt.
        fast_groups: of the fast windows.
        fast_length: samples of a fast window; four begin in a hop.
        slow_times_s: time constants of the running averages.
    """

    framing: Framing = field(default_factory=Framing)
    long_groups: Groups = ((16, 4), (24, 8), (48, 16))
    short_groups: Groups = ((8, 2), (12, 4), (24, 8))
    fast_groups: Groups = ((8, 1), (12, 2), (8, 4))
    fast_length: int = 128
    slow_times_s: tuple[float, ...] = (0.5, 4.0)

    @property
    def n_long(self) -> int:
        """Bands of the long window."""
        return sum(count for count, _ in self.long_groups)

    @property
    def n_short(self) -> int:
        """Bands of the short window."""
        return sum(count for count, _ in self.short_groups)

    @property
    def n_fast(self) -> int:
        """Bands of a fast window."""
        return sum(count for count, _ in self.fast_groups)

    @property
    def fast_a_hop(self) -> int:
        """Fast windows that begin in a hop."""
        return 2 * self.framing.hop_length // self.fast_length

    @cached_property
    def widths(self) -> dict[str, tuple[int, ...]]:
        """Numbers of one frame by part, as shapes without the frame: signals before bands."""
        signals, n_slow = len(SIGNALS), len(self.slow_times_s)
        return {
            "long": (signals, self.n_long),
            "short": (signals, self.n_short),
            "fast": (2, self.fast_a_hop, self.n_fast),
            "slow": (n_slow, signals, self.n_short),
        }

    def known_below(self, cut_hz: float) -> NDArray[np.float32]:
        """1 for each band that is learnt where the clean music reaches it, 0 above its own end, `cut_hz`.

        Shape:
            result: ``(short bands,)``
        """
        return (self.centres_hz("short") < cut_hz - _EDGE_HZ).astype(np.float32)

    def centres_hz(self, part: str) -> NDArray[np.float64]:
        """Middle of each band of a part, in hertz.

        Shape:
            result: ``(bands of the part,)``
        """
        groups = {"long": self.long_groups, "fast": self.fast_groups}.get(part, self.short_groups)
        edges = np.concatenate(([0], np.cumsum(_bins(groups)))) * self.framing.sample_rate / 2 / sum(_bins(groups))
        return (edges[1:] + edges[:-1]) / 2


def measure(audio: NDArray[np.float32], bands: LevelBands) -> dict[str, NDArray[np.float16]]:
    """Measures all levels of a recording.

    Args:
        audio: full scale 1.0; cut to whole hops.
        bands: what to measure.

    Returns:
        Levels by part, `slow` among them.

    Shape:
        audio: ``(samples, 2)``; parts: ``(frames, *bands.widths[part])``
    """
    hop = bands.framing.hop_length
    left, right = torch.from_numpy(np.ascontiguousarray(audio[: len(audio) // hop * hop].T))
    signals = torch.stack((left, right, (left + right) * 0.5**0.5, (left - right) * 0.5**0.5))
    window = torch.from_numpy(np.asarray(asymmetric_windows(bands.framing)[0], np.float32))
    long = _powers(signals, window, hop, bands.long_groups)
    short = _powers(signals, torch.hann_window(2 * hop), hop, bands.short_groups)
    fast = _powers(signals[:2], torch.hann_window(bands.fast_length), bands.fast_length // 2, bands.fast_groups)
    fast = fast.unflatten(0, (-1, bands.fast_a_hop)).transpose(1, 2)
    pairs = long.unflatten(-1, (bands.n_short, -1)).sum(-1).numpy()
    slow = torch.from_numpy(
        np.stack([running_mean(pairs, time_s / bands.framing.hop_period_s) for time_s in bands.slow_times_s], axis=1)
    )
    parts = {"long": long, "short": short, "fast": fast, "slow": slow}
    return {name: torch.log10(power + FLOOR).numpy().astype(np.float16) for name, power in parts.items()}


def measure_likeness(
    damaged: NDArray[np.float32], clean: NDArray[np.float32], bands: LevelBands
) -> NDArray[np.float16]:
    """Measures what the spectra of a damaged and a clean recording have in common, by band of left and of right.

    Args:
        damaged: full scale 1.0; cut to whole hops.
        clean: as long.
        bands: where they are compared.

    Returns:
        The level of the clean recording, and how far the real part of their coherence lies below one, 0 to 2.

    Shape:
        ``(samples, 2)`` twice -> ``(frames, 2, 2, n_long)``: left and right, then level and distance
    """
    ours, wanted = (_spectrum(audio, bands) for audio in (damaged, clean))
    scale = scale_of(torch.from_numpy(np.asarray(asymmetric_windows(bands.framing)[0], np.float32)))
    there, whole = (banded(one.square().sum(-1), bands.long_groups) * scale for one in (ours, wanted))
    common = banded((ours * wanted).sum(-1), bands.long_groups) * scale
    coherence = (common + FLOOR) / torch.sqrt((there + FLOOR) * (whole + FLOOR))
    return torch.stack((torch.log10(whole + FLOOR), (1 - coherence).clamp(0.0, 2.0)), dim=2).numpy().astype(np.float16)


def _spectrum(audio: NDArray[np.float32], bands: LevelBands) -> Tensor:
    """Frames of the engine without Nyquist. Shape: (samples, 2) -> (frames, 2, bins, 2)."""
    hop, length = bands.framing.hop_length, bands.framing.analysis_length
    channels = torch.from_numpy(np.ascontiguousarray(audio[: len(audio) // hop * hop].T))
    window = torch.from_numpy(np.asarray(asymmetric_windows(bands.framing)[0], np.float32))
    padded = torch.nn.functional.pad(channels, (length - hop, 0))
    spectrum = torch.stft(padded, length, hop, length, window, center=False, return_complex=True)[:, :-1]
    return torch.view_as_real(spectrum).permute(2, 0, 1, 3)


def banded(power: Tensor, groups: Groups) -> Tensor:
    """Sums of power over bands. Shape: (..., bins) -> (..., bands)."""
    parts = power.split([count * bins for count, bins in groups], dim=-1)
    return torch.cat([part.unflatten(-1, group).sum(-1) for part, group in zip(parts, groups, strict=True)], dim=-1)


def scale_of(window: Tensor) -> float:
    """Scale that makes the power of a one-sided spectrum under a window that of the samples.

    Shape:
        window: ``(samples,)``
    """
    return 2 / len(window) / float(window.square().sum())


def running_mean(power: NDArray[np.float32], frames: float) -> NDArray[np.float32]:
    """Averages over the past, newest most, from the first frame on as if nothing had been before.

    Args:
        power: along the first axis.
        frames: time constant.

    Shape:
        (frames, ...) -> the same
    """
    decay = float(np.exp(-1 / frames))
    total = lfilter([1.0], [1.0, -decay], power.astype(np.float64), axis=0)
    weight = lfilter([1.0], [1.0, -decay], np.ones(len(power)))
    return np.asarray(total / weight.reshape(-1, *[1] * (power.ndim - 1)), np.float32)


def _powers(signals: Tensor, window: Tensor, hop: int, groups: Groups) -> Tensor:
    """Power of each band under a window that ends with each hop; zeros stand before the start.

    Shape:
        (signals, samples) -> (frames, signals, bands)
    """
    length = len(window)
    padded = torch.nn.functional.pad(signals, (length - hop, 0))
    spectrum = torch.stft(padded, length, hop, length, window, center=False, return_complex=True)[:, :-1]
    power = torch.view_as_real(spectrum).square().sum(-1) * scale_of(window)
    return banded(power.permute(2, 0, 1), groups)


def _bins(groups: Groups) -> list[int]:
    """Bins of each band."""
    return [bins for count, bins in groups for _ in range(count)]
