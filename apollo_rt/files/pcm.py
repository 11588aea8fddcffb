"""Raw PCM becomes floats, and floats become raw PCM."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from apollo_rt.files.raw_format import RawFormat
from apollo_rt.files.sound import Samples


def decode(form: RawFormat, data: bytes) -> Samples:
    """Turn whole samples into floats, full scale 1.0.

    Args:
        form: of the bytes.
        data: a multiple of `form.sample_bytes` long.

    Shape:
        `(samples, channels)`
    """
    if form.bits == 24:  # numpy has no such integers: a byte of 0 below makes them 32 bits wide
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        at = 1 if form.is_little else 0
        wide[:, at : at + 3] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        data = wide.tobytes()
    values = np.frombuffer(data, _dtype(form)).reshape(-1, form.channels)
    if form.is_float:
        return values.astype(np.float32)
    middle = 2.0 ** (form.bits - 1) if form.is_unsigned else 0.0
    full_scale = 2.0 ** (8 * values.dtype.itemsize - 1)
    exact: npt.NDArray[np.float64] = (values.astype(np.float64) - middle) / full_scale
    return exact.astype(np.float32)


def encode(form: RawFormat, samples: Samples) -> bytes:
    """Turn floats into bytes; integers are rounded, and clipped at full scale.

    Args:
        form: of the bytes.
        samples: full scale 1.0.

    Shape:
        `(samples, channels)`
    """
    if form.is_float:
        return samples.astype(_dtype(form)).tobytes()
    full_scale = 2.0 ** (form.bits - 1)
    whole = np.clip(np.rint(samples.astype(np.float64) * full_scale), -full_scale, full_scale - 1.0)
    whole = (whole + full_scale if form.is_unsigned else whole).astype(_dtype(form))
    if form.bits != 24:
        return whole.tobytes()
    wide: npt.NDArray[np.uint8] = np.ascontiguousarray(whole).reshape(-1, 1).view(np.uint8)
    return (wide[:, :3] if form.is_little else wide[:, 1:]).tobytes()


def _dtype(form: RawFormat) -> np.dtype[np.generic]:
    """Numpy's type of a value, of 32 bits for 24."""
    kind = "f" if form.is_float else "u" if form.is_unsigned else "i"
    n_bytes = 4 if form.bits == 24 else form.bits // 8
    return np.dtype(f"{'<' if form.is_little else '>'}{kind}{n_bytes}")


def loud_lines(path: Path, n_loud: int, is_clipped: bool) -> list[str]:
    """A line for what went beyond full scale; none where nothing did.

    Args:
        path: of what was written.
        n_loud: samples beyond.
        is_clipped: they were cut off, not kept.
    """
    what = "were clipped" if is_clipped else "may clip when played"
    return [f"{path}: {n_loud} samples beyond full scale {what}"] if n_loud else []
