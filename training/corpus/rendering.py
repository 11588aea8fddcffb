"""Songs that a program of the system renders, each once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from apollo_rt.atomic_file import whole_path

_TIMEOUT_S = 600
"""The slowest song took 200 s on a loaded core."""


def render_once(
    file: Path, command: Callable[[Path], list[str]], is_done: Callable[[CompletedProcess[bytes], Path], bool]
) -> Path:
    """Have a song rendered, unless it is there.

    Args:
        file: To render to, in a folder that is made.
        command: For the file that it is written to until it is whole.
        is_done: By how the program ended, and that file; programs differ in what tells it.

    Returns:
        The file.

    Raises:
        OSError: The program failed, or took too long.
    """
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_path(file) as whole:
        arguments = command(whole)
        finished = _run(arguments)
        if not is_done(finished, whole):
            raise OSError(f"{arguments[0]} rendered nothing whole; it ended with status {finished.returncode}")
    return file


def _run(arguments: list[str]) -> CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 (a fixed program, and a path of our own listing)
            arguments,
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{arguments[0]} took longer than {_TIMEOUT_S} s") from error
