"""From recordings to stores: scan all, decide, then write, with as many processes as there are cores.

    recordings -> scan (fingerprint, bandwidth) -> keep test splits and duplicates out -> activity -> stores

Each recording is scanned once and each store written once: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.progress import Progress

from apollo_rt.atomic_file import whole_path
from training.data import stores
from training.data.activity import ActivitySettings, active_sessions
from training.data.audio import measure_cut_hz
from training.data.fingerprint import Fingerprint, fingerprint, is_same
from training.data.recordings import MIXTURE, Recording, load_sum
from training.data.worker_processes import submitted

UNREADABLE = (OSError, ValueError, EOFError, soundfile.SoundFileError)
"""What a broken file raises."""

_PRIORITY = ("test", "valid", "train")
"""A recording that is in two splits stays in the one that comes first here."""


@dataclass(frozen=True)
class PreparationSettings:
    """Settings of making stores of recordings.

    Args:
        activity: Which parts are kept.
        sample_format: Of the stores.
        min_cut_hz: A recording whose own spectrum ends below this is left out: it would teach a low-pass.
        workers: Processes.
    """

    activity: ActivitySettings = field(default_factory=ActivitySettings)
    sample_format: stores.Format = "int16"
    min_cut_hz: float = 19_500.0
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)

    def __post_init__(self) -> None:
        """Check what would only fail later.

        Raises:
            ValueError: There is no such format, or no worker.
        """
        if self.sample_format not in ("int16", "float32"):
            raise ValueError(f"sample_format must be int16 or float32, got {self.sample_format!r}")
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")


@dataclass(frozen=True)
class Report:
    """Report of what became of the recordings.

    Args:
        written: Stores written now or before.
        left_out: Recordings that are not stored, and why.
    """

    written: int
    left_out: dict[str, str]


def prepare(recordings: Sequence[Recording], folder: Path, settings: PreparationSettings) -> Report:
    """Write the stores of all recordings that may be trained or validated on.

    Args:
        recordings: Test splits included, so that their copies are found in the others.
        folder: Where stores and manifest go.
        settings: How.
    """
    jobs = {_name(one): partial(_scan, one, folder / "scans") for one in recordings}
    scans, left_out = run_all(jobs, settings.workers, "Listening to recordings")
    dull = {name: scan.cut_hz for name, scan in scans.items() if scan.cut_hz < settings.min_cut_hz}
    left_out |= {name: f"its spectrum ends at {cut_hz:.0f} Hz" for name, cut_hz in dull.items()}
    left_out |= {_name(one): "belongs to a test split" for one in recordings if one.split == "test"}
    left_out |= _refuse_duplicates(folder)
    left_out |= _namesakes([one for one in recordings if _name(one) not in left_out])
    kept = [one for one in recordings if _name(one) not in left_out]
    _drop_stale(kept, recordings, folder)
    writing = {
        f"{_name(one)}/{source}": partial(_write_store, one, source, folder, settings)
        for one in kept
        for source in one.sources()
    }
    _, failed = run_all(writing, settings.workers, "Writing stores")
    return Report(len(stores.write_manifest(folder)), dict(sorted((left_out | failed).items())))


@dataclass(frozen=True)
class Scan:
    """Measures of a whole recording.

    Args:
        name: Of the recording in reports.
        split: It is in.
        store: Name of its stores.
        cut_hz: Where its spectrum ends.
        fingerprint: To know it again.
    """

    name: str
    split: str
    store: str
    cut_hz: float
    fingerprint: Fingerprint


def find_duplicates(scans: Sequence[Scan]) -> dict[str, str]:
    """Recordings that are also in a split that comes before theirs: test, then validation, then training.

    Returns:
        Which ones, and what they are copies of.
    """
    refused: dict[str, str] = {}
    for ours in scans:
        before = _PRIORITY[: _PRIORITY.index(ours.split)]
        for theirs in scans:
            if theirs.split in before and is_same(ours.fingerprint, theirs.fingerprint):
                refused[ours.name] = f"is the same recording as {theirs.name}, which is in the split {theirs.split}"
                break
    return refused


def run_all(jobs: Mapping[str, Callable[[], Any]], workers: int, title: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Run jobs in processes with a progress bar; what a broken file raises is reported, not fatal.

    Args:
        jobs: By name; each must be picklable.
        workers: Processes; with one, everything stays in this process.
        title: Of the bar.

    Returns:
        The results, and the reasons of those that failed.
    """
    results: dict[str, Any] = {}
    failed: dict[str, str] = {}
    with Progress(transient=True) as progress:
        bar = progress.add_task(title, total=len(jobs))
        for name, outcome in _outcomes(jobs, workers):
            try:
                results[name] = outcome()
            except UNREADABLE as error:
                failed[name] = str(error).splitlines()[0] if str(error) else type(error).__name__
            progress.advance(bar)
    return results, failed


