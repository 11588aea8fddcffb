"""The fields of an ONNX file that matter before a session exists: the metadata, the graph's hash, and its weights.

A ModelProto is a row of tagged fields (protocol buffers encoding guide; numbers from onnx.proto3): `graph` (7) is
hashed, `metadata_props` (14) kept, everything else skipped by seeking, so the onnx package isn't needed. No length is
believed before it has been checked against the file's: a broken file costs neither memory nor time.

Messages of one type merge when they are written one after the other. So a graph without weights becomes a whole one by
appending another graph's `initializer` fields (5) as they stand.
"""

import hashlib
import io
import os
from collections.abc import Iterator
from typing import BinaryIO

_GRAPH_FIELD, _METADATA_FIELD = 7, 14
_INITIALIZER_FIELD = 5  # of GraphProto
_NAME_FIELD = 8  # of TensorProto
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_FIELDS = 100_000  # a real file has a few dozen at the top
_MAX_METADATA_BYTES = 64 * 2**20


class ProtobufError(Exception):
    """These bytes are not an ONNX model; the message says why, in one line without the file's name."""


def scan_model(file: BinaryIO) -> tuple[dict[str, str], str]:
    """Metadata, and the graph's SHA-256 in hexadecimal.

    Raises:
        ProtobufError: this is not an ONNX model, or is a broken one.
    """
    metadata: dict[str, str] = {}
    hashes: list[str] = []
    for number, length in _fields(file, file.seek(0, os.SEEK_END)):
        if number == _GRAPH_FIELD:
            hashes.append(_sha256(file, length))
        elif number == _METADATA_FIELD:
            key, value = _entry(file, length)
            if key in metadata:
                raise ProtobufError(f"metadata {key[:64]!r} stands there twice")
            metadata[key] = value
    if len(hashes) != 1:
        raise ProtobufError(f"is not an ONNX model: it holds {len(hashes)} graphs")
    return metadata, hashes[0]


def merged_model(model: bytes, graph: bytes | None) -> bytes:
    """The model with another graph in place of its own, over the same weights, and without metadata.

    Args:
        model: a serialised ModelProto.
        graph: a serialised GraphProto; None leaves the model's own.

    Raises:
        ProtobufError: this is not an ONNX model.
    """
    file, parts = io.BytesIO(model), []
    for number, _, length, begin in _spans(file, len(model)):
        if number == _METADATA_FIELD:
            continue
        if number != _GRAPH_FIELD or graph is None:
            parts.append(model[begin : file.tell() + length])
            continue
        weights = _initializers(file.read(length))
        if twice := weights.keys() & _initializers(graph).keys():
            raise ProtobufError(f"the initializer {min(twice)!r} stands in two graphs")
        whole = b"".join((graph, *weights.values()))
        parts += [_encoded(_GRAPH_FIELD << 3 | _LENGTH), _encoded(len(whole)), whole]
    return b"".join(parts)


def _initializers(graph: bytes) -> dict[bytes, bytes]:
    """Each weight's whole field, by the weight's name."""
    file, found = io.BytesIO(graph), {}
    for number, _, length, begin in _spans(file, len(graph)):
        if number == _INITIALIZER_FIELD:
            content = file.read(length)
            found[_name(content)] = graph[begin : file.tell()]
    return found


def _name(tensor: bytes) -> bytes:
    """Name of a TensorProto."""
    file, name = io.BytesIO(tensor), b""
    for number, length in _fields(file, len(tensor)):
        if number == _NAME_FIELD:
            name = file.read(length)
    return name


def message_fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each length-delimited field of a message.

    Raises:
        ProtobufError: it is none.
    """
    file = io.BytesIO(message)
    for number, length in _fields(file, len(message)):
        yield number, file.read(length)


def _fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Number and length of each length-delimited field from the start; the consumer may read within the field."""
    for number, wire_type, length, _ in _spans(file, end):
        if wire_type == _LENGTH:
            yield number, length


def _spans(file: BinaryIO, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number and kind of each field, how many bytes are left of it from where the file stands, and where it begins."""
    position = file.seek(0)
    for _ in range(_MAX_FIELDS):
        if position >= end:
            return
        begin = position
        tag = _varint(file)
        number, wire_type = tag >> 3, tag & 7
        length = {_FIXED64: 8, _FIXED32: 4, _VARINT: 0}.get(wire_type)
        if wire_type == _VARINT:
            _varint(file)
        elif wire_type == _LENGTH:
            length = _varint(file)
        position = file.tell() + (length or 0)
        if length is None or number == 0:
            raise ProtobufError("is not an ONNX model")
        if position > end:
            raise ProtobufError("is not an ONNX model, or is truncated")
        yield number, wire_type, length, begin
        file.seek(position)
    raise ProtobufError("is not an ONNX model: too many fields")


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ProtobufError("is not an ONNX model, or is truncated")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ProtobufError("is not an ONNX model")


def _encoded(value: int) -> bytes:
    """A varint."""
    digits = []
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _sha256(file: BinaryIO, length: int) -> str:
    digest = hashlib.sha256()
    while length:
        chunk = file.read(min(length, 2**20))
        if not chunk:
            raise ProtobufError("is not an ONNX model, or is truncated")
        digest.update(chunk)
        length -= len(chunk)
    return digest.hexdigest()


def _entry(file: BinaryIO, length: int) -> tuple[str, str]:
    """A StringStringEntryProto: key (1) and value (2)."""
    if length > _MAX_METADATA_BYTES:
        raise ProtobufError(f"metadata of {length} bytes; at most {_MAX_METADATA_BYTES} are accepted")
    message = io.BytesIO(file.read(length))
    texts = {1: "", 2: ""}
    for number, size in _fields(message, length):
        try:
            texts[number] = message.read(size).decode()
        except UnicodeDecodeError as error:
            raise ProtobufError("metadata is not UTF-8 text") from error
    return texts[1], texts[2]
