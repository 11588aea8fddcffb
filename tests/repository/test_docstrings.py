"""A docstring begins with the thing, its verb and its object, not with a clause; and it names the errors raised."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests import ROOT

CLAUSE = re.compile(r"(What|Where|Who|How|Which|When|Why)\b")
PACKAGES = ["apollo_rt", "training", "export", "benchmarks"]
UNTOLD = {"AssertionError", "NotImplementedError", "AttributeError", "IndexError", "ClickException"}
"""Mistakes of our own, methods to override, the protocols of Python, and the end of a command."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def clauses(source: str) -> list[str]:
    """First lines of docstrings that begin with a clause."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, documented)]
    return [docstring.splitlines()[0] for docstring in docstrings if CLAUSE.match(docstring)]


def untold(node: ast.Module | ast.ClassDef, around: str = "") -> list[str]:
    """Public functions with an error that they raise themselves and that neither they nor their class tell of."""
    found = []
    for part in node.body:
        text = ast.get_docstring(part) or "" if isinstance(part, ast.ClassDef | Function) else ""
        if any("command(" in ast.unparse(mark) for mark in getattr(part, "decorator_list", [])):
            continue  # its docstring is its help, and its errors are shown
        if isinstance(part, ast.ClassDef) and not part.name.startswith("_"):
            found += untold(part, text)
        elif isinstance(part, Function) and (part.name.startswith("__") or not part.name.startswith("_")):
            told = (text + around if part.name.startswith("__") else text).partition("Raises:")[2]
            found += [f"{part.name}: {error}" for error in raised(part) if error not in UNTOLD and error not in told]
    return found


def raised(function: Function) -> list[str]:
    """Classes of errors in a function's own `raise` statements, functions inside of it left out."""
    return [
        called.id
        for node in own_nodes(function)
        if isinstance(node, ast.Raise) and isinstance(called := getattr(node.exc, "func", node.exc), ast.Name)
        if called.id[0].isupper()  # else it is one that was caught before
    ]


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.Lambda):
            yield child
            yield from own_nodes(child)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_docstring_begins_with_a_clause(package):
    for path in sorted((ROOT / package).glob("**/*.py")):
        assert clauses(path.read_text()) == [], path.relative_to(ROOT)


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_public_function_raises_stands_in_its_docstring(package):
    for path in sorted((ROOT / package).glob("**/*.py")):
        assert untold(ast.parse(path.read_text())) == [], path.relative_to(ROOT)


def test_a_clause_is_found():
    assert clauses(
        '"""What it is."""\nclass A:\n    """Whether so."""\n    def f():\n        """How far.\n\n    More."""'
    ) == [
        "What it is.",
        "How far.",
    ]


def test_an_error_that_nobody_tells_of_is_found():
    source = '''
class A:
    """Thing.

    Raises:
        ValueError: so.
    """
    def __init__(self):
        raise ValueError
    def told(self):
        """Do.

        Raises:
            OSError: so.
        """
        raise OSError("so")
    def untold(self):
        """Do."""
        raise KeyError("so")
    def _private(self):
        raise KeyError
'''
    assert untold(ast.parse(source)) == ["untold: KeyError"]
