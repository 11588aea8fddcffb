"""What a child process of the tests does before it begins: come before others, and end with who started it."""

import contextlib
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def take_priority() -> None:
    """In a child process: come before others, where root runs the tests; a busy machine is not what is tested."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)


def be_a_server() -> None:
    """In a child process: come before others, and end with who started it, even where that was killed.

    By SIGKILL: a JACK server that waits for a client which died with it heeds SIGTERM minutes later, and until then
    nobody can start another of its name.
    """
    take_priority()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