def _outcomes(jobs: Mapping[str, Callable[[], Any]], workers: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Each job's name and a function that gives its result, in the order in which they are done."""
    if workers == 1 or len(jobs) < 2:
        yield from jobs.items()
        return
    with submitted(jobs.values(), workers) as futures:
        names = dict(zip(futures, jobs, strict=True))
        for future in as_completed(futures):
            yield names[future], future.result


def _scan(recording: Recording, folder: Path) -> Scan:
    """Measure a recording, or take what was measured before, unless its files have changed."""
    kept = folder / f"{sha256(_name(recording).encode()).hexdigest()[:32]}.npz"
    content = _content(recording)
    if not kept.exists() or _read_scan(kept)[1] != content:
        audio = load_sum(recording.mixture)
        taken = fingerprint(audio)
        facts = {
            "name": _name(recording),
            "split": recording.split,
            "store": _store_name(recording),
            "content": content,
            "cut_hz": measure_cut_hz(audio) if len(taken.codes) else 0.0,
        }
        folder.mkdir(parents=True, exist_ok=True)
        with whole_path(kept) as whole, whole.open("wb") as file:
            np.savez(file, facts=json.dumps(facts), codes=taken.codes, frames=taken.frames)
    return _read_scan(kept)[0]


def _read_scan(file: Path) -> tuple[Scan, str]:
    """A scan and the digest of what was scanned."""
    with np.load(file) as found:
        facts = json.loads(str(found["facts"]))
        content = facts.pop("content")
        return Scan(**facts, fingerprint=Fingerprint(found["codes"], found["frames"])), content


def _refuse_duplicates(folder: Path) -> dict[str, str]:
    """Compare all that was ever scanned into this folder, and delete the stores of what is refused now."""
    scans = [_read_scan(file)[0] for file in sorted((folder / "scans").glob("*.npz"))]
    refused = find_duplicates(scans)
    for scan in scans:
        if scan.name in refused:
            for path in folder.glob(f"{scan.split}/*/{glob.escape(scan.store)}"):
                path.unlink()
    return refused


def _write_store(recording: Recording, source: str, folder: Path, settings: PreparationSettings) -> None:
    """Write the store of one source if it isn't there yet; each source has its own activity."""
    files = recording.sources()[source]
    path = stores.store_path(folder, recording, source)
    facts = _facts(recording, source, files, settings)
    if path.exists() and stores.has_facts(path, facts):
        return
    audio = load_sum(files)
    starts = active_sessions(audio, settings.activity)
    stores.write(path, audio, starts, settings.activity.session, settings.sample_format, facts)


def _facts(
    recording: Recording, source: str, files: tuple[Path, ...], settings: PreparationSettings
) -> dict[str, stores.Fact]:
    """Provenance and licence of one source."""
    return {
        "source": source,
        "layout": recording.layout,
        "group": recording.group,
        "recording": recording.name,
        "split": recording.split,
        "licence": recording.licence,
        "files": json.dumps([str(file) for file in files]),
        "activity": repr(settings.activity),
        "sample_format": settings.sample_format,
    }


def _namesakes(recordings: Sequence[Recording]) -> dict[str, str]:
    """Recordings whose stores would have the names of another one's."""
    first: dict[tuple[str, str], str] = {}
    refused = {}
    for one in recordings:
        name = first.setdefault((one.split, _store_name(one)), _name(one))
        if name != _name(one):
            refused[_name(one)] = f"has the same name as {name}"
    return refused


def _drop_stale(kept: Sequence[Recording], recordings: Sequence[Recording], folder: Path) -> None:
    """Delete the stores that an earlier run wrote of recordings that are refused now, or in another split."""
    wanted = {stores.store_path(folder, one, source) for one in kept for source in one.sources()}
    names = {_store_name(one) for one in recordings}
    for path in folder.glob("*/*/*.h5"):
        if path.name in names and path not in wanted:
            path.unlink()


def _name(recording: Recording) -> str:
    """Name of a recording in reports; two collections may have the same song."""
    return f"{recording.layout}/{recording.split}/{recording.key}"


def _store_name(recording: Recording) -> str:
    """The file name of a recording's stores, the same for each source."""
    return stores.store_path(Path(), recording, MIXTURE).name


def _content(recording: Recording) -> str:
    """Changes when a file becomes another one."""
    files = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in recording.mixture]
    return sha256(json.dumps(files).encode()).hexdigest()
