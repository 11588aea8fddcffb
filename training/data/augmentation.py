"""Augmentation changes a crop while training: timbre, width, channels and level, always of both sides alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.audio import SAMPLE_RATE

Crop = NDArray[np.float32]


@dataclass(frozen=True)
class CropSettings:
    """Settings of drawing crops.

    Attributes:
        samples: length of a crop; a whole number of hops.
        batch: crops a step.
        clean_share: share of items whose input is the clean music itself, which must pass unharmed.
        quietest_db: gains are drawn from here to 0 dB.
        mono_share: share of items with both channels alike.
        wide_share: share of items whose difference of left and right is scaled, up to twice.
        silent_share: share of items that fall silent within the crop, or start in silence.
        mute_share: share of items that are silent from start to end.
        clipped_share: share of items played up to 6 dB too loud and clipped at full scale.
        equalised_share: share of items with another timbre: one random equaliser over both sides.
        rescaled: divide both sides by their joint peak, as published, and leave all gains out.
    """

    samples: int = 256 * 256
    batch: int = 4
    clean_share: float = 0.12
    quietest_db: float = -40.0
    mono_share: float = 0.08
    wide_share: float = 0.1
    silent_share: float = 0.04
    mute_share: float = 0.005
    clipped_share: float = 0.03
    equalised_share: float = 0.7
    rescaled: bool = False


def augment(clean: Crop, damaged: Crop, settings: CropSettings, random: np.random.Generator) -> tuple[Crop, Crop]:
    """Change both sides of a crop alike.

    Args:
        clean: One side.
        damaged: The other.
        settings: What is done how often.
        random: Decides.

    Returns:
        Damaged and clean, which is the order in which training takes them.

    Shape:
        all ``(2, samples)``
    """
    if random.random() < settings.clean_share:
        damaged = clean
    sides = [damaged, clean]
    if random.random() < settings.mono_share:
        sides = [_widened(side, 0.0) for side in sides]
    elif random.random() < settings.wide_share:
        width = float(random.uniform(0.0, 2.0))
        sides = [_widened(side, width) for side in sides]
    if random.random() < settings.equalised_share:
        sides = _equalised(sides, random)
    order = slice(None, None, 1 if random.random() < 0.5 else -1)
    sign = 1 if random.random() < 0.5 else -1
    sides = [side[order] * np.float32(sign) for side in sides]
    damaged, clean = _rescaled(sides) if settings.rescaled else _played(sides, settings, random)
    return np.ascontiguousarray(damaged, np.float32), np.ascontiguousarray(clean, np.float32)


def _widened(side: Crop, width: float) -> Crop:
    """Scale the difference of left and right."""
    middle = side.mean(0, keepdims=True)
    widened: Crop = middle + np.float32(width) * (side - middle)
    return widened


def _equalised(sides: list[Crop], random: np.random.Generator) -> list[Crop]:
    """Another timbre for both: a smooth random gain over log frequency, tilted mostly towards bright.

    A net that has seen one kind of music only learns one slope of the spectrum by heart; this makes it read the slope.
    """
    octaves = _octaves(sides[0].shape[1])
    points = np.arange(-5, 6)
    curve_db = np.interp(octaves, points, random.normal(0, 3, points.size)) + random.uniform(-2, 4) * octaves.clip(0, 5)
    gains = torch.from_numpy(np.exp(curve_db * (np.log(10) / 20)).astype(np.float32))
    # Of all FFTs in reach PyTorch's is the fastest by far at this length.
    spectra = torch.fft.rfft(torch.from_numpy(np.stack(sides)))
    bent = torch.fft.irfft(spectra * gains, sides[0].shape[1]).numpy()
    return list(bent / np.float32(max(1.0, float(np.abs(bent).max()))))


@cache
def _octaves(samples: int) -> NDArray[np.float32]:
    """Of each bin of a spectrum, above or below 1 kHz."""
    octaves: NDArray[np.float32] = np.log2(np.fft.rfftfreq(samples, 1000 / SAMPLE_RATE) + 1e-3).astype(np.float32)
    return octaves


def _rescaled(sides: list[Crop]) -> list[Crop]:
    """Divide by the peak of both, as published."""
    peak = max(float(np.abs(side).max()) for side in sides)
    return [side / np.float32(max(peak, 1e-9)) for side in sides]


def _played(sides: list[Crop], settings: CropSettings, random: np.random.Generator) -> list[Crop]:
    """Set the level: from silence, over quiet music and fades, to clipping."""
    if random.random() < settings.mute_share:
        return [np.zeros_like(side) for side in sides]
    if random.random() < settings.clipped_share:
        gain = 10 ** (random.uniform(0, 6) / 20) / float(np.abs(sides[1]).max() + 1e-9)
        return [np.clip(side * np.float32(gain), -1, 1) for side in sides]
    curve = _gain_curve(settings, random)
    return [side * curve for side in sides]


def _gain_curve(settings: CropSettings, random: np.random.Generator) -> Crop:
    """A constant gain, now and then with a hard or soft start or end."""
    level = 10 ** (random.uniform(settings.quietest_db, 0) * random.random() / 20)
    curve = np.full(settings.samples, level, np.float32)
    if random.random() < settings.silent_share:
        edge = int(random.integers(settings.samples // 8, settings.samples * 7 // 8))
        fade = min(int(random.choice([1, 441, 8820])), settings.samples - edge)
        ramp = np.ones(settings.samples, np.float32)
        ramp[edge : edge + fade] = np.linspace(1, 0, fade)
        ramp[edge + fade :] = 0
        curve *= ramp if random.random() < 0.5 else ramp[::-1]
    return curve
