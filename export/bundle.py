"""Graph, card and golden pair into one file, written beside and renamed."""

from pathlib import Path
from typing import Any

import onnx

from apollo_rt.inference.model_file import Golden, ModelCard, State, card_metadata, graph_sha256, read_card
from export.step_module import StepModule
from export.verify import engine_output, music_like, reference

_GOLDEN_HOPS = 24  # 0.14 s: past the longest dilation's first wrap, yet only some 90 kB


def make_card(
    step: StepModule, path: Path, name: str, licence: str, training: dict[str, Any], quality: dict[str, Any]
) -> ModelCard:
    """Everything the file says of itself; the golden pair comes from PyTorch, not from the graph."""
    framing = step.net.config.framing
    signal = music_like(_GOLDEN_HOPS, framing.hop_length, seed=7)
    _, _, restored = reference(step, signal)
    golden = Golden(signal.T.reshape(_GOLDEN_HOPS, framing.hop_length, 2), engine_output(step, restored))
    states = tuple(
        State(f"state_{i}", f"state_{i}_next", tuple(tensor.shape)) for i, tensor in enumerate(step.initial_state())
    )
    return ModelCard(
        path=path,
        name=name,
        framing=framing,
        states=states,
        carrier="hash-uniform-1",
        tiers=("full",),
        training=training,
        quality=quality,
        licence=licence,
        golden=golden,
    )


def write(model: onnx.ModelProto, card: ModelCard) -> None:
    """Put the card into the graph's metadata and write `card.path`; the reader is asked before the file is renamed.

    Raises:
        ModelFileError: the file as written would be refused.
    """
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, card_metadata(card, graph_sha256(model.SerializeToString())))
    beside = card.path.with_suffix(".onnx.part")
    try:
        beside.write_bytes(model.SerializeToString())
        read_card(beside)
        beside.replace(card.path)
    finally:
        beside.unlink(missing_ok=True)
