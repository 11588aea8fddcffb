"""A docstring begins with the thing, its verb and its object, not with a clause about what, where or who."""

import ast
import re

from tests import ROOT

CLAUSE = re.compile(r"(What|Where|Who|How|Which|When|Why)\b")


def clauses(source: str) -> list[str]:
    """First lines of docstrings that begin with a clause."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, documented)]
    return [docstring.splitlines()[0] for docstring in docstrings if CLAUSE.match(docstring)]


def test_no_docstring_of_the_product_begins_with_a_clause():
    for path in sorted((ROOT / "apollo_rt").glob("**/*.py")):
        assert clauses(path.read_text()) == [], path.relative_to(ROOT)


def test_a_clause_is_found():
    assert clauses(
        '"""What it is."""\nclass A:\n    """Whether so."""\n    def f():\n        """How far.\n\n    More."""'
    ) == [
        "What it is.",
        "How far.",
    ]
