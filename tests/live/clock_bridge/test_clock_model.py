"""The line through the least late calls of a device."""

import numpy as np
import pytest

from apollo_rt.live.clock_bridge.clock_model import (
    STEP_S,
    is_found,
    make_clock_model,
    note_call,
    sample_at,
    time_of,
)

RATE, BLOCK = 44_100.0, 256


class Calls:
    """A device whose calls a test makes late."""

    def __init__(self, ppm: float = 0.0, begin_s: float = 1000.0) -> None:
        self.clock, self.ppm = make_clock_model(RATE), ppm
        self.n, self.due_s = 0, begin_s
        self.random = np.random.default_rng(0)
        self.last_s = 0.0

    def go_on(self, seconds: float, late_s: float = 0.0001, burst: int = 1) -> list[bool]:
        """Evenly late up to so much, in bursts; which calls found another line."""
        moved, end_s = [], self.due_s + seconds
        while self.due_s < end_s:
            for number in range(burst):
                period_s = BLOCK / RATE / (1 + self.ppm * 1e-6)
                waiting_s = (burst - 1 - number) * period_s
                now_s = max(self.due_s + waiting_s + late_s * self.random.uniform(), self.last_s)
                moved.append(note_call(self.clock, self.n, now_s))
                self.n, self.due_s, self.last_s = self.n + BLOCK, self.due_s + period_s, now_s
        return moved

    def error_samples(self) -> float:
        return (time_of(self.clock, self.n) - self.due_s) * RATE


@pytest.mark.parametrize("ppm", [-200.0, 0.0, 50.0, 200.0])
@pytest.mark.parametrize(("burst", "most"), [(1, 0.5), (2, 1.5), (5, 4.0)])
def test_a_clock_is_known_to_what_the_least_late_of_its_calls_are_late(ppm: float, burst: int, most: float) -> None:
    """By up to 4.4 samples; in a burst none comes before the one ahead of it."""
    calls = Calls(ppm)
    calls.go_on(15.0, burst=burst)
    for _ in range(20):
        assert not any(calls.go_on(1.0, burst=burst))
        assert calls.error_samples() == pytest.approx(0.0, abs=most)


def test_time_and_sample_are_one_line() -> None:
    calls = Calls(120.0)
    calls.go_on(10.0)
    assert sample_at(calls.clock, time_of(calls.clock, 12_345.0)) == pytest.approx(12_345.0, abs=1e-3)


def test_some_calls_that_come_forty_milliseconds_late_move_nothing() -> None:
    calls = Calls(80.0)
    calls.go_on(15.0)
    for _ in range(20):
        assert not any(calls.go_on(0.1, late_s=0.04) + calls.go_on(0.5))
        assert calls.error_samples() == pytest.approx(0.0, abs=0.5)


def test_one_window_that_is_late_as_a_whole_is_a_busy_machine_and_two_as_late_are_another_line() -> None:
    calls = Calls()
    calls.go_on(10.0)
    calls.due_s += 0.004
    assert not any(calls.go_on(0.3))
    assert calls.error_samples() == pytest.approx(-0.004 * RATE, abs=1.0)
    assert calls.go_on(0.6).count(True) == 1
    assert calls.error_samples() == pytest.approx(0.0, abs=1.0)


def test_a_call_that_comes_early_shows_the_line_at_once() -> None:
    calls = Calls()
    calls.go_on(10.0)
    calls.due_s -= 2 * STEP_S
    assert calls.go_on(0.01)[0]
    assert calls.error_samples() == pytest.approx(0.0, abs=5.0)


@pytest.mark.parametrize("gap_s", [0.3, 600.0])
def test_after_a_gap_the_line_is_found_anew_and_the_speed_is_still_known(gap_s: float) -> None:
    calls = Calls(150.0)
    calls.go_on(20.0)
    calls.due_s += gap_s
    calls.go_on(0.01)
    assert not is_found(calls.clock)
    assert calls.go_on(0.5).count(True) == 1
    assert calls.error_samples() == pytest.approx(0.0, abs=1.0)
    calls.go_on(2.0)
    assert (time_of(calls.clock, RATE) - time_of(calls.clock, 0.0) - 1.0) * 1e6 == pytest.approx(-150.0, abs=5.0)
