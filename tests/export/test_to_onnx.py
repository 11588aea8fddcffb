"""From checkpoint to file: parity, the card, the golden pair through the engine, and what is refused."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from apollo_rt.commands.model_card import card_lines
from apollo_rt.errors import ModelFileError, ParityError
from apollo_rt.inference import model_fields as fields
from apollo_rt.inference.model import Backend, load
from apollo_rt.inference.model_file import default_model_path, read_card, read_model_file
from apollo_rt.stream.golden import golden_error_db, tolerance_db
from apollo_rt.stream.processor import Processor
from export import bundle
from export.graphs.operators import check_operators
from export.graphs.to_onnx import ExportedGraph, Net, export_graphs
from export.verify import music_like, verify
from tests.doubles.tiny_nets import PLAIN, SMALL_LEVELS, lively, lively_levels
from training.nets import checkpoint


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    """Steps of one frame are far too short to share, and two threads on a busy machine wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=[lively, lively_levels], ids=["tokens", "levels"])
def net(request: pytest.FixtureRequest) -> Net:
    made: Net = request.param()
    return made


@pytest.fixture(scope="module")
def graphs(net: Net) -> list[ExportedGraph]:
    return export_graphs(net, batch_frames=8)


@pytest.fixture(scope="module")
def path(net: Net, graphs: list[ExportedGraph], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("model") / "small.onnx"
    bundle.write(graphs, bundle.make_card(net, graphs, target, "small", "MIT", {"steps": 1}, {"visqol": 3}))
    return target


def engine_on_golden(path: Path, tier: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What the engine puts out for a tier's golden input, and what it should."""
    model = load(path, tier=tier)
    processor = Processor(model)
    golden = model.card.golden_of(model.tier)
    return np.stack([processor.process(hop).copy() for hop in golden.input]), golden.output


def test_all_graphs_equal_pytorch_over_hundreds_of_frames_and_fresh_starts(
    net: Net, graphs: list[ExportedGraph]
) -> None:
    parity = verify(net, graphs, n_frames=400)
    assert parity.n_frames == 400
    assert parity.n_starts >= 3
    assert set(parity.graph_error_db) == {"full.step", "full.batch", "light.step", "light.batch"}
    assert max(parity.offline_error_db, parity.worst_graph_error_db) < -80


@pytest.mark.parametrize("index", range(4))
def test_a_changed_weight_of_any_graph_fails_the_export(net: Net, graphs: list[ExportedGraph], index: int) -> None:
    broken = onnx.ModelProto()
    broken.CopyFrom(graphs[index].model)
    of_any = ("decoder.fine_bias", "layers.0.gate")
    used = [name for node in broken.graph.node for name in node.input]
    name = next(name for name in used if any(name.startswith(one) for one in of_any) and "gate_bias" not in name)
    weight = next(tensor for tensor in broken.graph.initializer if tensor.name == name)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.1), name))
    changed = [*graphs]
    changed[index] = dataclasses.replace(graphs[index], model=broken)
    with pytest.raises(ParityError, match=rf"{graphs[index].name}: frame \d+: restored differs by"):
        verify(net, changed, n_frames=40)


def test_a_state_that_drifts_fails_the_export_by_its_name(net: Net, graphs: list[ExportedGraph]) -> None:
    broken = onnx.ModelProto()
    broken.CopyFrom(graphs[0].model)
    node = next(node for node in broken.graph.node if "state_2_next" in node.output)
    node.output[:] = [name if name != "state_2_next" else "before" for name in node.output]
    one = numpy_helper.from_array(np.float32([1.001]), "one")
    broken.graph.initializer.append(one)
    broken.graph.node.append(onnx.helper.make_node("Mul", ["before", "one"], ["state_2_next"]))
    changed = [dataclasses.replace(graphs[0], model=broken), *graphs[1:]]
    with pytest.raises(ParityError, match=r"full.step: frame \d+: state_2_next differs by"):
        verify(net, changed, n_frames=40)


def test_the_weights_stand_in_the_file_once(net: Net, path: Path) -> None:
    n_values = sum(parameter.numel() for parameter in net.parameters())
    card = read_card(path)
    assert all(len(fields.decoded(metadata(path), f"graph.{graph.name}")) < 60_000 for graph in card.graphs)
    n_stored = sum(numpy_helper.to_array(tensor).size for tensor in onnx.load(path).graph.initializer)
    assert n_values < n_stored < 1.5 * n_values + 20_000


def test_an_operator_that_a_provider_lacks_fails_the_export(graphs: list[ExportedGraph]) -> None:
    strange = onnx.ModelProto()
    strange.CopyFrom(graphs[0].model)
    strange.graph.node.append(onnx.helper.make_node("BitShift", ["a", "b"], ["c"]))
    with pytest.raises(ParityError, match=r"full.step: BitShift: not taken by"):
        check_operators("full.step", strange)


@pytest.mark.parametrize("tier", ["full", "light"])
def test_the_file_says_all_and_the_engine_gives_the_golden_output_of_each_tier(path: Path, tier: str) -> None:
    assert read_card(path).tiers == ("full", "light")
    assert not list(path.parent.glob("*.part"))
    got, wanted = engine_on_golden(path, tier)
    # Ten times that of a trained net: random weights make much of the last digits in which two FFTs differ.
    np.testing.assert_allclose(got, wanted, atol=1e-3 * np.abs(wanted).max())


