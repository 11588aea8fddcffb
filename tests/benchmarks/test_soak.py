"""A short soak: twenty seconds of sound, in seconds, with faults from a seed."""

from pathlib import Path

import pytest

from benchmarks.measuring import machine
from benchmarks.soak import virtual

pytestmark = pytest.mark.slow


def test_a_short_soak_hears_no_click_and_finds_the_latency_where_it_was(tmp_path: Path) -> None:
    short = virtual.Soak(seed=7, speed=8.0, folder=tmp_path)
    short.engine.prepare()  # a compiler at work is no growth
    begin_mb = machine.resident_mb()
    short.run(40 * virtual.RATE)
    assert len(short.faults) >= 3
    assert short.report((begin_mb, machine.resident_mb()))
