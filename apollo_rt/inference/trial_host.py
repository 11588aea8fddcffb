"""The process in which graphs from somewhere are tried, started by `probe`: each once, on silence, with little memory.

It is sent graphs, a length of 8 bytes and so many bytes each, and answers each with a line of JSON: an object with what
is wrong, or an empty one. A node that never ends or crashes takes this process with it and not the one that plays. It
ends when nobody holds its standard input any more, in the middle of a graph too, and when it was asked nothing for a
while.

Only the C library does the work, by ctypes alone: this process starts in a tenth of a second.
"""

import ctypes
import json
import math
import os
import queue
import sys
import threading
from functools import cache

from apollo_rt.inference.graph_guard import check_graph
from apollo_rt.inference.onnx_c_api import (
    LibraryMissingError,
    OnnxRuntimeError,
    Runtime,
    Shapes,
    runtime,
    session_options,
    tensor_shapes,
    tensor_value,
)
from apollo_rt.inference.protobuf import ProtobufError

MEMORY_BYTES = 512 * 2**20
"""What a trial's tensors may take: a batch graph of two seconds takes a tenth."""

_ADDRESS_SPACE_BYTES = 4 * 2**30
"""What the process may take beside what it starts with, where the system bounds that: the library's own copies too."""

LENGTH_BYTES = 8
_IDLE_S = 10.0
_CONFIG = {
    "session.use_env_allocators": "1",
    "optimization.constant_folding_max_output_size_in_bytes": "16777216",
    "session.intra_op.allow_spinning": "0",
    "session.set_denormal_as_zero": "1",
}
_ARENA_ALLOCATOR, _DEFAULT_MEMORY = 0, 0


def try_graph(model: bytes) -> None:
    """Check a serialised model and run it once.

    Raises:
        ProtobufError: its graph holds what is not allowed.
        OnnxRuntimeError: it can't be loaded, fails, or takes more than `MEMORY_BYTES`.
        LibraryMissingError: there is no C library.
    """
    check_graph(model)
    library = runtime()
    _limit_memory()
    options = session_options(library, 1, _CONFIG)
    try:
        session = library.create("CreateSessionFromArray", library.environment, model, len(model), options)
    finally:
        library.release("SessionOptions", options)
    try:
        inputs, outputs = tensor_shapes(library, session, "Input"), tensor_shapes(library, session, "Output")
        _check_sizes(inputs | outputs)
        _run(library, session, inputs, outputs)
    finally:
        library.release("Session", session)


def _check_sizes(shapes: Shapes) -> None:
    n_values = sum(math.prod(max(size, 1) for size in shape) for shape in shapes.values())
    if 4 * n_values > MEMORY_BYTES or any(size < 0 for shape in shapes.values() for size in shape):
        raise OnnxRuntimeError("its inputs and outputs are without fixed sizes, or absurdly large")


def _run(library: Runtime, session: int, inputs: Shapes, outputs: Shapes) -> None:
    """Once, on silence; the library makes room for what comes out."""
    memory = library.create("CreateCpuMemoryInfo", _ARENA_ALLOCATOR, _DEFAULT_MEMORY)
    silence = {name: (ctypes.c_float * max(math.prod(shape), 1))() for name, shape in inputs.items()}
    values = [
        tensor_value(library, memory, ctypes.addressof(array), 4 * math.prod(inputs[name]), inputs[name])
        for name, array in silence.items()
    ]
    made = (ctypes.c_void_p * len(outputs))()
    names = [(ctypes.c_char_p * len(shapes))(*(name.encode() for name in shapes)) for shapes in (inputs, outputs)]
    arguments = (names[0], (ctypes.c_void_p * len(values))(*values), len(values), names[1], len(outputs), made)
    try:
        library.call("Run", session, None, *arguments)
    finally:
        for value in (*values, *filter(None, made)):
            library.release("Value", value)
        library.release("MemoryInfo", memory)


@cache
def _limit_memory() -> None:
    """Give the library the one allocator that all sessions here share."""
    library = runtime()
    keys = (ctypes.c_char_p * 2)(b"max_mem", b"arena_extend_strategy")
    values = (ctypes.c_size_t * 2)(MEMORY_BYTES, 1)  # as much as is asked for, not the next power of two
    limits = library.create("CreateArenaCfgV2", keys, values, len(keys))
    memory = library.create("CreateCpuMemoryInfo", 1, 0)
    try:
        library.call("CreateAndRegisterAllocator", library.environment, memory, limits)
    finally:
        library.release("MemoryInfo", memory)
        library.release("ArenaCfg", limits)


def _limit_process() -> None:
    """Bound what is no tensor by the system; no file is written, and none is left of a crash."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0}
    if sys.platform == "linux":
        with open("/proc/self/statm") as file:  # noqa: PTH123  # pathlib costs as long as all else here
            limits[resource.RLIMIT_AS] = int(file.read().split()[0]) * resource.getpagesize() + _ADDRESS_SPACE_BYTES
    for kind, limit in limits.items():
        _, most = resource.getrlimit(kind)
        resource.setrlimit(kind, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def _answer(model: bytes) -> dict[str, str]:
    try:
        try_graph(model)
    except LibraryMissingError as error:
        return {"missing": str(error)}
    except (ProtobufError, OnnxRuntimeError) as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "takes more memory than any useful one"}
    return {}


def main() -> None:
    """Be the process."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # lines on standard output are ours alone
    _limit_process()
    graphs: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def receive() -> None:
        try:
            while length := sys.stdin.buffer.read(LENGTH_BYTES):
                graphs.put(sys.stdin.buffer.read(int.from_bytes(length, "little")))
        finally:
            os._exit(0)

    threading.Thread(target=receive, daemon=True).start()
    try:
        while True:
            answers.write(json.dumps(_answer(graphs.get(timeout=_IDLE_S))) + "\n")
            answers.flush()
    except (queue.Empty, BrokenPipeError):
        os._exit(0)


if __name__ == "__main__":
    main()
