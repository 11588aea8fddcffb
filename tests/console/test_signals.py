"""Signals that ask a program to end are never lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import pytest

from apollo_rt.console.signals import ending_calls, interruptible
from tests import ROOT
from tests.doubles.finalised import Finalised


def ended(*steps: Callable[[], None], checks: bool) -> int:
    """How many steps were made before the end."""
    made = 0
    try:
        with interruptible() as check:
            for step in steps:
                step()
                made += 1
                if checks:
                    check()
    except KeyboardInterrupt:
        return made
    pytest.fail("the signal was lost")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_what_is_under_way(name: str) -> None:
    number = getattr(signal, name)
    handler = signal.getsignal(number)
    assert ended(lambda: os.kill(os.getpid(), number), checks=False) == 0
    assert signal.getsignal(number) is handler


@pytest.mark.parametrize(("checks", "n_made"), [(True, 1), (False, 2)])
def test_one_that_a_finaliser_swallowed_is_raised_again_at_the_latest_at_the_end(checks: bool, n_made: int) -> None:
    assert ended(lambda: Finalised() and None, lambda: None, checks=checks) == n_made


def test_an_error_after_a_signal_is_the_signals() -> None:
    def broken() -> None:
        raise RuntimeError("nothing was compiled")

    assert ended(lambda: Finalised() and None, broken, checks=False) == 1


def test_an_error_without_a_signal_stays_itself() -> None:
    with pytest.raises(RuntimeError, match="broken"), interruptible():
        raise RuntimeError("broken")


def test_what_python_drops_is_printed_only_if_no_signal_raised_it() -> None:
    program = """
from apollo_rt.console.signals import ending_calls, interruptible
from tests.doubles.finalised import Finalised

class Broken:
    def __del__(self):
        raise OSError("broken")

with interruptible() as check:
    Finalised()
    Broken()
    try:
        check()
    except KeyboardInterrupt:
        print("interrupted")
        raise SystemExit
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "interrupted\n"
    assert "OSError: broken" in run.stderr
    assert "KeyboardInterrupt" not in run.stderr


def test_the_exit_code_is_the_programs_wherever_the_signal_came(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("""
import sys
import threading
import time
from apollo_rt.console.signals import ending_calls, interruptible

try:
    with interruptible():
        exec("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
except KeyboardInterrupt:
    sys.exit(130)
""")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-m", "program"], cwd=tmp_path, env=environment, check=False)
    assert run.returncode == 130


def test_without_a_signal_nothing_is_raised() -> None:
    with interruptible() as check:
        check()


HANGS = """
import ctypes, sys, time
from apollo_rt.console.signals import ending_calls

libc = ctypes.CDLL(None)
with ending_calls(lambda: print("asked", flush=True)):
    print("ready", flush=True)
    if sys.argv[1] == "in C":
        for _ in range(3):
            libc.sleep(60)  # a signal ends one such sleep, and Python can't act before the next returns
    else:
        while True:
            time.sleep(60)
"""


@pytest.mark.parametrize("where", ["in Python", "in C"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_second_signal_ends_what_the_first_could_not(where: str, name: str) -> None:
    number = getattr(signal, name)
    command = [sys.executable, "-c", HANGS, where]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            time.sleep(0.7)  # so that the second is a second wish
            assert process.poll() is None
            process.send_signal(number)
            assert process.wait(60) == 128 + number
        finally:
            process.kill()


def test_a_signal_that_was_passed_on_twice_asks_once() -> None:
    asked = []
    with ending_calls(lambda: asked.append(1)):
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
    assert asked == [1]


def test_what_was_there_before_is_there_again() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    n_threads = threading.active_count()
    with ending_calls(print), interruptible():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert threading.active_count() == n_threads


def test_one_that_a_library_drops_while_it_reads_is_raised_again_and_not_printed(capsys) -> None:
    class Reads:
        def read(self, _: int) -> bytes:
            os.kill(os.getpid(), signal.SIGTERM)
            return b""

    def open_it() -> None:
        with suppress(av.FFmpegError):
            av.open(Reads(), format="mp3")

    assert ended(open_it, lambda: None, checks=True) == 1
    assert capsys.readouterr() == ("", "")
