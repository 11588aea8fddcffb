"""Each row of the fault table of docs/radio.md is held by tests, which it names."""

import re

from tests import ROOT


def test_every_row_of_the_fault_table_names_tests_that_there_are():
    page = (ROOT / "docs" / "radio.md").read_text()
    table = page.partition("## Faults")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    there = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        there |= set(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert set(named) <= there, row
