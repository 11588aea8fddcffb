"""Quality for cost: SI-SDR, LSD and ViSQOL on a fixed open test set, against load and latency, per tier and precision.

`--data FOLDER` takes a test set, such as the project's own (`python -m training prepare open` makes it); without it the
demo's original in this repository, one clip.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from apollo_rt.config import Framing
from apollo_rt.inference.model import Model, load
from apollo_rt.latency import FADE_LENGTH, step_budget
from apollo_rt.stream.stft import carrier_frames
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.note import note
from benchmarks.rivals import graph_quality
from benchmarks.rivals.graph_quality import DamagedClip
from benchmarks.rivals.plain import PlainStep
from training.evaluation.judge import Judge
from training.evaluation.measure import damage

_BLOCK = 64
_SHARE = 0.99

Graphs = Callable[[str], dict[str, bytes]]
"""A tier's graphs, by precision."""


@pytest.fixture(scope="module")
def clips(plan: Extent, data: Path) -> list[DamagedClip]:
    return graph_quality.clips(data, plan.n_clips, plan.clip_s, plan.kbps)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.fixture(scope="module")
def graphs(plan: Extent) -> Graphs:
    """Of the tiers that were asked for so far."""
    made: dict[str, dict[str, bytes]] = {}

    def of(tier: str) -> dict[str, bytes]:
        if tier not in made:
            made[tier] = graph_quality.graphs_of(load(tier=tier), 20 if plan.is_quick else 200)
        return made[tier]

    return of


@pytest.mark.benchmark(group="quality for cost: a step at real cadence")
@pytest.mark.parametrize("precision", graph_quality.PRECISIONS)
def test_quality_for_cost(
    benchmark: BenchmarkFixture,
    plan: Extent,
    model: Model,
    data: Path,
    clips: list[DamagedClip],
    judge: Judge,
    graphs: Graphs,
    tier: str,
    precision: str,
) -> None:
    if plan.is_quick and (tier != model.tiers[-1] or precision not in graph_quality.PRECISIONS[:2]):
        pytest.skip("a quick run takes one tier in two precisions")
    model, graph = load(tier=tier), graphs(tier).get(precision)
    if graph is None:
        pytest.skip(f"{tier} has no {precision}: none of its products could be told from the rest")
    time_steps(benchmark, model, graph, max(plan.n_hops // 20, 50))
    restored = [graph_quality.restore(model, graph, clip.damaged) for clip in clips]
    assert benchmark.stats is not None  # it has run
    latency_ms = shortest_latency_ms(model.framing, benchmark.stats.stats.sorted_data)
    facts: dict[str, Any] = {
        "tier": tier,
        "precision": precision,
        "test_set": data.name,
        "clips": len(clips),
        "latency_ms": latency_ms,
    }
    if all(np.isfinite(out).all() for out in restored):
        facts |= graph_quality.mean_scores(judge, restored, clips)
    else:
        assert precision != "float32"
        facts["failed"] = "what comes out is not a number"
    note(benchmark, "quality", f"{tier}, {precision}", model=model, load="quiet",
         deadline_s=model.framing.hop_period_s, **facts)  # fmt: skip


@pytest.mark.benchmark(group="quality for cost: the codec alone")
def test_untouched(
    benchmark: BenchmarkFixture, plan: Extent, data: Path, clips: list[DamagedClip], judge: Judge
) -> None:
    """The damaged clip, which has to be beaten; the codec is timed."""
    clip = clips[0]
    benchmark.pedantic(damage, (clip.clean, f"mp3-{plan.kbps[0]}"))
    scores: dict[str, Any] = graph_quality.mean_scores(judge, [clip.damaged for clip in clips], clips)
    note(benchmark, "quality", "untouched", test_set=data.name, clips=len(clips), latency_ms=0.0, **scores)


def time_steps(benchmark: BenchmarkFixture, model: Model, graph: bytes, n_steps: int) -> None:
    """The step once each hop, as in life."""
    step, period_s, n_bins = PlainStep(graph), model.framing.hop_period_s, model.framing.n_bins
    carriers = carrier_frames(0, n_steps, n_bins).view(np.float32).reshape(n_steps, 2, n_bins, 2)
    start_s, number = time.perf_counter(), 0

    recent = [] if step.recent_shape is None else [carriers[0, :, : step.recent_shape[1], 0].copy()]

    def wait() -> tuple[tuple[NDArray[np.float32], ...], dict[str, Any]]:
        nonlocal number
        time.sleep(max(0.0, start_s + number * period_s - time.perf_counter()))
        number += 1
        return (10 * carriers[-number], carriers[number - 1], *recent), {}

    benchmark.pedantic(step, setup=wait, rounds=n_steps)


def shortest_latency_ms(framing: Framing, step_s: Sequence[float]) -> float | None:
    """Of the engine, at blocks of 64 samples, with headroom for 99 of 100 steps; None where those don't fit a hop."""
    needed = float(np.quantile(step_s, _SHARE)) * framing.sample_rate
    for headroom in range(FADE_LENGTH, 8 * framing.hop_length, FADE_LENGTH):
        if step_budget(_BLOCK, framing.hop_length, headroom) >= needed:
            return round(1e3 * (framing.algorithmic_latency + headroom) / framing.sample_rate, 1)
    return None
