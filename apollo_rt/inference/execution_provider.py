"""Give a session's options a provider, and see afterwards what the session really got.

ONNX Runtime falls back by itself, node by node, to the next provider and in the end to the CPU. Here that is never
silent: what can't be had at all is an error with its reason, and a session is asked who runs its nodes.
"""

import ctypes
import hashlib
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from apollo_rt.errors import ProviderError
from apollo_rt.inference.accelerator import (
    Gpu,
    NoGpuError,
    find_gpu,
    library_named_in,
    load_from_wheels,
    load_late_libraries,
    missing_library,
)
from apollo_rt.inference.onnx_c_api import Kind, OnnxRuntimeError, Runtime
from apollo_rt.inference.provider import (
    CacheKey,
    Provider,
    cache_folder,
    cuda_options,
    tensorrt_options,
)

Assignment = Mapping[str, Counter[str]]
"""Name of a provider, as ONNX Runtime has it, to how many nodes of which operators it runs."""

RECORD_ASSIGNMENT = "session.record_ep_graph_assignment_info"

_OPTIONS: Final[dict[str, Kind]] = {"CUDA": "CUDAProviderOptions", "TensorRT": "TensorRTProviderOptions"}
"""What the C library calls the options of a provider."""
_MOST_LIBRARIES = 32
_NO_MEMORY = ("out of memory", "cudaErrorMemoryAllocation", "CUDA failure 2", "Failed to allocate memory")
_INSTALL = "install the package's extra `cuda`, and `tensorrt` for TensorRT, or NVIDIA's own packages"


def available_providers(runtime: Runtime) -> tuple[str, ...]:
    """Providers that the installed ONNX Runtime was built with; whether a machine can use them is another question."""
    names, count = ctypes.POINTER(ctypes.c_char_p)(), ctypes.c_int()
    runtime.call("GetAvailableProviders", ctypes.byref(names), ctypes.byref(count))
    found = tuple((names[i] or b"").decode() for i in range(count.value))
    runtime.call("ReleaseAvailableProviders", names, count)
    return found


def append_provider(runtime: Runtime, options: int, provider: Provider, model: bytes) -> Path | None:
    """Let sessions of these options use a provider; TensorRT leaves to CUDA what it doesn't take.

    Args:
        runtime: whose.
        options: the address of session options.
        provider: as asked for; `cpu` needs nothing.
        model: the serialised model, a part of the cache's key.

    Returns:
        The folder of the engine's cache; None for all but TensorRT.

    Raises:
        ProviderError: this build, a library, the driver or the GPU is missing.
    """
    if provider.name == "cpu":
        return None
    cache = None
    if provider.name == "tensorrt":
        cache = engine_cache(runtime, provider, model)
        _append(runtime, options, "TensorRT", tensorrt_options(provider, cache))
    _require(runtime, provider)
    load_late_libraries()
    _append(runtime, options, "CUDA", cuda_options(provider))
    return cache


def engine_cache(runtime: Runtime, provider: Provider, model: bytes) -> Path:
    """The folder in which the TensorRT engine of a model is kept, or will be.

    Raises:
        ProviderError: as in `append_provider`.
    """
    gpu = _require(runtime, provider)
    _load_provider(runtime, provider, "TensorRT")
    return cache_folder(
        CacheKey(
            gpu=f"{gpu.name}, compute capability {gpu.compute_capability}",
            tensorrt=_tensorrt_version(runtime),
            onnx_runtime=runtime.version,
            model=hashlib.sha256(model).hexdigest(),
            fp16=provider.fp16,
        )
    )


def reason(provider: Provider, message: str) -> str:
    """Reason why a provider can't be used, for people, from what ONNX Runtime said."""
    name = missing_library(message)
    if name and not name.startswith("libcuda."):
        return f"{provider}: the library {name} is missing; {_INSTALL}"
    try:
        gpu = find_gpu(provider.device)
    except NoGpuError as error:
        return f"{provider}: {error}"
    if any(text in message for text in _NO_MEMORY):
        return f"{provider}: {gpu.name} has too little memory, {gpu.free >> 20} of {gpu.memory >> 20} MiB are free"
    return f"{provider} on {gpu.name} (driver for CUDA {gpu.driver}): {message}"


def node_assignment(runtime: Runtime, session: int) -> Assignment:
    """Providers of a session's nodes; the session was made with `RECORD_ASSIGNMENT`."""
    assignment: dict[str, Counter[str]] = {}
    for part in _list(runtime, "Session_GetEpGraphAssignmentInfo", session):
        name = _text(runtime, "EpAssignedSubgraph_GetEpName", part)
        nodes = _list(runtime, "EpAssignedSubgraph_GetNodes", part)
        operators = (_text(runtime, "EpAssignedNode_GetOperatorType", node) for node in nodes)
        assignment.setdefault(name, Counter()).update(operators)
    return assignment


