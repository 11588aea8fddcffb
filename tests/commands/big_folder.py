"""A folder as people have them: many small files of all formats, some broken; restored in runs that are killed.

    python -m tests.commands.big_folder               2,000 files, with the tiny model of the tests: some minutes
    python -m tests.commands.big_folder --files 60    what the tests run

Killed at a quarter (SIGKILL, no chance to clean up) and at a half (SIGTERM), and started again with `--skip-existing`
until it is through. Held to: every file that can be restored is there and whole, none was restored twice, those that
can't are named, and memory does not grow.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

from tests import ROOT
from tests.doubles import tiny_models
from tests.doubles.sound_files import tone

_SOUNDFILE = {".wav": "PCM_16", ".flac": None, ".ogg": None, ".mp3": None, ".aiff": None, ".au": None, ".w64": None,
              ".caf": None, ".rf64": None, ".voc": None}  # fmt: skip
"""What libsndfile writes, and the encoding."""

_AV = {
    ".mka": ("matroska", "flac"), ".mkv": ("matroska", "ac3"), ".webm": ("webm", "libopus"),
    ".opus": ("ogg", "libopus"),
    ".m4a": ("mp4", "aac"), ".m4b": ("mp4", "alac"), ".mp4": ("mp4", "ac3"), ".mov": ("mov", "alac"),
    ".3gp": ("mp4", "aac"), ".aac": ("adts", "aac"), ".wv": ("wv", "wavpack"), ".tta": ("tta", "tta"),
    ".wma": ("asf", "wmav2"), ".ac3": ("ac3", "ac3"), ".eac3": ("eac3", "eac3"), ".mp2": ("mp2", "mp2"),
    ".ts": ("mpegts", "mp2"), ".avi": ("avi", "mp2"), ".flv": ("flv", "aac"), ".nut": ("nut", "flac"),
}  # fmt: skip
"""What FFmpeg writes: container and codec."""

KINDS = (*_SOUNDFILE, *_AV)
_BROKEN = ("empty.mp3", "text.flac", "head.m4a", "noise.ogg", "zeros.wav")
_PER_FOLDER = 50
_SECONDS = (0.15, 0.2, 0.3, 0.45)


@dataclass(frozen=True)
class BigFolder:
    """What was made.

    Attributes:
        path: the folder.
        good: how many can be restored.
        broken: names of those that can't.
        n_covers: files that are no music.
    """

    path: Path
    good: int
    broken: frozenset[str]
    n_covers: int


@dataclass
class Run:
    """One run of the command.

    Attributes:
        code: how it ended.
        took_s: how long.
        memory: (files written so far, resident bytes), as time went on.
        errors: what it said on stderr.
    """

    code: int = 0
    took_s: float = 0.0
    memory: list[tuple[int, int]] = field(default_factory=list)
    errors: str = ""


def make(path: Path, n_files: int, seed: int = 0) -> BigFolder:
    """Make the folder: of 20 files one is broken; in each of its folders is a cover, and a name with two suffixes."""
    rng, good, broken, n_covers = random.Random(seed), 0, set(), 0
    patterns = {(kind, length_s): _encoded(kind, length_s) for kind in KINDS for length_s in _SECONDS}
    for number in range(n_files):
        folder = path / f"album {number // _PER_FOLDER:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        if number % _PER_FOLDER == 0:
            (folder / "cover.jpg").write_bytes(b"no picture either")
            n_covers += 1
        if number % 20 == 19:
            name, content = _broken(_BROKEN[number // 20 % len(_BROKEN)], rng)
            name = f"{number:04d} {name}"
            broken.add(name)
        else:
            # Each name for two files, of different kinds.
            name = f"{number // 2:04d}{KINDS[number % len(KINDS)]}"
            content = patterns[KINDS[number % len(KINDS)], rng.choice(_SECONDS)]
            good += 1
        (folder / name).write_bytes(content)
    return BigFolder(path, good, frozenset(broken), n_covers)


def restore(folder: BigFolder, out: Path, model: Path, kill_at: int | None = None, with_signal: int = 9) -> Run:
    """Run the command, and end it when so many files are there."""
    command = [sys.executable, "-m", "apollo_rt", "restore", str(folder.path), "-o", str(out), "--skip-existing",
               "--model", str(model), "--report", str(out.with_suffix(".jsonl"))]  # fmt: skip
    run, started_s, log = Run(), time.monotonic(), out.with_suffix(".log")
    with log.open("w") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=errors)
        while process.poll() is None:
            n_done = len(written(out))
            run.memory.append((n_done, _resident_bytes(process.pid)))
            if kill_at is not None and n_done >= kill_at:
                process.send_signal(with_signal)
                process.wait()
            time.sleep(0.05)
    run.code, run.took_s, run.errors = process.returncode, time.monotonic() - started_s, log.read_text()
    return run


def written(out: Path) -> list[Path]:
    """The files that have their names."""
    return [path for path in out.rglob("*") if path.is_file() and not path.name.startswith(".")]


def hidden(out: Path) -> list[Path]:
    """What a run that was killed has left; none of it has a name that a player would show."""
    return [path for path in out.rglob(".*") if path.is_file()]


def check(folder: BigFolder, out: Path) -> Counter[str]:
    """Hold the result to what was promised; returns how often each outcome was told."""
    targets = written(out)
    assert len(targets) == folder.good, f"{len(targets)} files, {folder.good} could be restored"
    for target in targets:
        samples, rate = soundfile.read(target)
        assert len(samples) >= min(_SECONDS) * rate / 2, target  # WMA loses the beginning
        assert np.abs(samples).max() > 0.05, target
    lines = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines() if line.endswith("}")]
    restored = Counter(line["target"] for line in lines if line["outcome"] == "restored")
    assert max(restored.values()) == 1, "one was restored twice"
    last = {line["source"]: line["outcome"] for line in lines}
    assert {Path(source).name for source, outcome in last.items() if outcome == "failed"} == folder.broken
    assert sum(outcome == "no music" for outcome in last.values()) == folder.n_covers
    return Counter(line["outcome"] for line in lines)


def _encoded(kind: str, length_s: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"song{kind}"
        if kind in _SOUNDFILE:
            container = kind[1:].upper()
            samples = tone(round(length_s * 44_100))
            soundfile.write(path, samples, 44_100, _SOUNDFILE[kind], format=container)
        else:
            _write_by_ffmpeg(path, tone(round(length_s * 48_000), 48_000), *_AV[kind])
        return path.read_bytes()


def _write_by_ffmpeg(path: Path, samples: np.ndarray, container_name: str, codec: str) -> None:
    with av.open(path, "w", format=container_name) as container:
        stream = container.add_stream(codec, rate=48_000, layout="stereo", bit_rate=128_000)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        for part in (frame, None):
            container.mux(stream.encode(part))


def _broken(name: str, rng: random.Random) -> tuple[str, bytes]:
    contents = {
        "empty.mp3": b"",
        "text.flac": b"This is no music.\n" * 100,
        "head.m4a": b"\0\0\0\x20ftypM4A \0\0\0\0",
        "noise.ogg": rng.randbytes(2000),
        "zeros.wav": bytes(5000),
    }
    return name, contents[name]


def _resident_bytes(process_id: int) -> int:
    try:
        return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def main() -> None:
    """Make, kill, go on, check, and print figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--model", type=Path, help="another than the tests' tiny one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, out = make(Path(name) / "in", options.files), Path(name) / "out"
        model = options.model or tiny_models.gain(Path(name), 0.5)
        print(f"{options.files} files: {folder.good} good, {len(folder.broken)} broken; {folder.n_covers} covers")
        for kill_at, number in ((folder.good // 4, signal.SIGKILL), (folder.good // 2, signal.SIGTERM), (None, 0)):
            run = restore(folder, out, model, kill_at, number)
            sizes = [size / 1e6 for _, size in run.memory if size]
            middle = sizes[len(sizes) // 2]  # long after all is loaded
            print(
                f"ended with {run.code} after {run.took_s:.1f} s: {len(written(out))} files, {len(hidden(out))} hidden"
            )
            print(f"  memory {middle:.0f} MB half way, {sizes[-1]:.0f} at the end, {max(sizes):.0f} at most")
        print(run.errors.splitlines()[-1])
        print(dict(check(folder, out)))


if __name__ == "__main__":
    main()
