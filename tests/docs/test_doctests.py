"""Examples in docstrings: every one of every package runs, and says what it shows."""

import doctest
import importlib
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("apollo_rt", "benchmarks", "export", "training")


def modules_with_examples() -> list[str]:
    """The modules whose source shows a prompt."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [_name_of(path) for path in paths if ">>> " in path.read_text()]


def _name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_say_what_they_show(name: str) -> None:
    done = doctest.testmod(importlib.import_module(name))
    assert done.attempted > 0
    assert done.failed == 0


def test_examples_are_looked_for_in_every_package() -> None:
    assert "training.data.damage_kinds" in modules_with_examples()
    assert all((ROOT / package / "__init__.py").is_file() for package in PACKAGES)
