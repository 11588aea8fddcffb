"""Tests lie as what they test does, and take what they share from `tests/doubles` and `conftest.py` alone."""

import re
from pathlib import Path

import pytest

from tests import ROOT

FILES = sorted(path for folder in ("tests", "benchmarks") for path in (ROOT / folder).glob("**/*.py"))
OF_NO_PACKAGE = {"doubles", "docs", "repository", ""}
"""Folders of the tests that are of pages, of the repository as a whole, or of modules that stand in no package."""
_IMPORT = re.compile(r"^\s*(?:from|import) ((?:tests|benchmarks)[.\w]*)(?: import ([\w ,]+|\([^)]*\)))?", re.MULTILINE)


def imported_tests(source: str) -> list[str]:
    """The test modules that a source imports, in the programs too that it holds as text."""
    return [
        f"{module}.{name}" if name else module
        for module, names in _IMPORT.findall(source)
        for name in ["", *re.findall(r"\w+", names)]
        if re.search(r"\.test_\w+$", f"{module}.{name}" if name else module)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_imports_from_a_test(path: Path) -> None:
    assert imported_tests(path.read_text()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from tests.live.test_engine import noise", ["tests.live.test_engine"]),
        ("    from tests.live import test_engine, test_faults\n", ["tests.live.test_engine", "tests.live.test_faults"]),
        ('program = """\nimport tests.test_latency\n"""', ["tests.test_latency"]),
        ("from tests.doubles import sounds\nfrom tests.doubles.sounds import noise", []),
    ],
)
def test_the_finder_sees_every_way_to_do_so(source: str, found: list[str]) -> None:
    assert imported_tests(source) == found


def test_each_folder_has_the_name_of_a_package() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").glob("**/test_*.py")}
    strangers = {
        str(folder)
        for folder in folders - {Path(name) for name in OF_NO_PACKAGE}
        if not any((parent / folder / "__init__.py").exists() for parent in (ROOT / "apollo_rt", ROOT))
    }
    assert strangers == set()
    assert len(folders) > 20


WANTS_A_MARK = {
    "server": re.compile(r"\b(?:PulseServer|JackServer|terminal|browser_page)\("),
    "realtime": re.compile(r"^[^#\n]*= (?:Engine\(\w+, )?VirtualDevice\((?![^\n]*pace=False)", re.MULTILINE),
}


@pytest.mark.parametrize("mark", WANTS_A_MARK)
def test_who_starts_a_server_or_plays_in_real_time_is_marked(mark: str) -> None:
    users = [path for path in FILES if path.name.startswith("test_") and WANTS_A_MARK[mark].search(path.read_text())]
    ours = [path for path in users if path.is_relative_to(ROOT / "tests") and path != Path(__file__)]
    assert len(ours) > 5
    assert [str(path) for path in ours if not re.search(r"pytest\.mark\.(server|realtime)", path.read_text())] == []
