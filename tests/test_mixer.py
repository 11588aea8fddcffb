"""The mixer: one gain, never a step, and signals that pass bit for bit where nothing is mixed."""

import numpy as np
import pytest

from apollo_rt.latency import FADE_LENGTH
from apollo_rt.stream import mixer

ENOUGH = 10**6


@pytest.fixture
def signals():
    random = np.random.default_rng(5)
    return [random.uniform(-1, 1, (300, 2)).astype(np.float32) for _ in range(2)]


def fade(n_samples, n_wet, target, gain):
    """Gain per sample, seen on a wet signal of ones over silence."""
    dry, wet = np.zeros((n_samples, 2), np.float32), np.ones((n_samples, 2), np.float32)
    out = np.empty_like(dry)
    _, n_covered = mixer.crossfade(dry, wet, n_wet, target, gain, out)
    np.testing.assert_array_equal(out[:, 0], out[:, 1])
    return out[:, 0], n_covered


@pytest.mark.parametrize(("target", "which"), [(0.0, 0), (1.0, 1)])
def test_at_either_end_a_signal_passes_bit_for_bit(signals, target, which):
    out = np.empty_like(signals[0])
    mixer.crossfade(signals[0], signals[1], ENOUGH, target, target, out)
    np.testing.assert_array_equal(out, signals[which])


def test_mix_is_linear_in_amplitude(signals):
    out = np.empty_like(signals[0])
    mixer.crossfade(signals[0], signals[1], ENOUGH, 0.25, 0.25, out)
    np.testing.assert_allclose(out, 0.75 * signals[0] + 0.25 * signals[1], atol=1e-7)


def test_a_signal_faded_against_itself_stays_as_it_is(signals):
    out = np.empty_like(signals[0])
    mixer.crossfade(signals[0], signals[0].copy(), ENOUGH, 0.0, 1.0, out)
    np.testing.assert_allclose(out, signals[0], atol=1e-7)


@pytest.mark.parametrize(("gain", "target"), [(0.0, 1.0), (1.0, 0.0), (0.3, 0.8), (1.0, 0.97)])
def test_the_gain_moves_to_its_target_by_one_fade_and_stays(gain, target):
    gains, n_covered = fade(200, ENOUGH, target, gain)
    steps = np.abs(np.diff(np.concatenate([[gain], gains])))
    assert steps.max() <= 1 / FADE_LENGTH + 1e-6
    assert np.count_nonzero(steps > 1e-6) == np.ceil(abs(target - gain) * FADE_LENGTH)
    np.testing.assert_allclose(gains[-1], target, atol=1e-7)
    assert n_covered == 0


def test_the_fade_ends_exactly_where_the_wet_signal_does():
    gains, n_covered = fade(200, 150, 1.0, 1.0)
    np.testing.assert_allclose(gains[: 150 - FADE_LENGTH + 1], 1)
    np.testing.assert_allclose(gains[150 - FADE_LENGTH : 150], np.arange(FADE_LENGTH, 0, -1) / FADE_LENGTH)
    np.testing.assert_array_equal(gains[150:], 0)
    assert n_covered == 200 - 150 + FADE_LENGTH - 1


def test_where_no_wet_signal_is_it_is_not_even_read():
    dry = np.ones((10, 2), np.float32)
    out = np.empty_like(dry)
    mixer.crossfade(dry, np.full_like(dry, np.nan), 0, 1.0, 0.0, out)
    np.testing.assert_array_equal(out, dry)


def test_missing_wet_samples_are_no_concern_of_a_listener_to_the_bypass():
    assert fade(100, 0, 0.0, 0.0)[1] == 0


def test_what_is_not_finite_becomes_silence_and_is_counted():
    block = np.array([[np.nan, 0.5], [np.inf, -np.inf], [0.1, 0.2]], np.float32)
    assert mixer.replace_faults(block)[0] == 3
    np.testing.assert_array_equal(block, np.array([[0, 0.5], [0, 0], [0.1, 0.2]], np.float32))


def test_samples_beyond_full_scale_are_held_there_and_counted_once_for_both_channels():
    block = np.array([[1.5, -2.0], [1.0, -1.0], [0.0, 1e30]], np.float32)
    assert mixer.clip(block) == 2
    np.testing.assert_array_equal(block, np.array([[1, -1], [1, -1], [0, 1]], np.float32))
