"""Atomics, calls by address, clock, sleep and flush-to-zero, as compiled code sees them."""

import ctypes
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from apollo_rt.compiled import native
from tests.doubles.held_interpreter import goes_on


@njit
def load(array, index):
    return native.atomic_load(array, index)


@njit
def store(array, index, value):
    native.atomic_store(array, index, value)


@njit
def call_two(address, first, second):
    return native.call_address(address, (first, second))


@njit
def sum_at(address, count):
    return native.array_from_address(address, (count, 2), np.float32).sum()


@njit(nogil=True)
def wait_for(flag, value, data):
    while native.atomic_load(flag, 0) != value:
        pass
    return data[0]


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_an_atomic_load_returns_what_an_atomic_store_wrote(dtype):
    array = np.zeros(3, dtype)
    store(array, 1, -7)
    assert array.tolist() == [0, -7, 0]
    assert load(array, 1) == -7


def test_an_atomic_on_an_array_of_another_type_is_refused():
    with pytest.raises(TypingError, match="int64 or float64"):
        load(np.zeros(3, np.float32), 0)


def test_atomics_compile_to_acquire_and_release():
    store(np.zeros(1, np.int64), 0, 1)
    load(np.zeros(1, np.int64), 0)
    assert "load atomic i64" in next(iter(load.inspect_llvm().values()))
    assert "acquire" in next(iter(load.inspect_llvm().values()))
    assert "release" in next(iter(store.inspect_llvm().values()))


def test_a_waiting_compiled_loop_sees_a_store_of_another_thread():
    flag, data, seen = np.zeros(1, np.int64), np.zeros(1), []
    wait_for(np.ones(1, np.int64), 1, data)
    waiter = threading.Thread(target=lambda: seen.append(wait_for(flag, 5, data)))
    waiter.start()
    data[0] = 42.0
    store(flag, 0, 5)
    waiter.join(timeout=60)
    assert seen == [42.0]


def test_a_c_function_is_called_by_its_address_with_integers():
    subtract = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(lambda a, b: a - b)
    assert call_two(ctypes.cast(subtract, ctypes.c_void_p).value, 2**40, 3) == 2**40 - 3


def test_an_array_from_an_address_is_a_view_of_that_memory():
    memory = np.arange(8, dtype=np.float32).reshape(4, 2)
    assert sum_at(memory.ctypes.data, 4) == 28.0
    assert sum_at(memory.ctypes.data, 2) == 6.0


def test_the_clock_agrees_with_pythons_monotonic_clock():
    calls = native.system_calls()
    native.now_ns(calls)
    before = time.monotonic_ns()
    now = native.now_ns(calls)
    assert before <= now <= time.monotonic_ns()


def test_sleep_lets_at_least_the_asked_time_pass():
    calls = native.system_calls()
    before = native.now_ns(calls)
    native.sleep_ns(calls, 20_000_000)
    assert native.now_ns(calls) - before >= 20_000_000


def test_sleep_and_clock_run_while_another_thread_never_gives_the_interpreter_back():
    calls = native.system_calls()

    @njit(nogil=True)
    def nap_until(calls, stop):
        naps = 0
        while native.atomic_load(stop, 0) == 0:
            native.sleep_ns(calls, 100_000)
            native.now_ns(calls)
            naps += 1
            native.atomic_store(stop, 1, naps)
        return naps

    stop = np.array([1, 0], np.int64)
    nap_until(calls, stop)
    stop[:] = 0
    napper = threading.Thread(target=nap_until, args=(calls, stop))
    napper.start()
    try:
        while stop[1] == 0:
            time.sleep(0.001)
        assert goes_on(lambda: int(stop[1]), 20) >= 20
    finally:
        stop[0] = 1
        napper.join()


def test_a_real_time_function_that_would_allocate_does_not_compile():
    @native.compiled
    def allocate(n):
        return np.zeros(n)[0]

    @native.realtime  # another function: Numba's cache doesn't tell one function's options apart
    def allocate_in_real_time(n):
        return np.zeros(n)[0]

    assert allocate(3) == 0
    with pytest.raises(TypingError, match="zeros"):
        allocate_in_real_time(3)


@pytest.mark.skipif(not (native.IS_X86 or native.IS_ARM64), reason="no flush-to-zero on this processor")
def test_flush_to_zero_turns_denormals_into_zero_and_back():
    @njit
    def halve(value):
        return value * np.float32(0.5)

    smallest_normal = np.float32(1.1754944e-38)
    halve(smallest_normal)
    before = native.flush_to_zero(True)
    try:
        flushed = halve(smallest_normal)
        assert native.flush_to_zero(False) is True
        kept = halve(smallest_normal)
    finally:
        native.flush_to_zero(before)
    assert flushed == 0.0
    assert kept > 0.0


def test_a_second_process_loads_the_compiled_functions_from_the_cache():
    code = (
        "from apollo_rt.compiled import native; calls = native.system_calls(); native.now_ns(calls); "
        "native.sleep_ns(calls, 1); native.flush_to_zero(False); "
        "print([len(f.stats.cache_misses) for f in (native.now_ns, native.sleep_ns, native.flush_to_zero)])"
    )
    answers = [subprocess.check_output([sys.executable, "-c", code], text=True) for _ in range(2)]
    assert answers[1].strip() == "[0, 0, 0]"
