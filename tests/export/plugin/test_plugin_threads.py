"""The host's thread allocates nothing, and sanitizers find nothing: a C++ program plays as hosts do, and is watched."""

import subprocess
from pathlib import Path

import pytest

from export.plugin import compiler
from export.plugin.onnx_library import installed_library
from tests.doubles.plugin_heart import heart_sources, kept, needs_compiler

SOURCE = Path(__file__).parents[2] / "doubles/plugin_heart/probe.cpp"


def probe(name: str, *flags: str) -> Path:
    """The program, built with these flags."""
    needs_compiler()

    def build(folder: Path) -> None:
        objects = compiler.compile_heart(folder, flags)
        objects += compiler.compile_all([SOURCE], folder, flags)
        compiler.run_compiler([*flags, *objects, "-pthread", "-ldl", "-o", folder / "probe"])

    try:
        return kept(name, heart_sources(), build) / "probe"
    except compiler.CompilerError as error:
        if "cannot find" in str(error):
            pytest.skip(f"the compiler has no such sanitizer: {error}")
        raise


def played(program: Path, model: Path) -> tuple[dict[str, int], str]:
    """What it printed, and what a sanitizer said."""
    command = [str(program), str(model), str(installed_library())]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if "unexpected memory mapping" in result.stderr:
        pytest.skip("this kernel's address layout is none that GCC's thread sanitizer knows")
    assert result.returncode == 0, result.stderr[-4000:]
    return {word.split("=")[0]: int(word.split("=")[1]) for word in result.stdout.split()}, result.stderr


def test_the_hosts_thread_allocates_nothing_live_or_rendering(busy):
    said, _ = played(probe("probe"), busy.card.path)
    assert said["control"] > 0  # the hook counts what does allocate
    assert said["allocations"] == 0
    assert said["finite"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_sanitizers_find_nothing(busy, sanitizer):
    flags = [f"-fsanitize={sanitizer}", "-fno-sanitize-recover=undefined", "-g1", "-DWITHOUT_HOOK"]
    said, complaints = played(probe(f"probe-{sanitizer.split(',')[0]}", *flags), busy.card.path)
    assert said["finite"] == 1
    assert "Sanitizer" not in complaints, complaints[-4000:]
    assert "runtime error" not in complaints, complaints[-4000:]
