"""How two pieces of music lie to each other, and how alike they are."""

import numpy as np

RATE = 44_100


def lag_of(part: np.ndarray, whole: np.ndarray) -> int:
    """Where a part begins in a whole, by cross-correlation."""
    n = 1 << (len(part) + len(whole)).bit_length()
    spectra = [np.fft.rfft(samples.mean(axis=1, dtype=np.float64), n) for samples in (part, whole)]
    return int(np.argmax(np.fft.irfft(spectra[1] * np.conj(spectra[0]), n)[: len(whole)]))


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Normalised correlation: 1 for the same sound at any level."""
    return float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b) + 1e-20))


def treble_db(samples: np.ndarray, cutoff_hz: float = 11_025.0) -> float:
    """Energy above a frequency."""
    power = np.abs(np.fft.rfft(samples.mean(axis=1))) ** 2
    return float(10 * np.log10(np.sum(power[np.fft.rfftfreq(len(samples), 1 / RATE) >= cutoff_hz]) + 1e-20))
