"""Processes that share work. Ctrl-C, which reaches them all, ends them without a word: the parent says enough."""

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def submitted(
    jobs: Iterable[Callable[[], T]], n_workers: int, begin: Callable[[], object] = int
) -> Iterator[list[Future[T]]]:
    """Run jobs in processes of their own.

    Args:
        jobs: Each picklable, and such that it may be broken off anywhere.
        n_workers: Processes.
        begin: Picklable; what each process calls first.

    Yields:
        What becomes of the jobs, in their order. Those that haven't begun are dropped when an exception leaves.
    """
    # Spawned, for a fork of a process with threads (PyTorch's) may hang.
    with ProcessPoolExecutor(n_workers, get_context("spawn"), _begin, (begin,)) as pool:
        # A process begins by importing, and Python would print where Ctrl-C met it; it inherits what is held back.
        with _ctrl_c_held_back():
            futures = [pool.submit(job) for job in jobs]
        try:
            yield futures
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where a new process doesn't take it over
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(begin: Callable[[], object]) -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as by nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    begin()
