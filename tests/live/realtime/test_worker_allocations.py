"""What the worker allocates per hop: nothing of its own, but the FFT and ONNX Runtime do; told, and bounded."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.doubles.malloc_counter import MALLOC_COUNTER

BETWEEN = """
void start_counting(void) { counting = 1; count = 0; }
long stop_counting(void) { counting = 0; return count; }
"""

PROGRAM = """
import ctypes, sys
import numpy as np
from apollo_rt.inference.model import load
from apollo_rt.live.realtime.worker import work
from tests.doubles.stepped import Stepped
library = ctypes.CDLL(sys.argv[1])
library.stop_counting.restype = ctypes.c_long
stream = Stepped(load(), 256)
block = np.random.default_rng(0).uniform(-0.3, 0.3, (256, 2)).astype(np.float32)
counted = [0, 0]
for _ in range(220):
    stream.call(block)
    for has_hop in (1, 0):
        library.start_counting()
        work(stream.shared, stream.table, stream.tiers, 1)
        counted[has_hop] += library.stop_counting() if _ >= 20 else 0
print(*counted)
"""


@pytest.mark.skipif(
    shutil.which("gcc") is None or sys.platform != "linux", reason="NO gcc AND glibc HERE: the allocator isn't watched"
)
def test_the_worker_allocates_only_what_the_fft_and_onnx_runtime_do(tmp_path: Path) -> None:
    (tmp_path / "counter.c").write_text(MALLOC_COUNTER + BETWEEN)
    library = tmp_path / "counter.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, tmp_path / "counter.c"], check=True)
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    root = ROOT
    counted = subprocess.check_output([sys.executable, "-c", PROGRAM, library], env=environment, cwd=root, text=True)
    idle, busy = (int(number) / 200 for number in counted.split())
    # The call from Python allocates too, with a hop or without.
    print(f"allocator calls per hop: {busy - idle:.0f}, of the call from Python: {idle:.0f}")
    assert 0 < busy - idle < 10_000
