"""The model file: one ONNX file whose metadata says everything that the engine needs to know.

Read without the onnx package and without a session. `docs/contracts.md` lists the fields. Nothing is read or allocated
before its length has been checked, so a broken file costs neither memory nor time.
"""

import base64
import binascii
import io
import json
import math
import os
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.config import Framing
from apollo_rt.errors import ModelFileError
from apollo_rt.inference.protobuf import ProtobufError, scan_model

FORMAT_VERSION = 1
WINDOW = "asymmetric-sine"
CARRIERS = ("none", "hash-uniform-1")
PREFIX = "apollo_rt."

_MODELS = Path(__file__).parents[1] / "models"
_FRAMING_KEYS = ("sample_rate", "hop_length", "analysis_length", "lookahead_frames")
_MAX_STATES, _MAX_STATE_VALUES = 4096, 2**24  # 64 MiB of float32
_MAX_GOLDEN_BYTES = 32 * 2**20


class State(NamedTuple):
    """One tensor that the graph hands from step to step; it starts at zero."""

    input: str
    output: str
    shape: tuple[int, ...]


class Golden(NamedTuple):
    """What the streaming engine must return from a fresh state. Shape: both (hops, hop_length, 2), float32."""

    input: NDArray[np.float32]
    output: NDArray[np.float32]


@dataclass(frozen=True)
class ModelCard:
    """Everything a model file says about its model; the only source of the engine's settings.

    Attributes:
        path: the file.
        name: short name of the model.
        framing: sample rate, hop, windows and lookahead.
        states: the tensors that are fed back.
        carrier: name of the noise generator, or `none`.
        tiers: names of the model's sizes, best first.
        training: data, steps, commit and date of the training.
        quality: measured figures.
        licence: SPDX id or text.
        golden: input and output that prove an engine right.
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

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the graph's inputs."""
        names = ("spectrum",) if self.carrier == "none" else ("spectrum", "carrier")
        frame = (2, self.framing.n_bins, 2)
        return dict.fromkeys(names, frame) | {state.input: state.shape for state in self.states}

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the graph's outputs."""
        return {"restored": (2, self.framing.n_bins, 2)} | {state.output: state.shape for state in self.states}


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


def read_card(path: str | os.PathLike[str]) -> ModelCard:
    """Read and check a model file's metadata; the graph is hashed but not parsed.

    Raises:
        ModelFileError: the file is missing, not ONNX, from a newer format, or one of its fields is missing, does not
            parse or contradicts another; the message is one line with the file and the field.
    """
    path = Path(path)
    try:
        with _open(path) as file:
            metadata, graph_hash = scan_model(file)
        return _parse(path, metadata, graph_hash)
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read: {error.strerror or error}") from error
    except (_FieldError, ProtobufError) as error:
        raise ModelFileError(f"{path}: {error}") from error


def graph_sha256(onnx_bytes: bytes) -> str:
    """SHA-256 of the graph as it stands in a serialised model, for `card_metadata`.

    Raises:
        ModelFileError: these bytes are not an ONNX model.
    """
    try:
        return scan_model(io.BytesIO(onnx_bytes))[1]
    except ProtobufError as error:
        raise ModelFileError(str(error)) from error


def card_metadata(card: ModelCard, graph_sha256: str) -> dict[str, str]:
    """The metadata to write into the file: what `read_card` turns into an equal card."""
    archive = io.BytesIO()
    np.savez_compressed(archive, input=card.golden.input, output=card.golden.output)
    values = {
        "format_version": str(FORMAT_VERSION),
        "name": card.name,
        **{key: str(getattr(card.framing, key)) for key in _FRAMING_KEYS},
        "channels": "2",
        "window": WINDOW,
        "carrier": card.carrier,
        "states": json.dumps([state._asdict() for state in card.states]),
        "tiers": json.dumps(card.tiers),
        "training": json.dumps(card.training),
        "quality": json.dumps(card.quality),
        "licence": card.licence,
        "graph_sha256": graph_sha256,
        "golden": base64.b64encode(archive.getvalue()).decode(),
    }
    return {PREFIX + key: value for key, value in values.items()}


class _FieldError(Exception):
    """What is wrong, without the file's name."""


def _open(path: Path) -> BinaryIO:
    if path.is_dir():
        raise _FieldError("is a directory, not a model file")
    if path.exists() and not path.is_file():
        raise _FieldError("is not a regular file")
    return path.open("rb")


# --- fields ----------------------------------------------------------------------------------------------------------


def _parse(path: Path, metadata: dict[str, str], graph_hash: str) -> ModelCard:
    if not any(key.startswith(PREFIX) for key in metadata):
        raise _FieldError(f"holds no {PREFIX}* metadata: it is an ONNX file, but not an Apollo RT model")
    version = _integer(metadata, "format_version")
    if version > FORMAT_VERSION:
        raise _FieldError(
            f"{PREFIX}format_version: the file is of format {version}, this program reads up to {FORMAT_VERSION}: "
            "update apollo-rt, or use an older model file"
        )
    _expect(metadata, "format_version", str(FORMAT_VERSION))
    _expect(metadata, "channels", "2")
    _expect(metadata, "window", WINDOW)
    _expect(metadata, "carrier", *CARRIERS)
    framing = _framing(metadata)
    _expect(metadata, "graph_sha256", graph_hash)
    return ModelCard(
        path=path,
        name=_text(metadata, "name"),
        framing=framing,
        states=_states(metadata),
        carrier=_text(metadata, "carrier"),
        tiers=_tiers(metadata),
        training=_json(metadata, "training", dict),
        quality=_json(metadata, "quality", dict),
        licence=_text(metadata, "licence"),
        golden=_golden(metadata, framing.hop_length),
    )


