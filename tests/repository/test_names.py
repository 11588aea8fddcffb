"""One name for one thing: no two files and no two classes of what is ours share one."""

import ast
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tests import ROOT

OURS = [
    path for top in ("apollo_rt", "training", "export", "benchmarks") for path in sorted((ROOT / top).rglob("*.py"))
]
OF_EVERY_PACKAGE = {"__init__", "__main__", "conftest"}
"""Stems that Python and pytest give a meaning of their own."""


def classes(source: str) -> list[str]:
    """Classes that a source defines, private ones and those inside of others too."""
    return [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]


def twice(names: Iterable[tuple[str, Path]]) -> dict[str, list[str]]:
    """What stands for more than one thing, and where."""
    places = defaultdict(list)
    for name, path in names:
        places[name].append(str(path))
    return {name: found for name, found in places.items() if len(found) > 1}


def test_no_two_files_have_one_name():
    stems = [(path.stem, path) for path in OURS if path.stem not in OF_EVERY_PACKAGE]
    assert len(stems) > 300
    assert twice(stems) == {}


def test_no_two_classes_have_one_name():
    names = [(name, path) for path in OURS for name in classes(path.read_text())]
    assert len(names) > 300
    assert twice(names) == {}


def test_classes_are_found_wherever_they_stand():
    assert sorted(classes("class A:\n    class B: ...\nclass _C: ...\ndef f():\n    class A: ...")) == [*"AAB", "_C"]


def test_a_second_use_of_a_name_is_found_with_its_places():
    paths = Path("a/fit.py"), Path("b/fit.py"), Path("b/run.py")
    assert twice((path.stem, path) for path in paths) == {"fit": ["a/fit.py", "b/fit.py"]}
