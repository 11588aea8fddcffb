"""Incidents: when something is missed, the last ten seconds are written down, to be looked at and run again (`replay`).

    DIR/incident-20261122-221503-1/
        input.wav    what came in, as the engine took it; begins early enough to run it again
        output.wav   what went out
        trace.npz    what callback and worker noted (`trace`), and the states to begin with
        incident.json  what was missed, settings, latency, model, and where the files begin

The supervisor writes, a second after the first sign, so that the end of it is in it too. The folder appears under its
name when it is complete.
"""

import hashlib
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.atomic_file import whole_path, write_whole
from apollo_rt.errors import AudioFileError
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.files.output_format import OutputSettings
from apollo_rt.live.realtime.counters import COUNTERS, XRUNS
from apollo_rt.live.realtime.ring import CHUNK, WRITTEN
from apollo_rt.live.realtime.shared_state import DELAY, HOP_DELAY, SAMPLE_RATE, Line
from apollo_rt.live.realtime.trace import (
    HOLE_OUTPUT,
    KEPT_SAMPLES,
    LOOK_END,
    LOOK_POSITION,
    N_HOLES,
    N_LOOKS,
    STEP_POSITION,
    WorkerTrace,
)
from apollo_rt.stream.checkpoint import KEPT, NOWHERE

FORMAT = 2
KEPT_S = 10.0
_SETTLE_S = 1.0
_MOST_INCIDENTS = 10
_SPARE = 4096
"""Entries of a ring that are left out, for the writer goes on while they are read."""
_MISSED = ("deadline_misses", "frame_faults", "model_errors", "jumps", "silenced_samples", *XRUNS[:-1])
_PACKAGES = ("apollo-rt", "numpy", "numba", "rocket-fft", "onnxruntime-gpu", "onnxruntime")


