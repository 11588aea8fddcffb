"""The callback: what it does to the signal, and what it never does."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from numba import cfunc
from numba.core.errors import NumbaError

from apollo_rt.compiled.native import compiled, realtime
from apollo_rt.compiled.numba_functions import c_type
from apollo_rt.inference.model import load
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.clock_bridge import callbacks
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.realtime import callback, ring
from tests import ROOT
from tests.doubles import tiny_models
from tests.doubles.held_interpreter import goes_on
from tests.doubles.malloc_counter import MALLOC_COUNTER
from tests.doubles.sounds import delayed, noise, sine
from tests.doubles.stepped import PA_CALLBACK, Stepped

FRAMING = tiny_models.MEDIUM
RATE = 44_100


# --- the signal ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block_size", [1, 64, 255, 256, 1000, 1500, 4096])
def test_in_bypass_the_output_is_the_input_delayed_bit_for_bit(identity, block_size):
    stream = Stepped(identity, block_size, bypass=1)
    samples = noise(12_000)
    np.testing.assert_array_equal(stream.play(samples, block_size), delayed(samples, stream.delay))
    assert stream.stats["covered_samples"] == 0


def test_a_call_may_bring_any_number_of_samples_none_included(identity):
    stream = Stepped(identity, 5000, varying=True, bypass=1)
    samples = noise(20_000)
    sizes = iter([0, 1, 5000, 3, 0, 2048, 1024, 1025, 4999, 17, *[700] * 100])
    np.testing.assert_array_equal(stream.play(samples, sizes), delayed(samples, stream.delay))


def test_a_bigger_block_than_was_promised_costs_a_moment_of_dry_and_nothing_else(identity):
    stream = Stepped(identity, 256)
    samples = noise(20_000)
    out = stream.play(samples, iter([256] * 20 + [3000] + [256] * 100))
    np.testing.assert_allclose(out, delayed(samples, stream.delay), atol=1e-6)
    assert stream.stats["covered_samples"] > 0


@pytest.mark.parametrize("to", [{"bypass": 1}, {"mix": 0.0}, {"mix": 0.3}])
def test_bypass_and_mix_change_without_a_step_and_at_unchanged_latency(halved, to):
    stream = Stepped(halved, 256)
    samples = sine(30_000).astype(np.float32)
    before = stream.play(samples[:10_000])
    for name, value in to.items():
        stream.parameters.set(name, value)
    after = stream.play(samples[10_000:])
    out, dry = np.concatenate([before, after]), delayed(samples, stream.delay)
    wanted = 1 - 0.5 * (0 if "bypass" in to else to["mix"])
    np.testing.assert_allclose(out[5000:9000], 0.5 * dry[5000:9000], atol=1e-6)
    np.testing.assert_allclose(out[12_000:], wanted * dry[12_000:], atol=1e-6)
    # A sine moves by 2 pi f level per second; the fade adds its own slope to that.
    steepest = 2 * np.pi * 440 / RATE * 0.5 + 0.5 * 0.5 / FADE_LENGTH
    assert np.abs(np.diff(out[5000:], axis=0)).max() <= steepest * 1.01


def test_one_channel_is_doubled_at_the_door_and_averaged_on_the_way_out(identity):
    stream = Stepped(identity, 256, channels=(1, 1), bypass=1)
    samples = noise(4000)[:, :1]
    np.testing.assert_array_equal(stream.play(samples)[:, 0], delayed(np.repeat(samples, 2, 1), stream.delay)[:, 0])
    stream = Stepped(identity, 256, channels=(2, 1), bypass=1)
    samples = noise(4000)
    out = stream.play(samples)[:, 0]
    np.testing.assert_allclose(out, delayed(samples, stream.delay).mean(axis=1), atol=1e-7)


def faded_around(samples, begin, end):
    """Silence from begin to end, and a fade on either side."""
    index = np.arange(len(samples))
    distance = np.maximum(np.maximum(begin - index, index + 1 - end), 0)
    return samples * np.minimum(distance / FADE_LENGTH, 1.0)[:, None]


def test_what_comes_in_not_finite_is_silence_faded_around_and_counted(identity):
    stream = Stepped(identity, 256)
    samples = noise(8000)
    samples[1000, 0], samples[1001] = np.nan, np.inf
    out = stream.play(samples)
    cleaned = faded_around(np.nan_to_num(samples, posinf=0.0), 1000, 1002)
    np.testing.assert_allclose(out, delayed(cleaned, stream.delay), atol=1e-6)
    assert stream.stats["faulty_samples"] == 3
    assert stream.stats["silenced_samples"] == 2


def test_output_beyond_full_scale_is_clipped_and_counted(tmp_path):
    stream = Stepped(load(tiny_models.gain(tmp_path, 4.0, FRAMING)), 256)
    samples = sine(8000).astype(np.float32)
    out = stream.play(samples)
    np.testing.assert_allclose(out, np.clip(4 * delayed(samples, stream.delay), -1, 1), atol=1e-5)
    assert stream.stats["clipped_samples"] == np.count_nonzero(np.abs(out[:, 0]) == 1)


# --- files instead of devices ----------------------------------------------------------------------------------------


def test_with_no_pointers_samples_go_from_the_source_to_the_sink_tail_included(identity):
    stream = Stepped(identity, 256, channels=(0, 0))
    samples = noise(3001)
    ring.put(stream.shared.source, samples)
    ring.mark_end(stream.shared.source)
    n_calls = 0
    while True:
        stream.call(None, 256)
        stream.work()
        n_calls += 1
        if stream.code == callback.COMPLETE:
            break
    assert n_calls == -(-(3001 + stream.delay) // 256)
    out = np.empty((n_calls * 256, 2), np.float32)
    assert ring.take(stream.shared.sink, out) == len(out)
    np.testing.assert_allclose(out[stream.delay : stream.delay + 3001], samples, atol=1e-6)
    np.testing.assert_allclose(out[: stream.delay], 0, atol=1e-6)
    assert stream.stats["source_underruns"] == stream.stats["sink_overruns"] == 0


def test_a_source_that_is_late_is_faded_to_silence_and_counted_and_goes_on_where_it_was(identity):
    stream = Stepped(identity, 256, channels=(0, 2), bypass=1)
    samples = noise(512)
    ring.put(stream.shared.source, samples[:300])
    out = [stream.call(None, 256) for _ in range(3)]
    ring.put(stream.shared.source, samples[300:])
    ring.mark_end(stream.shared.source)
    while stream.code == callback.CONTINUE:
        out.append(stream.call(None, 256))
    heard = np.concatenate(out)[stream.delay :]
    expected = np.concatenate([samples[:300], np.zeros((468, 2), np.float32), samples[300:]])
    np.testing.assert_allclose(heard[: len(expected)], faded_around(expected, 300, 768), atol=1e-7)
    assert stream.stats["source_underruns"] == 2


def test_a_sink_that_is_full_is_counted_and_stops_nothing(identity):
    stream = Stepped(identity, 4096, channels=(2, 0))
    for _ in range(20):
        stream.call(noise(4096))
    assert stream.stats["samples"] == 20 * 4096
    assert stream.stats["sink_overruns"] == 4 * (20 - 16)


def test_the_devices_flags_are_counted(identity):
    stream = Stepped(identity)
    stream.call(noise(256), flags=2 + 4)
    stream.call(noise(256), flags=4)
    assert {name: stream.stats[name] for name in ("input_overflow", "output_underflow", "input_underflow")} == {
        "input_overflow": 1,
        "output_underflow": 2,
        "input_underflow": 0,
    }


def test_blocks_without_input_before_there_is_any_fill_the_output_and_are_no_underflow(identity):
    stream = Stepped(identity)
    for flags in (1, 1, 0, 1):
        stream.call(noise(256), flags=flags)
    assert (stream.stats["priming_output"], stream.stats["input_underflow"]) == (2, 1)


# --- what it never does ----------------------------------------------------------------------------------------------

NOTHING_LIKE_IT = re.compile(r"NRT_|numba_gil|numba_unpickle|PyGILState|Py_|PyErr|PyEval|PyObject|malloc|pthread")


BODIES = {
    "one clock": callback._body,
    "two clocks, capture": callbacks._capture_body,
    "two clocks or another rate": callbacks._device_body,
}


@pytest.fixture(scope="module", params=BODIES.values(), ids=BODIES.keys())
def compiled_code(request):
    """A callback's LLVM code; code from the cache can't be inspected, so it is compiled anew."""
    kept = callback.stream_callback(request.param)
    signature = c_type(kept.result)(*map(c_type, kept.arguments))
    return cfunc(signature, error_model="numpy", _nrt=False)(request.param).inspect_llvm()


def calls_by_function(code):
    """Names that each function of the compiled code calls, those of the C wrapper's error path under `wrapper`."""
    found, current = {}, ""
    for line in code.splitlines():
        if definition := re.match(r"define.* @\"?([^\"( ]+)", line):
            name = definition[1]
            current = "wrapper" if name.startswith("cfunc.") else name
        elif call := re.search(r"\b(?:call|invoke)\b.*?@\"?([\w.$]+)", line):
            found.setdefault(current, set()).add(call[1])
    return found


