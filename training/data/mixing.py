"""Mixtures of stems: gains, tone, space and width at random, and what a mastering engineer does.

stem -> treat (equaliser, saturation, chorus, echo, reverb, width) -> gain -10 .. +10 dB --\
    stem -> ...                                                                              + -> master
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pedalboard
from scipy import fft

from training.data.audio import SAMPLE_RATE, Audio

GAINS_DB = tuple(range(-10, 11))
"""Gains of the stems of a mixture, as published."""

_PEAK = 0.98


def mix(stems: Sequence[Audio], random: np.random.Generator) -> tuple[Audio, list[int]]:
    """Add stems up, each with a gain of a whole number of decibels from `GAINS_DB`.

    Args:
        stems: One or more; shorter ones are silent at the end.
        random: Draws the gains.

    Returns:
        The sum, whose peak may pass full scale, and the gains in decibels.

    Shape:
        stems and sum: ``(samples, 2)``
    """
    gains_db = [int(gain_db) for gain_db in random.choice(GAINS_DB, len(stems))]
    mixed = np.zeros((max(len(stem) for stem in stems), 2), np.float32)
    for stem, gain_db in zip(stems, gains_db, strict=True):
        mixed[: len(stem)] += stem * np.float32(10 ** (gain_db / 20))
    return mixed, gains_db


def treat(stem: Audio, random: np.random.Generator) -> Audio:
    """Give a stem another tone, room and width; a third of them stay nearly as they are.

    Shape:
        stem and result: ``(samples, 2)``
    """
    chain: list[pedalboard.Plugin] = []
    for effect, probability in ((_equaliser, 0.6), (_saturation, 0.2), (_movement, 0.15), (_echo, 0.15), (_room, 0.35)):
        if random.random() < probability:
            chain += effect(random)
    if chain:
        stem = _through(chain, stem)
    return widen(stem, _draw_width(random))


def widen(audio: Audio, width: float) -> Audio:
    """Scale the difference of left and right: 0 is mono, 1 changes nothing, 2 is very wide.

    Shape:
        audio and result: ``(samples, 2)``
    """
    mid = (audio[:, :1] + audio[:, 1:]) * np.float32(0.5)
    side = (audio[:, :1] - audio[:, 1:]) * np.float32(0.5 * width)
    return np.concatenate([mid + side, mid - side], axis=1)


def master(audio: Audio, random: np.random.Generator) -> Audio:
    """Bring a mixture to the loudness of a release: from untouched to compressed, bright and clipped.

    Shape:
        audio and result: ``(samples, 2)``; the result's peak is 0.98 at most, or 1.0 where it is clipped
    """
    chain: list[pedalboard.Plugin] = []
    if random.random() < 0.4:
        chain.append(pedalboard.HighShelfFilter(float(random.uniform(3_000, 9_000)), float(random.uniform(-4, 8))))
    peak = max(float(np.abs(audio).max(initial=0.0)), 1e-6)
    audio = audio * np.float32(_PEAK / peak)
    if random.random() < 0.5:
        threshold_db = float(random.uniform(-24, -8))
        chain.append(pedalboard.Compressor(threshold_db, float(random.uniform(1.5, 6)), 10, 150))
        chain.append(pedalboard.Gain(-threshold_db / 2))
    if chain:
        audio = _through(chain, audio)
    if random.random() < 0.15:
        clipped: Audio = np.clip(audio * np.float32(10 ** (random.uniform(0, 6) / 20)), -1, 1)
        return clipped
    return audio * np.float32(_PEAK / max(float(np.abs(audio).max(initial=0.0)), _PEAK))


def tilt(audio: Audio, slope_db: float) -> Audio:
    """Give the spectrum another slope: so many decibels per octave above 1 kHz, none below.

    Args:
        audio: What is bent, with zero phase.
        slope_db: Above 0 is brighter.

    Shape:
        audio and result: ``(samples, 2)``
    """
    length = fft.next_fast_len(len(audio), real=True)
    octaves = np.log2(np.maximum(fft.rfftfreq(length, 1 / SAMPLE_RATE) / 1000, 1.0))
    gains = (10 ** (slope_db * octaves / 20)).astype(np.float32)
    tilted: Audio = fft.irfft(fft.rfft(audio, length, axis=0) * gains[:, None], length, axis=0)[: len(audio)]
    return tilted


def fade(audio: Audio, random: np.random.Generator) -> Audio:
    """Let music end or begin within the stretch: at once, softly, or over seconds, with silence beyond.

    Shape:
        audio and result: ``(samples, 2)``
    """
    samples = len(audio)
    edge = int(random.integers(samples // 4, max(samples * 3 // 4, samples // 4 + 1)))
    length = min(int(random.choice([1, SAMPLE_RATE // 100, SAMPLE_RATE // 2, 4 * SAMPLE_RATE])), samples - edge)
    curve = np.ones(samples, np.float32)
    curve[edge : edge + length] = np.linspace(1, 0, length)
    curve[edge + length :] = 0
    return audio * (curve if random.random() < 0.5 else curve[::-1])[:, None]


def _draw_width(random: np.random.Generator) -> float:
    """Mono, as it is, or wider."""
    return float(random.choice([0.0, 1.0, random.uniform(0.3, 2.0)], p=[0.15, 0.6, 0.25]))


def _equaliser(random: np.random.Generator) -> list[pedalboard.Plugin]:
    """Two bells and a high shelf that brightens more often than it dulls."""
    bells = [
        pedalboard.PeakFilter(
            float(10 ** random.uniform(2, 4)), float(random.normal(0, 5)), float(random.uniform(0.4, 2))
        )
        for _ in range(2)
    ]
    return [*bells, pedalboard.HighShelfFilter(float(random.uniform(2_000, 10_000)), float(random.uniform(-6, 12)))]


def _saturation(random: np.random.Generator) -> list[pedalboard.Plugin]:
    """A soft clipper at a level where it is heard, turned down again by half of its drive."""
    drive_db = float(random.uniform(6, 30))
    return [pedalboard.Distortion(drive_db), pedalboard.Gain(-drive_db / 2)]


def _movement(random: np.random.Generator) -> list[pedalboard.Plugin]:
    """A chorus or a phaser."""
    rate_hz, depth = float(random.uniform(0.1, 2.0)), float(random.uniform(0.1, 0.5))
    return [pedalboard.Chorus(rate_hz, depth) if random.random() < 0.7 else pedalboard.Phaser(rate_hz, depth)]


def _echo(random: np.random.Generator) -> list[pedalboard.Plugin]:
    """A delay line with feedback."""
    return [
        pedalboard.Delay(
            float(random.uniform(0.1, 0.6)), float(random.uniform(0.1, 0.5)), float(random.uniform(0.1, 0.4))
        )
    ]


def _room(random: np.random.Generator) -> list[pedalboard.Plugin]:
    """From a small room to a hall."""
    wet = float(random.uniform(0.05, 0.4))
    return [
        pedalboard.Reverb(
            room_size=float(random.uniform(0.1, 0.95)),
            damping=float(random.uniform(0, 1)),
            wet_level=wet,
            dry_level=1 - wet,
            width=float(random.uniform(0, 1)),
        )
    ]


def _through(chain: list[pedalboard.Plugin], audio: Audio) -> Audio:
    """Run audio through a new board."""
    board = pedalboard.Pedalboard(chain)  # type: ignore[attr-defined]  # it comes by a star import
    played: Audio = board(np.ascontiguousarray(audio.T), SAMPLE_RATE).T
    return played
