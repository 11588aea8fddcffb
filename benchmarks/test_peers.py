"""Peers side by side, each with its version, in the same terms: seconds of processor time for a second of sound."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from apollo_rt.inference.model import load
from apollo_rt.stream.processor import Processor
from apollo_rt.stream.stft import Samples
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.note import note
from benchmarks.rivals.peers import PEERS, Peer
from benchmarks.rivals.sizes import published_cost
from training.nets.apollo_published import PublishedApollo

_NOISE = 0.05


@pytest.mark.benchmark(group="peers, one frame")
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_peer(benchmark: BenchmarkFixture, plan: Extent, peer: Peer) -> None:
    process, n_frames = peer.make(), max(plan.micro_rounds, 100)
    shape = (n_frames, peer.channels, peer.frame_length)
    frames = (_NOISE * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    kept: list[NDArray[np.float32]] = []
    following = iter(frames)
    benchmark.pedantic(
        lambda frame: kept.append(process(frame).copy()), setup=lambda: ((next(following),), {}), rounds=n_frames
    )
    assert peer.is_right(frames, with_ends(kept, shape))
    period_s = peer.frame_length / peer.sample_rate
    note(
        benchmark, "peer", peer.name, deadline_s=period_s, version=peer.version, what=peer.what, channels=peer.channels,
        sample_rate=peer.sample_rate, frame_ms=round(1e3 * period_s, 1),
        **seconds_a_second(benchmark, period_s, peer.channels),
    )  # fmt: skip


def with_ends(kept: list[NDArray[np.float32]], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """As many samples as went in: an effect that holds some back gives fewer at first."""
    out = np.zeros(shape, np.float32)
    for target, frame in zip(out, kept, strict=True):
        target[..., : frame.shape[-1]] = frame
    return out


@pytest.mark.benchmark(group="peers, one frame")
def test_ours(benchmark: BenchmarkFixture, plan: Extent, music: Samples, tier: str) -> None:
    """A hop, stereo, called from Python as the peers are."""
    processor = Processor(load(tier=tier))
    framing = processor.framing
    hops = music[: len(music) // framing.hop_length * framing.hop_length].reshape(-1, framing.hop_length, 2)
    n_hops = min(max(plan.micro_rounds, 100), len(hops))
    out, following = np.zeros((n_hops, framing.hop_length, 2), np.float32), iter(range(n_hops))

    def next_hop() -> tuple[tuple[Samples, Samples], dict[str, Any]]:
        number = next(following)
        return (hops[number], out[number]), {}

    benchmark.pedantic(processor.process, setup=next_hop, rounds=n_hops)
    assert processor.frame_faults == 0
    np.testing.assert_array_equal(out[-1], fresh(processor, hops[:n_hops]))
    period_s = framing.hop_period_s
    note(
        benchmark, "peer", f"Apollo RT, {tier}", model=processor.model, deadline_s=period_s,
        version=processor.model.card.name, what="net, restores music", channels=2, sample_rate=framing.sample_rate,
        frame_ms=round(1e3 * period_s, 1), **seconds_a_second(benchmark, period_s, 2),
    )  # fmt: skip


def fresh(processor: Processor, hops: Samples) -> Samples:
    """The last hop once more, from a new start."""
    processor.reset()
    return [processor.process(hop) for hop in hops][-1]


@pytest.mark.benchmark(group="peers, the published Apollo")
def test_the_published_apollo(benchmark: BenchmarkFixture, plan: Extent, music: Samples) -> None:
    """Ours in PyTorch, random weights: time doesn't depend on them. It sees the future, so it can't run live at all."""
    torch.manual_seed(0)
    net, seconds = PublishedApollo().eval(), 0.1 if plan.is_quick else 1.0
    clip = torch.from_numpy(np.ascontiguousarray(music[: round(seconds * 44_100)].T))[None]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            restored = benchmark.pedantic(net, (clip,), rounds=1 if plan.is_quick else 3)
    finally:
        torch.set_num_threads(before)
    assert restored.shape == clip.shape
    assert torch.isfinite(restored).all()
    parameters, gmac_per_s = published_cost()
    note(
        benchmark, "peer", "Apollo as published", deadline_s=seconds, version=f"PyTorch {torch.__version__}",
        what="net, restores music; sees the future, so whole files only", channels=2, sample_rate=44_100,
        sees_ahead_ms=round(1e3 * net.context_samples / 44_100), parameters=parameters,
        gmac_per_s=round(gmac_per_s, 1), **seconds_a_second(benchmark, seconds, 2),
    )  # fmt: skip


def seconds_a_second(benchmark: BenchmarkFixture, period_s: float, channels: int) -> dict[str, Any]:
    """Processor seconds for a second of sound, of all its channels and of each; the median, and the fastest."""
    assert benchmark.stats is not None  # it has run
    median, fastest = benchmark.stats.stats.median / period_s, benchmark.stats.stats.min / period_s
    return {
        "s_per_s": round(median, 5),
        "s_per_s_fastest": round(fastest, 5),
        "s_per_s_channel": round(median / channels, 5),
    }
