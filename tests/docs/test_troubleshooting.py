"""The page by error message: each message that it quotes is one that the program can still say."""

import ast
import re
from functools import cache

import pytest

from tests import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
MESSAGES = ROW.findall(PAGE.read_text())


def text_of(node: ast.expr) -> str:
    """What an expression says: `...` where it differs; texts that are put together are one."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text_of(left) + text_of(right)
    return "..."


@cache
def said() -> list[str]:
    """Every text in the product's code."""
    sources = (path.read_text() for path in (ROOT / "apollo_rt").rglob("*.py"))
    nodes = (node for source in sources for node in ast.walk(ast.parse(source)))
    return [text_of(node) for node in nodes if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp)]


def is_said(message: str) -> bool:
    """Whether the fixed parts of a message stand in one text, in order; `...` at an end may be left out."""
    parts = [re.escape(part) for part in re.split(r"\.\.\.", message) if part]
    return any(re.search(".*".join(parts), text, re.DOTALL) for text in said())


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_on_the_page_is_one_that_the_program_says(message: str) -> None:
    assert is_said(message)


def test_the_page_is_read_and_what_nobody_says_is_found_out() -> None:
    assert len(MESSAGES) > 30
    assert not is_said("PortAudio never starts: ...")
