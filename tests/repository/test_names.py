"""One name for one thing: no two classes of the product share one."""

import ast
from collections import Counter

from tests import ROOT


def classes(source: str) -> list[str]:
    """Public classes that a source defines at its top."""
    return [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]


def test_no_two_classes_have_one_name():
    names = Counter(name for path in sorted((ROOT / "apollo_rt").glob("**/*.py")) for name in classes(path.read_text()))
    assert len(names) > 100
    assert [name for name, count in names.items() if count > 1] == []


def test_public_classes_are_found():
    assert classes("class A:\n    class B: ...\nclass _C: ...\nclass A: ...") == ["A", "A"]
