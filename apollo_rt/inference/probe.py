"""A model file from somewhere is tried before it is used: each of its graphs once, on silence, with little memory.

The bundled models need it not. What is refused by then is refused as a file; a stream never meets it.
"""

import ctypes
import threading
from functools import cache

import numpy as np

from apollo_rt.errors import ModelFileError
from apollo_rt.inference.graph_guard import check_graph
from apollo_rt.inference.model_file import ModelCard, read_graph
from apollo_rt.inference.onnx_c_api import LibraryMissingError, OnnxRuntimeError, runtime
from apollo_rt.inference.onnx_session import Session, Tensors
from apollo_rt.inference.protobuf import ProtobufError

MEMORY_BYTES = 512 * 2**20
"""What all trials of a process together may take: a block graph of two seconds takes a tenth."""

_PATIENCE_S = 20.0


def probe_model(card: ModelCard) -> None:
    """Check each graph of a file and run it once.

    Raises:
        ModelFileError: a graph holds what is not allowed, can't be loaded, fails, takes more than `MEMORY_BYTES`, or
            takes longer than any useful one.
    """
    for graph in (None, *card.graphs):
        name = graph.name if graph else "main"
        model = read_graph(card, graph)
        try:
            check_graph(model)
            _run_once(model)
        except LibraryMissingError:
            return  # the Python package will load it, if anything does
        except (ProtobufError, OnnxRuntimeError) as error:
            raise ModelFileError(f"{card.path}: the {name} graph is not usable: {error}") from error


def _run_once(model: bytes) -> None:
    _limit_memory()
    session = Session(model, is_trial=True)
    try:
        shapes = session.inputs | session.outputs
        n_values = sum(int(np.prod([max(size, 1) for size in shape], dtype=np.float64)) for shape in shapes.values())
        if 4 * n_values > MEMORY_BYTES or any(size < 0 for shape in shapes.values() for size in shape):
            raise OnnxRuntimeError("its inputs and outputs are without fixed sizes, or absurdly large")
        tensors: Tensors = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        binding = session.bind((tensors, tensors), (tensors, tensors))
        timer = threading.Timer(_PATIENCE_S, binding.terminate)
        timer.start()
        try:
            if binding.run(0):
                raise OnnxRuntimeError(binding.error)
        finally:
            timer.cancel()
            timer.join()
    finally:
        session.close()


@cache
def _limit_memory() -> None:
    """Give the library the one allocator that sessions on trial share; all others have their own, without a limit."""
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
