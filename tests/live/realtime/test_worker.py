"""The worker: on time, late, broken, and without the C library; the latency never moves and nothing steps."""

import threading
import time

import numpy as np
import pytest

from apollo_rt.inference.model import load
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.realtime.worker import MAX_HOPS_BEHIND, run, run_in_python
from tests.doubles import tiny_models
from tests.doubles.sounds import sine
from tests.doubles.stepped import Stepped

FRAMING = tiny_models.MEDIUM
RATE = 44_100
LEVEL, FREQUENCY_HZ = 0.5, 440.0
STEEPEST = 2 * np.pi * FREQUENCY_HZ / RATE * LEVEL
"""What a sine moves by from one sample to the next, at most."""


def play_with_a_break(stream, samples, start, n_hops):
    """The worker stands still for so many hops from sample `start` on."""
    out = [stream.play(samples[:start])]
    end = start + n_hops * 256
    out += [stream.call(samples[position : position + 256]) for position in range(start, end, 256)]
    out.append(stream.play(samples[end:]))
    return np.concatenate(out)


def wet_share(out, samples, delay):
    """Per sample how much of it is wet: 1 if only wet, 0 if only dry (where the sine is not near zero)."""
    dry = np.concatenate([np.zeros((delay, 2)), samples])[: len(samples)]
    share = np.full(len(out), np.nan)
    is_loud = np.abs(dry[:, 0]) > 0.05
    share[is_loud] = (1 - out[is_loud, 0] / dry[is_loud, 0]) * 2
    return share


@pytest.mark.parametrize(
    ("n_hops", "n_misses", "n_jumps"), [(1, 0, 0), (2, 1, 0), (5, 4, 0), (11, 10, 1), (345, 344, 1)]
)
def test_a_worker_that_stands_still_is_covered_counted_and_recovers_and_the_latency_stays(
    halved, n_hops, n_misses, n_jumps
):
    stream = Stepped(halved, 256, headroom=256 + FADE_LENGTH)
    start = 20 * 256
    samples = sine(start + (n_hops + 40) * 256)
    out = play_with_a_break(stream, samples, start, n_hops)
    share = wet_share(out, samples, stream.delay)
    assert np.nanmax(np.abs(np.where(share > 0.5, share - 1, share)[:start])) < 1e-3  # wet at the beginning
    gap_end = start + (n_hops + 4) * 256
    np.testing.assert_allclose(share[gap_end:][~np.isnan(share[gap_end:])], 1, atol=1e-3)  # and again at the end
    assert np.nanmin(share) > -1e-3
    assert np.nanmax(share) < 1 + 1e-3
    stats = stream.stats
    assert stats["jumps"] == n_jumps
    assert n_misses <= stats["deadline_misses"] <= n_misses + 2 * n_jumps
    assert (stats["covered_samples"] > 0) == (n_misses > 0)
    assert np.nanmin(share) == pytest.approx(0 if n_misses > 0 else 1, abs=1e-3)


