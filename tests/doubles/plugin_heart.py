"""The heart of the plugins without a format, for the tests: compiled once for a version of its sources."""

import ctypes
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from apollo_rt.control.parameters import PARAMETERS
from export.plugin import compiler
from export.plugin.header import header
from export.plugin.onnx_library import installed_library

_SOURCES = Path(__file__).parent / "plugin_heart"


def needs_compiler() -> None:
    """Skip the test where plugins can't be built, with the reason; fail where everything must be there."""
    reason = compiler.obstacle()
    if reason and os.environ.get("CI"):
        pytest.fail(f"plugins can't be built: {reason}")
    if reason:
        pytest.skip(f"plugins can't be built: {reason}")


def kept(name: str, sources: Iterable[Path], build: Callable[[Path], object]) -> Path:
    """A folder of the machine that `build` fills, once for a version of the sources."""
    content = b"".join(file.read_bytes() for file in sorted(sources)) + header().encode()
    content += b"".join(file.read_bytes() for file in sorted(Path(compiler.__file__).parent.glob("*.py")))
    folder = Path(tempfile.gettempdir()) / f"apollo-rt-tests-{os.getuid()}"
    target = folder / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    if not target.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder, suffix=".part"))
        build(part)
        try:
            part.rename(target)
        except OSError:  # tests beside these have built it meanwhile
            shutil.rmtree(part)
    return target


def heart_sources() -> list[Path]:
    """All that the heart is made of."""
    return [*compiler.HEART.glob("*.?pp"), *_SOURCES.glob("*")]


def library_path(flags: Sequence[str] = ()) -> Path:
    """The library for the tests, built with further flags of the compiler."""
    needs_compiler()

    def build(folder: Path) -> None:
        objects = compiler.compile_heart(folder, flags)
        objects += compiler.compile_all([_SOURCES / "library.cpp"], folder, flags)
        compiler.link(objects, folder / "libheart.so", flags)

    name = "-".join(("heart", *(flag.strip("-").replace("=", "_").replace(",", "_") for flag in flags)))
    return kept(name, heart_sources(), build) / "libheart.so"


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(library_path()))
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    library.restorer_new.restype = pointer
    library.restorer_new.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_double]
    library.restorer_covered.restype = ctypes.c_int64
    library.restorer_get.restype = ctypes.c_double
    for name in ("delete", "latency", "reset", "covered"):
        getattr(library, f"restorer_{name}").argtypes = [pointer]
    library.restorer_set.argtypes = [pointer, integer, ctypes.c_double]
    library.restorer_get.argtypes = [pointer, integer]
    library.restorer_process.argtypes = [pointer, *[pointer] * 4, integer]
    library.pacing_live.argtypes = [pointer, pointer, pointer, integer, integer]
    return library


class PluginHeart:
    """A `Restorer` of the C++ library.

    Args:
        model: a model file.
        sample_rate: Hz.
        values: of parameters, by name.
    """

    def __init__(self, model: Path, sample_rate: float = 44_100, **values: float) -> None:
        """Load the model, or take the one that is loaded."""
        self._library = _library()
        paths = str(model).encode(), str(installed_library()).encode()
        self._address = self._library.restorer_new(*paths, sample_rate)
        if not self._address:
            raise RuntimeError("the library refuses the model; its reason stands in stderr")
        for name, value in values.items():
            self.set(name, value)

    def __enter__(self) -> "PluginHeart":
        return self

    def __exit__(self, *_: object) -> None:
        self._library.restorer_delete(self._address)

    @property
    def latency(self) -> int:
        """Samples."""
        return self._library.restorer_latency(self._address)

    @property
    def covered(self) -> int:
        """Samples since the reset that were dry because their hop was late."""
        return self._library.restorer_covered(self._address)

    def set(self, name: str, value: float) -> None:
        """Change a parameter."""
        self._library.restorer_set(self._address, _index(name), value)

    def get(self, name: str) -> float:
        """Read a parameter."""
        return self._library.restorer_get(self._address, _index(name))

    def reset(self) -> None:
        """Forget everything."""
        self._library.restorer_reset(self._address)

    def process(self, audio: NDArray[np.float32], in_place: bool = True) -> NDArray[np.float32]:
        """The next block, (channels, samples), one channel or two."""
        inputs = [np.array(channel, np.float32) for channel in audio]
        outputs = inputs if in_place else [np.full_like(channel, 7.0) for channel in inputs]
        first = [buffers[0].ctypes.data for buffers in (inputs, outputs)]
        second = [buffers[1].ctypes.data if len(audio) > 1 else None for buffers in (inputs, outputs)]
        self._library.restorer_process(self._address, first[0], second[0], first[1], second[1], audio.shape[1])
        return np.stack(outputs)

    def stream(self, audio: NDArray[np.float32], sizes: Sequence[int] = (512,)) -> NDArray[np.float32]:
        """All of it, in blocks of these sizes in turn."""
        return np.concatenate([self.process(block) for block in blocks(audio, sizes)], axis=1)


def blocks(audio: NDArray[np.float32], sizes: Sequence[int]) -> list[NDArray[np.float32]]:
    """The audio in blocks of these sizes in turn."""
    ends, end, turn = [0], 0, 0
    while end < audio.shape[1]:
        end = min(end + sizes[turn % len(sizes)], audio.shape[1])
        ends.append(end)
        turn += 1
    return [audio[:, begin:end] for begin, end in pairwise(ends)]


def set_hop_delay_ms(milliseconds: int) -> None:
    """Let every hop of every heart take so long in addition."""
    _library().set_hop_delay_ms(milliseconds)


def live_calls(begins_ms: Sequence[float], ends_ms: Sequence[float], block: int) -> list[bool]:
    """Which calls the pacing takes for those of a live host, at 44.1 kHz."""
    times = [np.array(times, np.float64) * 1e6 for times in (begins_ms, ends_ms)]
    starts, stops = (array.astype(np.int64) for array in times)
    verdicts = np.zeros(len(starts), np.int32)
    _library().pacing_live(starts.ctypes.data, stops.ctypes.data, verdicts.ctypes.data, len(starts), block)
    return [bool(verdict) for verdict in verdicts]


def _index(name: str) -> int:
    return [row.name for row in PARAMETERS].index(name)
