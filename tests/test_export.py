"""From checkpoint to file: parity, the card, the golden pair through the engine, and what is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from apollo_rt.errors import ParityError
from apollo_rt.inference.model import load
from apollo_rt.inference.model_file import default_model_path, read_card
from apollo_rt.stream.processor import Processor
from export import bundle
from export.step_module import StepModule
from export.to_onnx import to_onnx
from export.verify import music_like, verify
from tests.test_training import SMALL, lively
from training.fitting import checkpoint


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    """Steps of one frame are far too short to share, and two threads on a busy machine wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def step() -> StepModule:
    return StepModule(lively())


@pytest.fixture(scope="module")
def graph(step: StepModule) -> onnx.ModelProto:
    return to_onnx(step)


def engine_on_golden(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """What the engine puts out for the golden input, and what it should."""
    model = load(path)
    processor = Processor(model)
    golden = model.card.golden
    return np.stack([processor.process(hop).copy() for hop in golden.input]), golden.output


def test_the_graph_equals_pytorch_over_hundreds_of_frames_and_fresh_starts(
    step: StepModule, graph: onnx.ModelProto
) -> None:
    parity = verify(step, graph, n_hops=400, resets=(0, 130, 290))
    assert parity.n_frames == 400
    assert max(parity.offline_error_db, parity.graph_error_db) < -80


def test_a_changed_weight_fails_the_export(step: StepModule, graph: onnx.ModelProto) -> None:
    broken = onnx.ModelProto()
    broken.CopyFrom(graph)
    weight = next(
        tensor for tensor in broken.graph.initializer if "narrow.weight" in tensor.name or len(tensor.dims) == 2
    )
    values = onnx.numpy_helper.to_array(weight).copy()
    values *= 1.01
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    with pytest.raises(ParityError, match=r"ONNX step: frame \d+: \w+ differs by"):
        verify(step, broken, n_hops=40, resets=(0,))


def test_the_file_says_all_and_the_engine_gives_the_golden_output(
    step: StepModule, graph: onnx.ModelProto, tmp_path: Path
) -> None:
    path = tmp_path / "small.onnx"
    card = bundle.make_card(step, path, "small", "MIT", {"steps": 1}, {"visqol": 3})
    bundle.write(graph, card)
    assert read_card(path) == card
    assert not list(tmp_path.glob("*.part"))
    got, wanted = engine_on_golden(path)
    np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())


def test_the_bundled_model_gives_its_golden_output_in_this_engine() -> None:
    got, wanted = engine_on_golden(default_model_path())
    np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())
    assert np.abs(wanted).max() > 0.1


def test_the_bundled_model_is_the_one_the_design_asks_for() -> None:
    framing = read_card(default_model_path()).framing
    assert (framing.sample_rate, framing.hop_length) == (44_100, 256)
    assert framing.algorithmic_latency <= 512
    assert default_model_path().stat().st_size < 8e6


def test_the_test_signal_has_silence_peaks_and_width() -> None:
    left, right = music_like(700, 256)
    assert np.abs(left).max() == 1
    assert (left[int(1.65 * 44_100) : int(1.69 * 44_100)] == 0).all()
    assert not np.allclose(left, right)


def test_the_command_turns_a_checkpoint_into_a_file(tmp_path: Path) -> None:
    net = lively()
    checkpoint.save(
        tmp_path / "last.pt",
        config=checkpoint.config_to_dict(SMALL),
        averaged=net.state_dict(),
        step=7,
        trained_s=60.0,
    )
    out = tmp_path / "model.onnx"
    done = subprocess.run(
        [sys.executable, "-m", "export", "--checkpoint", tmp_path / "last.pt", "--out", out, "--name", "tiny"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ONNX and PyTorch by" in done.stdout
    card = read_card(out)
    assert (card.name, card.training["steps"]) == ("tiny", 7)