def test_the_compiled_code_has_no_call_to_allocator_or_interpreter_outside_the_wrappers_error_path(compiled_code):
    calls = calls_by_function(compiled_code)
    forbidden = {name for name in calls["wrapper"] if NOTHING_LIKE_IT.search(name)}
    assert "numba_gil_ensure" in forbidden  # the pattern finds what is there to be found
    calls.pop("wrapper")
    calls.pop("NRT_decref", None)  # defined, but nobody calls it: see the next line
    assert any("_body" in name for name in calls)  # the rest may be inlined in it
    assert {name for names in calls.values() for name in names if NOTHING_LIKE_IT.search(name)} == set()


def test_the_body_raises_nothing(compiled_code):
    assert ".const.pickledata" not in compiled_code  # numba pickles each exception that a function may raise


def test_a_function_that_allocates_does_not_compile():
    @compiled
    def may_allocate(n):
        return np.zeros(n).sum()

    assert may_allocate(3) == 0

    @realtime
    def must_not(n):
        return np.zeros(n).sum()

    with pytest.raises(NumbaError, match=r"NRT required|Only accept returning of array"):
        must_not(3)


COUNTING_PROGRAM = """
import ctypes, sys
import numpy as np
from apollo_rt.inference.model import load
from tests.doubles.stepped import Stepped
library = ctypes.CDLL(sys.argv[1])
library.count_in.restype = ctypes.c_long
def count(address, block_size):
    stream = Stepped(load(sys.argv[2]), block_size)
    block, out = np.full((2, block_size, 2), 0.5, np.float32)
    for name, value in dict(mix=0.5, delta=1, low_cut_hz=90, output_gain_db=3).items():
        stream.parameters.set(name, value)
    address = address or ctypes.cast(stream.callback, ctypes.c_void_p).value
    return library.count_in(ctypes.c_void_p(address), block.ctypes.data_as(ctypes.c_void_p),
        out.ctypes.data_as(ctypes.c_void_p), ctypes.c_ulong(block_size),
        ctypes.c_void_p(stream.userdata), 100)
control = ctypes.cast(library.allocates, ctypes.c_void_p).value
print(count(control, 256), *(count(0, n) for n in (1, 256, 4096)))
"""