class IncidentWriter:
    """Watches the counters of a line that keeps a trace, and writes incidents.

    Args:
        folder: where they go; made when it is needed.
        line: see `line`.
        trace: gives what the present worker notes.
        about: gives what else to write down: settings, model, latency.

    Attributes:
        written: the incidents' folders.
    """

    def __init__(
        self, folder: Path, line: Line, trace: Callable[[], WorkerTrace], about: Callable[[], dict[str, Any]]
    ) -> None:
        self.written: list[Path] = []
        self._folder, self._line, self._trace, self._about = folder, line, trace, about
        self._before = self._missed()
        self._due_s: float | None = None
        self._last_s = -KEPT_S
        self._is_full = False

    def look(self) -> list[str]:
        """Write an incident if one is due; returns what a user should know, one line each."""
        now_s = time.monotonic()
        if self._due_s is None and self._missed() != self._before:
            self._due_s = max(now_s + _SETTLE_S, self._last_s + KEPT_S)
        return self._write() if self._due_s is not None and now_s >= self._due_s else []

    def finish(self) -> list[str]:
        """Write what is left to be written, at the end; nothing may run any more."""
        return self._write() if self._missed() != self._before else []

    def _missed(self) -> dict[str, int]:
        counters = self._line.stats.counters
        return {name: int(counters[COUNTERS.index(name)]) for name in _MISSED}

    def _write(self) -> list[str]:
        now = self._missed()
        missed = {name: now[name] - n_before for name, n_before in self._before.items() if now[name] > n_before}
        self._before, self._due_s, self._last_s = now, None, time.monotonic()
        if self._is_full:
            return []
        if len(list(self._folder.glob("incident-*"))) >= _MOST_INCIDENTS:
            self._is_full = True
            return [f"{self._folder}: holds {_MOST_INCIDENTS} incidents; no more are kept until you take some away"]
        try:
            self.written.append(self._write_folder({"missed": missed, **self._about()}))
        except (OSError, AudioFileError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            return [f"{self._folder}: the incident can't be written: {reason}"]
        return [f"{', '.join(f'{n} {name}' for name, n in missed.items())}: written to {self.written[-1]}"]

    def _write_folder(self, about: dict[str, Any]) -> Path:
        name = f"incident-{time.strftime('%Y%m%d-%H%M%S')}-{len(self.written) + 1}"
        self._folder.mkdir(parents=True, exist_ok=True)
        with whole_path(self._folder / name) as part:
            part.mkdir()
            write_recording(part, self._line, self._trace(), about)
        return self._folder / name


def write_recording(folder: Path, line: Line, trace: WorkerTrace, about: dict[str, Any]) -> None:
    """Write the four files of an incident.

    Args:
        folder: exists, and is empty.
        line: keeps a trace; may be running.
        trace: of its worker.
        about: goes into `incident.json`.

    Raises:
        OSError, AudioFileError: the disk is full, or the like.
    """
    looks, cut = _cut(line, trace)
    np.savez(folder / "trace.npz", **_arrays(line, trace, looks, cut))  # type: ignore[arg-type]  # stub: names are flags
    rate = int(line.control[SAMPLE_RATE])
    for name, ring, begin in (
        ("input", line.history.samples, cut.input_begin),
        ("output", line.trace.output, cut.output_begin),
    ):
        with AudioWriter(folder / f"{name}.wav", rate, settings=OutputSettings(float_wav=True)) as writer:
            writer.write(_part(ring, begin, cut.end))
    facts = {
        "format": FORMAT,
        **asdict(cut),
        "hop_delay": int(line.control[HOP_DELAY]),
        "hop_length": int(line.wet.samples.shape[1]),
        "sample_rate": rate,
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {package: _version(package) for package in _PACKAGES},
        **about,
    }
    write_whole(folder / "incident.json", json.dumps(facts, indent=2) + "\n")


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from its folder, never installed
        return ""


@dataclass(frozen=True)
class _Cut:
    """Which samples are written, counted from the start of the run, and by how many the output is late."""

    input_begin: int
    output_begin: int
    end: int
    delay: int


def _cut(line: Line, trace: WorkerTrace) -> tuple[NDArray[np.float64], _Cut]:
    """The looks of the last `KEPT_S`, and the samples that it takes to run them again."""
    delay = int(line.control[DELAY])
    looks, output_begin, end = _looks(line, delay, round(KEPT_S * int(line.control[SAMPLE_RATE])))
    input_begin = min(output_begin - delay, end)
    slot, taken = _checkpoint_before(trace, input_begin - int(line.control[HOP_DELAY]))
    if slot >= 0:
        input_begin = min(input_begin, taken)
    return looks, _Cut(max(input_begin, 0, end + _SPARE - KEPT_SAMPLES), output_begin, end, delay)


def _arrays(line: Line, trace: WorkerTrace, looks: NDArray[np.float64], cut: _Cut) -> dict[str, NDArray[Any]]:
    """What `trace.npz` holds."""
    n_steps = int(trace.n_steps[0])
    steps, targets = _entries(trace.steps, n_steps), _entries(trace.targets, n_steps)
    holes = _entries(line.trace.holes, int(line.trace.counts[N_HOLES]))
    late = steps[:, STEP_POSITION] >= cut.input_begin
    return {
        "looks": looks,
        "steps": steps[late],
        "targets": targets[late],
        "holes": holes[holes[:, HOLE_OUTPUT] >= cut.output_begin - cut.delay] if len(holes) else holes,
        "wet": _part(line.trace.wet, cut.input_begin, cut.end),
        **_checkpoints(trace, cut.input_begin, cut.end),
    }


def _looks(line: Line, delay: int, n_samples: int) -> tuple[NDArray[np.float64], int, int]:
    """The looks that the last so many samples of output come from, and both ends of that output."""
    written = int(line.history.marks[WRITTEN])
    looks = _entries(line.trace.looks, int(line.trace.counts[N_LOOKS]))
    # The last chunk may still be on its way.
    looks = looks[looks[:, LOOK_END] + delay <= max(written - CHUNK, 0)] if len(looks) else looks
    if len(looks) == 0:
        return looks, 0, 0
    end = int(looks[-1, LOOK_END]) + delay
    # It begins where a callback did: with the look behind one that ended a stretch.
    starts = np.flatnonzero(np.append(True, looks[1:, LOOK_END] != looks[:-1, LOOK_END]))
    before = np.searchsorted(looks[starts, LOOK_POSITION], end - n_samples - delay, side="right")
    first = int(starts[max(int(before) - 1, 0)])
    return looks[first:], int(looks[first, LOOK_POSITION]) + delay, end


def _entries(ring: NDArray[Any], count: int) -> NDArray[Any]:
    """A ring's entries from the oldest to the newest."""
    begin = 0 if count <= len(ring) else count - len(ring) + _SPARE
    return ring[np.arange(begin, count) & (len(ring) - 1)] if len(ring) else ring


def _part(ring: NDArray[np.float32], begin: int, end: int) -> NDArray[np.float32]:
    part: NDArray[np.float32] = ring[np.arange(begin, end) & (len(ring) - 1)]
    return part


def _checkpoint_before(trace: WorkerTrace, position: int) -> tuple[int, int]:
    """Slot and position of the last checkpoint that was taken no later; (-1, 0) if there is none."""
    taken = trace.checkpoints.positions.copy()
    taken[taken > max(position, 0)] = NOWHERE
    slot = int(np.argmax(taken))
    return (slot, int(taken[slot])) if taken[slot] != NOWHERE else (-1, 0)


def _checkpoints(trace: WorkerTrace, begin: int, end: int) -> dict[str, NDArray[Any]]:
    """Those of a stretch of the input; one that is just being overwritten is left out."""
    checkpoints = trace.checkpoints
    before = checkpoints.positions.copy()
    slots = np.flatnonzero((before >= begin) & (before < end))
    arrays = {name: getattr(checkpoints, name)[slots] for name in KEPT}
    kept = checkpoints.positions[slots] == before[slots]
    return {"positions": before[slots][kept], **{name: array[kept] for name, array in arrays.items()}}
