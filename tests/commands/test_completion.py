"""Completion: a shell's script is printed, and what it asks of the program is answered."""

import os
import subprocess
import sys

import pytest

from apollo_rt.commands.cli import main
from tests import ROOT


@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete -o"), ("zsh", "#compdef apollo-rt"), ("fish", "complete ")]
)
def test_a_shells_script_is_printed(shell: str, mark: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", shell])
    assert not ended.value.code
    assert mark in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "expected"), [("apollo-rt comp", {"completion"}), ("apollo-rt live --al", {"--all", "--allow-feedback"})]
)
def test_what_the_script_asks_is_answered(typed: str, expected: set[str]) -> None:
    asking = {"_APOLLO_RT_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    code = "from apollo_rt.commands.cli import main; main(name='apollo-rt')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **asking},
        capture_output=True,
        text=True,
        check=False,
    )
    answered = {line.partition(",")[2] for line in done.stdout.splitlines()}
    assert answered == expected, done.stderr