@pytest.mark.skipif(
    shutil.which("gcc") is None or sys.platform != "linux",
    reason="NO gcc AND glibc HERE: the allocator isn't watched, only the compiled code is read",
)
def test_the_callback_never_calls_the_allocator_and_the_detector_sees_one_that_does(tmp_path):
    (tmp_path / "counter.c").write_text(MALLOC_COUNTER)
    library = tmp_path / "counter.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, tmp_path / "counter.c"], check=True)
    model = tiny_models.identity(tmp_path, FRAMING)
    program = [sys.executable, "-c", COUNTING_PROGRAM, library, model]
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    counted = subprocess.check_output(program, env=environment, cwd=ROOT, text=True)
    control, *callbacks = (int(number) for number in counted.split())
    assert control == 200
    assert callbacks == [0, 0, 0]


FOREIGN = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
typedef int (*callback)(void *, void *, unsigned long, void *, unsigned long, void *);
struct job { callback f; void *in, *out, *userdata; int times; volatile int done; };
static void *work(void *given) {
    struct job *job = given;
    while (job->done < job->times) {
        job->f(job->in, job->out, 256, 0, 0, job->userdata);
        job->done++;
    }
    return 0;
}
/* Calls back in a thread that Python knows nothing of, and waits for it, at most so long; how often it came back. */
int calls(callback f, void *in, void *out, void *userdata, int times, int seconds) {
    struct job *job = calloc(1, sizeof *job);  /* not freed: the thread may go on when we don't wait any longer */
    struct timespec end;
    pthread_t thread;
    job->f = f; job->in = in; job->out = out; job->userdata = userdata; job->times = times;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += seconds;
    pthread_create(&thread, 0, work, job);
    if (pthread_timedjoin_np(thread, 0, &end)) pthread_detach(thread);
    return job->done;
}
"""


@pytest.mark.skipif(shutil.which("gcc") is None or sys.platform != "linux", reason="NO gcc AND glibc HERE")
def test_a_thread_that_is_not_pythons_is_called_back_while_python_waits_for_it_with_the_interpreter(identity, tmp_path):
    (tmp_path / "foreign.c").write_text(FOREIGN)
    library = tmp_path / "foreign.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, tmp_path / "foreign.c"], check=True)
    calls = ctypes.PyDLL(str(library)).calls  # a PyDLL call keeps the interpreter for itself
    stream, came = Stepped(identity, 256), []
    block, out = np.full((2, 256, 2), 0.5, np.float32)

    @PA_CALLBACK
    def python_callback(*_):
        came.append(1)
        return 0

    def count(address, seconds):
        userdata = ctypes.c_void_p(stream.userdata)
        return calls(address, *(ctypes.c_void_p(array.ctypes.data) for array in (block, out)), userdata, 100, seconds)

    assert count(ctypes.c_void_p(callback.callback_address()), 100) == 100
    assert stream.stats["callbacks"] == 100
    assert count(python_callback, 1) == 0
    while len(came) < 100:  # now that the interpreter is free
        time.sleep(0.01)


def calls_while_the_interpreter_is_held(stream, address, patience_s):
    """How often a virtual device called back while no other thread could run Python; 20 times are enough."""
    ring.put(stream.shared.source, noise(2**16))
    device = VirtualDevice(RATE, 256)
    device.start(address, stream.userdata)
    while stream.stats["callbacks"] < 5:
        time.sleep(0.01)
    n_calls = goes_on(lambda: stream.shared.stats.counters.callbacks, 20, patience_s)
    device.stop()
    return n_calls


@pytest.mark.realtime
def test_the_callback_runs_while_another_thread_holds_the_interpreter_and_a_python_callback_does_not(identity):
    stream = Stepped(identity, 256, channels=(0, 0))
    assert calls_while_the_interpreter_is_held(stream, callback.callback_address(), patience_s=100.0) >= 20
    stream = Stepped(identity, 256, channels=(0, 0))

    @PA_CALLBACK
    def python_callback(*arguments):
        return stream.callback(*arguments)

    address = ctypes.cast(python_callback, ctypes.c_void_p).value
    n_calls = calls_while_the_interpreter_is_held(stream, address, patience_s=0.5)
    assert n_calls <= 1, "one that had asked for the interpreter, or left it for compiled code, may still be counted"
