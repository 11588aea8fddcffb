"""The callback makes no system call: a developer's test, for machines with gcc and strace."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from apollo_rt.config import Framing
from tests import ROOT
from tests.doubles import tiny_models

FRAMING = Framing(hop_length=256, analysis_length=512)

MARKED = r"""
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
typedef int (*callback)(void *, void *, unsigned long, void *, unsigned long, void *);
/* Two system calls that nothing else makes stand around the callbacks. */
void run_marked(callback f, void *in, void *out, unsigned long n, void *userdata, int times) {
    syscall(SYS_getpgid, 0);
    for (int i = 0; i < times; i++) f(in, out, n, 0, i % 50 == 0 ? 6 : 0, userdata);
    syscall(SYS_getpgid, 0);
}
int calls_the_system(void *in, void *out, unsigned long n, void *t, unsigned long flags, void *userdata) {
    return syscall(SYS_getsid, 0) < 0;
}
"""

PROGRAM = """
import ctypes, sys
import numpy as np
from apollo_rt.inference.model import load
from tests.doubles.stepped import Stepped
library = ctypes.CDLL(sys.argv[1])
stream = Stepped(load(sys.argv[2]), 256)
block, out = np.full((2, 256, 2), 0.5, np.float32)
stream.call(block)
for address in (ctypes.cast(library.calls_the_system, ctypes.c_void_p), ctypes.cast(stream.callback, ctypes.c_void_p)):
    library.run_marked(address, block.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_ulong(256), ctypes.c_void_p(stream.userdata), 1000)
"""


def can_trace() -> bool:
    tools = shutil.which("gcc") and shutil.which("strace")
    return bool(tools) and subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(sys.platform != "linux" or not can_trace(), reason="NO gcc AND strace HERE: system calls unwatched")
def test_the_callback_makes_no_system_call_and_the_detector_sees_one_that_does(tmp_path: Path) -> None:
    (tmp_path / "marked.c").write_text(MARKED)
    library, trace = tmp_path / "marked.so", tmp_path / "trace"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, tmp_path / "marked.c"], check=True)
    model = tiny_models.identity(tmp_path, FRAMING)
    program = ["strace", "-o", trace, sys.executable, "-c", PROGRAM, library, model]
    subprocess.run([str(part) for part in program], check=True, cwd=ROOT)
    names = re.findall(r"^(\w+)\(", trace.read_text(), re.MULTILINE)
    marks = [index for index, name in enumerate(names) if name == "getpgid"]
    assert len(marks) == 4
    assert names[marks[0] + 1 : marks[1]] == ["getsid"] * 1000
    assert names[marks[2] + 1 : marks[3]] == []
