"""A folder of small files of all formats, some broken, killed twice and started again: complete, and nothing twice.

`python -m tests.commands.big_folder` does the same with 2,000 files.
"""

import signal
import sys
from pathlib import Path

import pytest

from tests.commands import big_folder
from tests.doubles import tiny_models

pytestmark = pytest.mark.slow

N_FILES = 60


@pytest.mark.skipif(sys.platform == "win32", reason="ends programs with signals")
def test_a_folder_run_that_is_killed_twice_goes_on_to_its_end(tmp_path: Path) -> None:
    folder, out = big_folder.make(tmp_path / "in", N_FILES), tmp_path / "out"
    model = tiny_models.gain(tmp_path, 0.5)
    assert len({path.suffix for path in folder.path.rglob("*.*")}) >= len(big_folder.KINDS)
    for kill_at, number in ((folder.good // 4, signal.SIGKILL), (folder.good // 2, signal.SIGTERM)):
        run = big_folder.restore(folder, out, model, kill_at, number)
        assert run.code in (-9, 130, len(folder.broken)), run.errors  # the last: it was through before it was killed
        n_hidden = len(big_folder.hidden(out))
        assert n_hidden <= 16, "no more than there are threads"
    run = big_folder.restore(folder, out, model)
    assert run.code == len(folder.broken) == 3, run.errors
    assert len(big_folder.hidden(out)) <= n_hidden, "who ends by itself leaves nothing half-written"
    told = big_folder.check(folder, out)
    assert told["restored"] <= folder.good
    last = big_folder.restore(folder, out, model)
    assert last.code == 3
    assert f"{folder.good} there already and left as they are" in last.errors
