"""Real VST3s for the tests: somebody's maximizer, installed by name, and a limiter of ours with faults to order.

The former is ZaMaximX2 (Debian: `zam-plugins`). The latter, with lookahead, is compiled in seconds with DPF (Debian:
`dpf-source`, and `g++`), once for a version of the source, into the machine's folder for such things.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pedalboard
import pytest
import torch

SOURCE = Path(__file__).parent / "vst3"
FRAMEWORK = Path("/usr/share/dpf/distrho")
LATENCY = 220
MAXIMIZER = Path("/usr/lib/vst3/ZaMaximX2.vst3")
MAXIMIZER_LATENCY = 480
CRASHES, HANGS, NO_NUMBERS, IS_SLOW = range(1, 5)
"""What its parameter `fault` may be."""


def vst3() -> Path:
    """Where it lies; skips the test where it can't be built, or fails where everything must be there."""
    reason = _obstacle()
    if reason and os.environ.get("CI"):
        pytest.fail(f"the test's VST3 can't be built: {reason}")
    if reason:
        pytest.skip(f"the test's VST3 can't be built: {reason}")
    return _built()


def maximizer() -> Path:
    """Somebody else's, as Debian ships it; skips the test where it isn't installed."""
    if not MAXIMIZER.exists():
        assert os.environ.get("CI") != "true", f"{MAXIMIZER} is missing"
        pytest.skip(f"{MAXIMIZER} is missing (Debian 12: apt install zam-plugins)")
    return MAXIMIZER


def loaded(path: Path) -> pedalboard.VST3Plugin:
    """In this process. ZaMaximX2 is built with -ffast-math, which turns denormals off in the thread that loads it."""
    try:
        return pedalboard.load_plugin(str(path))
    finally:
        torch.set_flush_denormal(False)


def _obstacle() -> str:
    if platform.system() != "Linux":
        return "only the build for Linux is written down here"
    if not FRAMEWORK.exists():
        return "no dpf-source (Debian: apt install dpf-source)"
    return "" if shutil.which("g++") else "no g++"


@cache
def _built() -> Path:
    files = [SOURCE / "DistrhoPluginInfo.h", SOURCE / "limiter.cpp"]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"apollo-rt-tests-{os.getuid()}"
    bundle = folder / digest / "TestLimiter.vst3"
    if not bundle.exists():
        part = folder / f"{digest}.{os.getpid()}.part"
        binary = part / bundle.name / "Contents" / f"{platform.machine()}-linux" / "TestLimiter.so"
        binary.parent.mkdir(parents=True)
        command = ["g++", "-O1", "-std=gnu++17", "-fPIC", "-shared", "-fvisibility=hidden", "-w",
                   "-DDISTRHO_PLUGIN_TARGET_VST3", f"-I{SOURCE}", f"-I{FRAMEWORK}",
                   files[1], FRAMEWORK / "DistrhoPluginMain.cpp", "-o", binary]  # fmt: skip
        subprocess.run(command, check=True, timeout=120)
        try:
            part.rename(folder / digest)
        except OSError:  # tests beside these have built it meanwhile
            shutil.rmtree(part)
    return bundle
