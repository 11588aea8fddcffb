"""Bundles of the tests' busy model, built once for a version of their sources, and hosts for them of a few lines."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apollo_rt.control.parameters import PARAMETERS
from apollo_rt.inference.model_file import read_model_file
from export.plugin import compiler
from export.plugin.bundles import FORMATS, PluginBuild
from export.plugin.onnx_library import installed_library
from tests.doubles import tiny_models
from tests.doubles.plugin_heart import blocks, kept, needs_compiler

PRESET = {row.name: row.default for row in PARAMETERS} | {"air_db": -7.25, "low_cut_hz": 62.5}
PRESETS = {"Old tape": PRESET}
_SOURCES = Path(__file__).parent / "plugin_heart"


@cache
def bundles() -> Path:
    """The folder that holds `.vst3`, `.clap`, `.lv2` and `.ladspa`; skips the test where they can't be built."""
    needs_compiler()

    def build(folder: Path) -> None:
        model = read_model_file(tiny_models.busy(folder, tiny_models.MEDIUM))
        PluginBuild(model, installed_library(), "Test RT", PRESETS).write(FORMATS, folder)

    plugin = Path(compiler.__file__).parent
    return kept("bundles", [*plugin.rglob("*.?pp"), *plugin.rglob("*.h")], build)


def clap_host() -> Path:
    """A program that plays a CLAP; see its source."""
    needs_compiler()
    source = _SOURCES / "clap_host.cpp"

    def build(folder: Path) -> None:
        flags = ["-std=c++17", "-O1", "-Wall", f"-I{compiler.FRAMEWORK}/src", "-pthread"]
        compiler.run_compiler([*flags, source, "-ldl", "-o", folder / "clap_host"])

    return kept("clap-host", [source], build) / "clap_host"


class _LadspaHint(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int), ("lower", ctypes.c_float), ("upper", ctypes.c_float))


class _LadspaDescriptor(ctypes.Structure):
    _fields_ = (
        ("unique_id", ctypes.c_ulong),
        ("label", ctypes.c_char_p),
        ("properties", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("maker", ctypes.c_char_p),
        ("copyright", ctypes.c_char_p),
        ("port_count", ctypes.c_ulong),
        ("ports", ctypes.POINTER(ctypes.c_int)),
        ("port_names", ctypes.POINTER(ctypes.c_char_p)),
        ("hints", ctypes.POINTER(_LadspaHint)),
        ("data", ctypes.c_void_p),
        ("instantiate", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulong)),
        ("connect_port", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p)),
        ("activate", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("run", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ulong)),
        ("run_adding", ctypes.c_void_p),
        ("set_run_adding_gain", ctypes.c_void_p),
        ("deactivate", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("cleanup", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    )


class _Lv2Descriptor(ctypes.Structure):
    _fields_ = (
        ("uri", ctypes.c_char_p),
        (
            "instantiate",
            ctypes.CFUNCTYPE(
                ctypes.c_void_p, ctypes.c_void_p, ctypes.c_double, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)
            ),
        ),
        ("connect_port", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)),
        ("activate", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("run", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32)),
        ("deactivate", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("cleanup", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("extension_data", ctypes.c_void_p),
    )


def ladspa_descriptor(index: int) -> _LadspaDescriptor:
    """LADSPA's description of the stereo plugin (0) or the mono one (1)."""
    library = ctypes.CDLL(str(bundles() / ".ladspa/test_rt.so"))
    library.ladspa_descriptor.restype = ctypes.POINTER(_LadspaDescriptor)
    library.ladspa_descriptor.argtypes = [ctypes.c_ulong]
    return library.ladspa_descriptor(index).contents


def lv2_descriptor(index: int) -> _Lv2Descriptor:
    """LV2's functions of the stereo plugin (0) or the mono one (1)."""
    library = ctypes.CDLL(str(bundles() / ".lv2/test_rt.lv2/test_rt.so"))
    library.lv2_descriptor.restype = ctypes.POINTER(_Lv2Descriptor)
    library.lv2_descriptor.argtypes = [ctypes.c_uint32]
    return library.lv2_descriptor(index).contents


class PortHost:
    """An instance of a LADSPA or LV2 plugin, whose ports are arrays: inputs, outputs, parameters, latency (and more).

    Args:
        descriptor: of either format; the calls are the same.
        handle: what `instantiate` returned.
        n_channels: 1 or 2.
    """

    def __init__(self, descriptor: _LadspaDescriptor | _Lv2Descriptor, handle: int, n_channels: int) -> None:
        self._descriptor, self._handle, self._n_channels = descriptor, handle, n_channels
        self.controls = np.array([row.default for row in PARAMETERS] + [-1.0, 0.0], np.float32)
        for index in range(len(self.controls) - (0 if isinstance(descriptor, _Lv2Descriptor) else 1)):
            self._connect(2 * n_channels + index, self.controls[index:])

    def _connect(self, port: int, data: NDArray[np.float32]) -> None:
        self._descriptor.connect_port(self._handle, port, data.ctypes.data)

    @property
    def latency(self) -> int:
        """What the port says."""
        return int(self.controls[len(PARAMETERS)])

    def set(self, name: str, value: float) -> None:
        """Change a parameter's port."""
        self.controls[[row.name for row in PARAMETERS].index(name)] = value

    def tell_free_wheeling(self) -> None:
        """Say that it is off-line; LV2 alone."""
        self.controls[-1] = 1.0

    def activate(self) -> None:
        """Begin."""
        self._descriptor.activate(self._handle)

    def deactivate(self) -> None:
        """End."""
        self._descriptor.deactivate(self._handle)

    def run(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """One block, in the same buffers."""
        buffers = [np.array(channel, np.float32) for channel in block]
        for channel, buffer in enumerate(buffers):
            self._connect(channel, buffer)
            self._connect(self._n_channels + channel, buffer)
        self._descriptor.run(self._handle, block.shape[1])
        return np.stack(buffers)

    def stream(self, audio: NDArray[np.float32], sizes: Sequence[int] = (512,)) -> NDArray[np.float32]:
        """All of it, in blocks of these sizes in turn."""
        return np.concatenate([self.run(block) for block in blocks(audio, sizes)], axis=1)


@contextmanager
def ladspa_host(rate: int = 44_100, n_channels: int = 2) -> Iterator[PortHost]:
    """An instance that was not activated yet."""
    descriptor = ladspa_descriptor(2 - n_channels)
    handle = descriptor.instantiate(ctypes.addressof(descriptor), rate)
    yield PortHost(descriptor, handle, n_channels)
    descriptor.cleanup(handle)


@contextmanager
def lv2_host(rate: int = 44_100, n_channels: int = 2) -> Iterator[PortHost]:
    """An instance that was not activated yet, by a host without any features."""
    descriptor = lv2_descriptor(2 - n_channels)
    features = (ctypes.c_void_p * 1)(None)
    handle = descriptor.instantiate(ctypes.addressof(descriptor), rate, b"/", features)
    yield PortHost(descriptor, handle, n_channels)
    descriptor.cleanup(handle)
