"""The model file: one ONNX file whose metadata says everything that the engine needs to know.

Read once, without the onnx package and without a session: what is tried, run and named in a report are the same bytes,
whatever becomes of the file. `docs/model_format.md` is the specification. No length is believed before it has been
checked, so a broken file costs neither memory nor time.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from apollo_rt.config import EDGES, WINDOWS, Framing
from apollo_rt.errors import ModelFileError
from apollo_rt.inference import model_fields as fields
from apollo_rt.inference.model_fields import FRAMING_KEYS, PREFIX, FieldError
from apollo_rt.inference.model_fields import Golden as Golden
from apollo_rt.inference.model_fields import Graph as Graph
from apollo_rt.inference.model_fields import State as State
from apollo_rt.inference.protobuf import ProtobufError, merged_model, scan_model
from apollo_rt.regular_file import read_regular

FORMAT_VERSION = 4
CARRIERS = ("none", "hash-uniform-1")

_MOST_BYTES = 256 * 2**20
"""A file is read whole; one step of a model that large would take longer than any hop lasts."""

_MODELS = Path(__file__).parents[1] / "models"


@dataclass(frozen=True)
class ModelCard:
    """Everything a model file says about its model; the only source of the engine's settings.

    Attributes:
        path: the file.
        name: short name of the model.
        framing: sample rate, hop, windows, edges and lookahead.
        states: the tensors that are fed back.
        carrier: name of the noise generator, or `none`.
        recent_samples: newest samples that a frame's graph gets beside its spectrum, 0 for none.
        weight_bits: of the weights of its products, 32 or 8; with 8 a CPU rounds what goes into them as well.
        tiers: names of the model's sizes, best first.
        training: data, steps, commit and date of the training.
        quality: measured figures.
        licence: SPDX id or text.
        golden: input and output that prove an engine right, of the best tier.
        graphs: further graphs over the same weights.
        further_goldens: those of the other tiers, by name.
        format_version: of the file.
    """

    path: Path
    name: str
    framing: Framing
    states: tuple[State, ...]
    carrier: str
    tiers: tuple[str, ...]
    training: dict[str, Any]
    quality: dict[str, Any]
    licence: str
    golden: Golden = field(compare=False, repr=False)
    graphs: tuple[Graph, ...] = ()
    further_goldens: Mapping[str, Golden] = field(default_factory=dict, compare=False, repr=False)
    recent_samples: int = 0
    weight_bits: int = 32
    format_version: int = field(default=FORMAT_VERSION, compare=False)

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the main graph's inputs."""
        return self.inputs_of(None)

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the main graph's outputs."""
        return self.outputs_of(None)

    def inputs_of(self, graph: Graph | None) -> dict[str, tuple[int, ...]]:
        """Names and shapes of a graph's inputs; None is the main graph."""
        names = ("spectrum",) if self.carrier == "none" else ("spectrum", "carrier")
        states = {state.input: state.shape for state in self.states_of(graph)}
        recent = {"recent": (*self._lead_of(graph), 2, self.recent_samples)} if self.recent_samples else {}
        present = {"present": (*self._lead_of(graph), 1)} if self.takes_present else {}
        return dict.fromkeys(names, self._frames_of(graph)) | recent | present | states

    def outputs_of(self, graph: Graph | None) -> dict[str, tuple[int, ...]]:
        """Names and shapes of a graph's outputs."""
        return {"restored": self._frames_of(graph)} | {state.output: state.shape for state in self.states_of(graph)}

    @property
    def takes_present(self) -> bool:
        """Whether the graphs are told which frames there are."""
        return self.framing.edges == "reflected"

    def states_of(self, graph: Graph | None) -> tuple[State, ...]:
        """States that a graph hands on: the first of the main graph's."""
        return self.states if graph is None else self.states[: graph.n_states]

    def _frames_of(self, graph: Graph | None) -> tuple[int, ...]:
        return (*self._lead_of(graph), 2, self.framing.n_bins, 2)

    def _lead_of(self, graph: Graph | None) -> tuple[int, ...]:
        return () if graph is None or graph.n_frames == 1 else (graph.n_frames,)

    def graph_of(self, tier: str, batch: bool) -> Graph | None:
        """The entry of a tier's step or batch graph; None where there is none, and for the main graph."""
        return next((graph for graph in self.graphs if graph.tier == tier and (graph.n_frames > 1) is batch), None)

    def golden_of(self, tier: str) -> Golden:
        """Golden pair of a tier."""
        return self.golden if tier == self.tiers[0] else self.further_goldens[tier]


@dataclass(frozen=True)
class ModelFile:
    """A model file as it was read: every tier, trial and session of one model is made of the same bytes.

    Attributes:
        content: the whole file.
        card: what it says.
    """

    content: bytes = field(repr=False)
    card: ModelCard

    @cached_property
    def sha256(self) -> str:
        """Of the whole file, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    def graph(self, graph: Graph | None) -> bytes:
        """A graph as a serialised model of its own, to make a session of.

        Args:
            graph: one of the card's, whose hash was checked when the file was read; None is the main graph, for which
                the file is taken as it is.

        Raises:
            ModelFileError: its weights and those of the main graph don't go together.
        """
        if graph is None:
            return self.content
        try:
            metadata, _ = scan_model(io.BytesIO(self.content))
            return merged_model(self.content, fields.decoded(metadata, f"graph.{graph.name}"))
        except ProtobufError as error:
            raise ModelFileError(f"{self.card.path}: {error}") from error


def bundled_model_paths() -> list[Path]:
    """All models that ship with the package."""
    return sorted(_MODELS.glob("*.onnx"))


def default_model_path() -> Path:
    """The model that ships with the package.

    Raises:
        ModelFileError: the package holds none, or several.
    """
    paths = bundled_model_paths()
    if len(paths) != 1:
        raise ModelFileError(f"{_MODELS}: expected one bundled model, found {len(paths)}; name a file with --model")
    return paths[0]


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Read a model file and check its metadata; the graph is hashed but not parsed.

    Raises:
        ModelFileError: the file is missing, not ONNX, from a newer format, or one of its fields is missing, does not
            parse or contradicts another; the message is one line with the file and the field.
    """
    path = Path(path)
    try:
        content = _read(path)
        return ModelFile(content, _parse(path, *scan_model(io.BytesIO(content))))
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read: {error.strerror or error}") from error
    except (FieldError, ProtobufError) as error:
        raise ModelFileError(f"{path}: {error}") from error


