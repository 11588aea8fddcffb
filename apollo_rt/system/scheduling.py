"""Scheduling: real-time priority for the audio threads and memory that stays in place, as far as the system allows it.

    Linux     SCHED_FIFO by right, else by way of rtkit (the desktop's service for that), else as before
    macOS     quality of service "user interactive"
    Windows   MMCSS, task "Pro Audio"
    memory    all of the process where there is no limit, else the audio path's arrays within the limit, else nothing

Nothing here fails: what can't be had is left out, and `Scheduling` says what there is.
"""

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.system import threads

HOST_PRIORITY, WORKER_PRIORITY, CALLBACK_PRIORITY = 2, 3, 4
"""Of 1 to 99: above all that is not real time, below every audio server (PulseAudio 5, JACK's clients 5, PipeWire 20
by rtkit or 88): the server must be able to interrupt a step of 3 ms. The callback interrupts the worker."""

SERVING_PRIORITY = 5
_SERVING_THREADS = ("threaded-ml",)
"""By their names for the system: libpulse's loop, which fetches from the server what PortAudio's thread waits for. That
thread looks without a rest while the loop has something in hand, so the loop must come before it: on one core, or with
as many streams as cores, nothing ever moved at equal priority (PulseAudio 16)."""

_RESET_ON_FORK = 0x40000000
_RTTIME_S = 0.2
"""rtkit serves only who has limited how long a real-time thread may work without a sleep; 0.2 s is its own limit."""
_LOCK_CURRENT, _LOCK_FUTURE, _LOCK_ON_FAULT = 1, 2, 4
_QOS_USER_INTERACTIVE = 0x21
_RTKIT = "org.freedesktop.RealtimeKit1"
_RTKIT_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Priority:
    """Priority that a thread got.

    Attributes:
        name: for people, `SCHED_FIFO 3` or `normal`.
        is_realtime: it comes before threads that are not real time.
        reason: why it got no more; empty if it is real time.
    """

    name: str
    is_realtime: bool
    reason: str = ""

    def __str__(self) -> str:
        """One phrase."""
        return f"{self.name} ({self.reason})" if self.reason else self.name


NORMAL = Priority("normal", is_realtime=False)


@dataclass(frozen=True)
class Scheduling:
    """Priorities and memory that the audio path runs with.

    Attributes:
        worker: the worker's priority.
        callback: the callback's; None where it was left as the device made it.
        memory: for people, `all locked`, `buffers locked (...)` or `not locked (...)`.
    """

    worker: Priority = NORMAL
    callback: Priority | None = None
    memory: str = "not locked"

    def __str__(self) -> str:
        """One line."""
        callback = f"callback {self.callback}, " if self.callback else ""
        return f"worker {self.worker}, {callback}memory {self.memory}"


# --- priority --------------------------------------------------------------------------------------------------------


def raise_this_thread(priority: int = WORKER_PRIORITY) -> Priority:
    """Give the calling thread real-time priority where that can be had."""
    if sys.platform == "darwin":
        return _raise_on_macos()
    if sys.platform == "win32":
        return _raise_on_windows()
    return raise_thread(threading.get_native_id(), priority)


def raise_thread(thread_id: int, priority: int) -> Priority:
    """Give a thread of this process real-time priority by its number; Linux.

    Args:
        thread_id: as `threading.get_native_id` gives it.
        priority: 1 to 99.
    """
    try:
        if os.sched_getscheduler(thread_id) in (os.SCHED_FIFO, os.SCHED_RR):
            return Priority("real time, by its maker", is_realtime=True)
        os.sched_setscheduler(thread_id, os.SCHED_FIFO | _RESET_ON_FORK, os.sched_param(priority))
    except PermissionError:
        return _ask_rtkit(thread_id, priority)
    except (OSError, AttributeError) as error:
        return Priority("normal", is_realtime=False, reason=str(error))
    return Priority(f"SCHED_FIFO {priority}", is_realtime=True)


@contextmanager
def new_threads_raised(priority: int = CALLBACK_PRIORITY) -> Iterator[list[Priority]]:
    """Raise the threads that come into being inside the block: those of a device that is opened in it. Linux.

    Elsewhere the system's audio service raises them itself. Threads of the interpreter are left as they are; those that
    serve the callback's come before it.

    Yields:
        What they got, once the block is left.
    """
    got: list[Priority] = []
    before = threads.thread_ids()
    yield got
    for thread_id in sorted(threads.begun_since(before, _DEVICE_THREADS)):
        if _name_of(thread_id) in _SERVING_THREADS:
            raise_thread(thread_id, SERVING_PRIORITY)
        else:
            got.append(raise_thread(thread_id, priority))


_DEVICE_THREADS = ("virtual device",)
"""Started by Python, but all they run is compiled."""


def _name_of(thread_id: int) -> str:
    try:
        return Path(f"/proc/self/task/{thread_id}/comm").read_text().strip()
    except OSError:  # it has ended
        return ""


