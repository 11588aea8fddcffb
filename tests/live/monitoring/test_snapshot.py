"""Counters, histograms and meters, and the snapshot that is read of them."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from apollo_rt.compiled.native import atomic_load, atomic_store, compiled
from apollo_rt.compiled.records import add
from apollo_rt.latency import LatencyReport
from apollo_rt.live.monitoring.durations import Durations
from apollo_rt.live.monitoring.stats_reader import StatsReader, _copy, read_stats
from apollo_rt.live.realtime import counters as stats
from tests.doubles.still_engine import QUIET

NS_PER_MS = 1e6


def filled(durations_ms):
    histogram = stats.make_stats().step_ns
    for duration in durations_ms:
        stats.record(histogram, int(duration * NS_PER_MS))
    return histogram


@pytest.mark.parametrize("shape", ["lognormal", "uniform", "two humps"])
def test_percentiles_are_off_by_no_more_than_a_bin(shape):
    random = np.random.default_rng(1)
    durations = {
        "lognormal": np.exp(random.normal(0, 1, 20_000)),
        "uniform": random.uniform(0.5, 7, 20_000),
        "two humps": np.concatenate([random.normal(1, 0.05, 15_000), random.normal(8, 0.5, 5000)]),
    }[shape]
    summary = Durations.of(filled(durations))
    assert summary.count == 20_000
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)):
        exact = np.quantile(durations, share, method="inverted_cdf")
        assert getattr(summary, name) == pytest.approx(exact, rel=2 ** (1 / 16) - 1), name
    assert summary.max == pytest.approx(durations.max(), abs=2e-6)


def test_durations_of_any_length_find_a_bin():
    summary = Durations.of(filled([0, 1e-6, 1e-3, 1, 1e4, 1e6, 1e9]))
    assert summary.count == 7
    assert summary.max == 1e9


def test_a_histogram_of_nothing_is_all_zero():
    assert Durations.of(filled([])) == Durations(0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_each_status_flag_has_its_counter():
    counters = stats.make_stats().counters
    stats.count_xruns(counters, 0b10101, False)
    stats.count_xruns(counters, 0b00100, True)
    assert [getattr(counters, name) for name in stats.XRUNS] == [1, 0, 2, 0, 1]
    assert stats.XRUNS == ("input_underflow", "input_overflow", "output_underflow", "output_overflow", "priming_output")


def test_the_meter_of_a_sine_shows_its_peak_and_its_rms():
    shared = stats.make_stats()
    time_s = np.arange(2 * 44_100) / 44_100
    sine = np.stack([0.5 * np.sin(2 * np.pi * 1000 * time_s), 0.25 * np.sin(2 * np.pi * 50 * time_s)], 1)
    for block in np.split(sine.astype(np.float32), 200):
        stats.move_meter(shared.output_meter, block, 44_100.0)
    meter = read_stats(shared)["output"]
    np.testing.assert_allclose(meter.peak, [0.5, 0.25], rtol=0.03)
    np.testing.assert_allclose(meter.rms, np.array([0.5, 0.25]) / np.sqrt(2), rtol=0.02)


def test_a_peak_falls_twenty_decibels_in_its_time_whatever_the_block_size():
    for block_size in (1, 17, 441):
        meter = stats.make_stats().input_meter
        stats.move_meter(meter, np.ones((1, 2), np.float32), 44_100.0)
        silence = np.zeros((block_size, 2), np.float32)
        for _ in range(int(1.7 * 44_100) // block_size):
            stats.move_meter(meter, silence, 44_100.0)
        assert meter.peaks[0] == pytest.approx(0.1, rel=0.02)


def test_the_load_is_step_time_over_hop_period():
    shared = stats.make_stats()
    for _ in range(1000):
        stats.record_step(shared, 2_000_000, 5_000_000.0)
    assert read_stats(shared)["load_percent"] == pytest.approx(40, rel=1e-3)
    assert read_stats(shared)["hops"] == 1000


def test_a_snapshot_becomes_plain_values():
    plain = replace(QUIET, latency=LatencyReport(44_100, 512, 0, 320)).to_dict()
    assert plain["step_ms"]["p999"] == 0
    assert plain["latency"]["stream_samples"] == 832
    assert plain["xruns"] == plain["output_underflow"] == 0
    assert set(stats.COUNTERS) < set(plain)


@compiled
def store_halves(values, control):
    """Store values whose halves of 32 bits are equal, as fast as it goes."""
    number = 0
    while atomic_load(control, 0) == 0:
        number = (number + 1) % 2_000_000_000
        for index in range(len(values)):
            atomic_store(values, index, number * 4294967296 + number)


def test_no_value_of_a_copy_is_torn_while_the_writer_runs():
    values, control = np.zeros(500, np.int64), np.ones(1, np.int64)
    store_halves(values, control)
    control[0] = 0
    writer = threading.Thread(target=store_halves, args=(values, control))
    writer.start()
    copy = np.zeros_like(values)
    try:
        for _ in range(2000):
            _copy(values, copy)
            np.testing.assert_array_equal(copy >> 32, copy & 0xFFFFFFFF)
    finally:
        control[0] = 1
        writer.join()
    assert copy.max() > 0


@compiled
def count_together(shared, control):
    """Count as callback and worker do, as fast as it goes: what belongs together is equal whenever it is whole."""
    while atomic_load(control, 0) == 0:
        stats.begin_counting(shared.callback_version)
        add(shared.counters, "callbacks", 1)
        stats.record(shared.interval_ns, 5_000_000)
        add(shared.counters, "samples", 256)
        stats.end_counting(shared.callback_version)
        stats.begin_counting(shared.worker_version)
        stats.record_step(shared, 1_000_000, 5e6)
        add(shared.counters, "frame_faults", 1)
        stats.end_counting(shared.worker_version)
        pause = 0
        while pause < 20_000 and atomic_load(control, 0) == 0:
            pause += 1


def test_a_hammering_reader_never_sees_half_of_a_callback_or_of_a_hop():
    shared, control = stats.make_stats(), np.ones(1, np.int64)
    count_together(shared, control)
    control[0] = 0
    writer = threading.Thread(target=count_together, args=(shared, control))
    writer.start()
    counts = []
    try:
        for _ in range(3000):
            seen = read_stats(shared)
            counts.append(seen["callbacks"])
            assert seen["samples"] == 256 * seen["callbacks"] == 256 * seen["callback_interval_ms"].count
            assert seen["hops"] == seen["frame_faults"] == seen["step_ms"].count
            assert abs(seen["hops"] - seen["callbacks"]) <= 1
    finally:
        control[0] = 1
        writer.join()
    assert counts == sorted(counts)
    assert counts[-1] > counts[0] + 100


def test_a_writer_that_died_in_the_middle_does_not_stop_readers():
    shared = stats.make_stats()
    stats.begin_counting(shared.worker_version)
    stats.record_step(shared, 1_000_000, 5e6)
    assert read_stats(shared)["hops"] == 1
    stats.begin_counting(shared.worker_version)  # the next one
    stats.end_counting(shared.worker_version)
    assert shared.worker_version.number % 2 == 0


def test_what_is_recent_is_what_came_in_the_last_ten_seconds():
    now_s, shared = [100.0], stats.make_stats()
    reader = StatsReader(shared, lambda: now_s[0])
    for second in range(30):
        stats.record_step(shared, 20_000_000 if second == 3 else 1_000_000, 5e6)
        add(shared.counters, "deadline_misses", second == 3)
        add(shared.counters, "output_underflow", second == 25)
        now_s[0] += 1.0
        seen = reader.read()
        if second == 8:
            assert seen["recent"].counts["deadline_misses"] == 1
            assert seen["recent"].step_ms.max == pytest.approx(20.0, rel=0.05)
            assert seen["recent"].duration_s == 9.0
    recent = seen["recent"]
    assert recent.duration_s == 10.0
    assert recent.counts["hops"] == recent.step_ms.count == 10
    assert recent.counts["deadline_misses"] == 0
    assert recent.counts["output_underflow"] == recent.xruns == 1
    assert recent.step_ms.max == pytest.approx(1.0, rel=0.05)
    assert seen["step_ms"].max == 20.0
    assert seen["hops"] == 30


def test_the_histogram_tells_how_many_durations_lie_below_each_edge():
    summary = Durations.of(filled([1.0] * 10 + [5.0] * 3 + [1e9]))
    assert [count for _, count in summary.histogram] == [10, 3, 1]
    edges = [edge for edge, _ in summary.histogram]
    assert 1.0 <= edges[0] < 1.05
    assert 5.0 <= edges[1] < 5.25
    assert edges[2] == np.inf
    plain = replace(QUIET, step_ms=summary).to_dict()
    assert json.loads(json.dumps(plain))["step_ms"]["histogram"][2] == [None, 1]
    assert plain["recent"]["xruns"] == plain["recent"]["deadline_misses"] == 0
