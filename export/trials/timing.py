"""Times of graphs, taken in turns: a busy machine then slows all of them, and the ratios stay right."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]  # ships no type hints

_ROUNDS, _RUNS_A_ROUND = 25, 8


@dataclass(frozen=True)
class GraphTime:
    """Of one call of a graph on one core.

    Attributes:
        n_nodes: in the file.
        n_nodes_run: after ONNX Runtime's own fusions.
        fastest_ms: the 5th percentile: what it takes when nothing else is on the core.
        median_ms: with what else was on it.
    """

    n_nodes: int
    n_nodes_run: int
    fastest_ms: float
    median_ms: float


def time_graphs(models: Mapping[str, onnx.ModelProto]) -> dict[str, GraphTime]:
    """Time some graphs against each other, on one thread each, in turns."""
    sessions, counts = {}, {}
    for name, model in models.items():
        sessions[name], counts[name] = _session(model)
    bindings = {name: _bound(session) for name, session in sessions.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(_ROUNDS):
        for name, binding in bindings.items():
            for _ in range(_RUNS_A_ROUND):
                begin_s = time.perf_counter()
                sessions[name].run_with_iobinding(binding)
                times[name].append(1e3 * (time.perf_counter() - begin_s))
    return {
        name: GraphTime(
            len(model.graph.node),
            counts[name],
            float(np.percentile(times[name], 5)),
            float(np.median(times[name])),
        )
        for name, model in models.items()
    }


def sgemm_peak_gflops(size: int = 768, n_rounds: int = 8) -> float:
    """Peak of numpy's matrix product on this core: the best of some rounds, in 10^9 operations per second.

    Time is the thread's own, so that what else runs on the core counts less.

    Meant for one thread: set OPENBLAS_NUM_THREADS=1 before Python starts.
    """
    a = np.random.default_rng(0).standard_normal((size, size), np.float32)
    seconds = []
    for _ in range(n_rounds):
        begin_s = time.thread_time()
        a @ a
        seconds.append(time.thread_time() - begin_s)
    return 2 * size**3 / min(seconds) / 1e9


def product_flops(model: onnx.ModelProto) -> int:
    """Operations of all matrix products and convolutions of one call: two for each multiplication."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    for value in (*inferred.value_info, *inferred.input, *inferred.output):
        shapes[value.name] = tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
    total = 0
    for node in inferred.node:
        if node.op_type in ("MatMul", "Gemm"):
            total += 2 * int(np.prod(shapes[node.output[0]])) * shapes[node.input[0]][-1]
        elif node.op_type == "Conv":
            total += 2 * int(np.prod(shapes[node.output[0]])) * int(np.prod(shapes[node.input[1]][1:]))
    return total


def _session(model: onnx.ModelProto) -> tuple[onnxruntime.InferenceSession, int]:
    """A session, and how many nodes ONNX Runtime made of it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    with TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session, len(onnx.load(options.optimized_model_filepath).graph.node)


def _bound(session: onnxruntime.InferenceSession) -> onnxruntime.IOBinding:
    """All inputs and outputs in memory of their own."""
    random, binding = np.random.default_rng(0), session.io_binding()
    for value in session.get_inputs():
        array = np.abs(random.standard_normal(value.shape, np.float32)) * np.float32(0.1)
        binding.bind_ortvalue_input(value.name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    for value in session.get_outputs():
        empty = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(value.shape, np.float32))
        binding.bind_ortvalue_output(value.name, empty)
    return binding