def _ask_rtkit(thread_id: int, priority: int) -> Priority:
    """By D-Bus; rtkit gives no more than 20 and wants the process to have a limit on real-time work."""
    refused = "no right to SCHED_FIFO: see limits.conf, rtprio"
    try:
        from jeepney import DBusAddress, DBusErrorResponse, new_method_call
        from jeepney.io.blocking import open_dbus_connection
        from jeepney.wrappers import unwrap_msg
    except ImportError:
        return Priority("normal", is_realtime=False, reason=refused)
    address = DBusAddress(f"/{_RTKIT.replace('.', '/')}", _RTKIT, _RTKIT)
    message = new_method_call(address, "MakeThreadRealtime", "tu", (thread_id, priority))
    try:
        _limit_realtime_work()
        with open_dbus_connection("SYSTEM") as connection:
            unwrap_msg(connection.send_and_get_reply(message, timeout=_RTKIT_TIMEOUT_S))
    except (OSError, KeyError, ValueError, TimeoutError, DBusErrorResponse) as error:
        said = type(error).__name__ if isinstance(error, DBusErrorResponse) else str(error) or type(error).__name__
        return Priority("normal", is_realtime=False, reason=f"{refused}; no rtkit: {said}")
    return Priority(f"SCHED_RR {priority} by rtkit", is_realtime=True)


def _limit_realtime_work() -> None:
    import resource

    micros = round(_RTTIME_S * 1e6)
    # Where the soft limit equals the hard one the kernel kills; the worker sleeps after each hop, so it is never met.
    _, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
    limit = micros if hard == resource.RLIM_INFINITY else min(hard, micros)
    resource.setrlimit(resource.RLIMIT_RTTIME, (limit, limit))


def _raise_on_macos() -> Priority:
    """Source: pthread/qos.h."""
    failed = ctypes.CDLL(None).pthread_set_qos_class_self_np(_QOS_USER_INTERACTIVE, 0)
    return Priority("normal", False, f"error {failed}") if failed else Priority("QoS user interactive", True)


def _raise_on_windows() -> Priority:
    """Source: avrt.h; ends with the thread."""
    windll: Any = getattr(ctypes, "windll")  # noqa: B009  # elsewhere it does not exist, not even for type checkers
    try:
        got = windll.avrt.AvSetMmThreadCharacteristicsW("Pro Audio", ctypes.byref(ctypes.c_ulong(0)))
    except OSError as error:
        return Priority("normal", False, str(error))
    return Priority("MMCSS Pro Audio", True) if got else Priority("normal", False, "MMCSS refused")


# --- memory ----------------------------------------------------------------------------------------------------------


def lock_memory(arrays: Iterable[NDArray[Any]]) -> str:
    """Keep memory from being paged out: the whole process where that is unlimited, else the given arrays.

    Args:
        arrays: what the audio path uses.

    Returns:
        What was done, for people.
    """
    if sys.platform == "win32":
        return "not locked (Windows keeps a working set)"
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if _is_unlimited() and library.mlockall(_LOCK_CURRENT | _LOCK_FUTURE | _LOCK_ON_FAULT) == 0:
            return "all locked"
        locked = [array for array in arrays if array.nbytes and _lock(library, array)]
    except (OSError, AttributeError) as error:
        return f"not locked ({error})"
    size = sum(array.nbytes for array in locked) / 1e6
    return f"buffers locked ({size:.1f} MB)" if locked else "not locked (no right: see limits.conf, memlock)"


def _is_unlimited() -> bool:
    """With a limit, locking what is still to come would let later allocations fail."""
    if sys.platform != "linux":
        return False
    import resource

    return os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY


def _lock(library: Any, array: NDArray[Any]) -> bool:
    return bool(library.mlock(ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes)) == 0)


def arrays_in(values: object) -> Iterator[NDArray[Any]]:
    """All arrays in tuples of tuples, and the memory of records."""
    if isinstance(values, np.ndarray):
        yield values
    elif isinstance(values, np.void):
        yield np.frombuffer(values, np.uint8)
    elif isinstance(values, tuple):
        for value in values:
            yield from arrays_in(value)


# --- all of it -------------------------------------------------------------------------------------------------------


class AudioScheduling:
    """Scheduling of an engine's threads: what they ask for, and what they got.

    Args:
        wanted: ask at all: from file to file, as fast as it goes, real-time priority would take the machine away.
    """

    def __init__(self, wanted: bool) -> None:
        self.report = Scheduling()
        self._wanted = wanted

    def lock(self, *values: object) -> None:
        """Lock memory."""
        if self._wanted:
            self.report = Scheduling(self.report.worker, self.report.callback, lock_memory(arrays_in(values)))

    def run_worker(self, target: Callable[..., object], *arguments: object) -> None:
        """Run the worker in the calling thread, with priority."""
        if self._wanted:
            with contextlib.suppress(Exception):  # whatever goes wrong with a service: music first
                self.report = Scheduling(raise_this_thread(), self.report.callback, self.report.memory)
        target(*arguments)

    @contextmanager
    def device(self) -> Iterator[None]:
        """Raise the threads of a device that is opened inside."""
        if not self._wanted:
            yield
            return
        with new_threads_raised() as got:
            yield
        if got:
            best = max(got, key=lambda priority: priority.is_realtime)
            self.report = Scheduling(self.report.worker, best, self.report.memory)
