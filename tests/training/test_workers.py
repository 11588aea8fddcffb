"""Processes that share work: results in order, and an end that is quick and quiet."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests import ROOT
from tests.doubles.audio_servers import wait_for
from training.data.worker_processes import submitted

PROGRAM = """
import signal, sys, time
from functools import partial
from pathlib import Path
from training.data.worker_processes import submitted

folder = Path(sys.argv[1])
if __name__ != "__main__":
    (folder / "imports").touch()
    time.sleep(1)

def job(number):
    (folder / "works").touch()
    time.sleep(600)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background it is ignored
    try:
        with submitted([partial(job, number) for number in range(5)], 2) as futures:
            futures[0].result()
    except KeyboardInterrupt:
        sys.exit("interrupted")
"""


def test_results_come_in_the_order_of_the_jobs() -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with submitted([partial(pow, 2, number) for number in range(5)], 2) as futures:
        assert [future.result() for future in futures] == [1, 2, 4, 8, 16]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == blocked


def test_an_error_is_the_jobs_own_and_drops_the_others() -> None:
    jobs = [partial(int, "seven"), *[partial(time.sleep, 0.05)] * 200]
    with pytest.raises(ValueError, match="seven"), submitted(jobs, 2) as futures:
        futures[0].result()
    assert futures[-1].cancelled()


@pytest.mark.parametrize("state", ["imports", "works"])
def test_ctrl_c_ends_all_of_them_at_once_and_only_the_parent_speaks(tmp_path: Path, state: str) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        try:
            assert wait_for((tmp_path / state).exists)
            os.killpg(run.pid, signal.SIGINT)
            _, errors = run.communicate(timeout=60)  # which waits for the workers too: they hold the pipe
        finally:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
    assert errors == "interrupted\n"
    assert run.returncode == 1
