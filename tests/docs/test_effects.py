"""docs/effects.md says what is: its table is the table of parameters, its code runs, its examples are there."""

import re

import pytest

from apollo_rt.control.parameter_table import PARAMETERS
from tests import ROOT
from tests.doubles.markdown_blocks import blocks_of, run

PAGE = (ROOT / "docs/effects.md").read_text()


def test_its_table_of_parameters_is_the_one_there_is():
    rows = [
        f"| `{row.name}` | {row.bounds_text} | {row.text(row.default)} | {row.settles_ms:g} ms | {row.description} |"
        for row in PARAMETERS
    ]
    assert re.findall(r"^\| `\w+` \| .*\d ms .*\|$", PAGE, re.MULTILINE) == rows


@pytest.mark.parametrize("block", blocks_of(PAGE), ids=lambda block: f"line-{block.line}")
def test_its_code_runs(block, tmp_path):
    assert block.marker == "test"
    done = run(block, tmp_path)
    assert done.returncode == 0, done.stderr


def test_every_example_stands_in_it():
    listed = set(re.findall(r"\(examples/(\w+\.py)\)", PAGE))
    assert listed == {path.name for path in (ROOT / "docs/examples").glob("*.py")}
