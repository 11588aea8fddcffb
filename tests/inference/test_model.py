"""Loading a model, with either back end, and refusing what doesn't fit together."""

import warnings

import numpy as np
import onnx
import pytest
from onnx import helper

from apollo_rt.compiled.native import flush_to_zero
from apollo_rt.config import Framing
from apollo_rt.errors import ModelFileError
from apollo_rt.inference import model, model_file
from apollo_rt.inference.buffers import allocate
from apollo_rt.inference.model_file import graph_sha256
from apollo_rt.inference.onnx_c_api import LibraryMissingError
from tests.doubles import tiny_models
from tests.doubles.tiny_models import BACKENDS


def rewrite(path, change):
    """Change the graph or the metadata; the hash follows."""
    proto = onnx.load(path)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    change(proto.graph, metadata)
    metadata["apollo_rt.graph_sha256"] = graph_sha256(proto.SerializeToString())
    del proto.metadata_props[:]
    helper.set_model_props(proto, metadata)
    onnx.save(proto, path)


def set_states(text):
    def change(graph, metadata):
        metadata["apollo_rt.states"] = text

    return change


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_knows_its_card_and_its_back_end(tmp_path, backend):
    loaded = model.load(tiny_models.delay_one_frame(tmp_path), backend)
    assert loaded.backend == backend
    assert loaded.card.name == "tiny delay"
    assert loaded.framing == tiny_models.SMALL


def test_auto_takes_the_c_library_and_does_not_warn(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.load(str(tiny_models.identity(tmp_path))).backend == "c_api"


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_are_fed_back_through_two_buffers(tmp_path, backend):
    step = model.load(tiny_models.delay_one_frame(tmp_path), backend).new_step()
    buffers = step.buffers
    for number in range(6):
        buffers.spectrum[:] = number
        before = buffers.states[number & 1].copy()
        assert step.bound.run(number & 1) == 0
        assert np.all(buffers.restored == max(0, number - 1))
        assert np.array_equal(buffers.states[number & 1], before)


@pytest.mark.parametrize("backend", BACKENDS)
def test_steps_of_one_model_have_buffers_of_their_own(tmp_path, backend):
    loaded = model.load(tiny_models.identity(tmp_path), backend)
    first, second = loaded.new_step(), loaded.new_step()
    first.buffers.spectrum[:] = 1
    first.bound.run(0)
    second.bound.run(0)
    assert np.all(first.buffers.restored == 1)
    assert np.all(second.buffers.restored == 0)


def test_every_tensor_starts_a_cache_line(tmp_path):
    states = [(3,), (1, 5), (2, 2)]
    nodes = [tiny_models.node("Identity", "spectrum", "restored")]
    nodes += [tiny_models.node("Identity", f"state_{i}", f"state_{i}_next") for i in range(3)]
    path = tiny_models.write(tmp_path / "states.onnx", tiny_models.SMALL, nodes, states=states)
    card = model.load(path).card
    buffers, inputs, outputs = allocate(card, None, lambda n_bytes: np.zeros(n_bytes, np.uint8))
    arrays = [buffers.spectrum, buffers.restored, *inputs[0].values(), *inputs[1].values()]
    assert [array.ctypes.data % 64 for array in arrays] == [0] * len(arrays)
    assert [inputs[1][state.input].shape for state in card.states] == states
    for state in card.states:
        assert outputs[0][state.output] is inputs[1][state.input]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_states("[]"), "input 'state_0': the metadata says there is none"),
        (
            set_states('[{"input": "state_0", "output": "state_0_next", "shape": [2, 129, 3]}]'),
            r"input 'state_0': the metadata says float32 \[2, 129, 3\], the graph float32 \[2, 129, 2\]",
        ),
        (
            set_states('[{"input": "state_0", "output": "other", "shape": [2, 129, 2]}]'),
            r"output 'other': .* the graph there is none",
        ),
        (lambda graph, metadata: metadata.update({"apollo_rt.carrier": "hash-uniform-1"}), "input 'carrier'"),
        (lambda graph, metadata: metadata.update({"apollo_rt.analysis_length": "512"}), "input 'spectrum'"),
    ],
)
def test_a_graph_that_contradicts_its_metadata_is_refused_by_the_tensors_name(tmp_path, backend, change, message):
    path = tiny_models.delay_one_frame(tmp_path)
    rewrite(path, change)
    with pytest.raises(ModelFileError, match=message) as caught:
        model.load(path, backend)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_graph_without_fixed_sizes_is_refused(tmp_path, backend):
    path = tiny_models.identity(tmp_path)

    def free_the_size(graph, metadata):
        graph.input[0].type.tensor_type.shape.dim[1].dim_param = "bins"

    rewrite(path, free_the_size)
    with pytest.raises(ModelFileError, match=r"input 'spectrum'.*-1"):
        model.load(path, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_graph_of_another_element_type_is_refused(tmp_path, backend):
    path = tiny_models.identity(tmp_path)

    def change_type(graph, metadata):
        for value in (*graph.input, *graph.output):
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE

    rewrite(path, change_type)
    with pytest.raises(ModelFileError, match="not a tensor of float32"):
        model.load(path, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_graph_that_onnx_runtime_refuses_is_refused_in_one_line(tmp_path, backend):
    path = tiny_models.identity(tmp_path)

    def break_graph(graph, metadata):
        graph.node[0].op_type = "NoSuchOperator"

    rewrite(path, break_graph)
    with pytest.raises(ModelFileError, match="NoSuchOperator") as caught:
        model.load(path, backend)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_closing_a_model_twice_is_fine(tmp_path, backend):
    loaded = model.load(tiny_models.identity(tmp_path), backend)
    loaded.close()
    loaded.close()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("flush", [False, True])
def test_loading_leaves_the_threads_treatment_of_denormals_as_it_was(tmp_path, backend, flush):
    before = flush_to_zero(flush)
    try:
        model.load(tiny_models.identity(tmp_path), backend)
    finally:
        after = flush_to_zero(before)
    assert after is flush


def without_library(content, **options):
    raise LibraryMissingError("no libonnxruntime in the onnxruntime package")


def test_without_the_c_library_auto_warns_what_is_lost_and_python_serves(tmp_path, monkeypatch):
    monkeypatch.setattr(model, "OnnxSession", without_library)
    path = tiny_models.identity(tmp_path)
    with pytest.warns(RuntimeWarning, match="needs the interpreter for each hop"):
        assert model.load(path).backend == "python"
    with pytest.raises(LibraryMissingError):
        model.load(path, "c_api")


def test_an_unknown_back_end_is_refused(tmp_path):
    with pytest.raises(ValueError, match="backend must be 'auto', 'c_api' or 'python', got 'cuda'"):
        model.load(tiny_models.identity(tmp_path), "cuda")


def test_no_path_means_the_model_in_the_package(tmp_path, monkeypatch):
    path = tiny_models.identity(tmp_path, Framing(hop_length=32, analysis_length=128))
    monkeypatch.setattr(model_file, "_MODELS", tmp_path)
    assert model.load().card.path == path
