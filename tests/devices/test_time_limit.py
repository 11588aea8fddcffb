"""Calls of PortAudio have a time limit where a sound server may die; so has the library's end with the program."""

import subprocess
import sys
import threading

import pytest

from apollo_rt.devices import time_limit
from apollo_rt.devices.time_limit import in_time
from tests import ROOT

HANGS = "print('ending', flush=True); threading.Event().wait()"


@pytest.fixture(autouse=True)
def servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "_HAS_SERVERS", True)


def test_what_is_done_in_time_is_handed_on_and_what_it_raises_is_raised() -> None:
    assert in_time("adding", 60.0, lambda: 1 + 1) == 2
    assert in_time("nothing", 60.0, lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        in_time("dividing", 60.0, lambda: 1 // 0)


def test_what_hangs_is_given_up() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError, match=r"waiting: not done after 0\.05 s"):
        in_time("waiting", 0.05, release.wait)
    release.set()


def test_where_no_server_can_die_a_call_stays_in_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "_HAS_SERVERS", False)
    assert in_time("asking", 60.0, threading.get_ident) == threading.get_ident()


@pytest.mark.parametrize(
    ("end", "drops", "said"),
    [(HANGS, "", "ending\n"), (HANGS, "end.drop()", ""), ("print('ended', flush=True)", "", "ended\n")],
    ids=["hangs", "is dropped", "ends"],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the library is ended as it registers itself")
def test_at_the_end_of_the_program_the_library_ends_once_or_is_left_as_it_is(end: str, drops: str, said: str) -> None:
    script = f"""
import atexit, threading
from apollo_rt.devices import time_limit

def at_exit():
    {end}

atexit.register(at_exit)
time_limit._ENDING_S = 0.5 if "wait" in {end!r} else 60.0
end = time_limit.LibraryEnd(at_exit)
{drops}
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
