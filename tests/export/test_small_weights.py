"""Weights of 8 bits: rounded once and stored as they are, a graph that does the same but for what it rounds."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from apollo_rt.errors import ModelFileError, ParityError
from apollo_rt.inference.model import load
from apollo_rt.inference.model_file import read_card
from apollo_rt.stream.batch_stream import BatchStream, open_batch_stream
from apollo_rt.stream.golden import golden_error_db
from apollo_rt.stream.restoration_stream import RestorationStream
from export import bundle
from export.graphs.small_weights import round_weights
from export.graphs.to_onnx import ExportedGraph, export_graphs
from export.verify import verify
from tests.doubles.sounds import noise
from tests.doubles.tiny_nets import SMALL_LEVELS, lively, lively_levels
from training.nets.level_net import LevelLayer
from training.nets.level_restorer import LevelRestorer


def wide_levels() -> LevelRestorer:
    """Layers as wide as 8 bits are worth while: a row of 32 numbers shares one scale."""
    torch.manual_seed(0)
    net = LevelRestorer(dataclasses.replace(SMALL_LEVELS, width=64, hidden=96)).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return net


@pytest.fixture(scope="module")
def net() -> LevelRestorer:
    return wide_levels()


@pytest.fixture(scope="module")
def graphs(net: LevelRestorer) -> list[ExportedGraph]:
    return export_graphs(net, batch_frames=8, weight_bits=8)


@pytest.fixture(scope="module")
def path(net: LevelRestorer, graphs: list[ExportedGraph], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("model") / "small.onnx"
    bundle.write(graphs, bundle.make_card(net, graphs, target, "small", "MIT", {}, {}, weight_bits=8))
    return target


def test_rounding_is_to_127_steps_of_each_row_and_done_once() -> None:
    net = wide_levels()
    before = copy.deepcopy(net.state_dict())
    round_weights(net)
    for layer in (one for one in net.modules() if isinstance(one, LevelLayer)):
        for part in (layer.widen, layer.narrow):
            steps = part.weight / part.weight.abs().amax(1, keepdim=True) * 127
            torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
    after = copy.deepcopy(net.state_dict())
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {name for name in after if "layers." in name and name.endswith(("widen.weight", "narrow.weight"))}
    round_weights(net)
    torch.testing.assert_close(net.state_dict(), after)


def test_what_is_stored_is_the_rounded_weight(net: LevelRestorer, graphs: list[ExportedGraph]) -> None:
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in graphs[0].model.graph.initializer}
    whole = {name: value for name, value in stored.items() if value.dtype == np.int8}
    assert net.levels.correction
    assert len(whole) == 3 * (len(net.levels.layers) + len(net.levels.correction.layers))
    narrow = net.levels.layers[0].narrow.weight.detach().numpy().T
    weight = stored["layers.0.narrow.whole"] * stored["layers.0.narrow.scale"]
    np.testing.assert_allclose(weight, narrow, rtol=1e-6)


def test_nothing_else_is_wrong_and_what_is_rounded_costs_little(
    net: LevelRestorer, graphs: list[ExportedGraph]
) -> None:
    parity = verify(net, graphs, n_frames=200)  # raises where without rounding -80 dB aren't kept
    assert -80 < parity.worst_graph_error_db < -15
    changed = [dataclasses.replace(graph, model=copy.deepcopy(graph.model)) for graph in graphs]
    node = next(node for node in changed[0].model.graph.node if node.op_type == "Gemm" and "layers.0" in node.input[1])
    del node.attribute[:]
    node.attribute.append(onnx.helper.make_attribute("alpha", 1.001))
    with pytest.raises(ParityError, match="at most -80 dB"):
        verify(net, changed, n_frames=40)


def test_the_file_says_so_and_the_engine_allows_for_it(path: Path) -> None:
    assert read_card(path).weight_bits == 8
    model = load(path)
    assert -120 < golden_error_db(model) < -40
    model = onnx.load(path)
    for entry in model.metadata_props:
        if entry.key == "apollo_rt.weight_bits":
            entry.value = "16"
    path.with_name("other.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="weight_bits: must be 8 or 32, is '16'"):
        read_card(path.with_name("other.onnx"))


def test_what_goes_through_in_batches_is_what_goes_through_hop_by_hop(path: Path, graphs: list[ExportedGraph]) -> None:
    """Each row is rounded by itself; what differs are sums in another order, which now and then round the other way."""
    model, audio = load(path), noise(64 * 80, 0.3)
    ours, theirs = (_aligned(make(model), audio) for make in (open_batch_stream, RestorationStream))
    assert np.abs(ours - theirs).max() < 1e-2 * np.abs(theirs).max()


def _aligned(stream: BatchStream | RestorationStream, audio: np.ndarray) -> np.ndarray:
    ending = np.zeros((stream.latency_samples, 2), np.float32)
    return stream.process(np.concatenate((audio, ending)))[stream.latency_samples :]


def test_a_net_of_tokens_has_no_such_layers() -> None:
    with pytest.raises(ParityError, match="a level net's layers"):
        export_graphs(lively(), weight_bits=8)


def test_a_net_without_rounding_is_left_as_it_was() -> None:
    net = lively_levels()
    before = copy.deepcopy(net.state_dict())
    graphs = export_graphs(net, batch_frames=8)
    torch.testing.assert_close(net.state_dict(), before)
    assert all(node.op_type != "DequantizeLinear" for graph in graphs for node in graph.model.graph.node)
