"""Stores: the active sessions of one source of one recording in an HDF5 file.

    <folder>/<split>/<source>/<group>__<recording>.h5
        data    (segments, 2, samples)  int16 or float32, one chunk a segment
        starts  (segments,)             first sample of each in the recording
        attributes: provenance, licence, peak, scale

Overlapping segments are read as the one signal they were cut from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from apollo_rt.atomic_file import whole_path, write_whole
from training.data.audio import SAMPLE_RATE, Audio
from training.data.recordings import Recording

Format = Literal["int16", "float32"]
Fact = str | int | float

_FULL_SCALE = 32_767


@dataclass(frozen=True)
class Run:
    """Segments that lie side by side or overlap: music without a gap.

    Args:
        begin: First sample in the recording.
        end: The one after the last.
    """

    begin: int
    end: int


@dataclass(frozen=True)
class Store:
    """One store, as the manifest lists it.

    Args:
        path: The file.
        source: ``mixture`` or the name of the stem.
        group: Whose it is.
        recording: Its name within the group.
        licence: Of the music.
        runs: Where there is music.
    """

    path: Path
    source: str
    group: str
    recording: str
    licence: str
    runs: tuple[Run, ...]

    def read(self, begin: int, end: int) -> Audio:
        """Read a part of one run.

        Args:
            begin: First sample in the recording.
            end: The one after the last.

        Shape:
            result: ``(end - begin, 2)``

        Raises:
            ValueError: No run has all of it.
        """
        if not any(run.begin <= begin < end <= run.end for run in self.runs):
            raise ValueError(f"{self.path.name} has no run from sample {begin} to {end}")
        with h5py.File(self.path, "r") as file:
            starts, data = file["starts"][:], file["data"]
            length = data.shape[2]
            audio = np.empty((2, end - begin), np.float32)
            done = begin
            while done < end:
                row = int(np.searchsorted(starts, done, "right")) - 1
                offset = done - int(starts[row])
                count = min(length - offset, end - done)
                audio[:, done - begin : done - begin + count] = data[row, :, offset : offset + count]
                done += count
            return np.ascontiguousarray(audio.T) * np.float32(file.attrs["scale"])


def store_path(folder: Path, recording: Recording, source: str) -> Path:
    """Path where a source of a recording is stored."""
    return folder / recording.split / source / f"{recording.group}__{recording.name}.h5"


def write(
    path: Path, audio: Audio, starts: list[int], session: int, sample_format: Format, facts: dict[str, Fact]
) -> None:
    """Write a store beside its place, then move it there.

    Samples of 16 bit are scaled so that a peak above full scale is kept.

    Args:
        path: Its place.
        audio: The whole source.
        starts: First samples of the segments.
        session: Length of a segment, in samples.
        sample_format: Of the samples in the file.
        facts: Provenance and licence, kept as attributes.

    Shape:
        audio: ``(samples, 2)``
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    peak = float(np.abs(audio).max(initial=0.0))
    scale = max(1.0, peak) / _FULL_SCALE if sample_format == "int16" else 1.0
    with whole_path(path) as whole, h5py.File(whole, "w") as file:
        shape = (len(starts), 2, session)
        data = file.create_dataset("data", shape, sample_format, chunks=(1, 2, session) if starts else None)
        for row, start in enumerate(starts):
            segment = audio[start : start + session].T / np.float32(scale)
            data[row] = np.round(segment) if sample_format == "int16" else segment
        file.create_dataset("starts", data=np.array(starts, np.int64))
        file.attrs.update({"sample_rate": SAMPLE_RATE, "peak": peak, "scale": scale, **facts})


def has_facts(path: Path, facts: dict[str, Fact]) -> bool:
    """Whether a store was written from the same files in the same way; one that can't be read wasn't."""
    try:
        with h5py.File(path, "r") as file:
            return all(file.attrs.get(key) == value for key, value in facts.items())
    except OSError:
        return False


def describe(path: Path, folder: Path) -> dict[str, Fact]:
    """The manifest's line of a store: its attributes, its runs and its amount."""
    with h5py.File(path, "r") as file:
        segments, _, session = file["data"].shape
        facts: dict[str, Fact] = {
            key: value.item() if isinstance(value, np.generic) else value for key, value in file.attrs.items()
        }
        runs = find_runs(file["starts"][:], session)
    seconds = sum(run.end - run.begin for run in runs) / SAMPLE_RATE
    spans = json.dumps([(run.begin, run.end) for run in runs])
    return {"path": str(path.relative_to(folder)), "segments": segments, "seconds": seconds, "runs": spans, **facts}


def find_runs(starts: NDArray[np.int64], session: int) -> tuple[Run, ...]:
    """Join segments that lie side by side or overlap.

    Shape:
        starts: ``(segments,)``, in samples, ascending
    """
    runs: list[Run] = []
    for start in starts.tolist():
        if runs and start <= runs[-1].end:
            runs[-1] = Run(runs[-1].begin, start + session)
        else:
            runs.append(Run(start, start + session))
    return tuple(runs)


def write_manifest(folder: Path) -> list[dict[str, Fact]]:
    """List all stores below a folder in its `manifest.jsonl`, in the order of their names."""
    lines = [describe(path, folder) for path in sorted(folder.glob("*/*/*.h5"))]
    write_whole(folder / "manifest.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    return lines


def load_manifest(folder: Path, split: str) -> list[Store]:
    """The stores of one split that hold any music.

    Raises:
        ValueError: The folder has no manifest.
    """
    manifest = folder / "manifest.jsonl"
    if not manifest.exists():
        raise ValueError(f"{folder} has no manifest.jsonl; run `python -m training prepare`")
    stores = []
    for line in map(json.loads, manifest.read_text().splitlines()):
        runs = tuple(Run(*span) for span in json.loads(line["runs"]))
        if line["split"] == split and runs:
            path = folder / line["path"]
            stores.append(Store(path, line["source"], line["group"], line["recording"], line["licence"], runs))
    return stores
