"""A busy Python thread in the same process: the music goes on, aligned and without gaps.

Misses and gaps are printed, not judged: they depend on the machine. What is judged does not.
"""

import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from apollo_rt.inference.model import load
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.realtime.worker import MAX_HOPS_BEHIND
from apollo_rt.stream.restoration_stream import RestorationStream
from tests.doubles.held_interpreter import goes_on
from tests.doubles.memory_files import MemoryReader, MemoryWriter

pytestmark = [pytest.mark.realtime, pytest.mark.slow]

RATE = 44_100
DURATION_S = 21


@contextmanager
def busy_python_thread():
    """A thread that never waits for anything."""
    running = True

    def be_busy():
        while running:
            sum(range(1000))

    thread = threading.Thread(target=be_busy, daemon=True)
    thread.start()
    try:
        yield
    finally:
        running = False
        thread.join()


def music(n_samples):
    """Noise with the spectrum of music, never silent and never the same twice, so that any lag shows."""
    white = np.random.default_rng(7).normal(0, 1, (n_samples, 2))
    spectrum = np.fft.rfft(white, axis=0)
    spectrum /= np.maximum(np.arange(len(spectrum)) * RATE / n_samples / 200, 1)[:, None]
    colored = np.fft.irfft(spectrum, n_samples, axis=0)
    return (0.3 * colored / np.abs(colored).max()).astype(np.float32)


def lags(out, reference, part=RATE // 2):
    """By how many samples each half second of the output lags behind the reference."""
    found = []
    for start in range(0, len(out) - part + 1, part):
        a, b = (np.fft.rfft(x[start : start + part, 0], 2 * part) for x in (out, reference))
        found.append(int(np.argmax(np.fft.fftshift(np.fft.irfft(a * np.conj(b))))) - part)
    return found


def loudness(samples, part=441):
    n_parts = len(samples) // part
    return np.sqrt(np.mean(samples[: n_parts * part].reshape(n_parts, -1) ** 2, axis=1))


@pytest.fixture(scope="module")
def model():
    return load()


def test_twenty_seconds_beside_a_busy_python_thread_lose_nothing(model):
    samples = music(DURATION_S * RATE)
    sink = MemoryWriter()
    engine = Engine(model, VirtualDevice(RATE, 256), EngineSettings(), MemoryReader(samples), sink)
    engine.prepare()
    with busy_python_thread(), engine:
        assert engine.wait(10 * DURATION_S)
    snapshot, out = engine.snapshot(), sink.samples
    interval, step = snapshot.callback_interval_ms, snapshot.step_ms
    print(
        f"\nhops {snapshot.hops}, missed {snapshot.deadline_misses}, jumps {snapshot.jumps}, "
        f"device underruns {snapshot.output_underflow}\n"
        f"callback interval ms: p50 {interval.p50:.2f} p99 {interval.p99:.2f} p99.9 {interval.p999:.2f} "
        f"max {interval.max:.2f}\n"
        f"step ms: p50 {step.p50:.2f} p99 {step.p99:.2f} p99.9 {step.p999:.2f} max {step.max:.2f}"
    )
    assert len(out) == len(samples)
    assert snapshot.callbacks == -(-(len(samples) + engine.latency.stream) // 256)
    # On a machine that is too busy the worker may end some hops behind, never more than it is allowed to be.
    assert snapshot.hops + snapshot.skipped_hops + MAX_HOPS_BEHIND >= len(samples) // 256
    assert snapshot.source_underruns == snapshot.sink_overruns == snapshot.faulty_samples == 0
    assert set(lags(out, samples)) == {0}
    assert (loudness(out) > 0.3 * loudness(samples)).all()
    if snapshot.deadline_misses == 0:
        stream = RestorationStream(model)
        padded = np.concatenate([samples, np.zeros((stream.latency_samples, 2), np.float32)])
        np.testing.assert_array_equal(out, np.clip(stream.process(padded)[stream.latency_samples :], -1, 1))


def test_the_worker_works_while_another_thread_holds_the_interpreter(model):
    samples = np.tile(music(3 * RATE), (20, 1))
    engine = Engine(model, VirtualDevice(RATE, 256), EngineSettings(), MemoryReader(samples), MemoryWriter())
    with engine:
        while engine.snapshot().hops < 20:
            time.sleep(0.01)
        assert goes_on(lambda: engine._shared.stats.counters.hops, 20, patience_s=60.0) >= 20
