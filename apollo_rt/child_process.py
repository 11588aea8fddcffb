"""A process of ours and how it ends: by itself or killed, and what it said last."""

import os
import subprocess
from typing import IO, Any


def wait_or_kill(process: "subprocess.Popen[Any]", patience_s: float) -> bool:
    """Wait for a process to end by itself, and kill it where it doesn't.

    Returns:
        Whether it had to be killed.
    """
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def last_line(errors: IO[bytes]) -> str:
    """The last line with something in it of a file that an ended process wrote to; empty if there is none."""
    errors.seek(max(errors.seek(0, os.SEEK_END) - 4096, 0))
    lines = errors.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
