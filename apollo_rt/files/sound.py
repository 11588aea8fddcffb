"""A source of sound hands out runs of decoded samples, each in its own layout and rate."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt

from apollo_rt.files.channel_layout import channel_names
from apollo_rt.files.tags import Tags

Samples = npt.NDArray[np.float32]
"""`(samples, channels)`, full scale 1.0."""

_MOST_PLANES = 8
"""PyAV 18.1 ends the process when it is asked for the planes of so many channels; FFmpeg itself packs them."""


@dataclass(frozen=True)
class Sound:
    """Decoded samples in a row.

    Attributes:
        samples: full scale 1.0; shape `(samples, channels)`.
        sample_rate: Hz.
        channels: names, such as ("FL", "FR").
        n_missing: samples that the source's clock says are missing in front of these.
        position: place of the packet that they were made of among the source's bytes, where that is known.
        title: of the music that begins with them, None where nothing is told.
    """

    samples: Samples
    sample_rate: int
    channels: tuple[str, ...]
    n_missing: int = 0
    position: int | None = None
    title: str | None = None


class SoundSource(Protocol):
    """A file, or later a network stream, as runs of samples.

    Attributes:
        sample_rate: Hz, as the header tells.
        channels: names, as the header tells.
        codec: FFmpeg's name of the first decoder.
        n_announced: samples at `sample_rate` that the header promises, None where it doesn't.
        tags: what the source says about the music.
        n_faults: places so far that could not be decoded.
    """

    sample_rate: int
    channels: tuple[str, ...]
    codec: str
    n_announced: int | None
    tags: Tags
    n_faults: int

    def sounds(self) -> Iterator[Sound]:
        """Decode to the end."""

    def end_warnings(self, n_decoded: int) -> list[str]:
        """After the end: what is missing there or left out, one line each.

        Args:
            n_decoded: samples that came, counted at `sample_rate`.
        """

    def interrupt(self) -> None:
        """Let a read of a pipe that waits end now, from another thread."""

    def close(self) -> None:
        """Close what is open."""


def sound_of(frame: av.AudioFrame, n_missing: int = 0) -> Sound:
    """Turn one decoded frame into float samples."""
    names = channel_names([channel.name for channel in frame.layout.channels])
    if frame.format.is_planar and len(names) >= _MOST_PLANES:
        frame = av.AudioResampler(frame.format.packed, frame.layout, frame.sample_rate).resample(frame)[0]
    values: npt.NDArray[np.generic] = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, len(names))
    return Sound(_full_scale_1(values), frame.sample_rate, names, n_missing)


def _full_scale_1(values: npt.NDArray[np.generic]) -> Samples:
    if values.dtype.kind == "f":
        return np.ascontiguousarray(values).astype(np.float32, copy=False)
    bits = 8 * values.dtype.itemsize
    middle = 2 ** (bits - 1) if values.dtype.kind == "u" else 0
    exact: npt.NDArray[np.float64] = (values.astype(np.float64) - middle) / 2 ** (bits - 1)
    return exact.astype(np.float32)


def without_end(sounds: list[Sound], n_samples: int) -> list[Sound]:
    """Cut samples off the end of the last run, or of several."""
    kept = list(sounds)
    while n_samples > 0 and kept:
        last = kept.pop()
        if len(last.samples) > n_samples:
            kept.append(replace(last, samples=last.samples[: len(last.samples) - n_samples]))
        n_samples -= len(last.samples)
    return kept


class StartCutter:
    """Cuts samples off the beginning of a row of runs.

    Attributes:
        n_left: samples still to be cut.
    """

    def __init__(self, n_samples: int = 0) -> None:
        """All of them are still to be cut."""
        self.n_left = n_samples
        self._n_missing = 0  # silence in front of what was cut stays

    def cut(self, sound: Sound) -> Iterator[Sound]:
        """Give what is left of the next run, if anything is."""
        n_cut = min(self.n_left, len(sound.samples))
        self.n_left -= n_cut
        n_missing = self._n_missing + sound.n_missing
        self._n_missing = n_missing if n_cut == len(sound.samples) else 0
        if n_cut < len(sound.samples):
            yield replace(sound, samples=sound.samples[n_cut:], n_missing=n_missing)
