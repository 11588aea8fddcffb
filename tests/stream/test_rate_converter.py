"""Conversion between two sample rates: exact length, aligned, and the same in any blocks."""

import numpy as np
import pytest

from apollo_rt.stream.rate_converter import RateConverter
from tests.doubles.sound_files import tone

PAIRS = [(48_000, 44_100), (44_100, 48_000), (8000, 44_100), (44_100, 8000), (44_099, 44_100), (44_100, 44_100)]


def converted(samples, in_rate, out_rate, sizes=(10**9,), quality="VHQ"):
    converter = RateConverter(in_rate, out_rate, samples.shape[1], quality)
    blocks, start = [], 0
    for size in sizes:
        blocks.append(converter.convert(samples[start : start + size]))
        start += size
    blocks.append(converter.convert(samples[start:], last=True))
    return np.concatenate(blocks)


@pytest.mark.parametrize(("in_rate", "out_rate"), PAIRS)
@pytest.mark.parametrize("n_samples", [0, 1, 2, 1000, 44_101])
def test_the_length_is_rounded_up_so_that_nothing_is_lost_on_the_way_back(in_rate, out_rate, n_samples):
    there = converted(tone(n_samples, in_rate), in_rate, out_rate)
    assert len(there) == -(-n_samples * out_rate // in_rate)
    assert len(converted(there, out_rate, in_rate)) >= n_samples


@pytest.mark.parametrize(("in_rate", "out_rate"), PAIRS)
@pytest.mark.parametrize("quality", ["HQ", "VHQ"])
def test_a_tone_is_the_same_tone_at_the_other_rate(in_rate, out_rate, quality):
    out = converted(tone(in_rate, in_rate), in_rate, out_rate, quality=quality)
    edge = out_rate // 10
    assert np.abs(out - tone(len(out), out_rate))[edge:-edge].max() < 1e-5


@pytest.mark.parametrize(("in_rate", "out_rate"), PAIRS)
def test_the_sizes_of_the_blocks_make_no_difference(in_rate, out_rate):
    samples = np.random.default_rng(0).uniform(-1, 1, (9001, 2)).astype(np.float32)
    whole = converted(samples, in_rate, out_rate)
    for sizes in ([1, 0, 2, 255, 4096], [1] * 500, np.random.default_rng(1).integers(0, 900, 12)):
        np.testing.assert_array_equal(converted(samples, in_rate, out_rate, sizes), whole)
