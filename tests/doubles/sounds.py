"""Sounds to send through what is tested: noise whose every place can be told from every other, and a sine."""

import numpy as np

RATE = 44_100


def noise(shape: int | tuple[int, ...], level: float = 0.5, seed: int = 0) -> np.ndarray:
    """White noise, evenly spread between -`level` and `level`; a bare number of samples has two channels.

    Shape:
        result: ``(shape, 2)`` of an int, else `shape`.
    """
    shape = (shape, 2) if isinstance(shape, int) else shape
    return np.random.default_rng(seed).uniform(-level, level, shape).astype(np.float32)


def planar_noise(n_samples: int, channels: int = 2, seed: int = 0) -> np.ndarray:
    """White noise as plugins take it, whose peaks lie at 0.4.

    Shape:
        result: ``(channels, n_samples)``
    """
    return noise((channels, n_samples), 0.4, seed)


def gaussian_noise(n_samples: int, level: float = 0.1, seed: int = 0, channels: int = 2) -> np.ndarray:
    """White noise whose standard deviation is `level`.

    Shape:
        result: ``(n_samples, channels)``
    """
    return (level * np.random.default_rng(seed).standard_normal((n_samples, channels))).astype(np.float32)


def sine(n_samples: int, level: float = 0.5, frequency_hz: float = 440.0, rate: int = RATE) -> np.ndarray:
    """A sine, the same in both channels, in double precision.

    Shape:
        result: ``(n_samples, 2)``
    """
    return np.repeat(level * np.sin(2 * np.pi * frequency_hz / rate * np.arange(n_samples)), 2).reshape(-1, 2)


def delayed(samples: np.ndarray, delay: int) -> np.ndarray:
    """As long, and so many samples later; silence before.

    Shape:
        result: ``(samples, channels)``, as `samples`
    """
    return np.concatenate([np.zeros((delay, samples.shape[1]), samples.dtype), samples])[: len(samples)]
