"""The docs can be read in a narrow window: wrapped, the README short, and every link leads somewhere."""

import re
from pathlib import Path

import pytest

from tests import ROOT

PAGES = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "docs/decisions", ROOT / "training", ROOT / "apollo_rt/data")
    for path in folder.glob("*.md")
)
COLUMNS, README_LINES = 120, 150
_UNBREAKABLE = re.compile(r"\s*(\||[-*] )?\S*(!?\[[^\]]*\]\([^)]*\)|https?://\S+|`[^`]*`)\S*\s*")
"""A row of a table, or nothing but one picture, link or name."""
_FILE = re.compile(r"`((?:apollo_rt|training|export|benchmarks|tests|docs)/(?!PACKAGE)[\w./-]+\.(?:py|md|json|yaml))`")
_LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def long_lines(text: str) -> list[str]:
    """Lines that are longer than they must be."""
    return [
        line
        for line in text.splitlines()
        if len(line) > COLUMNS and not line.lstrip().startswith("|") and not _UNBREAKABLE.fullmatch(line)
    ]


def dead_links(page: Path, text: str) -> list[str]:
    """Links into this repository that lead nowhere."""
    return [target for target in _LINK.findall(text) if not (page.parent / target).exists()]


def lost_files(text: str) -> list[str]:
    """Files of this repository, by their whole path, that a text names and that are not there."""
    return [name for name in _FILE.findall(text) if not (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_wrapped_and_its_links_lead_somewhere(page):
    assert long_lines(page.read_text()) == []
    assert dead_links(page, page.read_text()) == []
    if page.name not in ("CHANGELOG.md", "EXPERIMENTS.md"):  # which tell of what was
        assert lost_files(page.read_text()) == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


def test_the_glossary_names_modules_that_there_are():
    named = re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", (ROOT / "docs/glossary.md").read_text())
    assert len(named) >= 20
    assert [name for name in named if not (ROOT / name).exists() and not (ROOT / "apollo_rt" / name).exists()] == []


def test_what_is_too_long_or_dead_is_found():
    assert long_lines("word " * 30) == ["word " * 30]
    assert long_lines(f"| {'cell ' * 40} |\n![{'a picture ' * 20}](docs/demo.png)") == []
    assert lost_files("`export/bundle.py`, `export/nothing.py`") == ["export/nothing.py"]
    assert dead_links(ROOT / "README.md", "[a](docs/nothing.md) [b](docs/clocks.md#here) [c](https://x.y)") == [
        "docs/nothing.md"
    ]
