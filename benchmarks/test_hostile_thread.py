"""A busy Python thread beside the audio: the compiled engine, and what one writes first: a callback in Python.

    python -m pytest benchmarks/test_hostile_thread.py --benchmark-only -s

Both restore the same signal with the same model, paced by the same virtual device; the plain one runs
`InferenceSession.run` in a Python callback. A hop is missed where it isn't there when the device needs it. Nothing is
passed or failed on time; where no hop is missed, both must return what the synchronous stream does.
"""

import ctypes
import platform
import threading
import time
from contextlib import contextmanager, nullcontext

import numba
import numpy as np
import onnxruntime
import pytest

from apollo_rt.control.parameters import Parameters
from apollo_rt.inference.model import load
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.line import address_table, make_line
from apollo_rt.live.snapshot import Durations
from apollo_rt.live.stats import make_stats, record
from apollo_rt.live.virtual_device import VirtualDevice
from apollo_rt.stream.processor import Processor
from apollo_rt.stream.restoration_stream import RestorationStream
from tests.stepped import PA_CALLBACK
from tests.test_engine import MemoryReader, MemoryWriter

DURATION_S = 20
RATE = 44_100
OUTPUT_UNDERFLOW = 4


@contextmanager
def busy_python_thread():
    """A thread that never waits for anything."""
    running = True

    def be_busy():
        while running:
            sum(range(1000))

    thread = threading.Thread(target=be_busy, daemon=True)
    thread.start()
    yield
    running = False
    thread.join()


def compiled_engine(samples, surroundings):
    """Figures of the real engine."""
    model = load()
    sink = MemoryWriter()
    engine = Engine(model, VirtualDevice(RATE, 256), EngineSettings(), MemoryReader(samples), sink)
    engine.prepare()
    with surroundings, engine:
        engine.wait()
    snapshot = engine.snapshot()
    if snapshot.deadline_misses == 0:
        np.testing.assert_array_equal(sink.samples, restored(model, samples))
    return {
        "interval": snapshot.callback_interval_ms,
        "step": snapshot.step_ms,
        "hops": snapshot.hops,
        "missed": snapshot.deadline_misses,
        "underruns": snapshot.output_underflow,
    }


def python_callback(samples, surroundings):
    """Figures of a callback in Python that runs the model through the Python package."""
    model = load(backend="python")
    processor = Processor(model)
    hop_length = model.framing.hop_length
    hops = samples[: len(samples) // hop_length * hop_length].reshape(-1, hop_length, 2)
    out, called_ns, done_ns, underruns = [], [], [], []
    finished = threading.Event()

    @PA_CALLBACK
    def callback(source, target, n_samples, time_info, flags, userdata):
        called_ns.append(time.perf_counter_ns())
        if flags & OUTPUT_UNDERFLOW:
            underruns.append(len(out))
        out.append(processor.process(hops[len(out)]))
        done_ns.append(time.perf_counter_ns())
        if len(out) < len(hops):
            return 0
        finished.set()
        return 1

    line = make_line(model.framing, 1024, 2, 2, 1, Parameters().values)  # only tells the device not to wait for files
    table = address_table(line)
    device = VirtualDevice(RATE, hop_length)
    with surroundings:
        device.start(ctypes.cast(callback, ctypes.c_void_p).value, table.ctypes.data)
        finished.wait()
    device.stop()
    delay = model.framing.hop_delay
    np.testing.assert_allclose(
        np.concatenate(out)[delay:], restored(model, samples)[: len(out) * 256 - delay], atol=1e-6
    )
    called, done = np.array(called_ns), np.array(done_ns)
    return {
        "interval": summary(np.diff(called)),
        "step": summary(done - called),
        "hops": len(out),
        # The result is due when the device, which has called on time until its clock slipped, calls again.
        "missed": int(np.count_nonzero(np.diff(done) > 2 * 1e9 * hop_length / RATE)),
        "underruns": len(underruns),
    }


def restored(model, samples):
    """What the synchronous stream makes of it, aligned."""
    stream = RestorationStream(model)
    padded = np.concatenate([samples, np.zeros((stream.latency_samples, 2), np.float32)])
    return np.clip(stream.process(padded)[stream.latency_samples :], -1, 1)


def summary(durations_ns):
    """Their distribution, as the engine gives its own."""
    histogram = make_stats().step_ns
    for duration in durations_ns:
        record(histogram, int(duration))
    return Durations.of(histogram)


def table_row(name, figures):
    """One line of the table."""
    columns = [f"{name:34}"]
    for kind in ("step", "interval"):
        durations = figures[kind]
        columns += [f"{value:8.2f}" for value in (durations.p50, durations.p99, durations.p999, durations.max)]
    return " ".join([*columns, *(f"{figures[kind]:9d}" for kind in ("hops", "missed", "underruns"))])


@pytest.mark.benchmark(group="hostile thread")
def test_a_busy_python_thread_stops_a_callback_in_python_and_not_the_engine(benchmark):
    """Run both, alone and beside a busy thread, and print the table."""
    samples = np.random.default_rng(1).uniform(-0.3, 0.3, (DURATION_S * RATE, 2)).astype(np.float32)

    def run_all():
        return {
            f"{name}, {place}": run(samples, surroundings())
            for place, surroundings in (("alone", nullcontext), ("beside a busy thread", busy_python_thread))
            for name, run in (("compiled", compiled_engine), ("Python", python_callback))
        }

    results = benchmark.pedantic(run_all, rounds=1)
    quantiles = " ".join(f"{name:>8}" for name in ("p50", "p99", "p99.9", "max"))
    versions = f"Python {platform.python_version()}, numba {numba.__version__}, ONNX Runtime {onnxruntime.__version__}"
    print(f"\n\n{platform.machine()}, {versions}; hop period {256e3 / RATE:.2f} ms; {DURATION_S} s each\n")
    print(f"{'':34} {'step, ms':^35} {'between callbacks, ms':^35}")
    print(f"{'':34} {quantiles} {quantiles} {'hops':>9} {'missed':>9} {'underruns':>9}")
    for name, figures in results.items():
        print(table_row(name, figures))
        benchmark.extra_info[name] = {key: getattr(value, "__dict__", value) for key, value in figures.items()}
