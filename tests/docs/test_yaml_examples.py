"""What the docs and docstrings show of a YAML file can be copied: each example is read by what reads such a file."""

import importlib
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from apollo_rt.commands.config_file import read_options
from apollo_rt.commands.live import live
from apollo_rt.control.midi.map import read_map
from apollo_rt.control.parameter_table import PARAMETERS
from apollo_rt.control.presets import read_preset
from apollo_rt.plugins.chain_file import read_chain
from tests import ROOT

FENCE = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
MODULES = (
    "apollo_rt.commands.config_file",
    "apollo_rt.plugins.chain_file",
    "apollo_rt.control.presets",
    "apollo_rt.control.midi.map",
)
READERS: dict[str, Callable[[Path], object]] = {
    "before:": read_chain,
    "after:": read_chain,
    "output:": lambda path: read_options(path, click.Context(live)),
    "takeover:": lambda path: read_map(path, PARAMETERS),
}
"""By what an example begins with; all else is a preset."""


def examples() -> list[tuple[str, str]]:
    """Where it stands, and the example."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    shown = [(page.name, text) for page in pages for text in FENCE.findall(page.read_text())]
    for name in MODULES:
        docstring = importlib.import_module(name).__doc__ or ""
        shown += [(name, textwrap.dedent(block)) for block in INDENTED.findall(docstring)]
    return shown


@pytest.mark.parametrize(("place", "text"), examples(), ids=[place for place, _ in examples()])
def test_an_example_is_read_as_it_is_printed(tmp_path: Path, place: str, text: str) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(text)
    reader = READERS.get(text.split()[0], lambda path: read_preset(path, PARAMETERS))
    assert reader(path)


def test_examples_are_found_on_pages_and_in_docstrings() -> None:
    assert {place for place, _ in examples()} >= {"control.md", "plugins.md", *MODULES}
