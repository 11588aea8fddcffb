"""A model that somebody else trained: adapted, exported, verified, and restoring live."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from apollo_rt.errors import ParityError
from apollo_rt.inference.model_choice import open_model
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.stream.golden import golden_error_db
from export.examples.somebody import Adapter, DullnessRemover, train
from export.third_party import export_restorer


@pytest.fixture(scope="module")
def theirs() -> Iterator[DullnessRemover]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one frame is too short to share
    yield trained()
    torch.set_num_threads(n_threads)


def trained() -> DullnessRemover:
    net = DullnessRemover()
    assert train(net, 40) < 0.25  # 0.48 after one step, 0.14 after forty: it learnt something
    return net


@pytest.fixture(scope="module")
def path(theirs: DullnessRemover, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("theirs") / "somebody.onnx"
    assert export_restorer(Adapter(theirs), path, "somebody", "MIT", n_frames=120) < -80
    return path


class Noise:
    """A source: so many samples of dull noise."""

    def __init__(self, n_samples: int) -> None:
        noise = np.random.default_rng(0).standard_normal((n_samples, 2)) * 0.05
        self.samples, self.position = np.cumsum(noise, axis=0).astype(np.float32) * 0.05, 0

    def read(self, n_samples: int) -> np.ndarray:
        start, self.position = self.position, self.position + n_samples
        return self.samples[start : self.position]


class Kept:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []

    def write(self, samples: np.ndarray) -> None:
        self.blocks.append(np.array(samples))

    def commit(self) -> None:
        """All is kept already."""

    def abort(self) -> None:
        self.blocks.clear()


def test_their_model_restores_live_and_as_pytorch_says(path: Path, theirs: DullnessRemover) -> None:
    model = open_model(path, "cpu")
    assert golden_error_db(model) < -80
    n_hops = 60
    source, sink = Noise(n_hops * 256), Kept()
    device = VirtualDevice(model.framing.sample_rate, pace=False)
    with Engine(model, device, EngineSettings(), source, sink) as engine:
        engine.wait()
    output = np.concatenate(sink.blocks)
    assert output.shape == source.samples.shape
    live, expected = np.abs(np.fft.rfft(output[4096:].T)), np.abs(np.fft.rfft(source.samples[4096:].T))
    high = slice(live.shape[1] // 2, None)
    gain_db = 20 * np.log10(live[:, high].mean() / expected[:, high].mean())
    gains, _ = theirs(torch.full((1, 513), 0.01), torch.zeros(1, 24))
    assert gain_db > 1.0, f"the highs came out changed by {gain_db:.1f} dB, their net gives up to {gains.max():.2f}"


class Drifting(Adapter):
    """An adapter whose second frame differs from its first for no reason that the graph knows."""

    def __init__(self, net: DullnessRemover) -> None:
        super().__init__(net)
        self.calls = 0

    def forward(self, spectrum: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
        if not torch.compiler.is_exporting():
            self.calls += 1
        restored, hidden = super().forward(spectrum, hidden)
        return restored * (1 + self.calls), hidden


def test_a_model_that_is_no_function_of_its_inputs_does_not_leave(theirs: DullnessRemover, tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="step: frame 0: restored differs by"):
        export_restorer(Drifting(theirs), tmp_path / "drifting.onnx", "drifting", "MIT", n_frames=10)
    assert list(tmp_path.iterdir()) == []


def test_states_that_do_not_begin_with_zeros_are_refused(theirs: DullnessRemover, tmp_path: Path) -> None:
    adapter = Adapter(theirs)
    adapter.initial_state = lambda: [torch.ones(24)]  # type: ignore[method-assign]
    with pytest.raises(ParityError, match="must begin with zeros"):
        export_restorer(adapter, tmp_path / "x.onnx", "x", "MIT")