def test_a_hop_for_which_a_fade_has_begun_is_a_miss_even_if_it_comes_before_the_fade_ends(halved):
    stream = Stepped(halved, 256, headroom=256 + FADE_LENGTH // 2)
    samples = sine(60 * 256)
    out = play_with_a_break(stream, samples, 20 * 256, 1)
    assert stream.stats["deadline_misses"] == 1
    assert 0 < stream.stats["covered_samples"] < FADE_LENGTH
    share = wet_share(out, samples, stream.delay)
    assert 0.4 < np.nanmin(share) < 0.7


@pytest.mark.parametrize("n_hops", [2, 5, 11, 345])
@pytest.mark.parametrize("block_size", [64, 256, 441, 1024])
def test_a_miss_never_steps(halved, block_size, n_hops):
    stream = Stepped(halved, block_size)
    samples = sine(30_000 + n_hops * 256)
    out = [stream.play(samples[:10_000], block_size)]
    position = 10_000
    while position < 10_000 + n_hops * 256:
        out.append(stream.call(samples[position : position + block_size]))
        position += block_size
    out.append(stream.play(samples[position:], block_size))
    out = np.concatenate(out)
    assert stream.stats["deadline_misses"] > 0
    fade_slope = LEVEL * 0.5 / FADE_LENGTH
    assert np.abs(np.diff(out, axis=0)).max() <= (STEEPEST + fade_slope) * 1.01


def test_a_worker_late_by_more_than_its_limit_jumps_to_the_newest_hop(halved):
    stream = Stepped(halved, 256)
    samples = sine(100 * 256)
    stream.play(samples[: 10 * 256])
    for hop in range(10, 60):
        stream.call(samples[hop * 256 : (hop + 1) * 256])
    stream.work()
    assert stream.shared.control.consumed == 60 * 256
    assert stream.stats["skipped_hops"] == 49
    assert stream.stats["hops"] == 10 + 1


def test_a_worker_within_its_limit_works_off_every_hop(halved):
    stream = Stepped(halved, 256)
    samples = sine(100 * 256)
    stream.play(samples[: 10 * 256])
    n_played_ahead = stream.delay // 256 - 1  # hops that aren't late yet
    for hop in range(10, 10 + MAX_HOPS_BEHIND + n_played_ahead):
        stream.call(samples[hop * 256 : (hop + 1) * 256])
    stream.work()
    assert stream.stats["jumps"] == 0
    assert stream.stats["hops"] == 10 + MAX_HOPS_BEHIND + n_played_ahead


def test_after_a_jump_the_processor_starts_afresh(tmp_path):
    model = load(tiny_models.delay_one_frame(tmp_path, FRAMING))
    stream = Stepped(model, 256)
    samples = np.zeros((100 * 256, 2), np.float32)
    samples[10 * 256 : 11 * 256] = 0.5  # the last hop before the break: it waits in the model's state
    stream.play(samples[: 11 * 256])
    for hop in range(11, 60):
        stream.call(samples[hop * 256 : (hop + 1) * 256])
    stream.work()
    out = stream.play(samples[60 * 256 :])
    np.testing.assert_array_equal(out, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_model_that_returns_nonsense_is_covered_by_dry_and_counted(tmp_path, value):
    stream = Stepped(load(tiny_models.faulty(tmp_path, value, 0.3, FRAMING)), 256)
    random = np.random.default_rng(2)
    samples = random.uniform(-0.1, 0.1, (200 * 256, 2)).astype(np.float32)
    samples[50 * 256 : 60 * 256] = 0.6
    out = stream.play(samples)
    expected = np.concatenate([np.zeros((stream.delay, 2)), samples])[: len(samples)]
    np.testing.assert_allclose(out, expected, atol=1e-5)
    assert 8 <= stream.stats["frame_faults"] <= 13
    assert stream.stats["deadline_misses"] == 0
    assert stream.stats["faulty_samples"] == 0


def test_the_loop_without_the_interpreter_and_the_one_in_python_do_the_same(tmp_path):
    path = tiny_models.busy(tmp_path, FRAMING)
    random = np.random.default_rng(4)
    samples = random.uniform(-0.5, 0.5, (60 * 256, 2)).astype(np.float32)
    outputs = []
    for backend, loop in (("c_api", run), ("python", run_in_python)):
        stream = Stepped(load(path, backend), 256)
        processors = stream.table if loop is run else stream.processors
        thread = threading.Thread(target=loop, args=(stream.shared, processors, stream.tiers, 50_000, 1))
        thread.start()
        out = []
        for position in range(0, len(samples), 256):
            out.append(stream.call(samples[position : position + 256]))
            while stream.shared.control.consumed < position + 256:
                time.sleep(1e-4)
        stream.shared.control.stop = 1
        thread.join()
        outputs.append(np.concatenate(out))
        assert stream.stats["deadline_misses"] == 0
        assert stream.stats["hops"] == stream.stats["step_ms"].count == 60
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-6)
    assert np.abs(outputs[0]).max() > 0.1
