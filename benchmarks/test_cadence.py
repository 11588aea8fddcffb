"""At real cadence, one hop each 5.8 ms, not back to back: cold caches, sleepy clocks, late wake-ups are part of it.

Ways to run the same model, each under every load: the engine as it ships, and without its real-time priority; numpy and
`InferenceSession.run` in a Python callback, as one writes it first. Then the compiled hop called from a Python loop.
"""

import ctypes
import time
from typing import Any, Literal, cast

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from apollo_rt.inference.model import Model, load
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.stream.processor import Processor
from apollo_rt.stream.stft import Samples
from benchmarks.measuring.cadence import facts_of, signal, wait_for
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.load import LOADS
from benchmarks.measuring.note import note
from benchmarks.measuring.recording_device import RecordingDevice
from benchmarks.measuring.times import REPLAY, Times
from benchmarks.rivals.plain import PlainProcessor
from tests.doubles.stepped import PA_CALLBACK

TOLERANCE = {32: 1e-4, 8: 1e-2}
"""By bits of the weights. -80 dBFS: sums in another order. Where products round what goes into them to 8 bits, a last
bit of a state tips others: -40 dBFS."""


def restored(model: Model, samples: np.ndarray) -> np.ndarray:
    """Restore it by the processor, hop by hop, clipped as every output is."""
    processor, hop_length = Processor(model), model.framing.hop_length
    out = [processor.process(samples[start : start + hop_length]) for start in range(0, len(samples), hop_length)]
    return np.clip(np.concatenate(out), -1, 1)


@pytest.mark.benchmark(group="real cadence", timer=REPLAY)
@pytest.mark.parametrize("load_name", LOADS)
@pytest.mark.parametrize("priority", ["as it ships", "normal priority"])
def test_engine(
    benchmark: BenchmarkFixture, plan: Extent, model: Model, music: Samples, load_name: str, priority: str
) -> None:
    """The worker's hop is timed; a hop is missed where it isn't there when its first sample is needed.

    At normal priority, as all that is written first has, to tell apart what is owed to compiled code.
    """
    is_shipped = priority == "as it ships"
    hop_length = model.framing.hop_length
    samples = signal(music, plan.n_hops, hop_length)
    device = RecordingDevice(samples, hop_length, model.framing.sample_rate)
    engine = Engine(model, device, EngineSettings(realtime=is_shipped))
    engine.prepare()
    with LOADS[load_name](), engine:
        wait_for(device)
        snapshot = engine.snapshot()
    n_late = engine.latency.stream
    assert snapshot.hops + snapshot.skipped_hops >= plan.n_hops - 8
    assert snapshot.frame_faults == snapshot.faulty_samples == 0
    if snapshot.deadline_misses == snapshot.silenced_samples == snapshot.tier_changes == 0:
        wanted = restored(model, samples)[model.framing.hop_delay :]
        n_same = len(samples) - n_late
        np.testing.assert_allclose(device.played[n_late:], wanted[:n_same], atol=TOLERANCE[model.card.weight_bits])
    times = Times.of_histogram(snapshot.step_ms, model.framing.hop_period_s)
    REPLAY.play(benchmark, times)
    title = "engine" if is_shipped else "engine, normal priority"
    note(
        benchmark, "cadence", title, times, model, load_name, missed_hops=snapshot.deadline_misses,
        scheduling=snapshot.scheduling, tier_at_end=snapshot.tier, **facts_of(device),
    )  # fmt: skip


@pytest.mark.benchmark(group="real cadence", timer=REPLAY)
@pytest.mark.parametrize("load_name", LOADS)
def test_python_callback(
    benchmark: BenchmarkFixture, plan: Extent, model: Model, music: Samples, load_name: str
) -> None:
    """The callback is timed; a hop is missed where it is not done when the next block is due."""
    hop_length, period_s = model.framing.hop_length, model.framing.hop_period_s
    samples = signal(music, plan.n_hops, hop_length)
    processor = PlainProcessor(model)

    @PA_CALLBACK  # type: ignore[untyped-decorator]  # ctypes' prototypes have no hints
    def callback(source: int, target: int, n_samples: int, time_info: int, flags: int, userdata: int) -> int:
        kind: Any = ctypes.c_float * (2 * n_samples)  # NumPy's hints don't take it for a buffer
        block, out = (np.frombuffer(kind.from_address(place), np.float32).reshape(-1, 2) for place in (source, target))
        np.clip(processor.process(block), -1, 1, out=out)
        return 0

    device = RecordingDevice(samples, hop_length, model.framing.sample_rate)
    with LOADS[load_name]():
        device.start(cast("int", ctypes.cast(callback, ctypes.c_void_p).value), 0)
        wait_for(device)
        device.stop()
    np.testing.assert_allclose(device.played, restored(model, samples), atol=TOLERANCE[model.card.weight_bits])
    missed = int(np.count_nonzero(device.late_ns + device.spent_ns > period_s * 1e9))
    times = Times(device.spent_ns / 1e9, period_s)
    REPLAY.play(benchmark, times)
    title = "Python callback, numpy and InferenceSession.run"
    note(benchmark, "cadence", title, times, model, load_name, missed_hops=missed, **facts_of(device))


@pytest.mark.benchmark(group="hop from a Python loop, at real cadence")
@pytest.mark.parametrize("backend", ["c_api", "python"])
def test_hop_from_python(
    benchmark: BenchmarkFixture, plan: Extent, music: Samples, tier: str, backend: Literal["c_api", "python"]
) -> None:
    """One hop is timed where nothing else goes on: the load of a tier."""
    model = load(tier=tier, backend=backend)
    processor, period_s, hop_length = Processor(model), model.framing.hop_period_s, model.framing.hop_length
    n_hops = max(plan.n_hops // 4, 100)
    hops = signal(music, n_hops, hop_length).reshape(n_hops, hop_length, 2)
    out, start_s, number = np.zeros((n_hops, hop_length, 2), np.float32), time.perf_counter(), 0

    def wait() -> tuple[tuple[Samples, Samples], dict[str, Any]]:
        nonlocal number
        time.sleep(max(0.0, start_s + number * period_s - time.perf_counter()))
        number += 1
        return (hops[number - 1], out[number - 1]), {}

    benchmark.pedantic(processor.process, setup=wait, rounds=n_hops)
    np.testing.assert_allclose(
        np.clip(np.concatenate(out), -1, 1),
        restored(model, np.concatenate(hops)),
        atol=TOLERANCE[model.card.weight_bits],
    )
    note(benchmark, "hop", f"{tier}: {backend}", model=model, load="quiet", deadline_s=period_s)
