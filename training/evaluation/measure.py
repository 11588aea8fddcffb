"""Every clip, damaged in every way, through every system, measured: in parallel, kept on disk, always the same rows.

clip x damage -> damaged clip -> system -> judge -> a row, kept under the hash of all that it depends on
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

import numba
import numpy as np
import torch

from apollo_rt.atomic_file import write_whole
from apollo_rt.files.audio_reader import AudioReader
from training.data import degrade
from training.data.audio import SAMPLE_RATE, Audio
from training.data.worker_processes import submitted
from training.evaluation import bands, damage_labels, image, judge, metrics, movement, silence, systems
from training.evaluation.judge import Judge, Scores, as_tensor
from training.evaluation.selection import Clip, Part
from training.evaluation.systems import System

_LONGEST_S = 600.0
_MEASURES = (bands, damage_labels, degrade, image, judge, metrics, movement, silence)
_MEASURED_BY = ("visqol-python", "zimtohrli", "torch", "torchmetrics", "av", "numpy", "soxr", "soundfile")


@dataclass(frozen=True)
class Row:
    """One clip, damaged in one way, out of one system.

    Attributes:
        clip: its path below the folder, without suffix.
        part: of the set: music, undamaged or probes.
        kind: of music, or of what must be left as it is.
        damage: label.
        system: name.
        cut_hz: where the codec ended the music; None where it didn't.
        scores: all measures.
    """

    clip: str
    part: Part
    kind: str
    damage: str
    system: str
    cut_hz: float | None
    scores: Scores


@dataclass(frozen=True)
class Task:
    """One clip, or its first seconds, to damage in one way, for all systems."""

    folder: Path
    clip: Clip
    seconds: float
    damage: str
    systems: tuple[System, ...]
    identities: tuple[str, ...]
    kept_in: Path


def plan(
    folder: Path,
    clips: Sequence[Clip],
    labels: Sequence[str],
    chosen: Sequence[System],
    kept: Path,
    seconds: float | None = None,
) -> list[Task]:
    """Tasks, clip by clip."""
    identities = tuple(system.identity for system in chosen)
    return [
        Task(folder, clip, seconds or _LONGEST_S, label, tuple(chosen), identities, kept)
        for clip in clips
        for label in clip.labels(labels)
    ]


def run(tasks: Sequence[Task], n_workers: int) -> Iterator[list[Row]]:
    """Do the tasks.

    Args:
        tasks: from `plan`.
        n_workers: processes; with 1 everything happens in this one.

    Yields:
        The rows of each task, in the order of the tasks.
    """
    if n_workers == 1:
        n_threads = torch.get_num_threads()
        _use_one_thread()
        try:
            yield from map(measure, tasks)
        finally:
            torch.set_num_threads(n_threads)
        return
    with submitted((partial(measure, task) for task in tasks), n_workers, _use_one_thread) as futures:
        for future in futures:
            yield future.result()


def _use_one_thread() -> None:
    """Processes share the work already; and PyTorch's sums of several threads round differently."""
    torch.set_num_threads(1)
    numba.set_num_threads(1)  # ViSQOL's: a quarter less work for the same figures


def measure(task: Task) -> list[Row]:
    """The rows of one task; what is kept from an earlier run is taken from there."""
    clean = load(task.folder / task.clip.path, task.seconds)
    digest = hashlib.sha256(clean.tobytes()).hexdigest()
    files = [_file(task.kept_in, digest, task.damage, identity) for identity in task.identities]
    kept = [_read(file) for file in files]
    if any(row is None for row in kept):
        damaged, cut_hz = damage(clean, task.damage)
        for index, (system, file) in enumerate(zip(task.systems, files, strict=True)):
            if kept[index] is None:
                restored = systems.load(system)(damaged, cut_hz)
                kept[index] = measured = cut_hz, _judge()(restored, damaged, clean, cut_hz)
                _write(file, *measured)
    clip = task.clip
    return [
        Row(clip.path.with_suffix("").as_posix(), clip.part, clip.kind, task.damage, system.name, *row)
        for system, row in zip(task.systems, filter(None, kept), strict=True)
    ]


def load(path: Path, seconds: float = _LONGEST_S) -> Audio:
    """The beginning of any music file, stereo at 44.1 kHz. Shape: (samples, 2)."""
    with AudioReader(path, SAMPLE_RATE) as reader:
        return np.ascontiguousarray(reader.read(round(seconds * SAMPLE_RATE)))


def damage(clean: Audio, label: str) -> tuple[Audio, float | None]:
    """A clip after the codec, and where the codec cut it off, in Hz."""
    damaged = damage_labels.apply(clean, label)
    return damaged, metrics.measure_cut_hz(as_tensor(damaged), as_tensor(clean))


@cache
def _judge() -> Judge:
    return Judge()


@cache
def _method() -> str:
    """Changes with the code and the packages that damage and measure."""
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in _MEASURES)
    versions = " ".join(f"{name} {version(name)}" for name in _MEASURED_BY)
    return hashlib.sha256(sources + versions.encode()).hexdigest()


def _file(folder: Path, *depends_on: str) -> Path:
    key = hashlib.sha256("\n".join((_method(), *depends_on)).encode()).hexdigest()
    return folder / key[:2] / f"{key}.json"


def _read(file: Path) -> tuple[float | None, Scores] | None:
    try:
        content = json.loads(file.read_text())
        return content["cut_hz"], Scores(**content["scores"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, cut_hz: float | None, scores: Scores) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps({"cut_hz": cut_hz, "scores": asdict(scores)}))
