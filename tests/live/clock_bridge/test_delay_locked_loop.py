"""The delay-locked loop alone, over a ring that is a number."""

import numpy as np
import pytest

from apollo_rt.live.clock_bridge.delay_locked_loop import MAX_CORRECTION, DelayLockedLoop, make_loop, relock, steer

RATE, PERIOD_S = 44_100.0, 256 / 44_100
FAR = 441.0


def follow(
    loop: DelayLockedLoop, seconds: float, ppm: float = 0.0, error: float = 0.0, noise: float = 0.0
) -> np.ndarray:
    """Let a ring's fill follow from what the loop does; the error after each poll."""
    rng, errors = np.random.default_rng(0), []
    for _ in range(round(seconds / PERIOD_S)):
        error += (ppm * 1e-6 - loop.correction) * RATE * PERIOD_S
        steer(loop, error + noise * rng.uniform(-1, 1), PERIOD_S, RATE)
        errors.append(error)
    return np.array(errors)


@pytest.mark.parametrize("ppm", [-200.0, -50.0, 50.0, 200.0, 1000.0])
def test_it_learns_how_far_the_clocks_are_apart_and_leaves_no_error(ppm: float) -> None:
    loop = make_loop(FAR)
    errors = follow(loop, 30.0, ppm)
    assert np.abs(errors[round(15 / PERIOD_S) :]).max() < 1.0
    assert loop.correction * 1e6 == pytest.approx(ppm, abs=1.0)


def test_a_fill_above_its_target_is_read_faster_and_one_below_slower() -> None:
    for error, sign in ((100.0, 1), (-100.0, -1)):
        loop = make_loop(FAR)
        follow(loop, 0.5, error=error)
        assert np.sign(loop.correction) == sign


def test_noise_is_kept_out_the_better_the_longer_it_runs() -> None:
    errors = follow(make_loop(FAR), 120.0, noise=20.0)
    early, late = errors[: round(8 / PERIOD_S)].std(), errors[round(30 / PERIOD_S) :].std()
    assert late < 0.7 * early
    assert late < 20.0 / 3**0.5 / 20


def test_an_error_that_is_no_noise_widens_the_loop_again() -> None:
    loop = make_loop(FAR)
    follow(loop, 40.0)
    after = follow(loop, 15.0, error=60.0)
    slow = 60.0 * np.exp(-np.arange(len(after)) * PERIOD_S * 2 * np.pi * 0.02)
    assert abs(after[-1]) < 1.0
    assert np.abs(after).sum() < np.abs(slow).sum()


def test_the_correction_never_passes_half_a_percent_and_does_not_wind_up() -> None:
    loop = make_loop(1e9)
    for _ in range(20_000):
        steer(loop, 1e5, PERIOD_S, RATE)
        assert abs(loop.correction) <= MAX_CORRECTION
    follow(loop, 60.0, error=0.0)
    assert abs(loop.correction) < 1e-4


def test_a_callback_that_comes_late_does_not_steer() -> None:
    loop = make_loop(FAR)
    follow(loop, 20.2, ppm=100.0)
    before = loop.correction
    assert steer(loop, 5 * FAR, PERIOD_S, RATE)
    assert loop.correction == before


@pytest.mark.parametrize("error", [1.1 * FAR, -1.1 * FAR, 20 * FAR])
def test_an_error_that_stays_far_for_a_second_asks_for_a_jump(error: float) -> None:
    loop = make_loop(FAR)
    has_moved = [steer(loop, error, PERIOD_S, RATE) for _ in range(400)]
    assert has_moved.index(False) == pytest.approx(1.0 / PERIOD_S, abs=2)
    assert all(steer(make_loop(FAR), 0.9 * FAR, PERIOD_S, RATE) for _ in range(400))


def test_after_a_jump_it_still_knows_how_far_the_clocks_are_apart() -> None:
    loop = make_loop(FAR)
    follow(loop, 30.0, ppm=150.0)
    relock(loop)
    assert loop.correction * 1e6 == pytest.approx(150.0, abs=3.0)
    assert np.abs(follow(loop, 20.0, ppm=150.0)).max() < 1.0
