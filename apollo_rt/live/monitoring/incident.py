"""Incidents: when something is missed, input, output and counters of the last ten seconds are written down.

    DIR/incident-20261122-221503-1/
        input.wav    what came in, as the engine took it
        output.wav   what went out, aligned with it to the sample
        incident.json  what was missed, settings, latency, model, and all counters, those of the last ten seconds apart

The supervisor writes, a second after the first sign, so that the end of it is in it too. The folder appears under its
name when it is complete.
"""

import errno
import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.atomic_file import whole_path, write_whole
from apollo_rt.errors import AudioFileError
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.files.output_format import OutputSettings
from apollo_rt.live.monitoring.tap import Tap
from apollo_rt.live.realtime.counters import XRUNS
from apollo_rt.live.realtime.shared_state import SharedState

FORMAT = 3
KEPT_S = 10.0
LONGEST_S = 11.0
"""What the rings must hold: a second more, which the audio path goes on writing into while they are read."""
_SETTLE_S = 1.0
_MOST_INCIDENTS = 10
_ATTEMPTS = 3
_MISSED = ("deadline_misses", "frame_faults", "model_errors", "jumps", "silenced_samples", *XRUNS[:-1])
_PACKAGES = ("apollo-rt", "numpy", "numba", "rocket-fft", "onnxruntime-gpu", "onnxruntime")
Samples = NDArray[np.float32]
"""`(samples, 2)`, full scale 1.0."""


class IncidentWriter:
    """Watches the counters of a stream, and writes incidents.

    Args:
        folder: where they go; made when it is needed.
        shared: keeps `LONGEST_S` of input and output.
        about: gives what else to write down: settings, model, latency.

    Attributes:
        written: the incidents' folders.
    """

    def __init__(self, folder: Path, shared: SharedState, about: Callable[[], dict[str, Any]]) -> None:
        self.written: list[Path] = []
        self._folder, self._shared, self._about = folder, shared, about
        self._before = self._missed()
        self._due_s: float | None = None
        self._last_s = -KEPT_S
        self._is_full = False

    def poll(self) -> list[str]:
        """Write an incident if one is due; returns what a user should know, one line each."""
        now_s = time.monotonic()
        if self._due_s is None and self._missed() != self._before:
            self._due_s = max(now_s + _SETTLE_S, self._last_s + KEPT_S)
        return self._write() if self._due_s is not None and now_s >= self._due_s else []

    def finish(self) -> list[str]:
        """Write what is left to be written, at the end; nothing may run any more."""
        return self._write() if self._missed() != self._before else []

    def _missed(self) -> dict[str, int]:
        counters = self._shared.stats.counters
        return {name: int(getattr(counters, name)) for name in _MISSED}

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
            write_recording(part, self._shared, about)
        return self._folder / name


def write_recording(folder: Path, shared: SharedState, about: dict[str, Any]) -> None:
    """Write the three files of an incident.

    Args:
        folder: exists, and is empty.
        shared: may be running.
        about: goes into `incident.json`.

    Raises:
        OSError, AudioFileError: the disk is full, or the like.
    """
    rate = int(shared.control.sample_rate)
    begin, before, after = _last(shared, round(KEPT_S * rate))
    for name, samples in (("input", before), ("output", after)):
        with AudioWriter(folder / f"{name}.wav", rate, settings=OutputSettings(float_wav=True)) as writer:
            writer.write(samples)
    facts = {
        "format": FORMAT,
        "begin": begin,
        "end": begin + len(after),
        "delay": int(shared.control.delay),
        "sample_rate": rate,
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {package: _version(package) for package in _PACKAGES},
        **about,
    }
    write_whole(folder / "incident.json", json.dumps(facts, indent=2) + "\n")


def _last(shared: SharedState, n_samples: int) -> tuple[int, Samples, Samples]:
    """Absolute index of the first of the last so many samples of output, the input they are made of, and they.

    Raises:
        OSError: the machine is so busy that they are overwritten before they are read.
    """
    tap = Tap(shared)
    for _ in range(_ATTEMPTS):
        end = tap.end
        begin = max(end - n_samples, 0)
        before, after = np.zeros((2, end - begin, 2), np.float32)
        if tap.read(begin, before, after):
            return begin, before, after
    raise OSError(errno.EBUSY, "overwritten before it was read")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from its folder, never installed
        return ""
