"""Graphs, card and golden pairs into one file, written beside and renamed."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx

from apollo_rt.atomic_file import whole_path
from apollo_rt.inference.model_file import Golden, Graph, ModelCard, State, card_metadata, graph_sha256, read_card
from export.graphs.to_onnx import ExportedGraph, Net
from export.verify import engine_output, music_like, reference

_GOLDEN_HOPS = 24  # 0.14 s: past the longest dilation's first wrap, yet only some 90 kB


def make_card(
    net: Net,
    graphs: Sequence[ExportedGraph],
    path: Path,
    name: str,
    licence: str,
    training: dict[str, Any],
    quality: dict[str, Any],
    weight_bits: int = 32,
) -> ModelCard:
    """Everything the file says of itself; the golden pairs come from PyTorch, not from the graphs."""
    main, *further = graphs
    tiers = tuple(dict.fromkeys(graph.tier for graph in graphs))
    goldens = {graph.tier: _golden(net, graph.module.tier) for graph in graphs if graph.module.n_frames == 1}
    return ModelCard(
        path=path,
        name=name,
        framing=net.config.framing,
        states=states_of(main),
        carrier="hash-uniform-1",
        tiers=tiers,
        training=training,
        quality=quality,
        licence=licence,
        golden=goldens.pop(tiers[0]),
        graphs=tuple(entry_of(graph) for graph in further),
        further_goldens=goldens,
        recent_samples=net.config.framing.synthesis_length if "recent" in net.frame_inputs else 0,
        weight_bits=weight_bits,
    )


def states_of(graph: ExportedGraph) -> tuple[State, ...]:
    """States of a step or batch, as the card declares them."""
    return tuple(
        State(f"state_{i}", f"state_{i}_next", tuple(tensor.shape))
        for i, tensor in enumerate(graph.module.initial_state())
    )


def _golden(net: Net, tier: int) -> Golden:
    hop_length = net.config.framing.hop_length
    signal = music_like(_GOLDEN_HOPS, hop_length, seed=7)
    _, restored = reference(net, signal, tier)
    return Golden(signal.T.reshape(_GOLDEN_HOPS, hop_length, 2), engine_output(net, restored))


def entry_of(graph: ExportedGraph) -> Graph:
    """The entry of a further graph in the card."""
    n_states = len(graph.module.initial_state())
    sha256 = hashlib.sha256(_without_weights(graph)).hexdigest()
    return Graph(graph.name, graph.tier, graph.module.n_frames, n_states, sha256)


def _without_weights(graph: ExportedGraph) -> bytes:
    bare = onnx.GraphProto()
    bare.CopyFrom(graph.model.graph)
    del bare.initializer[:]
    return bytes(bare.SerializeToString(deterministic=True))


def write(graphs: Sequence[ExportedGraph], card: ModelCard) -> None:
    """Put the card and the further graphs into the main graph's metadata and write `card.path`.

    The reader is asked before the file is renamed.

    Raises:
        ModelFileError: the file as written would be refused.
    """
    model = onnx.ModelProto()
    model.CopyFrom(graphs[0].model)
    del model.metadata_props[:]
    stored = {graph.name: _without_weights(graph) for graph in graphs[1:]}
    onnx.helper.set_model_props(model, card_metadata(card, graph_sha256(model.SerializeToString()), stored))
    with whole_path(card.path) as path:
        path.write_bytes(model.SerializeToString())
        read_card(path)