def check_assignment(provider: Provider, assignment: Assignment) -> None:
    """Compare what was asked for with what a session has; warns where others run some of the nodes.

    Raises:
        ProviderError: the provider runs none.
    """
    others = {name: nodes for name, nodes in assignment.items() if name != provider.ort_name}
    n_own, n_others = assignment.get(provider.ort_name, Counter()).total(), sum(map(Counter.total, others.values()))
    elsewhere = "; ".join(
        f"{name} runs {nodes.total()} ({', '.join(f'{n} {operator}' for operator, n in nodes.most_common(5))})"
        for name, nodes in sorted(others.items())
    )
    if not n_own:
        raise ProviderError(f"{provider}: it runs none of the model's nodes: {elsewhere or 'nobody does'}")
    if n_others:
        text = f"{provider} runs only {n_own} of the model's {n_own + n_others} nodes: {elsewhere}"
        if provider.cuda_graph:
            raise ProviderError(f"{text}; a graph must have them all: leave out +graph")
        warnings.warn(text, RuntimeWarning, stacklevel=2)


def _require(runtime: Runtime, provider: Provider) -> Gpu:
    """The GPU, when all is there that CUDA needs, which TensorRT needs too."""
    available = available_providers(runtime)
    if provider.ort_name not in available:
        raise ProviderError(
            f"{provider}: the installed ONNX Runtime {runtime.version} has only {', '.join(available)}; "
            "install onnxruntime-gpu in its place"
        )
    try:
        gpu = find_gpu(provider.device)
    except NoGpuError as error:  # first, for without a GPU no library helps
        raise ProviderError(f"{provider}: {error}") from error
    _load_provider(runtime, provider, "CUDA")
    return gpu


def _tensorrt_version(runtime: Runtime) -> str:
    """Of the library that the provider was linked with and has just loaded (NvInferRuntime.h)."""
    for library in sorted(runtime.folder.glob("*onnxruntime_providers_tensorrt*")):
        tensorrt = library_named_in(library, rb"libnvinfer\.so\.\d+|nvinfer_\d+\.dll")
        if tensorrt:
            return str(tensorrt.getInferLibVersion())
    raise ProviderError(
        "tensorrt: the version of TensorRT can't be found; its library is not where it was a moment ago"
    )


def _load_provider(runtime: Runtime, provider: Provider, kind: str) -> None:
    """Let ONNX Runtime load its provider; each library that it misses is looked for in wheels.

    Raises:
        ProviderError: one is nowhere.
    """
    for _ in range(_MOST_LIBRARIES):
        try:
            runtime.release(_OPTIONS[kind], _provider_options(runtime, kind, {"device_id": str(provider.device)}))
            return
        except OnnxRuntimeError as error:
            name = missing_library(str(error))
            if not (name and load_from_wheels(name)):
                raise ProviderError(reason(provider, str(error))) from error
    raise ProviderError(f"{provider}: more than {_MOST_LIBRARIES} libraries are missing")


def _append(runtime: Runtime, options: int, kind: str, texts: Mapping[str, str]) -> None:
    provider_options = _provider_options(runtime, kind, texts)
    try:
        runtime.call(f"SessionOptionsAppendExecutionProvider_{kind}_V2", options, provider_options)
    finally:
        runtime.release(_OPTIONS[kind], provider_options)


def _provider_options(runtime: Runtime, kind: str, texts: Mapping[str, str]) -> int:
    """Address of a provider's options; the caller releases them."""
    options = runtime.create(f"Create{kind}ProviderOptions")
    try:
        table = ctypes.c_char_p * len(texts)
        keys, values = (table(*(text.encode() for text in row)) for row in (texts.keys(), texts.values()))
        runtime.call(f"Update{kind}ProviderOptions", options, keys, values, len(texts))
    except OnnxRuntimeError:
        runtime.release(_OPTIONS[kind], options)
        raise
    return options


def _list(runtime: Runtime, name: str, owner: int) -> list[int]:
    """The addresses that a function gives; they belong to their owner."""
    table, count = ctypes.POINTER(ctypes.c_void_p)(), ctypes.c_size_t()
    runtime.call(name, owner, ctypes.byref(table), ctypes.byref(count))
    return [table[i] or 0 for i in range(count.value)]


def _text(runtime: Runtime, name: str, owner: int) -> str:
    return ctypes.string_at(runtime.create(name, owner)).decode()
