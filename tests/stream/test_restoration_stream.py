"""Blocks of any size: streaming equals offline, at a latency that never moves."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apollo_rt.config import Framing
from apollo_rt.inference import model
from apollo_rt.stream.restoration_stream import RestorationStream
from tests.doubles import tiny_models
from tests.doubles.sounds import gaussian_noise
from tests.doubles.tiny_models import BACKENDS, SMALL

H = SMALL.hop_length
N_SAMPLES = 23 * H + 17
# From 1 to 4096 with primes and the neighbours of powers of two among them.
BLOCK_SIZES = [1, 2, 3, 7, 31, 63, 64, 65, 127, 128, 251, 255, 256, 257, 480, 509, 512, 1021, 1024, 2039, 4093, 4096]


def music(n_samples: int = N_SAMPLES, seed: int = 0) -> np.ndarray:
    return gaussian_noise(n_samples, seed=seed)


def push(stream: RestorationStream, samples: np.ndarray, sizes: list[int]) -> np.ndarray:
    """The stream's output for blocks of these sizes, the last of them repeated to the end."""
    done, out = 0, []
    while done < len(samples):
        size = sizes[min(len(out), len(sizes) - 1)]
        out.append(stream.process(samples[done : done + size]))
        assert len(out[-1]) == min(size, len(samples) - done)
        done += size
    return np.concatenate(out)


@pytest.fixture(scope="module", params=BACKENDS)
def stream(tmp_path_factory, request):
    return RestorationStream(model.load(tiny_models.busy(tmp_path_factory.mktemp("model")), request.param))


@pytest.fixture(scope="module")
def offline(stream):
    """All samples at once, from a fresh state."""
    stream.reset()
    return stream.process(music())


@pytest.mark.parametrize("size", [1, H - 1, H, H + 1, 101, N_SAMPLES], ids=lambda size: f"block {size}")
def test_streaming_equals_offline_at_awkward_sizes(stream, offline, size):
    stream.reset()
    assert np.array_equal(push(stream, music(), [size]), offline)
    assert np.abs(offline).max() > 1e-3


@settings(derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 3 * H), min_size=1, max_size=60))
def test_streaming_equals_offline_for_any_partition(stream, offline, sizes):
    stream.reset()
    assert np.array_equal(push(stream, music(), sizes), offline)


def test_streaming_equals_the_processor_hop_by_hop(stream, offline):
    stream.processor.reset()
    hops = [stream.processor.process(hop) for hop in music()[: 23 * H].reshape(-1, H, 2)]
    assert np.array_equal(np.concatenate(hops)[: 22 * H], offline[H : 23 * H])


def test_both_back_ends_stream_the_same(tmp_path):
    path = tiny_models.busy(tmp_path)
    outputs = [push(RestorationStream(model.load(path, backend)), music(), [97]) for backend in BACKENDS]
    assert np.array_equal(*outputs)


def test_the_output_knows_nothing_of_later_input(stream, offline):
    changed = music()
    changed[700:] = music(seed=1)[700:]
    stream.reset()
    out = push(stream, changed, [53])
    assert np.array_equal(out[:700], offline[:700])
    assert not np.array_equal(out, offline)


def test_reset_equals_new(stream, offline):
    stream.reset()
    push(stream, music(777, seed=3), [50])  # ends in the middle of a hop
    stream.reset()
    assert np.array_equal(stream.process(music()), offline)
    fresh = RestorationStream(stream.processor.model)
    assert np.array_equal(fresh.process(music()), offline)


@pytest.mark.parametrize("framing", [SMALL, Framing(), Framing(hop_length=100, analysis_length=1022)], ids=str)
def test_an_impulse_comes_out_after_exactly_the_latency_at_every_block_size(tmp_path, framing):
    stream = RestorationStream(model.load(tiny_models.identity(tmp_path, framing)))
    assert stream.latency_samples == framing.algorithmic_latency == 2 * framing.hop_length
    for size in BLOCK_SIZES:
        for position in (0, 1, framing.hop_length - 1, framing.hop_length, 1777):
            samples = np.zeros((3000, 2), np.float32)
            samples[position] = 0.7, -0.3
            stream.reset()
            out = push(stream, samples, [size])
            assert np.argmax(np.abs(out), axis=0).tolist() == [position + stream.latency_samples] * 2
            np.testing.assert_allclose(out[position + stream.latency_samples], [0.7, -0.3], atol=1e-6)
            out[position + stream.latency_samples] = 0
            assert np.abs(out).max() < 1e-6


def test_an_impulse_through_a_model_with_lookahead_comes_out_after_exactly_its_latency(tmp_path):
    framing = Framing(hop_length=64, analysis_length=256, lookahead_frames=1)
    stream = RestorationStream(model.load(tiny_models.delay_one_frame(tmp_path, framing)))
    assert stream.latency_samples == 3 * 64
    samples = np.zeros((1000, 2), np.float32)
    samples[333] = 0.5
    assert np.argmax(np.abs(push(stream, samples, [13])), axis=0).tolist() == [333 + 3 * 64] * 2


def test_the_identity_model_leaves_nothing_but_the_delay(tmp_path):
    stream = RestorationStream(model.load(tiny_models.identity(tmp_path)))
    samples = music(5000)
    out = push(stream, samples, [1, 17, 1000, 3])
    null = out[stream.latency_samples :] - samples[: -stream.latency_samples]
    assert np.abs(null).max() < 1e-6
    assert np.abs(out[: stream.latency_samples]).max() < 1e-6


def test_an_empty_block_gives_an_empty_block(stream):
    assert stream.process(np.zeros((0, 2), np.float32)).shape == (0, 2)


def test_the_output_is_an_array_of_its_own(stream):
    first = stream.process(music(H))
    kept = first.copy()
    stream.process(music(5 * H, seed=4))
    assert np.array_equal(first, kept)


def test_any_memory_layout_and_number_type_is_taken(stream, offline):
    read_only = music()
    read_only.flags.writeable = False
    for other in (music().astype(np.float64), np.asfortranarray(music()), read_only, music().tolist()):
        stream.reset()
        out = stream.process(other)
        assert out.dtype == np.float32
        assert np.array_equal(out, offline)


@pytest.mark.parametrize("shape", [(10,), (10, 1), (2, 10), (10, 2, 1)])
def test_samples_of_another_shape_are_refused(stream, shape):
    with pytest.raises(ValueError, match=r"samples must have the shape \(samples, 2\), got"):
        stream.process(np.zeros(shape, np.float32))


def test_a_second_process_restores_a_stream_without_the_compiler(tmp_path):
    code = (
        "import sys, numpy; from apollo_rt.inference import model; from apollo_rt.stream import restoration_stream; "
        "stream = restoration_stream.RestorationStream(model.load(sys.argv[1])); "
        "print(len(stream.process(numpy.zeros((1000, 2)))), {'numba', 'llvmlite', 'scipy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(tiny_models.busy(tmp_path))]
    answers = [subprocess.check_output(command, text=True).strip() for _ in range(2)]
    assert answers[1] == "1000 set()"
