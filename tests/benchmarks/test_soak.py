"""A short soak: twenty seconds of sound, in seconds, with faults from a seed."""

from pathlib import Path

from benchmarks import machine, soak


def test_a_short_soak_hears_no_click_and_finds_the_latency_where_it_was(tmp_path: Path) -> None:
    short = soak.Soak(seed=7, speed=8.0, folder=tmp_path)
    begin_mb = machine.resident_mb()
    short.run(40 * soak.RATE)
    assert len(short.faults) >= 3
    assert short.report((begin_mb, machine.resident_mb()))
