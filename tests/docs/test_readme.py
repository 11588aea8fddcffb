"""What the README shows is what happens: its code blocks are run.

A block of Python or shell carries one of these comments on the line above it:

- `<!-- test -->`: it runs here and must end without an error.
- `<!-- no test: reason -->`: it is not run, for the reason given.
- `<!-- ci:test -->`: the command that runs this very test suite; CI runs it, so it is not run inside itself.

A block runs in a folder of its own that has everything of the repository in it, and a short `song.mp3`; what it writes
stays there.
"""

import textwrap

import pytest

from tests import ROOT
from tests.doubles.markdown_blocks import Block, blocks_of, run

README = ROOT / "README.md"
BLOCKS = blocks_of(README.read_text()) if README.exists() else []


def test_the_readme_has_blocks_to_run():
    assert [block for block in BLOCKS if block.marker == "test"]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"line-{block.line}")
def test_a_block_says_whether_it_is_tested(block):
    assert block.marker, "put <!-- test --> or <!-- no test: reason --> above the block"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.marker == "test"], ids=lambda block: f"line-{block.line}")
def test_a_block_does_what_the_readme_shows(block, tmp_path):
    done = run(block, tmp_path)
    assert done.returncode == 0, f"{block.code}\n{done.stdout}\n{done.stderr}"


def test_the_finder_reads_every_marker_and_language():
    text = textwrap.dedent("""\
        <!-- test -->
        ```python
        print("~~~")
        ```
        <!-- no test: it needs a loopback device -->

        ```bash title="live"
        run
        ```
        <!-- ci:test -->
        ~~~sh
        pytest
        ~~~
        1. In a list:
           <!-- no test: -->
           ```console
           a
             b
           ```
        ```text
        no code
        ```
    """)
    found = [(b.line, b.language, b.code, b.marker) for b in blocks_of(text)]
    assert found == [
        (2, "python", 'print("~~~")\n', "test"),
        (7, "bash", "run\n", "no test"),
        (11, "bash", "pytest\n", "ci:test"),
        (16, "bash", "a\n  b\n", None),
    ]


@pytest.mark.parametrize(
    ("language", "code"), [("python", "1 / 0"), ("bash", "false | true\n"), ("bash", "false\ntrue")]
)
def test_the_runner_sees_a_failure(language, code, tmp_path):
    assert run(Block(1, language, code, "test"), tmp_path).returncode != 0


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "import apollo_rt, pathlib; assert pathlib.Path('song.mp3').exists()"),
        ("bash", "python -c 'import apollo_rt'"),
    ],
)
def test_the_runner_finds_the_package_and_the_song(language, code, tmp_path):
    assert run(Block(1, language, code, "test"), tmp_path).returncode == 0
