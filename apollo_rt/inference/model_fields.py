"""The fields of a model file's metadata, one by one: text to values, each checked as it is read.

`docs/model_format.md` lists them. Nothing is allocated before its length has been checked.
"""

import base64
import binascii
import io
import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.config import EDGES, Framing

PREFIX = "apollo_rt."
FRAMING_KEYS = ("sample_rate", "hop_length", "analysis_length", "lookahead_frames")
MAX_GRAPHS, MAX_BATCH_FRAMES = 16, 4096
_MAX_STATES, _MAX_STATE_VALUES = 4096, 2**24  # 64 MiB of float32
_MAX_GOLDEN_BYTES = 32 * 2**20
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ZIP_ERRORS = (zipfile.BadZipFile, KeyError, ValueError, RuntimeError, OSError, EOFError, struct.error, zlib.error)
"""All that zipfile was seen to raise on broken archives (`tests/inference/model_fuzz.py`)."""


class State(NamedTuple):
    """One tensor that the graph hands from step to step; it starts at zero."""

    input: str
    output: str
    shape: tuple[int, ...]


class Graph(NamedTuple):
    """A further graph over the same weights.

    Attributes:
        name: what it is stored under.
        tier: which size of the model it is.
        n_frames: of a call; one is a step, more are a batch for files.
        n_states: how many of the card's states it has, from the first.
        sha256: of the serialised GraphProto.
    """

    name: str
    tier: str
    n_frames: int
    n_states: int
    sha256: str


class Golden(NamedTuple):
    """Input, and what the engine must return from a fresh state. Shape: both (hops, hop_length, 2), float32."""

    input: NDArray[np.float32]
    output: NDArray[np.float32]


class FieldError(Exception):
    """A field is wrong; the message lacks the file's name."""


def text(metadata: Mapping[str, str], key: str) -> str:
    """A field that must be there and not be empty.

    Raises:
        FieldError: it is missing or empty.
    """
    value = metadata.get(PREFIX + key, "").strip()
    if not value:
        raise FieldError(f"{PREFIX}{key}: is missing")
    return value


def expect(metadata: Mapping[str, str], key: str, *allowed: str) -> None:
    """Refuse any other value than these.

    Raises:
        FieldError: the value is another, or missing.
    """
    value = text(metadata, key)
    if value not in allowed:
        raise FieldError(f"{PREFIX}{key}: must be {' or '.join(allowed)}, is {value[:64]!r}")


def integer(metadata: Mapping[str, str], key: str) -> int:
    """A whole number.

    Raises:
        FieldError: it is none, has more than nine digits, or is missing.
    """
    value = text(metadata, key)
    if not re.fullmatch("[0-9]{1,9}", value):
        raise FieldError(f"{PREFIX}{key}: must be a whole number, is {value[:64]!r}")
    return int(value)


def framing(metadata: Mapping[str, str], has_edges: bool) -> Framing:
    """Rates, lengths, windows and edges, which check each other.

    Args:
        metadata: of the file.
        has_edges: its format says what edges are; before, they were silent.

    Raises:
        FieldError: one is missing, no number, or doesn't fit the others.
    """
    rate, hop_length, analysis_length, lookahead_frames = (integer(metadata, key) for key in FRAMING_KEYS)
    edges = text(metadata, "edges") if has_edges else EDGES[0]
    try:
        return Framing(rate, hop_length, analysis_length, lookahead_frames, text(metadata, "window"), edges)
    except ValueError as error:
        raise FieldError(f"{PREFIX}{error}") from error


def weight_bits(metadata: Mapping[str, str]) -> int:
    """Bits of the weights of a model's products; files of before have 32 and don't say so."""
    if f"{PREFIX}weight_bits" not in metadata:
        return 32
    expect(metadata, "weight_bits", "8", "32")
    return integer(metadata, "weight_bits")


