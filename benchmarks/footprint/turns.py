"""Turns: both commits are probed one after the other, over and over, so that a busy machine slows both alike."""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from statistics import median

from benchmarks.measuring.machine import ROOT

BEFORE, AFTER, WHEEL = "before", "after", "wheel"
"""The last is the second with the code that its wheel has ready: it differs in its first start alone."""
Found = dict[str, dict[str, list[float]]]
"""Of each tree, by its name, what was found in each round, by `PROBE.figure`."""

_PROBE = Path(__file__).with_name("commit_probe.py")
_PATIENCE_S = 1800.0


@contextmanager
def tree_of(commit: str) -> Iterator[Path]:
    """A copy of a commit, for as long as it is needed.

    Raises:
        ValueError: there is no such commit.
    """
    done = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"commit must be one of this repository, got {commit!r}: {done.stderr.decode().strip()}")
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
        yield Path(folder)


def make_ready(tree: Path) -> None:
    """Make in a tree the code that its wheel brings."""
    command = [sys.executable, os.fspath(tree / ".ci/ready_code.py")]
    subprocess.run(command, cwd=tree, env=os.environ | {"PYTHONPATH": os.fspath(tree)}, check=True, capture_output=True)


def probe(tree: Path, cache: Path, what: str, number: float) -> dict[str, float]:
    """Findings of `commit_probe.py` in a tree, with compiled code kept in `cache`."""
    environment = os.environ | {"PYTHONPATH": os.fspath(tree), "NUMBA_CACHE_DIR": os.fspath(cache)}
    number = time.monotonic() if what == "start" else number
    command = [sys.executable, os.fspath(_PROBE), what, repr(number)]
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=_PATIENCE_S, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def take_turns(trees: dict[str, Path], rounds: int, seconds: float, say: Callable[[str], object]) -> Found:
    """Probe each tree in each round: cold and warm start, rest, cadence at both priorities; who begins alternates."""
    found: Found = {name: {} for name in trees}
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            plan = (("cold", "start"), ("warm", "start"), ("rest", "rest"), ("realtime", "cadence"),
                    ("normal", "cadence-normal"))  # fmt: skip
            for title, what in plan:
                names = [name for name in trees if name != WHEEL or title == "cold"]
                for name in names[:: -1 if number % 2 else 1]:
                    cache = Path(folder) / name
                    cache.mkdir(mode=0o700, exist_ok=True)
                    figures = probe(trees[name], cache, what, seconds)
                    say(f"{number + 1} of {rounds}, {title}, {name}: {figures}")
                    for figure, value in figures.items():
                        found[name].setdefault(f"{title}.{figure}", []).append(value)
    return found


def ratio(found: Found, figure: str) -> tuple[float, float, float]:
    """Medians before and after, and the second over the first; not a number where the first is 0.

    Args:
        found: of all trees.
        figure: `PROBE.figure`, or `WHEEL.figure` for a first start of what a wheel installs.
    """
    probe, _, name = figure.partition(".")
    after_tree, figure = (WHEEL, f"cold.{name}") if probe == WHEEL else (AFTER, figure)
    before, after = median(found[BEFORE][figure]), median(found[after_tree][figure])
    return before, after, after / before if before else float("nan")
