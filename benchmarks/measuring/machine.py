"""The machine that a benchmark ran on: what a figure means nothing without."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from apollo_rt.inference.model import Model

ROOT = Path(__file__).parents[2]
_PACKAGES = ("numpy", "numba", "llvmlite", "rocket-fft", "onnxruntime-gpu", "onnxruntime", "scipy", "torch", "soxr",
             "sounddevice", "pedalboard", "pytest-benchmark")  # fmt: skip


@cache
def cpu_name() -> str:
    """As the system calls it."""
    return _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def governor() -> str:
    """Name of what sets the clock of the cores; a virtual machine doesn't tell."""
    try:
        return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text().strip()
    except OSError:
        return "not told"


def clock_mhz() -> float | None:
    """Of one core, at this moment."""
    try:
        return float(_field("/proc/cpuinfo", "cpu MHz"))
    except ValueError:
        return None


def load_average() -> float | None:
    """Runnable threads over the last minute: what else was going on, the benchmark itself included."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def niceness() -> str:
    """Niceness of this process, and of its session where the system has such."""
    own = os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else 0
    try:
        session = Path("/proc/self/autogroup").read_text().split()[-1]
    except (OSError, IndexError):
        session = "0"
    return f"{own}, session {session}"


@cache
def versions() -> dict[str, str]:
    """Of Python and of every package that a figure depends on, as far as they are installed."""
    found = {"Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str:
    """The revision of this repository, with a `+` where it has been changed since."""
    try:
        return _git("rev-parse", "--short=10", "HEAD") + ("+" if _git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@cache
def _fixed() -> dict[str, Any]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "governor": governor(),
        "memory_gb": round(pages / 2**30, 1),
        "system": platform.platform(),
        "virtual": "hypervisor" in _field("/proc/cpuinfo", "flags").split(),
    }


def facts() -> dict[str, Any]:
    """All of it, and how busy the machine is at this moment."""
    return {**_fixed(), "clock_mhz": clock_mhz(), "load_average": load_average(), "niceness": niceness(),
            "commit": commit()}  # fmt: skip


def line() -> str:
    """The same for people, on one line."""
    own = facts()
    kind = ", virtual" if own["virtual"] else ""
    return (
        f"{own['cpu']}, {own['cores']} cores{kind}, governor {own['governor']}, {own['system']}, "
        f"load average {own['load_average']}"
    )


def model_facts(model: Model) -> dict[str, str]:
    """Name and tier of a model, and the hash of its file."""
    return {"name": model.card.name, "tier": model.tier, "sha256": model.file.sha256}


def resident_mb(process: str = "self") -> float:
    """Memory of a process that is in RAM, in MB; 0 where the system doesn't say."""
    return float((_field(f"/proc/{process}/status", "VmRSS") or "0").split()[0]) / 1024


def _field(file: str, name: str) -> str:
    """Value of a line `name : value` in a file of the kernel's; empty where there is no such file or line."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return ""
    return next((text.partition(":")[2].strip() for text in lines if text.split(":")[0].strip() == name), "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
