"""An NVIDIA accelerator needs driver, GPU, memory and libraries; this module tells which of them are there.

The driver is asked directly (CUDA driver API), so that it can be said what is missing without ONNX Runtime's help.
NVIDIA's libraries may come from the system or from wheels beside us (nvidia-*, tensorrt_libs); those of wheels are on
no search path, and are loaded by name when ONNX Runtime misses them.
"""

import ctypes
import importlib.util
import mmap
import os
import re
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_DRIVER = {"win32": "nvcuda.dll"}.get(sys.platform, "libcuda.so.1")
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*, cuda.h
_PORTABLE_AND_MAPPED = 1 | 2  # CU_MEMHOSTALLOC_*
_MISSING = re.compile(r"(lib[\w+.-]+?\.so(?:\.\d+)*): cannot open shared object file")
_LATE_LIBRARIES = ("libcudnn*.so.*", "libcufft.so.*", "libnvrtc.so.*", "libnvinfer_builder_resource*.so.*")
"""What NVIDIA's and ONNX Runtime's libraries open by name only when they need it."""


class NoGpuError(Exception):
    """There is no usable GPU; the message is the reason, in one line."""


class Gpu(NamedTuple):
    """One GPU as its driver describes it.

    Attributes:
        name: of the product.
        compute_capability: as `9.0`.
        driver: the CUDA version that the driver serves, as `13.0`.
        memory: bytes in all.
        free: bytes that nobody uses.
    """

    name: str
    compute_capability: str
    driver: str
    memory: int
    free: int


def find_gpu(index: int = 0, driver: Any = None) -> Gpu:
    """Ask the driver about a GPU.

    Args:
        index: its number.
        driver: the driver's library; None loads it.

    Raises:
        NoGpuError: no driver, no GPU, or one that does not answer.
    """
    driver = driver or _load_driver()
    count, device = ctypes.c_int(), ctypes.c_int()
    _call(driver, "cuInit", 0)
    _call(driver, "cuDeviceGetCount", ctypes.byref(count))
    if index >= count.value:
        raise NoGpuError(f"the driver knows {count.value} GPUs, number {index} is not among them")
    _call(driver, "cuDeviceGet", ctypes.byref(device), index)
    name, version = ctypes.create_string_buffer(256), ctypes.c_int()
    _call(driver, "cuDeviceGetName", name, len(name), device)
    _call(driver, "cuDriverGetVersion", ctypes.byref(version))
    major, minor = (_attribute(driver, number, device) for number in (_MAJOR, _MINOR))
    free, memory = _memory(driver, device)
    served = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return Gpu(name.value.decode(errors="replace"), f"{major}.{minor}", served, memory, free)


def _load_driver() -> Any:
    try:
        return ctypes.CDLL(_DRIVER)
    except OSError:
        raise NoGpuError(f"there is no NVIDIA driver on this machine ({_DRIVER} can't be loaded)") from None


def _call(driver: Any, name: str, *arguments: Any) -> None:
    code = getattr(driver, name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        driver.cuGetErrorString(code, ctypes.byref(text))
        reason = (text.value or b"unknown error").decode(errors="replace")
        raise NoGpuError(f"the NVIDIA driver says: {reason} ({name}, code {code})")


def _attribute(driver: Any, number: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    _call(driver, "cuDeviceGetAttribute", ctypes.byref(value), number, device)
    return value.value


def _memory(driver: Any, device: ctypes.c_int) -> tuple[int, int]:
    """Free bytes and all; needs a context, the one that ONNX Runtime uses too."""
    free, memory = ctypes.c_size_t(), ctypes.c_size_t()
    with _context(driver, device):
        _call(driver, "cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(memory))
    return free.value, memory.value


@contextmanager
def _context(driver: Any, device: ctypes.c_int) -> Iterator[None]:
    """The device's primary context, which ONNX Runtime uses too, as the current one of this thread."""
    context = ctypes.c_void_p()
    _call(driver, "cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    try:
        _call(driver, "cuCtxPushCurrent_v2", context)
        try:
            yield
        finally:
            _call(driver, "cuCtxPopCurrent_v2", ctypes.byref(context))
    finally:
        _call(driver, "cuDevicePrimaryCtxRelease_v2", device)


def pinned_zeros(n_bytes: int, index: int = 0, driver: Any = None) -> NDArray[np.uint8]:
    """Memory of the host that kernels read and write at the same address (unified addressing): fixed, never copied.

    Args:
        n_bytes: at least 1.
        index: number of the GPU that must stay in use while the memory is.
        driver: as in `find_gpu`.

    Raises:
        NoGpuError: the driver refuses.
    """
    driver, device, address = driver or _load_driver(), ctypes.c_int(), ctypes.c_void_p()
    _call(driver, "cuInit", 0)
    _call(driver, "cuDeviceGet", ctypes.byref(device), index)
    with _context(driver, device):
        _call(driver, "cuMemHostAlloc", ctypes.byref(address), ctypes.c_size_t(n_bytes), _PORTABLE_AND_MAPPED)
    memory = (ctypes.c_uint8 * n_bytes).from_address(address.value or 0)
    weakref.finalize(memory, driver.cuMemFreeHost, ctypes.c_void_p(address.value)).atexit = False
    ctypes.memset(address, 0, n_bytes)
    return np.ctypeslib.as_array(memory)


# --- libraries --------------------------------------------------------------------------------------------------------


def missing_library(message: str) -> str | None:
    """The library for which a loader's message asks, if it is such a message."""
    match = _MISSING.search(message)
    return match[1] if match else None


def load_from_wheels(name: str) -> bool:
    """Load a library that a wheel brought, for those who ask for it by name; returns whether there was one."""
    for folder in _wheel_folders():
        if (folder / name).is_file():
            ctypes.CDLL(os.fspath(folder / name), mode=ctypes.RTLD_GLOBAL)
            return True
    return False


def load_late_libraries() -> None:
    """Load from wheels what is asked for only while a model runs; what is not there is left to the system."""
    if sys.platform == "win32":
        for folder in _wheel_folders():
            os.add_dll_directory(os.fspath(folder))
        return
    paths = [path for folder in _wheel_folders() for pattern in _LATE_LIBRARIES for path in folder.glob(pattern)]
    for path in sorted(paths):
        try:
            ctypes.CDLL(os.fspath(path), mode=ctypes.RTLD_GLOBAL)
        except OSError:  # one of a set that needs another; whoever needs it says so
            continue


def _wheel_folders() -> Iterator[Path]:
    for package in ("nvidia", "tensorrt_libs"):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            yield Path(place)
            for pattern in ("*/lib", "*/bin", "*/bin/x86_64"):
                yield from sorted(Path(place).glob(pattern))


def library_named_in(library: Path, pattern: bytes) -> ctypes.CDLL | None:
    """The library that another one names in its own bytes, which is how one of just that version is found."""
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        match = re.search(pattern, content)
        name = match[0].decode() if match else None
    try:
        return ctypes.CDLL(name) if name else None
    except OSError:
        return None
