"""Kept code: the machine code of a module's entries, in one file, loaded without the compiler.

What isn't there yet is made by child processes, side by side, so that the compiler never comes into a process that
plays. Where that can't be (another system, no folder that will do, a child that fails) Numba compiles in the process
itself, as it does for all that is no entry.
"""

import ctypes
import hashlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

from apollo_rt.compiled.code_cache import base_folder, sources_digest, warn
from apollo_rt.compiled.machine_code import CAN_LOAD, MachineCode
from apollo_rt.system.child_process import child_environment, last_line, module_command

_BUILDER = "apollo_rt.compiled.code_builder"
_COMPILERS = ("numba", "llvmlite", "rocket_fft")
_POLL_S = 0.005
_OF_PROCESSOR = ("vendor_id", "cpu family", "model", "flags")
READY = Path(__file__).with_name("ready")
"""Folder of code that came with the package: for kinds of processors, not for one (`.ci/ready_code.py` fills it)."""
LEVELS = {
    "x86-64-v3": "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave",
    "x86-64-v2": "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3 pni",
}
"""Kinds of processors by the names that the psABI and LLVM give them, best first, and the abilities that Linux must
list; each has those of the kinds below it, too. Source: System V ABI, AMD64 supplement, table 3.1."""
_CACHE_DIR = "NUMBA_CACHE_DIR"


class _Build(NamedTuple):
    """A child at work, and the file that it writes its errors to."""

    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]


_LOCK = threading.RLock()
_GROUPS: list[tuple[str, ...]] = []
_BUILDS: dict[str, _Build] = {}
_LOADED: dict[str, MachineCode | None] = {}


def expect(*groups: Sequence[str]) -> None:
    """Say which modules' entries will be wanted: as soon as the first is found missing, all are made.

    Args:
        groups: of modules by their full names; a child process makes each group, one module after the other.
    """
    _GROUPS.extend(group for group in map(tuple, groups) if group not in _GROUPS)


def entry_function(module: str, name: str) -> Callable[[int], int] | None:
    """An entry that takes the address of a call's words, see `entry_words`; None where Numba must compile it.

    Args:
        module: in which the function stands, by its full name.
        name: of the function there.
    """
    address = entry_address(module, name)
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(address) if address else None


def entry_address(module: str, name: str) -> int | None:
    """Address of an entry's machine code; arguments and result as of `entry_function`."""
    with _LOCK:
        if module not in _LOADED:
            _LOADED[module] = _load(module) if CAN_LOAD else None
        code = _LOADED[module]
    return code.addresses.get(symbol_of(name)) if code else None


def symbol_of(name: str) -> str:
    """Name of an entry in the object file: unlike anything that a library has."""
    return f"apollo_rt.{name}"


def is_made_aside(module: str) -> bool:
    """Have a module's code made by a child if it isn't there yet, and don't wait; False where Numba must compile it."""
    with _LOCK:
        if not CAN_LOAD or (path := code_file(module)) is None:
            return False
        is_there = path.exists() or any(ready_file(module, level).exists() for level in levels_here())
        if not is_there and module not in _BUILDS:
            _begin_builds(module)
        return True


def loaded_code() -> list[tuple[int, int]]:
    """Address and length of all code that has been loaded."""
    with _LOCK:
        return [code.span for code in _LOADED.values() if code]


def code_file(module: str) -> Path | None:
    """The file of a module's entries, there or not; None where nothing can be kept."""
    base, origin = base_folder(os.environ.get(_CACHE_DIR, "")), _origin(module)
    if base is None or not origin:
        return None
    digest = hashlib.sha256(f"{_machine_digest()} {sources_digest(origin)}".encode()).hexdigest()[:20]
    return base / "kept" / f"{module}-{digest}.code"


def ready_file(module: str, level: str) -> Path:
    """The file of a module's entries that comes with the package, if it does, for a kind of processors."""
    origin = _origin(module)
    return READY / f"{module}-{sources_digest(origin) if origin else ''}-{level}.code"


def _origin(module: str) -> Path | None:
    loaded = sys.modules.get(module)
    origin = loaded.__file__ if loaded else getattr(importlib.util.find_spec(module), "origin", None)
    return Path(origin) if origin else None


