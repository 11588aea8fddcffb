"""Tiny model files that keep the contract of `docs/contracts.md`, so that tests need no trained model.

Each function writes one ONNX file into a directory (a test's `tmp_path`) and returns its path.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from apollo_rt.config import Framing
from apollo_rt.inference.model_file import Golden, Graph, ModelCard, State, card_metadata, graph_sha256, read_card
from apollo_rt.stream.stft import asymmetric_windows

BACKENDS = ["c_api", "python"]
"""The ways in which a model is run: both have to give the same."""

SMALL = Framing(hop_length=64, analysis_length=256)
MEDIUM = Framing(hop_length=256, analysis_length=1024)


def identity(directory: Path, framing: Framing = SMALL) -> Path:
    """Returns each frame as it is: the stream comes out delayed, else untouched."""
    return write(directory / "identity.onnx", framing, [node("Identity", "spectrum", "restored")])


def gain(directory: Path, factor: float, framing: Framing = SMALL) -> Path:
    """Multiplies each frame with `factor`."""
    nodes = [node("Mul", "spectrum factor", "restored")]
    return write(directory / "gain.onnx", framing, nodes, constants={"factor": factor})


def delay_one_frame(directory: Path, framing: Framing = SMALL) -> Path:
    """Returns the frame before, which it keeps in a state: one hop later than `identity`."""
    nodes = [node("Identity", "state_0", "restored"), node("Identity", "spectrum", "state_0_next")]
    return write(directory / "delay.onnx", framing, nodes, states=[(2, framing.n_bins, 2)])


def carrier_only(directory: Path, scale: float = 1.0, framing: Framing = SMALL) -> Path:
    """Returns the carrier times `scale`, whatever comes in."""
    nodes = [node("Mul", "carrier scale", "restored")]
    return write(directory / "carrier.onnx", framing, nodes, constants={"scale": scale}, carrier="hash-uniform-1")


def newest_samples(directory: Path, n_samples: int = 96, framing: Framing = SMALL) -> Path:
    """Multiplies each frame with the sum of the newest samples of its own channel."""
    nodes = [
        helper.make_node("ReduceSum", ["recent", "axis"], ["sums"], keepdims=1),
        node("Unsqueeze", "sums axis", "factors"),
        node("Mul", "spectrum factors", "restored"),
    ]
    path = directory / "newest_samples.onnx"
    return write(path, framing, nodes, constants={"axis": np.array([-1], np.int64)}, recent_samples=n_samples)


def faulty(directory: Path, value: float = float("nan"), level: float = 0.5, framing: Framing = SMALL) -> Path:
    """Returns each frame as it is, but `value` everywhere while the input is louder than `level`.

    A signal whose peak stays below `level` never triggers it; a constant above `level`, or a sine above twice
    `level`, does once it fills the analysis window. `state_0` counts the steps since the last reset.
    """
    threshold = level * float(asymmetric_windows(framing)[0].sum())
    nodes = [
        node("Abs", "spectrum", "magnitude"),
        helper.make_node("ReduceMax", ["magnitude"], ["peak"], keepdims=0),
        node("Greater", "peak threshold", "is_loud"),
        node("Where", "is_loud value spectrum", "restored"),
        node("Add", "state_0 one", "state_0_next"),
    ]
    constants = {"threshold": threshold, "value": value, "one": 1.0}
    return write(directory / "faulty.onnx", framing, nodes, states=[(1,)], constants=constants)


def busy(directory: Path, framing: Framing = SMALL) -> Path:
    """Mixes bins (a random matrix), carrier and a decaying state, and bends them: whatever is out of step shows."""
    nodes = [
        helper.make_node("Transpose", ["spectrum"], ["parts_first"], perm=[2, 0, 1]),
        node("MatMul", "parts_first matrix", "mixed"),
        helper.make_node("Transpose", ["mixed"], ["mixed_frame"], perm=[1, 2, 0]),
        node("Mul", "state_0 half", "decayed"),
        node("Add", "mixed_frame decayed", "state_0_next"),
        node("Tanh", "state_0_next", "bent"),
        node("Add", "bent carrier", "restored"),
    ]
    matrix = np.random.default_rng(0).standard_normal((framing.n_bins, framing.n_bins)) / framing.n_bins
    constants = {"matrix": matrix, "half": 0.5}
    states = [(2, framing.n_bins, 2)]
    return write(directory / "busy.onnx", framing, nodes, states=states, constants=constants, carrier="hash-uniform-1")


def lookahead(directory: Path, level: float = 0.5, hop_length: int = 64) -> Path:
    """Answers for the frame before by design (`lookahead_frames` 1); NaN while that one is louder than `level`."""
    framing = Framing(hop_length=hop_length, analysis_length=4 * hop_length, lookahead_frames=1)
    nodes = [
        node("Abs", "state_0", "magnitude"),
        helper.make_node("ReduceMax", ["magnitude"], ["peak"], keepdims=0),
        node("Greater", "peak threshold", "is_loud"),
        node("Where", "is_loud nan state_0", "restored"),
        node("Identity", "spectrum", "state_0_next"),
    ]
    constants = {"threshold": level * float(asymmetric_windows(framing)[0].sum()), "nan": np.nan}
    states = [(2, framing.n_bins, 2)]
    return write(directory / "lookahead.onnx", framing, nodes, states=states, constants=constants)


def refusing(directory: Path, first_index: float = 0, framing: Framing = SMALL) -> Path:
    """Returns each frame as it is, but fails inside ONNX Runtime at the third step after a reset.

    Its state counts the steps and, with `first_index` added, picks a channel, of which there are two.
    """
    nodes = [
        node("Add", "state_0 first_index", "position"),
        helper.make_node("Cast", ["position"], ["index"], to=TensorProto.INT64),
        node("Gather", "spectrum index", "gathered"),
        node("Mul", "gathered zero", "nothing"),
        node("Add", "nothing spectrum", "restored"),
        node("Add", "state_0 one", "state_0_next"),
    ]
    constants = {"first_index": first_index, "zero": 0.0, "one": 1.0}
    return write(directory / "refusing.onnx", framing, nodes, states=[(1,)], constants=constants)


def write(
    path: Path,
    framing: Framing,
    nodes: list[onnx.NodeProto],
    *,
    states: list[tuple[int, ...]] | None = None,
    constants: Mapping[str, float | np.ndarray] | None = None,
    carrier: str = "none",
    recent_samples: int = 0,
) -> Path:
    """A model file from graph nodes; its golden pair is silence (which `carrier_only` and `busy` would not return)."""
    silence = np.zeros((4, framing.hop_length, 2), np.float32)
    card = ModelCard(
        path=path,
        name=f"tiny {path.stem}",
        framing=framing,
        states=tuple(State(f"state_{i}", f"state_{i}_next", shape) for i, shape in enumerate(states or [])),
        carrier=carrier,
        tiers=("full",),
        training={"data": "none"},
        quality={},
        licence="MIT",
        golden=Golden(silence, silence),
        recent_samples=recent_samples,
    )
    initial = [
        numpy_helper.from_array(
            value if np.ndim(value) and value.dtype == np.int64 else np.asarray(value, np.float32), name
        )
        for name, value in (constants or {}).items()
    ]
    graph = helper.make_graph(nodes, path.stem, _values(card.inputs), _values(card.outputs), initial)
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(model, card_metadata(card, graph_sha256(model.SerializeToString())))
    onnx.save(model, path)
    return path


def in_batches(path: Path, n_frames: int = 4, spoilt: bool = False) -> Path:
    """The same model in a file that has a batch graph too: the step, unrolled.

    Args:
        path: a file from a function above.
        n_frames: of a block.
        spoilt: let the batch graph put out twice of everything, to see which graph served.
    """
    model, card = onnx.load(path), read_card(path)
    nodes = [
        helper.make_node("Split", [name], [f"{name}.{i}.whole" for i in range(n_frames)], axis=0, num_outputs=n_frames)
        for name in card.inputs
        if name in ("spectrum", "carrier", "recent")
    ]
    nexts = {state.input: state.output for state in card.states}
    own = [numpy_helper.from_array(np.zeros(1, np.int64), "block.axis")]
    for i in range(n_frames):
        at = {tensor.name: tensor.name for tensor in model.graph.initializer}
        at |= {state: state if i == 0 else f"{following}.{i - 1}" for state, following in nexts.items()}
        nodes += [
            helper.make_node("Squeeze", [f"{name}.{i}.whole", "block.axis"], [f"{name}.{i}"])
            for name in card.inputs
            if name in ("spectrum", "carrier", "recent")
        ]
        for original in model.graph.node:
            unrolled = onnx.NodeProto()
            unrolled.CopyFrom(original)
            unrolled.input[:] = [at.get(name, f"{name}.{i}") for name in original.input]
            unrolled.output[:] = [f"{name}.{i}" for name in original.output]
            nodes.append(unrolled)
        nodes.append(helper.make_node("Unsqueeze", [f"restored.{i}", "block.axis"], [f"restored.{i}.whole"]))
    nodes.append(helper.make_node("Concat", [f"restored.{i}.whole" for i in range(n_frames)], ["together"], axis=0))
    nodes.append(node("Add", "together together", "restored") if spoilt else node("Identity", "together", "restored"))
    nodes += [node("Identity", f"{following}.{n_frames - 1}", following) for following in nexts.values()]
    entry = Graph("full.batch", "full", n_frames, len(card.states), "")
    inputs, outputs = _values(card.inputs_of(entry)), _values(card.outputs_of(entry))
    block = helper.make_graph(nodes, "block", inputs, outputs, own).SerializeToString()
    entry = entry._replace(sha256=hashlib.sha256(block).hexdigest())
    target = path.with_stem(f"{path.stem}_batches")
    card = dataclasses.replace(card, path=target, graphs=(entry,))
    del model.metadata_props[:]
    model.opset_import[0].version = 18  # where Split learnt to count
    metadata = card_metadata(card, graph_sha256(model.SerializeToString()), {entry.name: block})
    helper.set_model_props(model, metadata)
    onnx.save(model, target)
    return target


def as_format_1(path: Path) -> Path:
    """The file as a program of version 0.1 wrote it."""
    model = onnx.load(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props if not entry.key.startswith("apollo_rt.graph")}
    metadata |= {entry.key: entry.value for entry in model.metadata_props if entry.key == "apollo_rt.graph_sha256"}
    del model.metadata_props[:]
    helper.set_model_props(model, metadata | {"apollo_rt.format_version": "1"})
    target = path.with_stem(f"{path.stem}_format_1")
    onnx.save(model, target)
    return target


def node(operator: str, inputs: str, output: str) -> onnx.NodeProto:
    """One operator; `inputs` are names with blanks between."""
    return helper.make_node(operator, inputs.split(), [output])


def _values(shapes: dict[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
