"""The blocks of code in a page of Markdown, read and run."""

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT
from tests.doubles.sound_files import tone, write

LANGUAGES = {"python": "python", "py": "python", "bash": "bash", "sh": "bash", "shell": "bash", "console": "bash"}
MARKERS = re.compile(r"<!--\s*(?:(test|ci:test)|(no test): *(\S.*?))\s*-->")
FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<language>\w*)[^\n]*\n(?P<code>.*?)^ *(?P=fence)`*~* *$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block of Python or shell: its line in the file, and what its comment says is to be done with it."""

    line: int
    language: str
    code: str
    marker: str | None


def blocks_of(text: str) -> list[Block]:
    """The blocks of Python and shell of a Markdown text."""
    blocks = []
    for match in FENCE.finditer(text):
        language = LANGUAGES.get(match["language"].lower())
        if language:
            line_above = text[: match.start()].rstrip().rpartition("\n")[2].strip()
            marker = MARKERS.fullmatch(line_above)
            found = (marker[1] or marker[2]) if marker else None
            line = text.count("\n", 0, match.start()) + 1
            blocks.append(Block(line, language, textwrap.dedent(match["code"]), found))
    return blocks


def run(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one block as a reader would who stands in the repository; `python` is the one that runs the tests."""
    for entry in ROOT.iterdir():
        if entry.name != ".git":
            (folder / entry.name).symlink_to(entry)
    write(folder / "song.mp3", tone(44_100))
    command = [sys.executable, "-c"] if block.language == "python" else ["bash", "-euo", "pipefail", "-c"]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    # By the repository's own name: by that of the link beside the block, all code would be compiled anew.
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [*command, block.code], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
