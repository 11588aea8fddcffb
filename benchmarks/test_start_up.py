"""From the command to the first sound: after an install, when everything is compiled, and ever after.

    python -m pytest benchmarks/test_start_up.py --benchmark-only -s

The whole command is timed, from the start of Python to its end with a tenth of a second of restored music written: an
upper bound of the time to the first sound.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parents[1]


def restore_a_moment(cache: Path, out: Path) -> None:
    """Run the program of the README for 0.1 s of sound, with its compiled code in `cache`, and check what it wrote."""
    command = ["run_live.py", "--input", "demo", "--output", out, "--duration", "0.1", "--no-pace", "--plain"]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=True, capture_output=True)
    assert abs(soundfile.info(out).frames - 4410) <= 4096


@pytest.mark.parametrize("start", ["first", "later"])
def test_start_up(benchmark, start, tmp_path):
    cache, out = tmp_path / "cache", tmp_path / "out.wav"
    if start == "later":
        restore_a_moment(cache, out)
    benchmark.pedantic(restore_a_moment, (cache, out), rounds=1 if start == "first" else 5)
    benchmark.extra_info["start"] = start
