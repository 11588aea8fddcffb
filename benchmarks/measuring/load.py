"""Load beside what is timed: nothing, or one of the three that stop the music in other programs."""

import contextlib
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

_HEAP_SIZE = 1_000_000
_COLLECT_EVERY_S = 0.25


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing of ours; the machine may have other users, whom its load average tells of."""
    yield


@contextlib.contextmanager
def busy_python_thread() -> Iterator[None]:
    """A thread of the same interpreter that never waits for anything."""
    with _in_a_thread(lambda stop: sum(range(1000))):
        yield


@contextlib.contextmanager
def garbage_collection() -> Iterator[None]:
    """A heap of a million objects in cycles of two, collected whole four times a second, the interpreter held."""
    heap: list[list[object]] = []
    for _ in range(_HEAP_SIZE // 2):
        one: list[object] = []
        heap.append([one])
        one.append(heap[-1])

    def collect(stop: threading.Event) -> None:
        gc.collect()
        stop.wait(_COLLECT_EVERY_S)

    try:
        with _in_a_thread(collect):
            yield
    finally:
        heap.clear()
        gc.collect()


@contextlib.contextmanager
def all_cores_busy() -> Iterator[None]:
    """One process a core that computes without a pause, at the same priority as everything else."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


LOADS: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "quiet": quiet,
    "busy Python thread": busy_python_thread,
    "all cores busy": all_cores_busy,
    "garbage collection": garbage_collection,
}


@contextlib.contextmanager
def _in_a_thread(do: Callable[[threading.Event], object]) -> Iterator[None]:
    """Do something over and over."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            do(stop)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
