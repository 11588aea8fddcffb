"""The processor's guard: whatever the model spoils is covered by the dry frame, and counted."""

import numpy as np
import pytest

from apollo_rt.errors import ModelFileError
from apollo_rt.inference import model
from apollo_rt.stream.processor import FRAME_OK, FRAME_REPLACED, STEP_FAILED, Processor, process_hop
from tests.doubles import tiny_models
from tests.doubles.hops import H, music, run
from tests.doubles.tiny_models import BACKENDS, SMALL


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, -3e38, 1e6])
def test_a_frame_that_is_not_finite_or_absurdly_loud_is_replaced_by_the_dry_one(tmp_path, backend, value):
    processor = Processor(model.load(tiny_models.faulty(tmp_path, value), backend))
    samples = music(40)
    samples[15 * H : 20 * H] = 0.9
    out = run(processor, samples)
    assert np.abs(out[H:] - samples[:-H]).max() < 1e-6
    assert 2 <= processor.frame_faults <= 8


def test_after_a_replaced_frame_the_states_start_again_from_zero(tmp_path):
    processor = Processor(model.load(tiny_models.faulty(tmp_path)))
    states = processor.compiled.buffers.states
    quiet, loud = np.zeros((H, 2), np.float32), np.full((H, 2), 0.9, np.float32)
    for _ in range(5):
        processor.process(quiet)
    assert states.max() == 5
    while processor.frame_faults == 0:
        processor.process(loud)
    assert states.max() == 0
    while processor.compiled.analysis.past.any():
        processor.process(quiet)
    processor.process(quiet)
    assert states.max() >= 2


def test_the_compiled_hop_says_what_happened_to_the_frame(tmp_path):
    processor = Processor(model.load(tiny_models.faulty(tmp_path)))
    out = np.zeros((H, 2), np.float32)
    assert process_hop(processor.compiled, np.full((H, 2), 0.1, np.float32), out) == FRAME_OK
    codes = [process_hop(processor.compiled, np.full((H, 2), 0.9, np.float32), out) for _ in range(6)]
    assert codes[-1] == FRAME_REPLACED


def test_with_lookahead_a_replaced_frame_is_the_one_that_belongs_there(tmp_path):
    processor = Processor(model.load(tiny_models.lookahead(tmp_path)))
    samples = music(40)
    samples[15 * H : 20 * H] = 0.9
    out = run(processor, samples)
    assert np.abs(out[2 * H :] - samples[: -2 * H]).max() < 1e-6
    assert processor.frame_faults > 0


def test_frames_within_30_db_of_the_input_pass_and_louder_ones_do_not(tmp_path):
    samples = music(20)
    for factor, n_faults in ((31.0, 0), (32.0, 20)):  # 30 dB are a factor of 31.6
        processor = Processor(model.load(tiny_models.gain(tmp_path, factor)))
        run(processor, samples)
        assert processor.frame_faults == n_faults


def test_noise_out_of_silence_passes_below_minus_30_dbfs_and_not_above(tmp_path):
    window = tiny_models.asymmetric_windows(SMALL)[0]
    per_bin = float(np.sqrt(np.sum(window.astype(float) ** 2)))  # of noise with an RMS of 1, by Parseval
    silence = np.zeros((20 * H, 2), np.float32)
    for level_db, is_heard in ((-33, True), (-27, False)):
        scale = 10 ** (level_db / 20) * per_bin
        processor = Processor(model.load(tiny_models.carrier_only(tmp_path, scale)))
        out = run(processor, silence)
        assert out.any() == is_heard
        assert (processor.frame_faults == 0) == is_heard


@pytest.mark.parametrize("backend", BACKENDS)
def test_input_that_is_no_audio_becomes_zero_and_is_counted(tmp_path, backend):
    processor = Processor(model.load(tiny_models.busy(tmp_path), backend))
    samples = music(20)
    broken = samples.copy()
    samples[[100, 101, 700], [0, 0, 1]] = 0
    broken[[100, 101, 700], [0, 0, 1]] = np.nan, np.inf, 1e30
    expected = run(processor, samples)
    processor.reset()
    assert np.array_equal(run(processor, broken), expected)
    assert processor.sample_faults == 3
    assert processor.frame_faults == 0


def test_digital_silence_stays_digital_silence(tmp_path):
    for path in (tiny_models.identity(tmp_path), tiny_models.delay_one_frame(tmp_path), tiny_models.gain(tmp_path, 3)):
        assert not run(Processor(model.load(path)), np.zeros((20 * H, 2), np.float32)).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_that_onnx_runtime_refuses_is_covered_by_the_dry_frame(tmp_path, backend):
    processor = Processor(model.load(tiny_models.refusing(tmp_path), backend))
    samples = music(30)
    out = run(processor, samples)
    assert np.abs(out[H:] - samples[:-H]).max() < 1e-6
    assert processor.frame_faults == 10  # every third, since the states start again
    assert "indices" in processor.error


def test_the_compiled_hop_says_that_a_step_failed(tmp_path):
    processor = Processor(model.load(tiny_models.refusing(tmp_path)))
    hop = np.zeros((H, 2), np.float32)
    assert [process_hop(processor.compiled, hop, hop) for _ in range(3)] == [FRAME_OK, FRAME_OK, STEP_FAILED]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_that_fails_at_once_is_refused_with_the_reason(tmp_path, backend):
    path = tiny_models.refusing(tmp_path, first_index=7)
    with pytest.raises(ModelFileError, match=r"the graph can't be run: .*indices"):
        Processor(model.load(path, backend))
