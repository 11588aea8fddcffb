"""Rings: by absolute index, between two real threads, and what a reader sees of a writer that doesn't wait."""

import threading

import numpy as np
import pytest

from apollo_rt.compiled.native import compiled
from apollo_rt.compiled.records import load
from apollo_rt.live.realtime import ring
from apollo_rt.live.realtime.ring import UNKNOWN, make_ring, make_wet_ring

TOTAL = 1_000_000


def numbered(start: int, n: int) -> np.ndarray:
    """Samples that say where they belong; exact in float32 below 2^24."""
    index = np.arange(start, start + n, dtype=np.float32)
    return np.stack([index, -index], axis=1)


def test_a_capacity_is_a_power_of_two_and_at_least_what_was_asked_for():
    assert [len(make_ring(n).samples) for n in (1, 2, 3, 1000, 1024, 1025)] == [2, 2, 4, 1024, 1024, 2048]


def test_before_the_first_sample_there_is_silence():
    history = make_ring(64)
    ring.append(history, numbered(1, 10))
    out = np.full((20, 2), np.nan, np.float32)
    ring.copy_out(history, -10, out)
    np.testing.assert_array_equal(out, np.concatenate([np.zeros((10, 2)), numbered(1, 10)]))


def test_a_queue_takes_what_fits_and_gives_what_is_there():
    queue = make_ring(16)
    assert ring.put(queue, numbered(0, 10)) == 10
    assert ring.put(queue, numbered(10, 10)) == 6
    assert (ring.n_queued(queue), ring.n_free(queue)) == (16, 0)
    out = np.full((20, 2), np.nan, np.float32)
    assert ring.take(queue, out) == 16
    np.testing.assert_array_equal(out[:16], numbered(0, 16))
    assert np.isnan(out[16:]).all()
    assert ring.take(queue, out) == 0


def test_the_end_of_a_queue_is_unknown_until_it_is_marked():
    queue = make_ring(16)
    ring.put(queue, numbered(0, 7))
    assert ring.end_of(queue) == UNKNOWN
    ring.mark_end(queue)
    assert ring.end_of(queue) == 7


@pytest.mark.parametrize("n_writes", [16, 60, 61, 64, 200])
def test_a_reader_learns_that_it_was_lapped(n_writes):
    history = make_ring(65_536)
    block = numbered(0, ring.CHUNK)
    for _ in range(n_writes):
        ring.append(history, block)
    is_lapped = n_writes * ring.CHUNK > 65_536 - 4 * ring.CHUNK
    assert ring.fetch(history, 0, block) == (not is_lapped)


@compiled
def put_numbers(queue, total, seed):
    """Write 0, 1, 2, ... in blocks of ever changing size, retrying what doesn't fit."""
    block = np.empty((257, 2), np.float32)
    position = 0
    while position < total:
        seed = (seed * 1103515245 + 12345) % 2147483648
        n = min(1 + seed % 257, total - position)
        for index in range(n):
            block[index, 0] = (position + index) % 16777216
            block[index, 1] = -((position + index) % 16777216)
        done = 0
        while done < n:
            done += ring.put(queue, block[done:n])
        position += n


@compiled
def take_numbers(queue, total, seed):
    """Read until the end; returns the number of samples that weren't what they should be."""
    block = np.empty((257, 2), np.float32)
    position, n_wrong = 0, 0
    while position < total:
        seed = (seed * 1103515245 + 12345) % 2147483648
        n = ring.take(queue, block[: 1 + seed % 257])
        for index in range(n):
            wanted = np.float32((position + index) % 16777216)
            n_wrong += block[index, 0] != wanted or block[index, 1] != -wanted
        position += n
    return n_wrong


def test_a_queue_loses_and_changes_nothing_between_two_threads():
    queue = make_ring(8192)
    put_numbers(make_ring(1024), 10, 1)  # compiled before the threads race
    take_numbers_result = []
    writer = threading.Thread(target=put_numbers, args=(queue, TOTAL, 1))
    reader = threading.Thread(target=lambda: take_numbers_result.append(take_numbers(queue, TOTAL, 2)))
    for thread in (writer, reader):
        thread.start()
    for thread in (writer, reader):
        thread.join()
    assert take_numbers_result == [0]
    assert queue.marks.written == queue.marks.read == TOTAL


@compiled
def append_numbers(history, total):
    """Write as fast as it goes, waiting for nobody."""
    block = np.empty((100, 2), np.float32)
    for start in range(0, total, 100):
        for index in range(100):
            block[index, 0] = (start + index) % 16777216
            block[index, 1] = -((start + index) % 16777216)
        ring.append(history, block)


@compiled
def check_newest(history, total):
    """Read ever new positions while the writer runs; returns how many fetches held and how many of them were wrong."""
    block = np.empty((128, 2), np.float32)
    n_good, n_wrong, written = 0, 0, 0
    while written < total:
        written = load(history.marks, "written")
        position = written - 60_000 - written % 977 * 2  # some of it about to be overwritten
        if position < 0 or not ring.fetch(history, position, block):
            continue
        n_good += 1
        for index in range(128):
            wanted = np.float32((position + index) % 16777216)
            if block[index, 0] != wanted or block[index, 1] != -wanted:
                n_wrong += 1
                break
    return n_good, n_wrong


def test_what_a_reader_fetches_from_a_writer_that_never_waits_is_right_or_refused():
    check_newest(make_ring(65_536), 0)
    append_numbers(make_ring(1024), 100)
    history = make_ring(65_536)
    result = []
    reader = threading.Thread(target=lambda: result.append(check_newest(history, 10_000_000)))
    writer = threading.Thread(target=append_numbers, args=(history, 10_000_000))
    reader.start()
    writer.start()
    writer.join()
    reader.join()
    n_good, n_wrong = result[0]
    assert n_good > 0
    assert n_wrong == 0


def test_a_hop_can_be_played_only_under_its_own_number():
    wet = make_wet_ring(16, 8)
    ring.publish_hop(wet, 5, numbered(80, 16))
    assert ring.has_hop(wet, 5)
    assert not ring.has_hop(wet, 5 + 8)
    ring.publish_hop(wet, 5 + 8, numbered(208, 16))
    assert not ring.has_hop(wet, 5)


def test_the_silence_before_the_stream_counts_as_finished():
    wet = make_wet_ring(16, 8)
    assert ring.run_end(wet, -64, 100) == 0
    assert ring.run_end(wet, -65, 100) == -65


def test_a_run_of_finished_samples_ends_at_the_first_hop_that_is_missing():
    wet = make_wet_ring(16, 32)
    for hop in (0, 1, 2, 4):
        ring.publish_hop(wet, hop, numbered(hop * 16, 16))
    assert ring.run_end(wet, 3, 1000) == 48
    assert ring.run_end(wet, 48, 1000) == 48
    assert ring.run_end(wet, 64, 1000) == 80
    assert ring.run_end(wet, 3, 20) == 32  # the search ends behind the limit
