"""What tests of many packages share. A model is the same for all, so it is made and loaded once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from apollo_rt.inference.model import Model, load
from tests import ROOT
from tests.doubles import tiny_models

os.environ["APOLLO_RT_LIVE_FRESH"] = "1"  # no run takes up what another was set to, nor what the machine's user has


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny_models")


@pytest.fixture(scope="session")
def identity(tiny_folder: Path) -> Model:
    """Returns each frame as it is."""
    return load(tiny_models.identity(tiny_folder, tiny_models.MEDIUM))


@pytest.fixture(scope="session")
def halved(tiny_folder: Path) -> Model:
    """Wet is half as loud as dry, so that every mixture shows."""
    return load(tiny_models.gain(tiny_folder, 0.5, tiny_models.MEDIUM))


@pytest.fixture(scope="session")
def busy(tiny_folder: Path) -> Model:
    """Has a memory and a carrier: whatever is out of step shows."""
    return load(tiny_models.busy(tiny_folder, tiny_models.MEDIUM))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile once for all, where tests are about to run side by side."""
    config = session.config
    is_worker = hasattr(config, "workerinput")
    if config.getoption("tx", None) and not is_worker and not config.getoption("collectonly"):
        subprocess.run([sys.executable, "-m", "tests.doubles.warm_up"], cwd=ROOT, check=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Side by side (`-n`), the tests of a file share a process.

    Those that wait for the clock and hardly compute come one by one, in two queues: of whole runs of the program, and
    of its parts.
    """
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            waits = item.get_closest_marker("realtime") or item.get_closest_marker("server")
            queue = "whole runs" if item.path.parent.name in ("commands", "session") else "parts"
            item.add_marker(pytest.mark.xdist_group(queue if waits else item.path.stem))