def read_card(path: str | os.PathLike[str]) -> ModelCard:
    """Read what a model file says, without keeping the file; raises as `read_model_file`."""
    return read_model_file(path).card


def graph_sha256(onnx_bytes: bytes) -> str:
    """SHA-256 of the graph as it stands in a serialised model, for `card_metadata`.

    Raises:
        ModelFileError: these bytes are not an ONNX model.
    """
    try:
        return scan_model(io.BytesIO(onnx_bytes))[1]
    except ProtobufError as error:
        raise ModelFileError(str(error)) from error


def card_metadata(card: ModelCard, graph_sha256: str, graphs: Mapping[str, bytes] | None = None) -> dict[str, str]:
    """The metadata to write into the file: what `read_card` turns into an equal card.

    Args:
        card: what the file shall say.
        graph_sha256: of the main graph.
        graphs: a serialised GraphProto for each of the card's graphs, by name.
    """
    entries = [
        {"name": name, "tier": tier, "frames": n_frames, "states": n_states, "sha256": sha256}
        for name, tier, n_frames, n_states, sha256 in card.graphs
    ]
    values = {
        "format_version": str(FORMAT_VERSION),
        "name": card.name,
        **{key: str(getattr(card.framing, key)) for key in FRAMING_KEYS},
        "channels": "2",
        "window": card.framing.window,
        "edges": card.framing.edges,
        "carrier": card.carrier,
        "recent_samples": str(card.recent_samples),
        "states": json.dumps([state._asdict() for state in card.states]),
        "tiers": json.dumps(card.tiers),
        "graphs": json.dumps(entries),
        **{f"graph.{name}": fields.encoded(stored) for name, stored in (graphs or {}).items()},
        "training": json.dumps(card.training),
        "quality": json.dumps(card.quality),
        "licence": card.licence,
        "graph_sha256": graph_sha256,
        "golden": fields.encoded_goldens({card.tiers[0]: card.golden, **card.further_goldens}),
        **({} if card.weight_bits == 32 else {"weight_bits": str(card.weight_bits)}),
    }
    return {PREFIX + key: value for key, value in values.items()}


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise FieldError("is a directory, not a model file")
    content = read_regular(path, _MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise FieldError(f"holds more than {_MOST_BYTES} bytes, and is no model that runs in real time")
    return content


def _parse(path: Path, metadata: dict[str, str], graph_hash: str) -> ModelCard:
    if not any(key.startswith(PREFIX) for key in metadata):
        raise FieldError(f"holds no {PREFIX}* metadata: it is an ONNX file, but not an Apollo RT model")
    version = fields.integer(metadata, "format_version")
    if version > FORMAT_VERSION:
        raise FieldError(
            f"{PREFIX}format_version: the file is of format {version}, this program reads up to {FORMAT_VERSION}: "
            "update apollo-rt, or use an older model file"
        )
    fields.expect(metadata, "format_version", *(str(known) for known in range(1, FORMAT_VERSION + 1)))
    fields.expect(metadata, "channels", "2")
    fields.expect(metadata, "window", *(WINDOWS if version > 3 else WINDOWS[:1]))
    fields.expect(metadata, "carrier", *CARRIERS)
    if version > 3:
        fields.expect(metadata, "edges", *EDGES)
    framing = fields.framing(metadata, has_edges=version > 3)
    fields.expect(metadata, "graph_sha256", graph_hash)
    tiers, states = fields.tiers(metadata), fields.states(metadata)
    goldens = fields.goldens(metadata, framing.hop_length, tiers if version > 1 else tiers[:1])
    return ModelCard(
        path=path,
        name=fields.text(metadata, "name"),
        framing=framing,
        states=states,
        carrier=fields.text(metadata, "carrier"),
        tiers=tiers,
        training=fields.json_value(metadata, "training", dict),
        quality=fields.json_value(metadata, "quality", dict),
        licence=fields.text(metadata, "licence"),
        golden=goldens.pop(tiers[0]),
        graphs=_graphs(metadata, tiers, len(states)) if version > 1 else (),
        further_goldens=goldens,
        recent_samples=fields.recent_samples(metadata, framing) if version > 2 else 0,
        weight_bits=fields.weight_bits(metadata) if version > 2 else 32,
        format_version=version,
    )


def _graphs(metadata: dict[str, str], tiers: tuple[str, ...], n_states: int) -> tuple[Graph, ...]:
    """The entries, each checked against what is stored."""
    graphs = fields.graphs(metadata, tiers, n_states)
    for graph in graphs:
        if hashlib.sha256(fields.decoded(metadata, f"graph.{graph.name}")).hexdigest() != graph.sha256:
            raise FieldError(f"{PREFIX}graphs: the SHA-256 of {graph.name!r} is not that of {PREFIX}graph.{graph.name}")
    return graphs
