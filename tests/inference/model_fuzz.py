"""Broken and hostile model files, made and loaded in a process of their own.

`python -m tests.inference.model_fuzz BATCH SEED` prints one line per case that is neither loaded nor refused
with a `ModelFileError`, then `peak_mib N` and `done N`: a crash, a hang or a killed process shows by the last line's
absence, and its last case by `case.onnx`, which stays.
"""

import base64
import io
import json
import resource
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from apollo_rt.errors import ModelFileError
from apollo_rt.inference.model_choice import open_model
from apollo_rt.inference.model_file import graph_sha256
from tests.doubles import tiny_models

ADDRESS_SPACE_BYTES = 6 * 2**30
"""A backstop for what would take the machine with it; `peak_mib` is what is judged."""

Case = tuple[str, bytes]


def flips(whole: bytes, random: np.random.Generator) -> Iterator[Case]:
    """Single bits, anywhere."""
    for position in random.integers(0, 8 * len(whole), 700):
        broken = bytearray(whole)
        broken[position // 8] ^= 1 << (position % 8)
        yield f"bit {position}", bytes(broken)


def bytes_changed(whole: bytes, random: np.random.Generator) -> Iterator[Case]:
    """Pieces of noise, of ones and of zeros, written over, put in, and cut out."""
    for number in range(300):
        start, length = int(random.integers(0, len(whole))), int(random.integers(1, 64))
        noise = (random.bytes(length), b"\xff" * length, b"\0" * length)[number % 3]
        end = start + (length if number % 2 else 0)
        yield f"{length} bytes at {start}", whole[:start] + noise + whole[end:]
        yield f"without {length} bytes at {start}", whole[:start] + whole[start + length :]


def truncated(whole: bytes, random: np.random.Generator) -> Iterator[Case]:
    """Beginnings of every kind of length, and files with something behind them."""
    for length in {0, 1, 2, 3, len(whole) - 1, *map(int, random.integers(0, len(whole), 200))}:
        yield f"first {length} bytes", whole[:length]
    for tail in (b"\0", whole, whole[:100], b"\xff" * 100):
        yield f"{len(tail)} bytes more", whole + tail


def metadata(whole: bytes, random: np.random.Generator) -> Iterator[Case]:
    """Every field with values that nobody means; the graph is untouched."""
    values = [
        "", " ", "0", "-1", "1e3", "9" * 400, "٣", "\0", "[", "{}", "[]", "null", "NaN", "[" * 100_000, "\x1b[2J",
        '[{"input": "state_0", "output": "state_0_next", "shape": [1099511627776, 1048576]}]',
        '[{"input": "state_0", "output": "state_0_next", "shape": [-1, 2, 2]}]',
        '[{"input": "spectrum", "output": "restored", "shape": [2, 129, 2]}]',
        json.dumps([{"input": f"s{i}", "output": f"t{i}", "shape": [4096]} for i in range(5000)]),
        golden_zip(shape="(1152921504606846976,)"), golden_zip(n_zeros=24 * 2**20), golden_zip(n_zeros=3),
        base64.b64encode(random.bytes(200)).decode(),
    ]  # fmt: skip
    model = onnx.load_from_string(whole)
    texts = {entry.key: entry.value for entry in model.metadata_props}
    for key in texts:
        for value in values:
            del model.metadata_props[:]
            helper.set_model_props(model, texts | {key: value})
            yield f"{key} = {value[:40]!r}", model.SerializeToString()


def golden(whole: bytes, random: np.random.Generator) -> Iterator[Case]:
    """Bits of the packed golden pair itself, under its base64."""
    model = onnx.load_from_string(whole)
    (entry,) = [entry for entry in model.metadata_props if entry.key == "apollo_rt.golden"]
    packed = base64.b64decode(entry.value)
    for position in random.integers(0, 8 * len(packed), 400):
        broken = bytearray(packed)
        broken[position // 8] ^= 1 << (position % 8)
        entry.value = base64.b64encode(broken).decode()
        yield f"golden bit {position}", model.SerializeToString()


def golden_zip(shape: str = "(1, 64, 2)", n_zeros: int = 0) -> str:
    """A golden pair whose header claims a shape, or that unpacks to very many bytes."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"\0" * n_zeros
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("input.npy", content)
        file.writestr("output.npy", content)
    return base64.b64encode(archive.getvalue()).decode()


def graphs(whole: bytes, random: np.random.Generator) -> Iterator[Case]:
    """Graphs that contradict themselves or want the impossible, under a hash that is right."""
    for name, change in GRAPH_CHANGES.items():
        model = onnx.load_from_string(whole)
        change(model)
        yield name, rehashed(model)
    for number in range(150):
        graph = bytearray(onnx.load_from_string(whole).graph.SerializeToString())
        for position in random.integers(0, len(graph), 1 + number % 4):
            graph[position] = int(random.integers(0, 256))
        yield f"graph noise {number}", with_raw_graph(whole, bytes(graph))


def rehashed(model: onnx.ModelProto) -> bytes:
    texts = {entry.key: entry.value for entry in model.metadata_props}
    texts["apollo_rt.graph_sha256"] = graph_sha256(model.SerializeToString())
    del model.metadata_props[:]
    helper.set_model_props(model, texts)
    return model.SerializeToString()


def with_raw_graph(whole: bytes, graph: bytes) -> bytes:
    """The file with the bytes of another graph, which need not be one, and their hash."""
    model = onnx.load_from_string(whole)
    model.ClearField("graph")
    size, length = b"", len(graph)
    while True:
        size += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
        length >>= 7
        if not length:
            break
    field = b"\x3a" + size + graph  # field 7, of a length
    texts = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]
    texts["apollo_rt.graph_sha256"] = graph_sha256(model.SerializeToString() + field)
    helper.set_model_props(model, texts)
    return model.SerializeToString() + field


def add_first(model: onnx.ModelProto, *nodes: onnx.NodeProto, **constants: np.ndarray) -> None:
    """Let a scalar `extra` of these nodes be added to what the graph returns."""
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    for node in model.graph.node:
        node.output[:] = ["before" if name == "restored" else name for name in node.output]
    model.graph.node.extend([*nodes, helper.make_node("Add", ["before", "extra"], ["restored"])])


def oversized(operator: str, output: str = "big", inputs: tuple[str, ...] = ("size",), **attributes: object):
    """A change by which an operator makes as much as a number in the file says."""

    def change(model: onnx.ModelProto) -> None:
        nodes = [helper.make_node(operator, list(inputs), [output], **attributes)]
        nodes += [helper.make_node("Cast", [output], ["floats"], to=TensorProto.FLOAT)]
        nodes += [helper.make_node("ReduceSum", ["floats"], ["extra"], keepdims=0)]
        add_first(model, *nodes, size=np.array([2**35], np.int64), one=np.ones(1, np.float32),
                  zero=np.array(0, np.int64), scalar=np.array(2**35, np.int64), step=np.array(1, np.int64))  # fmt: skip

    return change


def outer_product(n: int):
    """Two weights of n values whose product has n squared."""

    def change(model: onnx.ModelProto) -> None:
        nodes = [helper.make_node("MatMul", ["column", "row"], ["big"])]
        nodes += [helper.make_node("ReduceSum", ["big"], ["extra"], keepdims=0)]
        add_first(model, *nodes, column=np.ones((n, 1), np.float32), row=np.ones((1, n), np.float32))

    return change


def endless(model: onnx.ModelProto) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Identity", ["x"], ["x2"])],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("c", TensorProto.BOOL, []),
         helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("c2", TensorProto.BOOL, []),
         helper.make_tensor_value_info("x2", TensorProto.FLOAT, [1])],
    )  # fmt: skip
    loop = helper.make_node("Loop", ["times", "yes", "start"], ["extra"], body=body)
    add_first(model, loop, times=np.array(2**62, np.int64), yes=np.array(True), start=np.ones(1, np.float32))


def function_of_itself(model: onnx.ModelProto) -> None:
    node = helper.make_node("Again", ["x"], ["y"], domain="own")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model.functions.append(helper.make_function("own", "Again", ["x"], ["y"], [node], opsets))
    model.opset_import.append(opsets[1])
    add_first(model, helper.make_node("Again", ["one"], ["extra"], domain="own"), one=np.ones(1, np.float32))


def weights_elsewhere(model: onnx.ModelProto) -> None:
    add_first(model, helper.make_node("Identity", ["far"], ["extra"]), far=np.ones(1, np.float32))
    tensor = model.graph.initializer[-1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def huge_weight(model: onnx.ModelProto) -> None:
    add_first(model, helper.make_node("ReduceSum", ["far"], ["extra"], keepdims=0), far=np.ones(4, np.float32))
    model.graph.initializer[-1].dims[:] = [2**40]


def set_dim(value: int):
    def change(model: onnx.ModelProto) -> None:
        for tensor in (*model.graph.input, *model.graph.output):
            tensor.type.tensor_type.shape.dim[0].dim_value = value

    return change


def cycle(model: onnx.ModelProto) -> None:
    nodes = [helper.make_node("Add", ["a", "one"], ["b"]), helper.make_node("Add", ["b", "one"], ["a"])]
    add_first(model, *nodes, helper.make_node("Identity", ["b"], ["extra"]), one=np.ones(1, np.float32))


def very_many_nodes(model: onnx.ModelProto) -> None:
    chain = [helper.make_node("Identity", [f"v{i}"], [f"v{i + 1}"]) for i in range(30_000)]
    add_first(model, *chain, helper.make_node("Identity", ["v30000"], ["extra"]), v0=np.ones(1, np.float32))


GRAPH_CHANGES = {
    "nothing changed": lambda model: None,
    "no nodes": lambda model: model.graph.ClearField("node"),
    "no inputs": lambda model: model.graph.ClearField("input"),
    "dimension of 2^40": set_dim(2**40),
    "dimension of 2^62": set_dim(2**62),
    "negative dimension": set_dim(-5),
    "dimension of nothing": set_dim(0),
    "weight of 2^40 values in 16 bytes": huge_weight,
    "weights in /etc/passwd": weights_elsewhere,
    "ConstantOfShape": oversized("ConstantOfShape"),
    "Expand": oversized("Expand", inputs=("one", "size")),
    "Tile": oversized("Tile", inputs=("one", "size")),
    "Range": oversized("Range", inputs=("zero", "scalar", "step")),
    "RandomUniform": oversized("RandomUniform", inputs=(), shape=[2**35]),
    "outer product of 2 GiB": outer_product(23_000),
    "outer product of 256 GiB": outer_product(2**18),
    "a loop that never ends": endless,
    "a function that calls itself": function_of_itself,
    "a cycle": cycle,
    "an operator of another domain": lambda model: setattr(model.graph.node[0], "domain", "com.microsoft"),
    "opset 10000": lambda model: setattr(model.opset_import[0], "version", 10_000),
    "30000 nodes": very_many_nodes,
}
BATCHES = {batch.__name__: batch for batch in (flips, bytes_changed, truncated, metadata, golden, graphs)}


def run(batch: str, seed: int, directory: Path) -> None:
    """Load every case of a batch and report what is neither a model nor refused as one."""
    warnings.simplefilter("ignore")
    whole, path = tiny_models.delay_one_frame(directory).read_bytes(), directory / "case.onnx"
    open_model(tiny_models.busy(directory)).close()
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n_cases = n_loaded = 0
    for name, content in BATCHES[batch](whole, np.random.default_rng(seed)):
        path.write_bytes(content)
        n_cases += 1
        try:
            open_model(path, "cpu").close()
            n_loaded += 1
        except ModelFileError as error:
            if "\n" in str(error) or len(str(error)) > 2000:
                print(f"{name}: a message that is not one line: {str(error)[:300]!r}")
        except BaseException as error:  # whatever it is, it is the finding
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}")
    print(f"loaded {n_loaded}")
    print(f"peak_mib {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) // 1024}")
    print(f"done {n_cases}")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    run(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