def _text(metadata: dict[str, str], key: str) -> str:
    text = metadata.get(PREFIX + key, "").strip()
    if not text:
        raise _FieldError(f"{PREFIX}{key}: is missing")
    return text


def _expect(metadata: dict[str, str], key: str, *allowed: str) -> None:
    text = _text(metadata, key)
    if text not in allowed:
        raise _FieldError(f"{PREFIX}{key}: must be {' or '.join(allowed)}, is {text[:64]!r}")


def _integer(metadata: dict[str, str], key: str) -> int:
    text = _text(metadata, key)
    if not re.fullmatch("[0-9]{1,9}", text):
        raise _FieldError(f"{PREFIX}{key}: must be a whole number, is {text[:64]!r}")
    return int(text)


def _framing(metadata: dict[str, str]) -> Framing:
    values = {key: _integer(metadata, key) for key in _FRAMING_KEYS}
    try:
        return Framing(**values)
    except ValueError as error:
        raise _FieldError(f"{PREFIX}{error}") from error


def _json(metadata: dict[str, str], key: str, kind: type) -> Any:
    try:
        value = json.loads(_text(metadata, key))
    except (ValueError, RecursionError) as error:
        raise _FieldError(f"{PREFIX}{key}: is not JSON: {error}") from error
    if not isinstance(value, kind):
        raise _FieldError(f"{PREFIX}{key}: must be a JSON {'list' if kind is list else 'object'}")
    return value


def _tiers(metadata: dict[str, str]) -> tuple[str, ...]:
    tiers = _json(metadata, "tiers", list)
    if not tiers or not all(isinstance(tier, str) and tier for tier in tiers) or len(set(tiers)) != len(tiers):
        raise _FieldError(f"{PREFIX}tiers: must be a list of different names")
    return tuple(tiers)


def _states(metadata: dict[str, str]) -> tuple[State, ...]:
    states = tuple(_state(entry) for entry in _json(metadata, "states", list))
    inputs, outputs = {state.input for state in states}, {state.output for state in states}
    if len(inputs) < len(states) or len(outputs) < len(states) or {"spectrum", "carrier"} & inputs:
        raise _FieldError(f"{PREFIX}states: an input or output is named twice")
    if "restored" in outputs:
        raise _FieldError(f"{PREFIX}states: the output 'restored' is no state")
    if len(states) > _MAX_STATES or sum(math.prod(state.shape) for state in states) > _MAX_STATE_VALUES:
        raise _FieldError(f"{PREFIX}states: more than {_MAX_STATES} states or {_MAX_STATE_VALUES} values")
    return states


def _state(entry: Any) -> State:
    if isinstance(entry, dict) and set(entry) == {"input", "output", "shape"}:
        names, shape = (entry["input"], entry["output"]), entry["shape"]
        are_names = all(isinstance(name, str) and name for name in names)
        if are_names and isinstance(shape, list) and all(type(size) is int and size > 0 for size in shape):
            return State(*names, tuple(shape))
    raise _FieldError(f'{PREFIX}states: each must be {{"input": name, "output": name, "shape": [sizes]}}')


def _golden(metadata: dict[str, str], hop_length: int) -> Golden:
    try:
        archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(_text(metadata, "golden"), validate=True)))
        if sum(entry.file_size for entry in archive.infolist()) > _MAX_GOLDEN_BYTES:
            raise _FieldError(f"{PREFIX}golden: holds more than {_MAX_GOLDEN_BYTES} bytes")
        golden = Golden(_array(archive.read("input.npy")), _array(archive.read("output.npy")))
    except (binascii.Error, zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, zlib.error) as error:
        raise _FieldError(f"{PREFIX}golden: is not a base64 .npz with float32 `input` and `output`: {error}") from error
    if golden.input.shape != golden.output.shape or golden.input.shape[1:] != (hop_length, 2):
        raise _FieldError(f"{PREFIX}golden: both arrays must have the shape (hops, {hop_length}, 2)")
    if not (np.isfinite(golden.input).all() and np.isfinite(golden.output).all()):
        raise _FieldError(f"{PREFIX}golden: holds values that are not finite")
    return golden


def _array(data: bytes) -> NDArray[np.float32]:
    """A .npy file's array; unlike `np.load` it never allocates what the header merely claims."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("not a .npy of version 1.0")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if is_fortran or dtype != np.dtype("<f4") or math.prod(shape) * 4 != len(data) - file.tell():
        raise ValueError(f"{dtype} of shape {shape} where float32 was expected")
    return np.frombuffer(data, np.float32, offset=file.tell()).reshape(shape)
