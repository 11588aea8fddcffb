"""ONNX Runtime's C library, found in the installed Python package, which itself is never imported.

`OrtGetApiBase` leads to a table of functions that only ever grows, so that a function's index never changes
(onnxruntime_c_api.h).
"""

import ctypes
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from apollo_rt.errors import ApolloError

_API_VERSION = 24  # of ONNX Runtime 1.24: old enough for any library, new enough for all of the below
_LIBRARY_NAMES = {"win32": "onnxruntime.dll", "darwin": "libonnxruntime*.dylib"}
_FATAL = 4
_SEQUENTIAL, _ALL_OPTIMISATIONS = 0, 99
FLOAT32: Final = 1
Shapes = dict[str, tuple[int, ...]]

_int, _size, _text, _pointer = ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p
_out = ctypes.POINTER(ctypes.c_void_p)
# Name: index in OrtApi, types of the arguments. All return a status, NULL when all is well.
_FUNCTIONS: Final[dict[str, tuple[int, list[Any]]]] = {
    "CreateEnv": (3, [_int, _text, _out]),
    "DisableTelemetryEvents": (6, [_pointer]),
    "CreateSessionFromArray": (8, [_pointer, _text, _size, _pointer, _out]),
    "Run": (9, [_pointer, _pointer, _pointer, _pointer, _size, _pointer, _size, _pointer]),
    "CreateSessionOptions": (10, [_out]),
    "SetSessionExecutionMode": (13, [_pointer, _int]),
    "SetSessionGraphOptimizationLevel": (23, [_pointer, _int]),
    "SetIntraOpNumThreads": (24, [_pointer, _int]),
    "SetInterOpNumThreads": (25, [_pointer, _int]),
    "SessionGetInputCount": (30, [_pointer, ctypes.POINTER(_size)]),
    "SessionGetOutputCount": (31, [_pointer, ctypes.POINTER(_size)]),
    "SessionGetInputTypeInfo": (33, [_pointer, _size, _out]),
    "SessionGetOutputTypeInfo": (34, [_pointer, _size, _out]),
    "SessionGetInputName": (36, [_pointer, _size, _pointer, _out]),
    "SessionGetOutputName": (37, [_pointer, _size, _pointer, _out]),
    "CreateRunOptions": (39, [_out]),
    "CreateTensorWithDataAsOrtValue": (
        49,
        [_pointer, _pointer, _size, ctypes.POINTER(ctypes.c_int64), _size, _int, _out],
    ),
    "CastTypeInfoToTensorInfo": (55, [_pointer, _out]),
    "GetTensorElementType": (60, [_pointer, ctypes.POINTER(_int)]),
    "GetDimensionsCount": (61, [_pointer, ctypes.POINTER(_size)]),
    "GetDimensions": (62, [_pointer, ctypes.POINTER(ctypes.c_int64), _size]),
    "CreateMemoryInfo": (68, [_text, _int, _int, _int, _out]),
    "CreateCpuMemoryInfo": (69, [_int, _int, _out]),
    "AllocatorFree": (76, [_pointer, _pointer]),
    "GetAllocatorWithDefaultOptions": (78, [_out]),
    "GetAvailableProviders": (125, [_pointer, _pointer]),
    "ReleaseAvailableProviders": (126, [_pointer, _int]),
    "AddSessionConfigEntry": (130, [_pointer, _text, _text]),
    "CreateAndRegisterAllocator": (144, [_pointer, _pointer, _pointer]),
    "CreateArenaCfgV2": (164, [_pointer, _pointer, _size, _out]),
    "AddRunConfigEntry": (165, [_pointer, _text, _text]),
    "SessionOptionsAppendExecutionProvider_TensorRT_V2": (170, [_pointer, _pointer]),
    "CreateTensorRTProviderOptions": (171, [_out]),
    "UpdateTensorRTProviderOptions": (172, [_pointer, _pointer, _pointer, _size]),
    "SessionOptionsAppendExecutionProvider_CUDA_V2": (204, [_pointer, _pointer]),
    "CreateCUDAProviderOptions": (205, [_out]),
    "UpdateCUDAProviderOptions": (206, [_pointer, _pointer, _pointer, _size]),
    "Session_GetEpGraphAssignmentInfo": (407, [_pointer, _pointer, ctypes.POINTER(_size)]),
    "EpAssignedSubgraph_GetEpName": (408, [_pointer, _out]),
    "EpAssignedSubgraph_GetNodes": (409, [_pointer, _pointer, ctypes.POINTER(_size)]),
    "EpAssignedNode_GetOperatorType": (412, [_pointer, _out]),
}
_GET_ERROR_MESSAGE = 2
RUN: Final = _FUNCTIONS["Run"][0]
Kind = Literal[
    "Status",
    "MemoryInfo",
    "Session",
    "Value",
    "RunOptions",
    "TypeInfo",
    "SessionOptions",
    "ArenaCfg",
    "TensorRTProviderOptions",
    "CUDAProviderOptions",
]
"""Of objects that the library makes and takes back."""
RELEASE: Final[dict[Kind, int]] = {
    "Status": 93,
    "MemoryInfo": 94,
    "Session": 95,
    "Value": 96,
    "RunOptions": 97,
    "TypeInfo": 98,
    "SessionOptions": 100,
    "ArenaCfg": 157,
    "TensorRTProviderOptions": 174,
    "CUDAProviderOptions": 208,
}


class LibraryMissingError(ApolloError):
    """The C library can't be found or loaded; a session of the Python package may still serve."""


class OnnxRuntimeError(Exception):
    """ONNX Runtime refused; the message is its own, in one line."""


