"""A JACK server whose period is longer than the block; beside no other, since libjack knows one server a process."""

import json
from pathlib import Path

import pytest

from tests.doubles.audio_servers import JackServer
from tests.doubles.live_run import COMMAND, JackRun

pytestmark = pytest.mark.server


def test_a_period_longer_than_the_block_is_recognised_and_covered(shipped_model: Path, tmp_path: Path) -> None:
    server = JackServer(period=1024)
    with server.started():
        arguments = [*COMMAND, "--duration", "3", "--stats-json", str(tmp_path / "stats.json")]
        with JackRun(arguments, server.environment, shipped_model, {}) as run:
            run.wait_until_it_plays()
            assert run.wait() == 0, run.text
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert "the device hands over 1024 samples at once" in run.text
    assert stats["block_size"] == 1024
    assert stats["latency"]["rebuffering_samples"] == 1024 - 256
    # Cut into blocks of 256, two of three hops are missed on any machine; what a busy one misses is another matter.
    assert stats["deadline_misses"] < 0.5 * stats["samples"] / 256, run.text
