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


def spoilt_windows(stats: dict, length: int) -> int:
    """In how many windows something else than the restored music may be heard: those with what the engine counted.

    A busy machine makes it more, and is not what is tested; where nothing was counted, nothing may be heard.
    """
    n_places = stats["deadline_misses"] + stats["jumps"] + stats["xruns"]
    return stats["covered_samples"] // length + 2 * n_places


def least_treble_db(samples: np.ndarray, length: int, n_spoilt: int) -> float:
    """What is left of the treble where so many windows are spoilt, and they are those with most of it."""
    windows = samples[: len(samples) // length * length].reshape(-1, length, samples.shape[1])
    energies = np.sort([10 ** (treble_db(window) / 10) for window in windows])
    share = np.sum(energies[: max(len(energies) - n_spoilt, 0)]) / np.sum(energies)
    return treble_db(samples) + float(10 * np.log10(share + 1e-20))