class Runtime:
    """The library, its table of functions and its environment.

    Attributes:
        folder: where the library and those of its providers lie.
        version: of the library.

    Raises:
        LibraryMissingError: no library, or not one of ONNX Runtime.
    """

    def __init__(self, path: Path) -> None:
        """Load the library from `path`."""
        try:
            self._library = ctypes.CDLL(os.fspath(path))
            get_base = self._library.OrtGetApiBase
        except (OSError, AttributeError) as error:
            raise LibraryMissingError(f"{path}: {error}") from error
        self.folder = path.parent
        get_base.restype = ctypes.POINTER(ctypes.c_void_p)
        get_api = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint32)(get_base()[0])
        self.version = (ctypes.CFUNCTYPE(ctypes.c_char_p)(get_base()[1])() or b"").decode()
        self._table = get_api(_API_VERSION)
        if not self._table:
            raise LibraryMissingError(f"{path}: is older than ONNX Runtime 1.{_API_VERSION}")
        self._functions = {
            name: ctypes.CFUNCTYPE(ctypes.c_void_p, *arguments)(self._table[index])
            for name, (index, arguments) in _FUNCTIONS.items()
        }
        self._message = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(self._table[_GET_ERROR_MESSAGE])
        self._releases = {
            kind: ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._table[index]) for kind, index in RELEASE.items()
        }
        self.environment = self.create("CreateEnv", _FATAL, b"apollo_rt")
        self.call("DisableTelemetryEvents", self.environment)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the table.

        Raises:
            OnnxRuntimeError: it returned a status.
        """
        status = self._functions[name](*arguments)
        if status:
            message = self.message(status)
            self.release("Status", status)
            raise OnnxRuntimeError(message)

    def create(self, name: str, *arguments: Any) -> int:
        """Call a function whose last argument is where it puts the address of what it made."""
        result = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(result))
        return result.value or 0

    def release(self, kind: Kind, address: int) -> None:
        """Give one object back."""
        self._releases[kind](address)

    def message(self, status: int) -> str:
        """The text of a status, in one line."""
        return " ".join((self._message(status) or b"").decode(errors="replace").split())

    def address(self, index: int) -> int:
        """Address of the function at `index` of the table."""
        return int(self._table[index] or 0)


def library_path() -> Path:
    """Path of the library in the installed package; nothing is loaded.

    Raises:
        LibraryMissingError: the onnxruntime package is missing, or ships no C library.
    """
    spec = importlib.util.find_spec("onnxruntime")
    folders = [Path(folder) / "capi" for folder in (spec.submodule_search_locations or [])] if spec else []
    pattern = _LIBRARY_NAMES.get(sys.platform, "libonnxruntime.so*")
    paths = sorted(path for folder in folders for path in folder.glob(pattern) if "providers" not in path.name)
    if not paths:
        raise LibraryMissingError(f"no {pattern} in the onnxruntime package")
    return paths[-1]


@cache
def runtime() -> Runtime:
    """The process's one ONNX Runtime.

    Raises:
        LibraryMissingError: the onnxruntime package is missing, or ships no C library.
    """
    return Runtime(library_path())


def session_options(runtime: Runtime, threads: int, config: Mapping[str, str]) -> int:
    """Address of options for a model that is run hop by hop: in order, everything optimised.

    Args:
        runtime: the library.
        threads: that share one run.
        config: further entries, by their keys.
    """
    options = runtime.create("CreateSessionOptions")
    runtime.call("SetIntraOpNumThreads", options, threads)
    runtime.call("SetInterOpNumThreads", options, 1)
    runtime.call("SetSessionExecutionMode", options, _SEQUENTIAL)
    runtime.call("SetSessionGraphOptimizationLevel", options, _ALL_OPTIMISATIONS)
    for key, value in config.items():
        runtime.call("AddSessionConfigEntry", options, key.encode(), value.encode())
    return options


def tensor_value(runtime: Runtime, memory: int, address: int, n_bytes: int, shape: Sequence[int]) -> int:
    """Address of an OrtValue of float32 over memory that lies at `address`."""
    sizes = (ctypes.c_int64 * len(shape))(*shape)
    return runtime.create("CreateTensorWithDataAsOrtValue", memory, address, n_bytes, sizes, len(shape), FLOAT32)


def tensor_shapes(runtime: Runtime, session: int, kind: Literal["Input", "Output"]) -> Shapes:
    """Names and shapes of a session's inputs or outputs, -1 where a size is not fixed.

    Raises:
        OnnxRuntimeError: one is not of float32.
    """
    count = ctypes.c_size_t()
    runtime.call(f"SessionGet{kind}Count", session, ctypes.byref(count))
    allocator = runtime.create("GetAllocatorWithDefaultOptions")  # the library's own, never released
    shapes = {}
    for index in range(count.value):
        name = runtime.create(f"SessionGet{kind}Name", session, index, allocator)
        text = ctypes.string_at(name).decode()
        runtime.call("AllocatorFree", allocator, name)
        information = runtime.create(f"SessionGet{kind}TypeInfo", session, index)
        try:
            shapes[text] = _shape(runtime, information, text)
        finally:
            runtime.release("TypeInfo", information)
    return shapes


def _shape(runtime: Runtime, information: int, name: str) -> tuple[int, ...]:
    tensor = runtime.create("CastTypeInfoToTensorInfo", information)  # a part of `information`, not released alone
    element, n_axes = ctypes.c_int(), ctypes.c_size_t()
    if tensor:
        runtime.call("GetTensorElementType", tensor, ctypes.byref(element))
    if element.value != FLOAT32:
        raise OnnxRuntimeError(f"{name} is not a tensor of float32")
    runtime.call("GetDimensionsCount", tensor, ctypes.byref(n_axes))
    sizes = (ctypes.c_int64 * n_axes.value)()
    runtime.call("GetDimensions", tensor, sizes, n_axes.value)
    return tuple(sizes)
