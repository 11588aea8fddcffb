"""The C++ compiler: the heart of the plugins as objects, and what is linked of them; g++ and headers alone, no make.

`-fno-fast-math` is said aloud: with `-ffast-math`, which DPF's own makefiles ask for, NaN passes the sample guard, and
opening the plugin alone would set flush-to-zero in the host's thread (GCC links its crtfastm.o).
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from apollo_rt.errors import ApolloError
from export.plugin import header

HEART = Path(__file__).parent / "heart"
FOURIER = Path("/usr/include/kissfft/kissfft.hh")
FRAMEWORK = Path("/usr/share/dpf/distrho")
FLAGS = (
    "-std=c++17", "-O2", "-fno-fast-math", "-fcx-limited-range", "-fPIC", "-fvisibility=hidden", "-pthread",
    "-Wall", "-Wextra",
)  # fmt: skip
_LINK_FLAGS = ("-shared", "-pthread", "-ldl", "-Wl,-z,nodelete", "-Wl,--no-undefined")
"""A host that unloads a plugin and loads it again finds its model still there."""


class CompilerError(ApolloError):
    """A plugin can't be compiled; the message says what is missing, or what the compiler said."""


def obstacle() -> str:
    """The reason why plugins can't be built on this machine, and what to install; empty where they can."""
    if platform.system() != "Linux":
        return "plugin bundles are built on Linux alone"
    if not shutil.which("g++"):
        return "no C++ compiler (Debian: apt install g++)"
    if not FOURIER.exists():
        return f"no {FOURIER} (Debian: apt install libkissfft-dev)"
    if not FRAMEWORK.exists():
        return f"no {FRAMEWORK} (Debian: apt install dpf-source)"
    return ""


def compile_heart(folder: Path, flags: Sequence[str] = ()) -> list[Path]:
    """Write the generated header into `folder` and compile the heart there; returns its objects.

    Args:
        folder: an empty one, which exists; `-I` of it is what users of the heart need.
        flags: further ones for the compiler, such as a sanitizer's.

    Raises:
        CompilerError: a tool is missing, or the compiler refuses.
    """
    if reason := obstacle():
        raise CompilerError(f"plugins can't be built: {reason}")
    (folder / header.NAME).write_text(header.header(), encoding="utf-8")
    return compile_all(sorted(HEART.glob("*.cpp")), folder, flags)


def compile_all(sources: Sequence[Path], folder: Path, flags: Sequence[str] = ()) -> list[Path]:
    """Compile sources that include the heart's headers, side by side; returns their objects, in `folder`.

    Raises:
        CompilerError: the compiler refuses.
    """
    objects = [folder / f"{source.stem}.o" for source in sources]

    def compile_one(source: Path, target: Path) -> None:
        run_compiler([*FLAGS, *flags, f"-I{folder}", f"-I{HEART}", "-c", source, "-o", target])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, sources, objects))
    return objects


def link(objects: Sequence[Path], target: Path, flags: Sequence[str] = ()) -> Path:
    """Link objects into a shared library; returns it.

    Raises:
        CompilerError: the linker refuses.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    run_compiler([*flags, *objects, "-o", target, *_LINK_FLAGS])
    return target


def run_compiler(arguments: Sequence[str | Path]) -> None:
    """Call g++; the last argument is what it makes.

    Raises:
        CompilerError: it refuses; the message ends with what it said.
    """
    result = subprocess.run(["g++", *arguments], capture_output=True, text=True)  # noqa: S603, S607 - the user's own
    if result.returncode:
        raise CompilerError(f"g++ refuses {arguments[-1]}: {result.stderr.strip()[-2000:]}")
