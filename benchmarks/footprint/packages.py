"""Packages of an installation are weighed on disk, beside what each is for."""

import re
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

_MEGABYTE = 1e6
_IN_PLACE_OF = {"onnxruntime-gpu": "onnxruntime"}
"""What requirements-cpu.lock has instead."""
_FOR = {
    "av": "FFmpeg: reads and writes files of any format",
    "click": "the command line",
    "jeepney": "real-time priority by rtkit",
    "llvmlite": "LLVM: makes the audio path's machine code",
    "numba": "compiles the audio path",
    "numpy": "arrays; with OpenBLAS, which nothing here needs but NumPy brings along",
    "onnxruntime": "runs the net",
    "onnxruntime-gpu": "runs the net; all but 64 MB of it are for NVIDIA's GPUs",
    "platformdirs": "places of settings and models",
    "pygments": "needed by rich and textual",
    "pyyaml": "presets and chains",
    "rich": "progress bars; needed by textual",
    "rocket-fft": "the FFT in compiled code",
    "sounddevice": "PortAudio",
    "soundfile": "libsndfile: writes WAV and FLAC",
    "soxr": "resampling of files and effects",
    "textual": "the screen",
    "websockets": "the control page",
}


def weights() -> list[tuple[str, float, str]]:
    """Name, megabytes and purpose of all that the program needs here, the heaviest first."""
    rows = [(name, weight_mb(distribution(name)), _FOR.get(name, "needed by one of these")) for name in needed()]
    return sorted(rows, key=lambda row: -row[1])


def weight_mb(package: Distribution) -> float:
    """Megabytes of a package's own files, without what Python compiles of them."""
    files = [package.locate_file(file) for file in package.files or [] if file.suffix != ".pyc"]
    sizes = [path.stat().st_size for path in map(Path, map(str, files)) if path.is_file()]
    return sum(sizes) / _MEGABYTE


def needed() -> set[str]:
    """Names of the installed packages that the program needs, what those need included."""
    installed = {_normal(package.metadata["Name"]) for package in distributions()}
    seen: set[str] = set()
    waiting = ["apollo-rt"]
    while waiting:
        for row in map(Requirement, distribution(waiting.pop()).requires or []):
            name = _normal(row.name)
            name = name if name in installed else _IN_PLACE_OF.get(name, name)
            is_wanted = row.marker is None or row.marker.evaluate({"extra": ""})
            if is_wanted and name in installed and name not in seen:
                seen.add(name)
                waiting.append(name)
    return seen


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
