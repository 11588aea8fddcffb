"""Scale: streams on this machine, files over its cores, sizes of the net, how near the core's own peak."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from apollo_rt import ApolloEffect
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.files.jobs import run_jobs
from apollo_rt.files.plan import Job
from apollo_rt.inference.model import Model
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.stream.stft import Samples
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.machine import ROOT
from benchmarks.measuring.note import note
from benchmarks.measuring.recording_device import RecordingDevice
from benchmarks.measuring.times import REPLAY, Times
from benchmarks.rivals import sizes
from benchmarks.rivals.plain import CHECKPOINT, step_graph
from export.trials.timing import product_flops, time_graphs

N_CORES = os.cpu_count() or 1
THREADS = sorted({1, *(2**power for power in range(1, 8) if 2**power < N_CORES), N_CORES})


@pytest.mark.benchmark(group="streams at once: engines in real time", timer=REPLAY)
def test_engines_at_once(
    benchmark: BenchmarkFixture, plan: Extent, model: Model, music: Samples, n_streams: int
) -> None:
    """All in one process, on one model, without real-time priority: they would take the machine for themselves."""
    framing, rate = model.framing, model.framing.sample_rate
    samples = np.tile(music, (int(plan.stream_s) + 1, 1))[: round(plan.stream_s * rate)]
    devices = [RecordingDevice(samples, framing.hop_length, rate) for _ in range(n_streams)]
    engines = [Engine(model, device, EngineSettings(realtime=False)) for device in devices]
    for engine in engines:
        engine.prepare()
        engine.start()
    begin_s, spent_s = time.monotonic(), time.process_time()
    while not all(device.is_done for device in devices):
        time.sleep(0.05)
    share = (time.process_time() - spent_s) / (time.monotonic() - begin_s)
    snapshots = [engine.snapshot() for engine in engines]
    for engine in engines:
        engine.stop()
    assert all(device.played.any() for device in devices)
    histograms = [Times.of_histogram(snapshot.step_ms).seconds for snapshot in snapshots]
    times = Times(np.concatenate(histograms), framing.hop_period_s)
    REPLAY.play(benchmark, times)
    note(
        benchmark, "streams", f"engines, {n_streams}", times, model, what="engines, real time", streams=n_streams,
        missed_hops=sum(snapshot.deadline_misses for snapshot in snapshots),
        hops=sum(snapshot.hops + snapshot.skipped_hops for snapshot in snapshots),
        on_the_best_tier=sum(snapshot.tier == model.tier for snapshot in snapshots),
        cpu_percent=round(100 * share),
    )  # fmt: skip


@pytest.mark.benchmark(group="streams at once: effects, as fast as they go")
def test_effects_at_once(
    benchmark: BenchmarkFixture, plan: Extent, model: Model, music: Samples, n_streams: int
) -> None:
    """A thread and an effect each. What is timed is all of them together."""
    clip = np.ascontiguousarray(music[: round(min(plan.stream_s, 4.0) * 44_100)].T)
    wanted = ApolloEffect(model=model)(clip, 44_100)
    effects = [ApolloEffect(model=model) for _ in range(n_streams)]
    with ThreadPoolExecutor(n_streams) as pool:
        outs = benchmark.pedantic(lambda: list(pool.map(lambda effect: effect(clip, 44_100), effects)), rounds=3)
    for out in outs:
        np.testing.assert_array_equal(out, wanted)
    seconds = clip.shape[1] / 44_100
    assert benchmark.stats is not None  # it has run
    note(
        benchmark, "streams", f"effects, {n_streams}", model=model, what="effects, as fast as they go",
        streams=n_streams,
        times_real_time=round(n_streams * seconds / benchmark.stats.stats.min, 2),
    )  # fmt: skip


@pytest.mark.benchmark(group="files over cores")
@pytest.mark.parametrize("n_files", ["one file", "a file for each thread"])
@pytest.mark.parametrize("threads", THREADS)
def test_files_over_cores(
    benchmark: BenchmarkFixture, plan: Extent, model: Model, music: Samples, tmp_path: Path, threads: int, n_files: str
) -> None:
    count = 1 if n_files == "one file" else threads
    clip = np.tile(music, (3, 1))[: round(plan.file_s * 44_100)]
    jobs = [Job(tmp_path / f"{number}.wav", tmp_path / f"{number}.flac") for number in range(count)]
    for job in jobs:
        write(job.target.with_suffix(".wav"), clip)
    outcomes = benchmark.pedantic(lambda: list(run_jobs(jobs, model, threads=threads, existing="overwrite")), rounds=2)
    assert [outcome.error for outcome in outcomes] == [None] * count
    assert {outcome.report.n_samples for outcome in outcomes} == {len(clip)}
    assert len({job.target.read_bytes() for job in jobs}) == 1
    assert benchmark.stats is not None  # it has run
    ratio = count * plan.file_s / benchmark.stats.stats.min
    note(benchmark, "files", f"{threads} threads, {n_files}", model=model, threads=threads, files=count,
         times_real_time=round(ratio, 2), per_thread=round(ratio / threads, 2))  # fmt: skip


def write(path: Path, clip: Samples) -> None:
    writer = AudioWriter(path, 44_100, 2)
    writer.write(clip)
    writer.commit()


@pytest.mark.benchmark(group="model size")
def test_model_size(benchmark: BenchmarkFixture, width_factor: float) -> None:
    """The net that ships, narrower and wider. What is timed is its making and export; its own times are facts."""
    config = shipped_config()
    size, times = benchmark.pedantic(sizes.measure, (sizes.scaled(config, width_factor),))
    assert times.fastest_ms > 0
    width = sizes.scaled(config, width_factor).width
    note(
        benchmark, "size", f"width {width}", width=width, parameters=size.parameters,
        gmac_per_s=round(size.gmac_per_s, 3), load_percent_fastest=round(size.load_percent[0], 1),
        load_percent_median=round(size.load_percent[1], 1), latency_ms=round(size.latency_ms, 1),
    )  # fmt: skip


def shipped_config() -> sizes.Config:
    from training.nets.checkpoint import load_restorer

    return load_restorer(CHECKPOINT)[0].config


@pytest.mark.benchmark(group="efficiency")
def test_efficiency_against_the_peak_of_the_core(benchmark: BenchmarkFixture, model: Model) -> None:
    """Share of the speed of numpy's own matrix product that the products of the step and of the block reach."""
    import onnx

    graphs = {"step": onnx.load_from_string(step_graph(model))}
    if model.card.graph_of(model.tier, batch=True):
        graphs["batch"] = onnx.load_from_string(step_graph(model, batch=True))
    times = benchmark.pedantic(time_graphs, (graphs,))
    peak = sgemm_peak()
    assert peak > 0
    reached = {name: product_flops(graph) / times[name].fastest_ms / 1e6 for name, graph in graphs.items()}
    assert all(0 < gflops < 2 * peak for gflops in reached.values())
    facts: dict[str, Any] = {f"{name}_gflops": round(gflops, 1) for name, gflops in reached.items()}
    facts |= {f"{name}_of_peak_percent": round(100 * gflops / peak) for name, gflops in reached.items()}
    note(benchmark, "efficiency", "products against sgemm", model=model, sgemm_gflops=round(peak, 1), **facts)


def sgemm_peak() -> float:
    """In a process of its own, with one thread: BLAS reads how many it may use when it is loaded."""
    own = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1"}
    script = "from export.trials.timing import sgemm_peak_gflops; print(sgemm_peak_gflops())"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=os.environ | own, capture_output=True, text=True, check=True
    )
    return float(done.stdout)
