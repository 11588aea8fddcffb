"""Files in blocks: what the stream gives, whatever the model spoils, and with one or several threads."""

import numpy as np
import pytest

from apollo_rt.control.parameters import Parameters
from apollo_rt.errors import ModelFileError
from apollo_rt.inference.model import load
from apollo_rt.inference.model_file import default_model_path, read_card
from apollo_rt.stream.batch_stream import open_batch_stream
from apollo_rt.stream.restoration_stream import RestorationStream
from tests.doubles import tiny_models
from tests.doubles.sound_files import tone
from tests.doubles.sounds import noise
from tests.doubles.tiny_models import BACKENDS


def aligned(stream, samples, sizes=(10_000,)):
    """The whole signal through a stream in pieces, less its latency."""
    padded = np.concatenate((samples, np.zeros((stream.latency_samples, 2), np.float32)))
    out, position = [], 0
    while position < len(padded):
        size = sizes[len(out) % len(sizes)]
        out.append(stream.process(padded[position : position + size]))
        position += size
    return np.concatenate(out)[stream.latency_samples :]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes", [(1, 63, 64, 65, 997), (256,), (100_000,)])
def test_blocks_give_what_the_stream_gives_at_any_sizes(tmp_path, backend, sizes):
    """A model with a state and a carrier: whatever is out of step shows."""
    model = load(tiny_models.in_batches(tiny_models.busy(tmp_path)), backend)
    samples = noise(5000, 0.3)
    fast = aligned(open_batch_stream(model), samples, sizes)
    np.testing.assert_allclose(fast, aligned(RestorationStream(model), samples), atol=1e-5)


def test_it_is_the_block_graph_that_serves(tmp_path):
    model = load(tiny_models.in_batches(tiny_models.identity(tmp_path), spoilt=True))
    samples = noise(3000, 0.3)
    np.testing.assert_allclose(aligned(open_batch_stream(model), samples), 2 * samples, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_block_that_the_model_spoils_is_done_again_hop_by_hop(tmp_path, backend):
    model = load(tiny_models.in_batches(tiny_models.faulty(tmp_path, level=0.1)), backend)
    samples = np.concatenate((noise(2000, 0.05), np.full((1500, 2), 0.5, np.float32), noise(2000, 0.05)))
    fast, slow = open_batch_stream(model), RestorationStream(model)
    np.testing.assert_allclose(aligned(fast, samples), aligned(slow, samples), atol=1e-6)
    assert fast.processor.frame_faults == slow.processor.frame_faults > 10


def test_a_step_that_fails_inside_onnx_runtime_is_covered_in_batches_too(tmp_path):
    model = load(tiny_models.in_batches(tiny_models.refusing(tmp_path)))
    samples = noise(3000, 0.3)
    fast, slow = open_batch_stream(model), RestorationStream(model)
    np.testing.assert_allclose(aligned(fast, samples), aligned(slow, samples), atol=1e-6)
    assert fast.processor.frame_faults == slow.processor.frame_faults > 0


def test_samples_that_are_no_audio_are_counted_once(tmp_path):
    model = load(tiny_models.in_batches(tiny_models.faulty(tmp_path, level=0.1)))
    samples = np.concatenate((noise(700, 0.05), np.full((600, 2), 0.5, np.float32), noise(700, 0.05)))
    samples[[100, 900, 1900], 0] = np.nan, np.inf, 1e9
    stream = open_batch_stream(model)
    aligned(stream, samples)
    assert stream.processor.sample_faults == 3


def test_an_impulse_comes_out_after_the_latency_that_is_named(tmp_path):
    stream = open_batch_stream(load(tiny_models.in_batches(tiny_models.identity(tmp_path), n_frames=6)))
    impulse = np.zeros((4000, 2), np.float32)
    impulse[777] = 1
    assert stream.latency_samples == 2 * 64 + 5 * 64
    assert stream.process(impulse).argmax(axis=0).tolist() == [777 + stream.latency_samples] * 2


def test_what_has_no_block_graph_goes_hop_by_hop(tmp_path):
    assert open_batch_stream(load(tiny_models.identity(tmp_path))) is None


def test_a_model_that_looks_ahead_gives_in_batches_what_the_stream_gives_and_frames_it_spoils_are_dry(tmp_path):
    model = load(tiny_models.in_batches(tiny_models.lookahead(tmp_path, level=0.1)))
    samples = np.concatenate((noise(2000, 0.05), np.full((1500, 2), 0.5, np.float32), noise(2000, 0.05)))
    fast, slow = open_batch_stream(model, parameters=Parameters(strength=0.5)), RestorationStream(model)
    np.testing.assert_allclose(aligned(fast, samples), aligned(slow, samples), atol=1e-6)
    assert fast.processor.frame_faults == slow.processor.frame_faults > 10
    assert fast.latency_samples == 3 * 64 + 3 * 64


def test_the_bundled_model_in_batches_equals_it_hop_by_hop_with_threads_too():
    model = load()
    assert read_card(default_model_path()).format_version == 3
    samples = np.tile(tone(44_100), (1, 1))[:20_000] + noise(20_000, 0.01)
    slow = aligned(RestorationStream(model), samples)
    for threads in (1, 2):
        fast = aligned(open_batch_stream(model, threads), samples)
        assert np.abs(fast - slow).max() < 1e-4 * np.abs(slow).max()  # -80 dB


def test_a_block_graph_that_contradicts_the_card_is_refused(tmp_path):
    path = tiny_models.in_batches(tiny_models.busy(tmp_path))
    model = load(path)
    graph = model.card.graphs[0]
    object.__setattr__(model.card, "graphs", (graph._replace(n_frames=8),))
    with pytest.raises(ModelFileError, match="graph input 'carrier': the metadata says float32"):
        model.new_batch()


def test_a_file_that_changes_after_it_was_opened_is_what_it_was(tmp_path):
    """It is read once: further graphs are those of what was probed, whatever lies there by now."""
    path = tiny_models.in_batches(tiny_models.busy(tmp_path))
    model, same = load(path), load(path)
    path.write_bytes(tiny_models.in_batches(tiny_models.busy(tmp_path), spoilt=True).read_bytes())
    samples = noise(5000, 0.3)
    np.testing.assert_allclose(
        aligned(open_batch_stream(model), samples), aligned(RestorationStream(same), samples), atol=1e-5
    )


def test_a_file_of_format_1_loads_as_ever(tmp_path):
    path = tiny_models.as_format_1(tiny_models.busy(tmp_path))
    model, now = load(path), load(tiny_models.busy(tmp_path))
    assert (model.card.format_version, model.card.graphs, model.new_batch()) == (1, (), None)
    samples = noise(3000, 0.3)
    np.testing.assert_array_equal(aligned(RestorationStream(model), samples), aligned(RestorationStream(now), samples))


def test_the_newest_samples_of_each_frame_reach_the_block_graph_too(tmp_path):
    model = load(tiny_models.in_batches(tiny_models.newest_samples(tmp_path)))
    samples = noise(5000, 0.3)
    np.testing.assert_allclose(
        aligned(open_batch_stream(model), samples), aligned(RestorationStream(model), samples), atol=1e-5
    )