def write_code(path: Path, content: bytes, libraries: Sequence[tuple[str, str]]) -> None:
    """Keep an object file; it appears whole.

    Args:
        path: from `code_file` or `ready_file`.
        content: of the object file.
        libraries: that it calls, each by its package and its file's name there.

    Raises:
        OSError: it can't be written.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    needs = [(*library, _library(*library).stat().st_size) for library in libraries]
    header = {"digest": hashlib.sha256(content).hexdigest(), "libraries": needs}
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_bytes(json.dumps(header).encode() + b"\n" + content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_code(path: Path) -> MachineCode:
    """Load what `write_code` kept.

    Raises:
        OSError: it can't be read, or code may not be loaded here.
        ValueError: it is damaged, or was made for another version of a library.
    """
    head, _, content = path.read_bytes().partition(b"\n")
    try:
        header = json.loads(head)
        digest, libraries = header["digest"], header["libraries"]
    except (ValueError, KeyError, TypeError):
        raise ValueError("no header") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError("another digest")
    paths = []
    for package, name, size in libraries:
        paths.append(_library(package, name))
        if paths[-1].stat().st_size != size:
            raise ValueError(f"another version of {package}")
    return MachineCode(content, list(map(os.fspath, paths)))


def _library(package: str, name: str) -> Path:
    spec = importlib.util.find_spec(package)
    if not spec or not spec.origin:
        raise ValueError(f"no package {package}")
    return Path(spec.origin).with_name(name)


def _load(module: str) -> MachineCode | None:
    path = code_file(module)
    if path is None or not path.exists():
        for level in levels_here():
            with suppress(OSError, ValueError):  # not there, or made for a library that isn't: a child makes another
                return read_code(ready_file(module, level))
    if path is None:
        return None
    for _ in range(2):
        if not path.exists() and not _made(module, path):
            return None
        try:
            return read_code(path)
        except (OSError, ValueError) as error:
            warn(f"{path}: the compiled code kept there is damaged ({error}); it is dropped and compiled anew")
            path.unlink(missing_ok=True)
            _BUILDS.pop(module, None)
    return None


@cache
def levels_here() -> list[str]:
    """Kinds of processors that this one is of, best first."""
    can = set(_processor().partition("flags ")[2].split())
    names = list(LEVELS)
    return [name for at, name in enumerate(names) if all(set(LEVELS[below].split()) <= can for below in names[at:])]


def _made(module: str, path: Path) -> bool:
    """Wait until a child has made a module's code; False where it failed, which is said."""
    while not path.exists():
        if module not in _BUILDS:
            _begin_builds(module)
            continue
        build = _BUILDS[module]
        if build.process.poll() is not None and not path.exists():
            said = last_line(build.errors) or f"exit code {build.process.returncode}"
            warn(f"can't make compiled code in {path.parent} ({said}); this start compiles by itself, and takes longer")
            return False
        time.sleep(_POLL_S)
    return True


def _begin_builds(module: str) -> None:
    groups = [group for group in _GROUPS if module in group]
    for group in _GROUPS if groups else [(module,)]:
        jobs = [(name, path) for name in group if name not in _BUILDS and (path := code_file(name))]
        jobs = [(name, path) for name, path in jobs if not path.exists()]
        if jobs:
            errors = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the child
            command = module_command(_BUILDER, json.dumps([(name, os.fspath(path)) for name, path in jobs]))
            process = subprocess.Popen(  # noqa: S603  # ours
                command, env=child_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
            )
            _BUILDS.update({name: _Build(process, errors) for name, _ in jobs})


@cache
def _machine_digest() -> str:
    """Digest of what machine code depends on beside its sources: the processor, the compiler, settings of both."""
    facts = [platform.machine(), platform.python_version(), _processor()]
    for name in _COMPILERS:
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            status = Path(spec.origin).stat()
            facts.append(f"{spec.origin} {status.st_size} {status.st_mtime_ns}")
    settings = sorted(item for item in os.environ.items() if item[0].startswith(("NUMBA_", "ROCKET_FFT_")))
    facts += [f"{name}={value}" for name, value in settings if name != _CACHE_DIR]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    rows = [line.partition(":") for line in text.partition("\n\n")[0].splitlines()]
    return "\n".join(f"{name.strip()} {value.strip()}" for name, _, value in rows if name.strip() in _OF_PROCESSOR)
