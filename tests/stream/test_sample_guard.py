"""The sample guard: what is no audio becomes silence, what is too loud is held, everything else passes bit for bit."""

import numpy as np
import pytest

from apollo_rt.stream.sample_guard import guard_output, replace_faults


def test_what_is_no_audio_becomes_silence_and_the_stretch_that_holds_it_is_told():
    block = np.array([[0.3, 1e6], [np.nan, 0.5], [np.inf, -np.inf], [0.1, 0.2], [-1.1e6, 0.7], [3.0, 0]], np.float32)
    assert replace_faults(block) == (4, 1, 5)
    wanted = np.array([[0.3, 1e6], [0, 0.5], [0, 0], [0.1, 0.2], [0, 0.7], [3.0, 0]], np.float32)
    np.testing.assert_array_equal(block, wanted)


def test_a_block_of_audio_has_no_faults_and_passes_bit_for_bit():
    block = np.random.default_rng(0).uniform(-1, 1, (1000, 2)).astype(np.float32)
    before = block.copy()
    assert replace_faults(block) == (0, 0, 0)
    assert guard_output(block) == (0, 0)
    np.testing.assert_array_equal(block, before)


def test_samples_beyond_full_scale_are_held_there_and_counted_once_for_both_channels():
    block = np.array([[1.5, -2.0], [1.0, -1.0], [0.0, 1e5]], np.float32)
    assert guard_output(block) == (0, 2)
    np.testing.assert_array_equal(block, np.array([[1, -1], [1, -1], [0, 1]], np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_at_the_output_what_is_no_audio_is_silence_and_does_not_count_as_clipped(value):
    block = np.array([[value, 0.5], [0.2, value], [value, 2.0]], np.float32)
    assert guard_output(block) == (3, 1)
    np.testing.assert_array_equal(block, np.array([[0, 0.5], [0.2, 0], [0, 1]], np.float32))