def recent_samples(metadata: Mapping[str, str], framing: Framing) -> int:
    """Newest samples beside a spectrum: no more than its own window has.

    Raises:
        FieldError: there are more, or the field is no number.
    """
    count = integer(metadata, "recent_samples")
    if count > framing.analysis_length:
        raise FieldError(f"{PREFIX}recent_samples: must be 0 to {framing.analysis_length}, is {count}")
    return count


def json_value(metadata: Mapping[str, str], key: str, kind: type) -> Any:
    """JSON of one kind.

    Raises:
        FieldError: it is no JSON, of another kind, or missing.
    """
    try:
        value = json.loads(text(metadata, key))
    except (ValueError, RecursionError) as error:
        raise FieldError(f"{PREFIX}{key}: is not JSON: {error}") from error
    if not isinstance(value, kind):
        raise FieldError(f"{PREFIX}{key}: must be a JSON {'list' if kind is list else 'object'}")
    return value


def tiers(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the model's sizes, best first.

    Raises:
        FieldError: there are none, or one stands there twice.
    """
    names = json_value(metadata, "tiers", list)
    if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
        raise FieldError(f"{PREFIX}tiers: must be a list of different names")
    return tuple(names)


def states(metadata: Mapping[str, str]) -> tuple[State, ...]:
    """States that the main graph hands from step to step.

    Raises:
        FieldError: one is malformed, named twice, or they are too many or too large.
    """
    found = tuple(_state(entry) for entry in json_value(metadata, "states", list))
    inputs, outputs = {state.input for state in found}, {state.output for state in found}
    if len(inputs) < len(found) or len(outputs) < len(found) or {"spectrum", "carrier", "recent", "present"} & inputs:
        raise FieldError(f"{PREFIX}states: an input or output is named twice")
    if "restored" in outputs:
        raise FieldError(f"{PREFIX}states: the output 'restored' is no state")
    if len(found) > _MAX_STATES or sum(math.prod(state.shape) for state in found) > _MAX_STATE_VALUES:
        raise FieldError(f"{PREFIX}states: more than {_MAX_STATES} states or {_MAX_STATE_VALUES} values")
    return found


def _state(entry: Any) -> State:
    if isinstance(entry, dict) and set(entry) == {"input", "output", "shape"}:
        names, shape = (entry["input"], entry["output"]), entry["shape"]
        are_names = all(isinstance(name, str) and name for name in names)
        if are_names and isinstance(shape, list) and all(type(size) is int and size > 0 for size in shape):
            return State(*names, tuple(shape))
    raise FieldError(f'{PREFIX}states: each must be {{"input": name, "output": name, "shape": [sizes]}}')


def graphs(metadata: Mapping[str, str], tier_names: tuple[str, ...], n_states: int) -> tuple[Graph, ...]:
    """The further graphs' entries, which must fit the tiers: a step for each but the first, at most one batch each.

    Raises:
        FieldError: one is malformed, or they don't fit.
    """
    entries = json_value(metadata, "graphs", list)
    if len(entries) > MAX_GRAPHS:
        raise FieldError(f"{PREFIX}graphs: more than {MAX_GRAPHS}")
    found = tuple(_graph(entry, tier_names, n_states) for entry in entries)
    if len({graph.name for graph in found}) < len(found):
        raise FieldError(f"{PREFIX}graphs: a name stands there twice")
    for tier in tier_names:
        n_steps = sum(graph.tier == tier and graph.n_frames == 1 for graph in found) + (tier == tier_names[0])
        n_batches = sum(graph.tier == tier and graph.n_frames > 1 for graph in found)
        if n_steps != 1 or n_batches > 1:
            raise FieldError(f"{PREFIX}graphs: the tier {tier!r} has {n_steps} steps and {n_batches} batch graphs")
        sizes = {graph.n_states for graph in found if graph.tier == tier} | (
            {n_states} if tier == tier_names[0] else set()
        )
        if len(sizes) != 1:
            raise FieldError(f"{PREFIX}graphs: step and batch of the tier {tier!r} differ in their states")
    return found


def _graph(entry: Any, tier_names: tuple[str, ...], n_states: int) -> Graph:
    if isinstance(entry, dict) and set(entry) == {"name", "tier", "frames", "states", "sha256"}:
        texts, sizes = (entry["name"], entry["tier"], entry["sha256"]), (entry["frames"], entry["states"])
        if (
            all(isinstance(value, str) and value for value in texts)
            and all(type(size) is int for size in sizes)
            and entry["tier"] in tier_names
            and 1 <= entry["frames"] <= MAX_BATCH_FRAMES
            and 0 <= entry["states"] <= n_states
        ):
            return Graph(entry["name"], entry["tier"], *sizes, entry["sha256"])
    raise FieldError(
        f'{PREFIX}graphs: each must be {{"name": text, "tier": one of the tiers, "frames": 1 to {MAX_BATCH_FRAMES}, '
        '"states": at most those of the model, "sha256": text}'
    )


def decoded(metadata: Mapping[str, str], key: str) -> bytes:
    """Bytes written as base64.

    Raises:
        FieldError: they are not, or are missing.
    """
    try:
        return base64.b64decode(text(metadata, key), validate=True)
    except (binascii.Error, ValueError) as error:
        raise FieldError(f"{PREFIX}{key}: is not base64: {error}") from error


def encoded(stored: bytes) -> str:
    """The way back of `decoded`."""
    return base64.b64encode(stored).decode()


def goldens(metadata: Mapping[str, str], hop_length: int, tier_names: tuple[str, ...]) -> dict[str, Golden]:
    """Golden pairs of the tiers.

    Raises:
        FieldError: one is missing, damaged, too large, or of another shape.
    """
    keys = ["output", *(f"output_{tier}" for tier in tier_names[1:])]
    try:
        archive = zipfile.ZipFile(io.BytesIO(decoded(metadata, "golden")))
        if sum(entry.file_size for entry in archive.infolist()) > _MAX_GOLDEN_BYTES:
            raise FieldError(f"{PREFIX}golden: holds more than {_MAX_GOLDEN_BYTES} bytes")
        if any(entry.compress_type not in _PACKINGS for entry in archive.infolist()):
            raise FieldError(f"{PREFIX}golden: must be stored or deflated")  # others may ask for gigabytes to unpack
        given, *wanted = (_array(archive.read(f"{key}.npy")) for key in ["input", *keys])
    except _ZIP_ERRORS as error:
        raise FieldError(
            f"{PREFIX}golden: is not a base64 .npz with float32 `input` and `{'`, `'.join(keys)}`: {error}"
        ) from error
    if any(array.shape != given.shape for array in wanted) or given.shape[1:] != (hop_length, 2):
        raise FieldError(f"{PREFIX}golden: all arrays must have the shape (hops, {hop_length}, 2)")
    if not all(np.isfinite(array).all() for array in (given, *wanted)):
        raise FieldError(f"{PREFIX}golden: holds values that are not finite")
    return {tier: Golden(given, output) for tier, output in zip(tier_names, wanted, strict=True)}


def encoded_goldens(of_tiers: Mapping[str, Golden]) -> str:
    """The way back of `goldens`."""
    archive, (first, *others) = io.BytesIO(), of_tiers.items()
    further: dict[str, Any] = {f"output_{tier}": golden.output for tier, golden in others}
    np.savez_compressed(archive, input=first[1].input, output=first[1].output, **further)
    return encoded(archive.getvalue())


def _array(data: bytes) -> NDArray[np.float32]:
    """A .npy file's array; unlike `np.load` it never allocates what the header merely claims."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("not a .npy of version 1.0")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if is_fortran or dtype != np.dtype("<f4") or math.prod(shape) * 4 != len(data) - file.tell():
        raise ValueError(f"{dtype} of shape {shape} where float32 was expected")
    return np.frombuffer(data, np.float32, offset=file.tell()).reshape(shape)
