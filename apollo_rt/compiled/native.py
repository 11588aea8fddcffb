"""Compiled functions that Numba lacks: atomics, calls by address, a clock, a sleep, flush-to-zero.

Nothing here bakes an address into machine code: addresses are found once in Python and travel as integers, so that
compiled functions can be kept on disk and serve the next process too.
"""

import ctypes
import platform
import sys
import time
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import compiled, entry, realtime, realtime_sum
from apollo_rt.compiled.primitives import primitive

__all__ = [
    "array_from_address", "atomic_load", "atomic_store", "call_address", "compiled", "flush_to_zero", "now_ns",
    "realtime", "realtime_sum", "sleep_ns", "sleep_until", "system_calls",
]  # fmt: skip

SystemCalls = Annotated[NDArray[np.int64], 4]
"""What `system_calls` makes."""


# --- atomics ---------------------------------------------------------------------------------------------------------


@primitive
def atomic_load(array: NDArray[Any], index: int) -> Any:
    """`array[index]`, read with acquire order: what the writer stored before its release is visible afterwards."""
    raise NotImplementedError


@primitive
def atomic_store(array: NDArray[Any], index: int, value: float) -> None:
    """`array[index] = value`, written with release order: everything stored before is visible to who reads this."""
    raise NotImplementedError


# --- addresses -------------------------------------------------------------------------------------------------------


@primitive
def call_address(address: int, arguments: tuple[int, ...]) -> int:
    """Call the C function at `address` with a tuple of int64 (integers and pointers); returns its result as int64.

    A C function that returns `int` leaves the upper half of the result undefined: mask it.
    """
    raise NotImplementedError


@primitive
def two_words_on_the_stack() -> int:
    """Address of two int64, valid until the calling function returns."""
    raise NotImplementedError


@primitive
def array_from_address(address: int, shape: Any, dtype: Any) -> Any:
    """A view of C-ordered memory that somebody else owns; allocates nothing and keeps nothing alive.

    As `numba.carray` does, but without a function that returns an array: `realtime` functions can't call one.
    """
    raise NotImplementedError


# --- clock and sleep -------------------------------------------------------------------------------------------------

_CLOCK, _SLEEP, _CLOCK_ID, _TICKS_PER_S = range(4)
_NS_PER_S = 1_000_000_000


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


def system_calls() -> NDArray[np.int64]:
    """The operating system's clock and sleep as addresses, for `now_ns` and `sleep_ns`: `(4,)`."""
    calls = np.zeros(4, np.int64)
    if sys.platform == "win32":
        kernel = ctypes.windll.kernel32
        ctypes.windll.winmm.timeBeginPeriod(1)  # else Windows sleeps in steps of 15.6 ms
        frequency = ctypes.c_int64()
        kernel.QueryPerformanceFrequency(ctypes.byref(frequency))
        calls[:] = _address(kernel.QueryPerformanceCounter), _address(kernel.Sleep), 0, frequency.value
    else:
        library = ctypes.CDLL(None)
        calls[:] = _address(library.clock_gettime), _address(library.nanosleep), time.CLOCK_MONOTONIC, 0
    return calls


@entry
@compiled
def now_ns(calls: SystemCalls) -> int:
    """Monotonic time in ns; needs no interpreter. `calls` comes from `system_calls()`."""
    words = array_from_address(two_words_on_the_stack(), 2, np.int64)
    ticks_per_s = calls[_TICKS_PER_S]
    if ticks_per_s:
        call_address(calls[_CLOCK], (words.ctypes.data,))
        # In two parts: ticks times 10^9 would pass 2^63 after 15 minutes.
        return int(words[0] // ticks_per_s * _NS_PER_S + words[0] % ticks_per_s * _NS_PER_S // ticks_per_s)
    call_address(calls[_CLOCK], (calls[_CLOCK_ID], words.ctypes.data))
    return int(words[0] * _NS_PER_S + words[1])


@entry
@compiled
def sleep_ns(calls: SystemCalls, duration_ns: int) -> None:
    """Let the calling thread sleep for about `duration_ns`; needs no interpreter and never waits for it."""
    if calls[_TICKS_PER_S]:
        call_address(calls[_SLEEP], (max(1, (duration_ns + 500_000) // 1_000_000),))
        return
    words = array_from_address(two_words_on_the_stack(), 2, np.int64)
    words[0], words[1] = duration_ns // _NS_PER_S, duration_ns % _NS_PER_S
    call_address(calls[_SLEEP], (words.ctypes.data, 0))


@entry
@compiled
def sleep_until(calls: SystemCalls, due_ns: int) -> int:
    """Sleep until a moment of `now_ns`; returns by how many ns it got late, or was already."""
    late_ns = now_ns(calls) - due_ns
    while late_ns < 0:
        sleep_ns(calls, -late_ns)
        late_ns = now_ns(calls) - due_ns
    return late_ns


# --- denormals -------------------------------------------------------------------------------------------------------

IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
IS_ARM64 = platform.machine().lower() in ("arm64", "aarch64")
# Intel SDM vol. 1, 10.2.3: FTZ is bit 15 and DAZ bit 6 of MXCSR. Arm ARM, FPCR: FZ is bit 24.
FLUSH_BITS = 1 << 15 | 1 << 6 if IS_X86 else 1 << 24


@primitive
def exchange_flush(on: bool) -> bool:
    """Set whether denormals count as zero in this thread; returns how it was before."""
    raise NotImplementedError


@entry
@compiled
def flush_to_zero(on: bool) -> bool:
    """Let the calling thread treat denormal numbers as zero, or not; returns how it was before.

    Denormals cost about a hundred times what other numbers do. Does nothing where the processor is neither x86 nor Arm.
    """
    return bool(exchange_flush(on))
