"""A process of ours: how it is started, how it ends, by itself or killed, and what it said last."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_KILLING_S = 2.0
_OURS = "APOLLO_RT_"


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package; no Python file of the current folder is in its way."""
    return [sys.executable, "-P", str(Path(__file__).with_name("child_start.py")), module, *arguments]


def child_environment() -> dict[str, str]:
    """Our environment without what is for us alone: options, among them the control token, and the current folder.

    `PYTHONPATH` names that folder by an empty or a relative entry, as `PYTHONPATH=$PYTHONPATH:/x` does where it was
    empty.
    """
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith(_OURS)}
    folders = [folder for folder in environment.pop("PYTHONPATH", "").split(os.pathsep) if Path(folder).is_absolute()]
    return environment | ({"PYTHONPATH": os.pathsep.join(folders)} if folders else {})


def wait_or_kill(process: "subprocess.Popen[Any]", patience_s: float) -> bool:
    """Wait for a process to end by itself, and kill it where it doesn't.

    Returns:
        Whether it had to be killed.
    """
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # the kernel itself waits for a device
            process.wait(_KILLING_S)
        return True
    return False


def last_line(errors: IO[bytes]) -> str:
    """The last line with something in it of a file that an ended process wrote to; empty if there is none."""
    errors.seek(max(errors.seek(0, os.SEEK_END) - 4096, 0))
    lines = errors.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
