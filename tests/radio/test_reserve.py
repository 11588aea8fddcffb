"""The reserve holds two clocks together, in virtual time: half an hour takes seconds."""

import numpy as np
import pytest

from apollo_rt.radio.reserve import Reserve
from apollo_rt.radio.sound_buffer import SoundBuffer, StreamBlock

RATE = 44_100
TICK_S = 0.02


def played(reserve: Reserve, ppm: float, lump_s: float, duration_s: float, jitter_s: float = 0.0):
    """Level and correction at each tick: a sender whose clock is apart sends lumps, a device plays by its own."""
    random = np.random.default_rng(0)
    reserve.note_lump(lump_s)
    reserve.begin()
    level, sent_s, levels, corrections = float(reserve.n_samples), 0.0, [], []
    due_s = lump_s
    for number in range(round(duration_s / TICK_S)):
        now_s = 1000.0 + number * TICK_S
        while sent_s + due_s <= number * TICK_S * (1 + ppm * 1e-6):
            level += lump_s * RATE
            sent_s += lump_s
            due_s = lump_s + random.uniform(0.0, jitter_s)
        level -= TICK_S * RATE * (1.0 + reserve.correction)
        assert reserve.note_level(round(level), now_s) == 0
        levels.append(level)
        corrections.append(reserve.correction)
    return np.array(levels), np.array(corrections)


@pytest.mark.parametrize("ppm", [200.0, -200.0, 0.0])
@pytest.mark.parametrize("lump_s", [0.128, 1.0, 6.0])
def test_a_sender_whose_clock_is_apart_is_held_for_half_an_hour_without_running_dry(ppm, lump_s):
    reserve = Reserve(None, RATE)
    levels, corrections = played(reserve, ppm, lump_s, 1800.0, jitter_s=min(0.05, lump_s / 4))
    assert levels.min() > 0
    last = slice(-round(600 / TICK_S), None)
    assert 1e6 * corrections[last].mean() == pytest.approx(ppm, abs=35)
    assert np.abs(1e6 * corrections[last] - ppm).max() < 350
    assert levels[last].max() < (reserve.duration_s + 0.5 * lump_s + 0.3) * RATE
    assert reserve.n_jumps == 0


def test_what_a_stream_asks_for_is_held_and_what_the_user_wants_before_it():
    reserve = Reserve(None, RATE)
    assert reserve.duration_s == pytest.approx(0.25)
    reserve.note_lump(1.0)
    assert reserve.duration_s == pytest.approx(1.35)
    reserve.ran_dry()
    assert reserve.duration_s == pytest.approx(1.5 * 1.35)
    for _ in range(20):
        reserve.ran_dry()
    assert reserve.duration_s == 30.0
    assert Reserve(2.0, RATE).duration_s == 2.0


def test_far_too_much_is_dropped_at_once_and_not_worked_off():
    reserve = Reserve(0.3, RATE)
    reserve.begin()
    dropped = 0
    for number in range(1000):
        level = 4 * RATE - dropped
        dropped += reserve.note_level(level, 1000.0 + number * TICK_S)
    assert reserve.n_jumps == 1
    assert dropped == pytest.approx((4 - 0.3) * RATE, abs=100)


def test_a_burst_is_over_when_sound_comes_as_it_plays():
    reserve = Reserve(None, RATE)
    assert not reserve.is_burst_over(0, 10.0)
    assert not reserve.is_burst_over(RATE, 10.01)  # too early to say
    assert not reserve.is_burst_over(8 * RATE, 10.1)
    assert reserve.is_burst_over(8 * RATE + 4000, 10.2)


def test_a_buffer_gives_what_came_in_order_and_fades_where_it_does_not_join():
    buffer = SoundBuffer(RATE)
    ones = np.ones((1000, 2), np.float32)
    buffer.put(StreamBlock(ones, ((500, "a"),)))
    buffer.put(StreamBlock(ones, joins=False))
    first = buffer.take(700)
    assert buffer.take_titles() == [(500, "a")]
    rest = buffer.take(10_000)
    samples = np.concatenate([first, rest])
    assert len(samples) == 2000
    assert np.abs(np.diff(samples[:, 0])).max() <= 1 / 64 + 1e-6
    assert samples[999, 0] == 0.0
    assert len(buffer) == 0


def test_what_is_dropped_is_counted_its_last_title_stays_and_the_rest_fades_in():
    buffer = SoundBuffer(RATE)
    for number in range(10):
        buffer.put(StreamBlock(np.ones((1000, 2), np.float32), ((0, f"title {number}"),)))
    assert buffer.keep(1500) == 8500
    assert buffer.take_titles()[-1] == (8000, "title 8")
    samples = buffer.take(1500)
    assert samples[0, 0] < 0.02
    assert samples[100, 0] == 1.0
    assert (buffer.n_in, buffer.n_out, buffer.n_dropped) == (10_000, 10_000, 8500)
