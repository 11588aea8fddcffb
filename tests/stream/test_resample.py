"""The resampler with a ratio that varies: what it lets through, what it adds, and exactly when."""

import numpy as np
import pytest

from apollo_rt.stream.resample import (
    HELD_TO,
    half_length,
    make_resampler,
    n_needed,
    n_ready,
    position_of,
    pull,
    push,
    rewind,
    seek,
)
from tests.doubles.resampling import convert, fit, level_db, tone

RATES = [(44_100, 48_000), (48_000, 44_100), (44_100, 44_100), (192_000, 44_100), (44_100, 96_000), (16_000, 44_100)]
AWKWARD = [(1,), (255,), (256,), (257,), (1009,), (3, 700, 1, 64)]


@pytest.mark.parametrize("rates", [(44_100, 48_000), (48_000, 44_100), (44_100, 44_100), (192_000, 44_100)])
def test_up_to_18_khz_the_level_stays_within_a_tenth_of_a_db_and_nothing_is_added_above_minus_90_db(
    rates: tuple[int, int],
) -> None:
    ppm = 123.0
    for frequency_hz in (20, 1000, 5000, 10_000, 15_000, 18_000, 19_500):
        out = convert(tone(frequency_hz, rates[0], rates[0] // 4), rates, ppm=ppm)[1000:-1000]
        # With the step, the sine moves too: the same cycles in fewer output samples.
        level, rest = fit(out, frequency_hz * (1 + ppm * 1e-6), rates[1])
        assert level == pytest.approx(0.0, abs=0.05), frequency_hz
        assert rest < -100.0, frequency_hz


def test_what_the_lower_rate_cannot_hold_is_below_minus_90_db() -> None:
    for frequency_hz in (22_500, 23_000, 23_900):
        out = convert(tone(frequency_hz, 48_000, 12_000), (48_000, 44_100))[2000:-2000]
        assert level_db(out[:, 0]) < -90.0


@pytest.mark.parametrize("rates", RATES)
def test_the_delay_is_what_was_asked_for_to_a_thousandth_of_a_sample(rates: tuple[int, int]) -> None:
    delay = half_length(*rates) + 7.25
    n, frequency_hz = rates[0] // 8, 700.0
    out = convert(tone(frequency_hz, rates[0], n), rates, delay=delay)
    expected = tone(frequency_hz, rates[1], len(out), start_s=-delay / rates[0])
    settled = slice(len(out) // 4, len(out))
    slope = 2 * np.pi * frequency_hz / rates[0]
    assert np.abs(out - expected)[settled].max() < 1e-3 * slope + 1e-5


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("sizes", AWKWARD)
def test_blocks_of_any_size_give_the_same_samples(rates: tuple[int, int], sizes: tuple[int, ...]) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (3000, 2)).astype(np.float32)
    whole, parts = convert(samples, rates, (3000,)), convert(samples, rates, sizes)
    assert abs(len(whole) - len(parts)) <= 1
    n = min(len(whole), len(parts))
    assert np.abs(whole[:n] - parts[:n]).max() < 1e-5


def test_no_output_depends_on_input_behind_what_was_needed_for_it() -> None:
    resampler, other = (make_resampler(48_000, 44_100, 4096) for _ in range(2))
    for each in (resampler, other):
        rewind(each, half_length(48_000, 44_100))
    step = 48_000 / 44_100
    samples = np.random.default_rng(1).uniform(-1, 1, (2000, 2)).astype(np.float32)
    n = n_needed(resampler, 500, step)
    out = np.zeros((2, 500, 2), np.float32)
    push(resampler, samples[:n])
    assert n_needed(resampler, 500, step) == 0
    assert n_needed(resampler, 501, step) > 0 or n_ready(resampler, step) >= 501
    push(other, samples[:n])
    push(other, np.full((64, 2), np.nan, np.float32))
    pull(resampler, out[0], step)
    pull(other, out[1], step)
    assert np.array_equal(out[0], out[1])


@pytest.mark.parametrize("n", [0, 1, 255, 4096])
def test_what_is_needed_is_exactly_enough(n: int) -> None:
    for step in (48_000 / 44_100, 44_100 / 48_000, 1.0, 1.00321):
        resampler = make_resampler(44_100 * step, 44_100, 8192)
        rewind(resampler, 100.0)
        needed = n_needed(resampler, n, step)
        push(resampler, np.zeros((needed, 2), np.float32))
        assert n_needed(resampler, n, step) == 0
        assert n_ready(resampler, step) >= n
        if needed:
            resampler.places[HELD_TO] -= 1
            assert n_ready(resampler, step) < n


def test_rewound_equals_new() -> None:
    samples = np.random.default_rng(2).uniform(-1, 1, (1000, 2)).astype(np.float32)
    resampler, outs = make_resampler(44_100, 48_000, 1000), []
    for _ in range(2):
        rewind(resampler, 64.0)
        push(resampler, samples)
        outs.append(np.zeros((900, 2), np.float32))
        pull(resampler, outs[-1], 44_100 / 48_000)
    assert np.array_equal(*outs)


def test_after_a_seek_only_what_lies_around_the_new_position_is_heard() -> None:
    samples = np.arange(5000, dtype=np.float32)[:, None].repeat(2, axis=1) / 5000
    resampler = make_resampler(44_100, 44_100, 5000)
    push(resampler, np.full((300, 2), np.nan, np.float32))
    seek(resampler, 2500.25)
    begin = int(resampler.places[HELD_TO])
    assert begin == 2500 - 63
    push(resampler, samples[begin : begin + n_needed(resampler, 10, 1.0)])
    out = np.zeros((10, 2), np.float32)
    pull(resampler, out, 1.0)
    assert out[:, 0] * 5000 == pytest.approx(2500.25 + np.arange(10), abs=0.01)
    assert position_of(resampler) == 2510.25


def test_a_step_that_changes_does_not_click() -> None:
    """A second difference far beyond the sine's own would be a click."""
    resampler = make_resampler(44_100, 44_100, 512)
    rewind(resampler, 64.0)
    rng, out, position = np.random.default_rng(3), [], 0
    samples = tone(997.0, 44_100, 60_000)
    for _ in range(100):
        step = 1 + rng.uniform(-0.005, 0.005)
        n = n_needed(resampler, 256, step)
        push(resampler, samples[position : position + n])
        position += n
        out.append(np.zeros((256, 2), np.float32))
        pull(resampler, out[-1], step)
    bend = np.abs(np.diff(np.concatenate(out)[500:, 0].astype(np.float64), n=2)).max()
    speed = 2 * np.pi * 997.0 / 44_100
    # Where the step jumps by a percent, so does the slope, by a percent of it.
    assert bend < (1.005 * speed) ** 2 + 0.011 * speed


def test_equal_rates_of_one_clock_pass_bit_for_bit_a_sample_late() -> None:
    samples = np.random.default_rng(4).uniform(-1, 1, (777, 2)).astype(np.float32)
    out = convert(samples, (44_100, 44_100), (100,), is_steered=False)
    assert half_length(44_100, 44_100, is_steered=False) == 1
    assert np.array_equal(out[1:], samples[: len(out) - 1])
