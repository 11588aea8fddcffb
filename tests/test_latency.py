"""The latency: its arithmetic, the time it promises the worker, and an impulse through the real callback and worker."""

import math

import numpy as np
import pytest

from apollo_rt.config import Framing
from apollo_rt.inference.model import load
from apollo_rt.latency import FADE_LENGTH, LatencyReport, rebuffering_latency, step_budget
from tests.doubles import tiny_models
from tests.doubles.stepped import Stepped

HEADROOMS = (FADE_LENGTH, 100, 256, 256 + FADE_LENGTH, 1000)
EVERY_BLOCK_SIZE = range(1, 4097)
BLOCK_SIZES = (
    1,
    2,
    7,
    16,
    63,
    64,
    65,
    97,
    127,
    128,
    240,
    255,
    256,
    257,
    441,
    480,
    509,
    512,
    513,
    1021,
    1024,
    2048,
    4093,
    4096,
)


def first_callback_that_needs(x, block_size, hop_length, delay):
    """From first principles: callbacks play [P - D, P + B - D) and want a fade's length behind it in reserve.

    With algorithmic latency of two hops, the hop that ends with input x - 1 is what adds wet samples from x - 2H on.
    """
    first_wet = x - 2 * hop_length
    beyond = first_wet + delay - FADE_LENGTH - block_size  # P must be greater
    return (beyond // block_size + 1) * block_size


def lateness(block_size, hop_length, delay, step_time):
    """By how much each hop of a whole period of blocks and hops is done after the callback that needs it begins."""
    n_hops = 2 * block_size // math.gcd(block_size, hop_length) + 2
    index = np.arange(1, n_hops + 1)
    x = index * hop_length
    arrival = -(-x // block_size) * block_size - block_size
    done = np.maximum.accumulate(arrival - (index - 1) * step_time) + index * step_time
    return done - first_callback_that_needs(x, block_size, hop_length, delay)


@pytest.mark.parametrize("hop_length", [256, 160])
@pytest.mark.parametrize("headroom", HEADROOMS)
def test_no_hop_is_late_at_any_block_size_while_steps_keep_to_their_budget(headroom, hop_length):
    late = [
        block_size
        for block_size in EVERY_BLOCK_SIZE
        if lateness(
            block_size,
            hop_length,
            2 * hop_length + rebuffering_latency(block_size, hop_length) + headroom,
            step_budget(block_size, hop_length, headroom),
        ).max()
        > 0
    ]
    assert late == []


def test_one_sample_less_of_latency_would_break_the_promise():
    spared = [
        block_size
        for block_size in EVERY_BLOCK_SIZE
        if lateness(block_size, 256, 512 + rebuffering_latency(block_size, 256) + FADE_LENGTH - 1, 1).max() <= 0
    ]
    assert spared == []


@pytest.mark.parametrize("largest", [1, 2, 64, 255, 256, 257, 1000, 4096])
@pytest.mark.parametrize("headroom", HEADROOMS)
def test_no_hop_is_late_where_block_sizes_vary(headroom, largest):
    random = np.random.default_rng(largest + headroom)
    step_time = step_budget(largest, 256, headroom, varying=True)
    delay = 512 + rebuffering_latency(largest, 256, varying=True) + headroom
    sizes = np.where(random.random(20_000) < 0.5, random.integers(1, largest + 1, 20_000), largest)
    sizes[::3] = 1
    ends = np.cumsum(sizes)  # a block arrives when its last sample has been captured
    x = np.arange(1, ends[-1] // 256) * 256
    arrival = ends[np.searchsorted(ends, x)]
    index = np.arange(1, len(x) + 1)
    done = np.maximum.accumulate(arrival - (index - 1) * step_time) + index * step_time
    needs = np.searchsorted(ends + FADE_LENGTH - delay, x - 512, side="right")
    is_inside = needs < len(ends)
    assert is_inside.sum() > len(x) / 2
    assert (done[is_inside] <= ends[needs[is_inside]]).all()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load(tiny_models.identity(tmp_path_factory.mktemp("model"), Framing(hop_length=256, analysis_length=512)))


@pytest.mark.parametrize("bypass", [False, True], ids=["wet", "dry"])
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_an_impulse_comes_out_after_exactly_the_reported_latency(block_size, bypass, model):
    stream = Stepped(model, block_size, bypass=bypass)
    assert stream.delay == 512 + block_size - math.gcd(block_size, 256) + 320
    position = 1234
    samples = np.zeros((position + stream.delay + 2 * block_size + 600, 2), np.float32)
    samples[position] = 0.5, -0.25
    out = stream.play(samples, block_size)
    expected = np.zeros_like(samples)
    expected[position + stream.delay] = 0.5, -0.25
    np.testing.assert_allclose(out, expected, atol=0 if bypass else 1e-6)
    assert stream.stats["deadline_misses"] == 0
    assert stream.stats["hops"] > 5


def test_an_impulse_comes_out_after_exactly_the_reported_latency_where_block_sizes_vary(model):
    random = np.random.default_rng(3)
    stream = Stepped(model, 700, varying=True)
    assert stream.delay == 512 + 699 + 320
    samples = np.zeros((20_000, 2), np.float32)
    samples[7777] = 0.5
    out = stream.play(samples, iter(lambda: int(random.integers(1, 701)), None))
    assert np.flatnonzero(np.abs(out[:, 0]) > 0.1).tolist() == [7777 + stream.delay]
    assert stream.stats["deadline_misses"] == 0


def test_the_terms_of_the_report_sum_up_to_its_total():
    report = LatencyReport(44_100, 512, 192, 320, 0.01, 0.02)
    assert report.stream == 1024
    assert sum(term.seconds for term in report.terms()) == pytest.approx(report.total_s)
    assert [term.name for term in report.terms()] == [
        "device input",
        "algorithmic",
        "rebuffering",
        "headroom",
        "device output",
    ]
    assert report.total_ms == pytest.approx(1024 / 44.1 + 30)
    assert "device input 10.0 + algorithmic 11.6" in str(report)
    as_dict = report.to_dict()
    assert as_dict["algorithmic_samples"] == 512
    assert as_dict["device_output_ms"] == pytest.approx(20)
