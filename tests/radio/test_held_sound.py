"""Sound of another clock is held for a device, in virtual time: what is heard, not only what is counted."""

import gc
import tracemalloc

import numpy as np
import pytest

from apollo_rt.radio.held_sound import HeldSound
from apollo_rt.radio.reserve import MOST_S, Reserve
from apollo_rt.radio.sound_buffer import SoundBuffer, StreamBlock

RATE = 8000
"""Low, for half an hour to take seconds; what is taken at once is still short beside a page of a second."""

TICK_S = 0.04
TONE_HZ = 50
TONE = 0.5 * np.sin(2 * np.pi * TONE_HZ / RATE * np.arange(RATE // TONE_HZ)).astype(np.float32)
STEEPEST = 1.05 * 0.5 * 2 * np.pi * TONE_HZ / RATE


class Listener:
    """A device that plays by virtual time, and a sender whose clock is apart.

    Attributes:
        n_dry: ticks for which nothing was there.
        steepest: the greatest step between two samples that were heard.
        is_lost: the sender is away.
    """

    def __init__(self, waits: bool) -> None:
        self.buffer, self.reserve = SoundBuffer(round(2 * MOST_S * RATE)), Reserve(None, RATE)
        self.held = HeldSound(self.buffer, self.reserve, RATE, waits)
        self.n_dry, self.steepest, self.n_heard = 0, 0.0, 0
        self._queued, self._lump_s, self.is_lost = 0.0, 0.0, False
        self._last = np.zeros(1, np.float32)

    def send(self, n_samples: int) -> None:
        """A tone goes on: a sample that is missing or doubled is a step in it."""
        places = self.buffer.n_in + np.arange(n_samples)
        tone = TONE[places % len(TONE)]
        self.buffer.put(StreamBlock(np.stack([tone, tone], axis=1)))
        self._lump_s = max(self._lump_s, n_samples / RATE)

    def play(self, now_s: float) -> None:
        """Fill the queue as the feed's thread does, and play a tick's length of it."""
        while len(part := self.held.take(round(self._queued), self._lump_s, False, now_s, self.is_lost)):
            heard = np.concatenate([self._last, part[:, 0]])
            self.steepest = max(self.steepest, float(np.abs(np.diff(heard)).max()))
            self._last, self.n_heard = heard[-1:], self.n_heard + len(part)
            self._queued += len(part)
        if self.n_heard:
            self.n_dry += self._queued < TICK_S * RATE
            self._queued = max(self._queued - TICK_S * RATE, 0.0)


@pytest.mark.parametrize(("ppm", "waits"), [(200.0, False), (-200.0, True)])
def test_half_an_hour_of_a_sender_200_ppm_off_is_heard_whole_without_running_dry_in_the_same_memory(ppm, waits):
    listener, random = Listener(waits), np.random.default_rng(0)
    lump, due_s, corrections = RATE, 0.0, np.zeros(round(1800 / TICK_S))
    try:
        for number in range(len(corrections)):
            at_s = number * TICK_S
            if number == len(corrections) * 5 // 6:
                tracemalloc.start()
            while due_s <= at_s:
                listener.send(lump)
                due_s = listener.buffer.n_in / (RATE * (1 + ppm * 1e-6)) + random.uniform(0.0, 0.03)
            listener.play(1000.0 + at_s)
            corrections[number] = listener.reserve.correction
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 300_000, "what came in the last five minutes and is still there"
    finally:
        tracemalloc.stop()
    assert (listener.n_dry, listener.held.n_stalls, listener.reserve.n_jumps) == (0, 0, 0)
    assert listener.buffer.n_dropped <= lump  # before it began
    assert listener.steepest < STEEPEST
    assert 1e6 * np.mean(corrections[-round(600 / TICK_S) :]) == pytest.approx(ppm, abs=50)
    sent_s, heard_s = listener.buffer.n_in / RATE, listener.n_heard / RATE
    assert sent_s - heard_s == pytest.approx(1e-6 * ppm * 1800 + 1.35 - 0.5, abs=1.0)  # all but what is held back


def test_a_sender_that_waits_for_us_is_read_as_it_is_and_nothing_is_dropped():
    listener = Listener(waits=True)
    for number in range(round(60 / TICK_S)):
        while len(listener.buffer) < listener.buffer.most and number:
            listener.send(1024)
        if number:
            listener.buffer._has_waited = True  # as `put` does, which would wait for ever here
        else:
            listener.send(1024)
        listener.play(1000.0 + number * TICK_S)
        assert listener.reserve.correction == 0.0
    assert (listener.buffer.n_dropped, listener.n_dry, listener.reserve.n_jumps) == (0, 0, 0)
    assert listener.steepest < STEEPEST


def test_a_sender_who_pauses_is_waited_for_until_the_reserve_is_there_again():
    listener = Listener(waits=True)
    now_s = 1000.0

    def go_on(duration_s: float, sends: bool) -> None:
        nonlocal now_s
        for _ in range(round(duration_s / TICK_S)):
            if sends:
                listener.send(round(TICK_S * RATE))
            listener.play(now_s)
            now_s += TICK_S

    go_on(5.0, sends=True)
    before_s = listener.reserve.duration_s
    assert listener.n_dry == 0
    go_on(2.0, sends=False)
    assert listener.held.n_stalls == 1
    n_heard = listener.n_heard
    go_on(listener.reserve.duration_s - TICK_S, sends=True)
    assert listener.n_heard == n_heard, "not before the reserve is there"
    go_on(1.0, sends=True)
    assert listener.n_heard > n_heard
    assert listener.reserve.duration_s == pytest.approx(1.5 * before_s)
    assert listener.held.n_stalls == 1


@pytest.mark.parametrize("is_lost", [False, True])
def test_several_pages_that_come_at_once_are_outlasted_after_the_first_time(is_lost):
    listener = Listener(waits=False)
    page = round(0.3 * RATE)
    for number in range(round(30 / TICK_S)):
        at_s = number * TICK_S
        listener.is_lost = is_lost and 10.0 < at_s < 16.0
        if number == 0 or (number % 24 == 0 and not listener.is_lost):  # every 0.96 s
            for _ in range(1 if number == 0 else 3):
                listener.send(page)
            listener.send(round(0.06 * RATE))
        listener.play(1000.0 + at_s)
    assert listener.held.n_stalls == 1 + is_lost
    assert listener.reserve.duration_s == pytest.approx(1.25 * 0.96 + 0.1, abs=0.06)


def test_a_reserve_grows_where_it_was_too_short_and_not_where_its_sender_was_away():
    for is_lost in (False, True):
        reserve, buffer = Reserve(None, RATE), SoundBuffer(round(2 * MOST_S * RATE))
        held = HeldSound(buffer, reserve, RATE)
        buffer.put(StreamBlock(np.zeros((RATE // 2, 2), np.float32)))
        for number in range(20):
            held.take(0, 0.0, False, 1000.0 + 0.1 * number, is_lost=is_lost)
        assert not len(buffer)
        assert held.n_stalls >= 1
        assert (reserve.duration_s == 0.25) == is_lost
