"""Sines through the resampler, and what is left of them."""

import itertools
import math

import numpy as np

from apollo_rt.stream.resample import half_length, make_resampler, n_ready, pull, push, rewind


def tone(frequency_hz: float, rate: float, n: int, start_s: float = 0.0) -> np.ndarray:
    angles = 2 * np.pi * frequency_hz * (np.arange(n) / rate + start_s)
    return np.stack([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def convert(
    samples: np.ndarray, rates: tuple[int, int], sizes: tuple[int, ...] = (1000,), delay: float | None = None,
    ppm: float = 0.0, is_steered: bool = True,
) -> np.ndarray:  # fmt: skip
    """All that can be had from pushing in blocks."""
    resampler = make_resampler(*rates, max(sizes), is_steered)
    rewind(resampler, half_length(*rates, is_steered) if delay is None else delay)
    step, out, position = rates[0] / rates[1] * (1 + ppm * 1e-6), [], 0
    blocks = itertools.cycle(sizes)
    while position < len(samples):
        size = next(blocks)
        push(resampler, samples[position : position + size])
        block = np.full((n_ready(resampler, step), 2), np.nan, np.float32)
        pull(resampler, block, step)
        out.append(block)
        position += size
    return np.concatenate(out)


def level_db(samples: np.ndarray) -> float:
    """Of a sine; 0 dB is full scale."""
    return 20 * math.log10(math.sqrt(2) * float(np.std(samples.astype(np.float64))) + 1e-12)


def fit(out: np.ndarray, frequency_hz: float, rate: float) -> tuple[float, float]:
    """Level of the best-fitting sine, and of what is left without it: images, aliases, noise; in dB of full scale."""
    angles = 2 * np.pi * frequency_hz / rate * np.arange(len(out))
    basis = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    weights = np.linalg.lstsq(basis, out[:, 0].astype(np.float64), rcond=None)[0]
    return 20 * math.log10(float(np.hypot(*weights)) + 1e-12), level_db(out[:, 0] - basis @ weights)
