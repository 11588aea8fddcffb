"""The model's step and batch, and a whole hop, per tier: ours, ONNX Runtime from Python, PyTorch eager and compiled."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from apollo_rt.inference.model import Model, load
from apollo_rt.stream.golden import tolerance_db
from apollo_rt.stream.processor import Processor
from apollo_rt.stream.stft import Samples, analyse, carrier_frames, copy_recent, new_analysis
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.note import note
from benchmarks.rivals.plain import PlainProcessor, PlainStep, TorchStep, shipped_net, step_graph
from export.graphs.to_onnx import Net

N_CHECKED = 40

Step = Callable[..., np.ndarray]
Frames = tuple[np.ndarray, ...]
"""All that the model takes of frames, in the order of its inputs."""


class BackEndStep:
    """A back end of ours over its own buffers.

    Args:
        model: of either back end.
        is_batch: many frames at once.
    """

    def __init__(self, model: Model, is_batch: bool = False) -> None:
        bound = model.new_batch() if is_batch else model.new_step()
        assert bound is not None
        self._buffers, self._bound, self._parity = bound.buffers, bound.bound, 0

    def __call__(self, spectrum: np.ndarray, carrier: np.ndarray, recent: np.ndarray | None = None) -> np.ndarray:
        buffers = self._buffers
        if recent is not None:
            buffers.recent[:] = recent
        buffers.spectrum.view(np.float32).reshape(spectrum.shape)[:] = spectrum
        buffers.carrier.view(np.float32).reshape(-1)[:] = carrier.reshape(-1)[: 2 * buffers.carrier.size]
        assert self._bound.run(self._parity) == 0
        self._parity = 1 - self._parity
        return buffers.restored.view(np.float32).reshape(spectrum.shape)


def tier_of(name: str) -> Model:
    return load(tier=name)


STEPS: dict[str, Callable[[Model], Step]] = {
    "ours, C API": BackEndStep,
    "ONNX Runtime, IOBinding": lambda model: BackEndStep(load(tier=model.tier, backend="python")),
    "InferenceSession.run": lambda model: PlainStep(step_graph(model)),
    "PyTorch, eager": lambda model: TorchStep(shipped_net(model), exit_of(model)),
    "PyTorch, torch.compile": lambda model: TorchStep(shipped_net(model), exit_of(model), "inductor"),
    "PyTorch, traced": lambda model: TorchStep(shipped_net(model), exit_of(model), "eager"),
}
BATCHES: dict[str, Callable[[Model], Step]] = {
    "ours, batch graph": lambda model: BackEndStep(model, is_batch=True),
    "ours, step by step": lambda model: step_by_step(BackEndStep(model)),
    "InferenceSession.run": lambda model: PlainStep(step_graph(model, batch=True)),
    "PyTorch, eager": lambda model: TorchBatch(shipped_net(model), exit_of(model)),
}


class TorchBatch:
    """Many frames in one call of the net."""

    def __init__(self, net: Net, exit_index: int) -> None:
        self._net, self._exit, self._state = net, exit_index, net.initial_state(1, exit_index)

    def __call__(self, *parts: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            frames = (torch.from_numpy(part)[None] for part in parts)
            restored, self._state = self._net(*frames, self._state, self._exit)
        frames_out: np.ndarray = restored[0].numpy()
        return frames_out


def exit_of(model: Model) -> int:
    """The net's exits have the best last, a file's tiers have it first."""
    return -1 - model.tiers.index(model.tier)


def step_by_step(step: Step) -> Step:
    return lambda *parts: np.stack([step(*frame).copy() for frame in zip(*parts, strict=True)])


@pytest.fixture(scope="module")
def frames(model: Model, music: Samples) -> Frames:
    """Spectra, carriers and newest samples of music. Shape: (frames, 2, bins, 2) twice, (frames, 2, samples)."""
    framing, state = model.framing, new_analysis(model.framing)
    spectra = np.zeros((N_CHECKED, 2, framing.n_bins), np.complex64)
    recent = np.zeros((N_CHECKED, 2, model.card.recent_samples), np.float32)
    for index, spectrum in enumerate(spectra):
        analyse(state, music[index * framing.hop_length :][: framing.hop_length], spectrum)
        copy_recent(state, recent[index])
    shape = N_CHECKED, 2, framing.n_bins, 2
    carriers = carrier_frames(0, N_CHECKED, framing.n_bins)
    parts = spectra.view(np.float32).reshape(shape), carriers.view(np.float32).reshape(shape)
    return (*parts, recent) if recent.size else parts


@pytest.mark.benchmark(group="model step")
@pytest.mark.parametrize("name", STEPS)
def test_model_step(
    benchmark: BenchmarkFixture, plan: Extent, model: Model, frames: Frames, tier: str, name: str
) -> None:
    is_traced, is_last = "traced" in name, tier == model.tiers[-1]
    if "PyTorch, t" in name and (plan.is_quick != is_traced or (plan.is_quick and not is_last)):
        pytest.skip("compiling takes a minute; in a quick run one tier is traced, to see that it works")
    model = tier_of(tier)
    limit_db = tolerance_db(model.provider, model.card.weight_bits)
    ours, theirs = BackEndStep(model), STEPS[name](model)
    for frame in zip(*frames, strict=True):
        wanted = ours(*frame).copy()
        assert error_db(theirs(*frame), wanted) < limit_db
    timed = benchmark.pedantic(theirs, frame, rounds=plan.micro_rounds, warmup_rounds=5)
    assert error_db(timed, steady(ours, frame, plan.micro_rounds + 5)) < limit_db
    note(benchmark, "micro", f"{tier}: {name}", model=model, deadline_s=model.framing.hop_period_s)


@pytest.mark.benchmark(group="batch of frames")
@pytest.mark.parametrize("name", BATCHES)
def test_batch_graph(benchmark: BenchmarkFixture, plan: Extent, model: Model, frames: Frames, name: str) -> None:
    if (batch := model.new_batch()) is None:
        pytest.skip("the model has no batch graph")
    n_frames, limit_db = batch.n_frames, tolerance_db(model.provider, model.card.weight_bits)
    part = tuple(np.ascontiguousarray(values[:n_frames]) for values in frames)
    ours, theirs = step_by_step(BackEndStep(model)), BATCHES[name](model)
    assert error_db(theirs(*part), ours(*part)) < limit_db
    rounds = max(plan.micro_rounds // n_frames, 3)
    timed = benchmark.pedantic(theirs, part, rounds=rounds)
    assert error_db(timed, steady(ours, part, rounds)) < limit_db
    note(benchmark, "micro", name, model=model, deadline_s=n_frames * model.framing.hop_period_s, frames=n_frames)


@pytest.mark.benchmark(group="whole hop: analysis, step, synthesis")
@pytest.mark.parametrize(("name", "make"), [("ours", Processor), ("numpy and InferenceSession.run", PlainProcessor)])
def test_processor_hop(
    benchmark: BenchmarkFixture,
    plan: Extent,
    music: Samples,
    tier: str,
    name: str,
    make: Callable[[Model], Processor | PlainProcessor],
) -> None:
    model = tier_of(tier)
    limit_db = tolerance_db(model.provider, model.card.weight_bits)
    ours, theirs, hop_length = Processor(model), make(model), model.framing.hop_length
    hops = [music[start : start + hop_length] for start in range(0, N_CHECKED * hop_length, hop_length)]
    for hop in hops:
        assert error_db(theirs.process(hop), ours.process(hop)) < limit_db
    timed = benchmark.pedantic(theirs.process, (hops[-1],), rounds=plan.micro_rounds, warmup_rounds=5)
    wanted = [ours.process(hops[-1]) for _ in range(plan.micro_rounds + 5)][-1]
    assert error_db(timed, wanted) < limit_db
    note(benchmark, "micro", f"{tier}: {name}", model=model, deadline_s=model.framing.hop_period_s)


def steady(step: Step, frame: tuple[np.ndarray, ...], n_calls: int) -> np.ndarray:
    """Output of ours after as many calls."""
    return [step(*frame) for _ in range(n_calls)][-1]


def error_db(got: np.ndarray, wanted: np.ndarray) -> float:
    """Energy of the difference, relative to what is wanted; quieter than -120 dBFS is silence."""
    difference, whole = (float(np.sum(part.astype(np.float64) ** 2)) for part in (got - wanted, wanted))
    return float(10 * np.log10((difference + 1e-30) / max(whole, 1e-12 * wanted.size)))
