"""Entries of further graphs that don't fit the file are refused, by the field's name."""

import json

import onnx
import pytest
from onnx import helper

from apollo_rt.errors import ModelFileError
from apollo_rt.inference.model import load
from apollo_rt.inference.model_file import read_card
from apollo_rt.inference.protobuf import ProtobufError, merged_model
from tests.doubles import tiny_models


def rewritten(path, change):
    """The file with other metadata."""
    model = onnx.load(path)
    metadata = {entry.key.removeprefix("apollo_rt."): entry.value for entry in model.metadata_props}
    entries = json.loads(metadata["graphs"])
    change(metadata, entries)
    if "graphs" in metadata:
        metadata["graphs"] = json.dumps(entries)
    del model.metadata_props[:]
    helper.set_model_props(model, {f"apollo_rt.{key}": value for key, value in metadata.items()})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda metadata, entries: metadata.pop("graphs"), "graphs: is missing"),
        (lambda metadata, entries: metadata.pop("graph.full.batch"), "graph.full.batch: is missing"),
        (lambda metadata, entries: metadata.update({"graph.full.batch": "%%"}), "graph.full.batch: is not base64"),
        (lambda metadata, entries: metadata.update({"graph.full.batch": "AAAA"}), "graphs: the SHA-256 of"),
        (lambda metadata, entries: entries[0].update(sha256="0"), "graphs: the SHA-256 of"),
        (lambda metadata, entries: entries[0].update(tier="light"), "graphs: each must be"),
        (lambda metadata, entries: entries[0].update(frames=10**9), "graphs: each must be"),
        (lambda metadata, entries: entries[0].update(frames=True), "graphs: each must be"),
        (lambda metadata, entries: entries[0].update(states=2), "graphs: each must be"),
        (lambda metadata, entries: entries[0].update(states=0), "step and batch of the tier 'full' differ"),
        (lambda metadata, entries: entries[0].update(frames=1), "the tier 'full' has 2 steps and 0 batch graphs"),
        (lambda metadata, entries: entries.append(entries[0]), "graphs: a name stands there twice"),
        (lambda metadata, entries: entries.extend(entries * 16), "graphs: more than 16"),
        (lambda metadata, entries: entries[0].pop("sha256"), "graphs: each must be"),
        (lambda metadata, entries: entries.append(7), "graphs: each must be"),
        (lambda metadata, entries: metadata.update(tiers='["full", "light"]'), "golden: is not a base64 .npz"),
    ],
)
def test_an_entry_that_does_not_fit_is_refused_by_its_field(tmp_path, change, reason):
    path = rewritten(tiny_models.in_batches(tiny_models.busy(tmp_path)), change)
    with pytest.raises(ModelFileError, match=r"apollo_rt\.") as caught:
        read_card(path)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_newer_format_is_refused_with_what_to_do(tmp_path):
    path = rewritten(tiny_models.identity(tmp_path), lambda metadata, _: metadata.update(format_version="5"))
    with pytest.raises(ModelFileError, match=r"format 5, this program reads up to 4: update apollo-rt"):
        read_card(path)


def test_bytes_that_are_no_graph_are_refused_when_they_are_loaded(tmp_path):
    import base64
    import hashlib

    def put_nonsense(metadata, entries):
        metadata["graph.full.batch"] = base64.b64encode(b"no graph at all").decode()
        entries[0]["sha256"] = hashlib.sha256(b"no graph at all").hexdigest()

    path = rewritten(tiny_models.in_batches(tiny_models.busy(tmp_path)), put_nonsense)
    with pytest.raises(ModelFileError):
        load(path).new_batch()


def test_a_model_is_put_together_without_losing_a_field(tmp_path):
    path = tiny_models.in_batches(tiny_models.busy(tmp_path))
    whole = onnx.load(path)
    block = onnx.GraphProto(name="other", initializer=[helper.make_tensor("own", onnx.TensorProto.FLOAT, [1], [1.0])])
    merged = onnx.load_from_string(merged_model(path.read_bytes(), block.SerializeToString()))
    assert (merged.ir_version, merged.opset_import) == (whole.ir_version, whole.opset_import)
    assert list(merged.metadata_props) == []
    assert merged.graph.name == "other"
    assert [tensor.name for tensor in merged.graph.initializer] == ["own", "matrix", "half"]
    untouched = onnx.load_from_string(merged_model(path.read_bytes(), None))
    assert untouched.graph == whole.graph


def test_a_weight_of_the_same_name_in_both_graphs_is_refused(tmp_path):
    path = tiny_models.busy(tmp_path)
    twice = onnx.GraphProto(initializer=[helper.make_tensor("matrix", onnx.TensorProto.FLOAT, [1], [1.0])])
    with pytest.raises(ProtobufError, match="the initializer b'matrix' stands in two graphs"):
        merged_model(path.read_bytes(), twice.SerializeToString())