def test_tiers_differ_and_the_lighter_one_has_the_first_states(net: Net, path: Path) -> None:
    full, light = (load(path, tier=tier).card for tier in ("full", "light"))
    assert not np.allclose(full.golden_of("full").output, light.golden_of("light").output, atol=1e-3)
    step = full.graph_of("light", batch=False)
    assert step is not None
    assert full.states_of(step) == full.states[: len(net.initial_state(1, 0))]
    assert len(full.states) == len(net.initial_state(1, 1)) == step.n_states + 1


@pytest.mark.parametrize("backend", ["c_api", "python"])
@pytest.mark.parametrize("tier", ["full", "light"])
def test_a_batch_leaves_the_frames_and_the_states_that_steps_leave(path: Path, tier: str, backend: Backend) -> None:
    model = load(path, backend, tier=tier)
    step, batch = model.new_step(), model.new_batch()
    assert batch is not None
    random = np.random.default_rng(5)
    for call in range(3):
        batch.buffers.spectrum[:] = random.standard_normal(batch.buffers.spectrum.shape)
        batch.buffers.carrier[:] = random.standard_normal(batch.buffers.carrier.shape)
        assert batch.bound.run(call & 1) == 0
        for frame in range(batch.n_frames):
            step.buffers.spectrum[:], step.buffers.carrier[:] = (
                batch.buffers.spectrum[frame],
                batch.buffers.carrier[frame],
            )
            assert step.bound.run(call * batch.n_frames + frame & 1) == 0
            np.testing.assert_allclose(batch.buffers.restored[frame], step.buffers.restored, atol=1e-4)
        ours, theirs = batch.buffers.states[1 - call & 1], step.buffers.states[(call + 1) * batch.n_frames & 1]
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_further_graph_that_was_changed_is_refused(path: Path, tmp_path: Path) -> None:
    changed = onnx.load(path)
    for entry in changed.metadata_props:
        if entry.key == "apollo_rt.graph.light.step":
            entry.value = "AAAA" + entry.value[4:]
    onnx.save(changed, tmp_path / "changed.onnx")
    with pytest.raises(ModelFileError, match=r"graphs: the SHA-256 of 'light.step' is not that of"):
        read_card(tmp_path / "changed.onnx")


def test_a_tier_that_the_file_lacks_is_refused_by_name(path: Path) -> None:
    with pytest.raises(ValueError, match="tier must be one of full, light"):
        load(path, tier="huge")


def metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_the_bundled_model_gives_its_golden_output_in_this_engine() -> None:
    assert -200 < golden_error_db(load()) <= tolerance_db(load().provider, load().card.weight_bits)
    assert np.abs(engine_on_golden(default_model_path())[1]).max() > 0.1


def test_the_bundled_model_is_the_one_the_design_asks_for() -> None:
    framing = read_card(default_model_path()).framing
    assert (framing.sample_rate, framing.hop_length) == (44_100, 256)
    assert framing.algorithmic_latency <= 512
    assert default_model_path().stat().st_size < 10e6


def test_the_test_signal_has_silence_peaks_and_width() -> None:
    left, right = music_like(700, 256)
    assert np.abs(left).max() == 1
    assert (left[int(1.65 * 44_100) : int(1.69 * 44_100)] == 0).all()
    assert not np.allclose(left, right)


@pytest.fixture(scope="module")
def checkpoint_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "last.pt"
    averaged = lively(PLAIN).state_dict()
    checkpoint.save(path, config=checkpoint.config_to_dict(PLAIN), averaged=averaged, step=7, trained_s=60.0)
    return path


def run_export(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "export", "--frames", "50", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_turns_a_checkpoint_into_a_file(checkpoint_file: Path, tmp_path: Path) -> None:
    out, figures, limits = (tmp_path / name for name in ("model.onnx", "quality.json", "limits.json"))
    figures.write_text('{"summary": {"mp3-64": {"restored": {"lsd": 1.5}}}}')
    limits.write_text('{"fails": ["birds", "bells"]}')
    done = run_export(
        *("--checkpoint", checkpoint_file, "--out", out, "--name", "tiny", "--quality", figures, "--quality", limits)
    )
    assert done.returncode == 0, done.stderr
    assert "ONNX and PyTorch" in done.stdout
    assert "full.batch" in done.stdout
    file = read_model_file(out)
    card = file.card
    assert (card.name, card.training["steps"]) == ("tiny", 7)
    assert list(card.quality) == ["summary", "fails"]
    lines = list(card_lines(file))
    assert [line.strip() for line in lines[lines.index("  quality     mp3-64, restored: lsd 1.5") + 1 :][:2]] == [
        "fails: birds",
        "fails: bells",
    ]


@pytest.mark.parametrize(
    ("text", "why"), [("[1, 2]", "a list, must be an object"), ('{"visqol": ', "no JSON: Expecting value")]
)
def test_a_card_takes_only_objects(checkpoint_file: Path, tmp_path: Path, text: str, why: str) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(text)
    done = run_export("--checkpoint", checkpoint_file, "--out", tmp_path / "model.onnx", "--training", facts)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {facts}: {why}")
    assert list(tmp_path.iterdir()) == [facts]


def test_channels_that_are_wholly_alike_or_opposite_stay_finite() -> None:
    """ONNX Runtime's Tanh rounds to more than one: the share that is apart would be the root of a negative number."""
    net = lively_levels()
    n_bands = SMALL_LEVELS.bands.n_short
    with torch.no_grad():
        for decoder in net.levels.decoders:
            spread = torch.linspace(-12.0, 12.0, n_bands)
            decoder.bias[2 * n_bands : 3 * n_bands] = spread
    assert verify(net, export_graphs(net, batch_frames=8), n_frames=200).worst_graph_error_db < -80
