"""Hop in, hop out: delay, guard, reset, both back ends, no allocation, no interpreter."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from apollo_rt.compiled import native
from apollo_rt.config import Framing
from apollo_rt.control.parameters import Parameters
from apollo_rt.inference import model
from apollo_rt.stream.processor import Processor, process_hop, reset_processor
from apollo_rt.stream.processor_state import ProcessorState
from apollo_rt.stream.shaping import read_targets
from apollo_rt.stream.stft import asymmetric_windows
from tests.doubles import tiny_models
from tests.doubles.held_interpreter import goes_on
from tests.doubles.hops import H, music, run
from tests.doubles.tiny_models import BACKENDS, SMALL


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_identity_model_gives_the_stream_back_one_hop_later(tmp_path, backend):
    processor = Processor(model.load(tiny_models.identity(tmp_path), backend))
    samples = music(30)
    out = run(processor, samples)
    assert processor.framing.hop_delay == H
    assert np.abs(out[H:] - samples[:-H]).max() < 1e-6
    assert np.abs(out[:H]).max() < 1e-6


def test_a_model_with_lookahead_is_later_by_its_lookahead(tmp_path):
    processor = Processor(model.load(tiny_models.lookahead(tmp_path)))
    samples = music(30)
    out = run(processor, samples)
    assert processor.framing.hop_delay == 2 * H
    assert np.abs(out[2 * H :] - samples[: -2 * H]).max() < 1e-6


def test_a_gain_model_scales_the_stream(tmp_path):
    samples = music(20)
    out = run(Processor(model.load(tiny_models.gain(tmp_path, 0.25))), samples)
    np.testing.assert_allclose(out[H:], 0.25 * samples[:-H], atol=1e-6)


def test_the_default_framing_gives_the_stream_back_too(tmp_path):
    processor = Processor(model.load(tiny_models.identity(tmp_path, Framing())))
    samples = music(80)
    out = run(processor, samples)
    assert np.abs(out[256:] - samples[:-256]).max() < 1e-6


def test_both_back_ends_are_bit_equal(tmp_path):
    path = tiny_models.busy(tmp_path)
    samples = music(60)
    compiled, interpreted = (run(Processor(model.load(path, backend)), samples) for backend in BACKENDS)
    assert np.array_equal(compiled, interpreted)
    assert np.abs(compiled).max() > 1e-3


def test_the_output_knows_nothing_of_later_input(tmp_path):
    loaded = model.load(tiny_models.busy(tmp_path))
    samples = music(40)
    changed = samples.copy()
    changed[20 * H :] = music(20, seed=1)
    one, other = run(Processor(loaded), samples), run(Processor(loaded), changed)
    assert np.array_equal(one[: 20 * H], other[: 20 * H])
    assert not np.array_equal(one[20 * H :], other[20 * H :])


@pytest.mark.parametrize("backend", BACKENDS)
def test_reset_equals_new(tmp_path, backend):
    loaded = model.load(tiny_models.busy(tmp_path), backend)
    samples = music(21)  # an odd number of hops: the states' parity must start again, too
    processor = Processor(loaded)
    first = run(processor, samples)
    again = run(processor, samples)
    processor.reset()
    assert np.array_equal(run(processor, samples), first)
    assert np.array_equal(run(Processor(loaded), samples), first)
    assert not np.array_equal(again, first)


def test_reset_forgets_the_faults_and_everything_else(tmp_path):
    processor = Processor(model.load(tiny_models.faulty(tmp_path)))
    run(processor, np.full((9 * H, 2), 0.9, np.float32))
    processor.process(np.full((H, 2), np.nan, np.float32))
    assert processor.frame_faults > 0
    assert processor.sample_faults == 2 * H
    processor.reset()
    assert (processor.frame_faults, processor.sample_faults) == (0, 0)
    assert not run(processor, np.zeros((9 * H, 2), np.float32)).any()


def test_reset_forgets_the_dry_frames_of_a_lookahead_too(tmp_path):
    framing = Framing(hop_length=H, analysis_length=256, lookahead_frames=1)
    processor = Processor(model.load(tiny_models.faulty(tmp_path, level=1e-6, framing=framing)))
    first = run(processor, music(5))
    processor.reset()
    assert np.array_equal(run(processor, music(5)), first)
    assert processor.frame_faults == 5


def test_processors_of_one_model_do_not_disturb_each_other(tmp_path):
    loaded = model.load(tiny_models.busy(tmp_path))
    samples = music(20)
    alone = run(Processor(loaded), samples)
    one, other = Processor(loaded), Processor(loaded)
    interleaved = []
    for hop in samples.reshape(-1, H, 2):
        interleaved.append(one.process(hop))
        other.process(-hop)
    assert np.array_equal(np.concatenate(interleaved), alone)


# --- boundary --------------------------------------------------------------------------------------------------------


def test_a_hop_of_another_shape_is_refused(tmp_path):
    processor = Processor(model.load(tiny_models.identity(tmp_path)))
    for shape in ((H, 1), (H + 1, 2), (2, H), (H,)):
        with pytest.raises(ValueError, match=r"hop must have the shape \(64, 2\)"):
            processor.process(np.zeros(shape, np.float32))


def test_any_memory_layout_and_number_type_is_taken_and_out_may_be_given(tmp_path):
    processor = Processor(model.load(tiny_models.identity(tmp_path)))
    hop = music(1)
    expected = [processor.process(hop), processor.process(hop)][1]
    read_only = hop.copy()
    read_only.flags.writeable = False
    for other in (hop.astype(np.float64), np.asfortranarray(hop), np.repeat(hop, 2, axis=0)[::2], read_only):
        processor.reset()
        processor.process(other)
        out = np.ones_like(hop)
        assert processor.process(other, out) is out
        assert np.array_equal(out, expected)


def test_the_threads_treatment_of_denormals_is_left_alone(tmp_path):
    processors = [Processor(model.load(tiny_models.identity(tmp_path), backend)) for backend in BACKENDS]
    before = native.flush_to_zero(False)
    try:
        for processor in processors:
            processor.process(music(1))
            assert native.flush_to_zero(False) is False
    finally:
        native.flush_to_zero(before)


# --- real time -------------------------------------------------------------------------------------------------------


@native.compiled
def process_many(state: ProcessorState, hop: np.ndarray, out: np.ndarray, count: int) -> None:
    for _ in range(count):
        process_hop(state, hop, out)
    reset_processor(state)


@native.compiled
def allocate_many(state: ProcessorState, hop: np.ndarray, out: np.ndarray, count: int) -> None:
    for _ in range(count):
        out[0] = hop.copy()[0]


def allocations(function, processor: Processor, count: int) -> int:
    """Numba's own allocations during one call."""
    state = processor.compiled
    hop, out = np.zeros((H, 2), np.float32), np.zeros((H, 2), np.float32)
    function(state, hop, out, 1)
    was_counting = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats().alloc
        function(state, hop, out, count)
        return rtsys.get_allocation_stats().alloc - before
    finally:
        if not was_counting:
            _nrt_python.memsys_disable_stats()


@pytest.mark.parametrize("values", [{}, {"strength": 0.5, "air_db": 3, "crossover_hz": 900}])
def test_a_hop_allocates_nothing_and_the_detector_sees_code_that_does(tmp_path, values):
    processor = Processor(model.load(tiny_models.busy(tmp_path)))
    read_targets(processor.compiled.shaping, Parameters(**values).values)
    assert allocations(process_many, processor, 1000) == allocations(process_many, processor, 1)
    assert allocations(allocate_many, processor, 1000) >= allocations(allocate_many, processor, 1) + 999
    assert processor.error == ""


@native.compiled
def process_until(state: ProcessorState, hop: np.ndarray, out: np.ndarray, progress: np.ndarray) -> None:
    while native.atomic_load(progress, 0) == 0:
        process_hop(state, hop, out)
        native.atomic_store(progress, 1, progress[1] + 1)


def test_hops_go_on_while_another_thread_never_gives_the_interpreter_back(tmp_path):
    processor = Processor(model.load(tiny_models.busy(tmp_path)))
    state = processor.compiled
    hop, out, progress = music(1), music(1), np.array([1, 0], np.int64)
    process_until(state, hop, out, progress)
    progress[:] = 0
    worker = threading.Thread(target=process_until, args=(state, hop, out, progress))
    worker.start()
    try:
        while progress[1] == 0:
            time.sleep(0.001)
        assert goes_on(lambda: int(progress[1]), 50) >= 50
    finally:
        progress[0] = 1
        worker.join()
    assert processor.frame_faults == 0


def test_a_second_process_restores_a_hop_without_the_compiler(tmp_path):
    code = (
        "import sys, numpy; from apollo_rt.inference import model; from apollo_rt.stream import processor; "
        "hop = processor.Processor(model.load(sys.argv[1])).process(numpy.full((256, 2), 0.1, numpy.float32)); "
        "print(numpy.isfinite(hop).all(), sorted({'numba', 'llvmlite', 'rocket_fft', 'scipy'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tiny_models.busy(tmp_path, tiny_models.MEDIUM))]
    answers = [subprocess.check_output(command, text=True).strip() for _ in range(2)]
    assert answers == ["True []"] * 2, "the first start has a child compile it, the next reads it"


def test_a_model_that_asks_for_them_gets_the_newest_samples_as_they_came_in(tmp_path):
    """Frame k times the sum of the newest 96 samples: overlap-added by hand from frames of the same analysis."""
    processor = Processor(model.load(tiny_models.newest_samples(tmp_path, 96)))
    random = np.random.default_rng(5)
    samples = random.uniform(-0.3, 0.3, (20 * SMALL.hop_length, 2)).astype(np.float32)
    out = np.concatenate([processor.process(hop) for hop in samples.reshape(20, SMALL.hop_length, 2)])
    padded = np.concatenate((np.zeros((SMALL.analysis_length, 2), np.float32), samples))
    wanted, (_, synthesis) = np.zeros_like(padded), asymmetric_windows(SMALL)
    for frame in range(20):
        end = SMALL.analysis_length + (frame + 1) * SMALL.hop_length
        heard = slice(end - SMALL.synthesis_length, end)
        windowed = padded[heard] * (asymmetric_windows(SMALL)[0][-SMALL.synthesis_length :] * synthesis)[:, None]
        wanted[heard] += windowed * padded[end - 96 : end].sum(0)
    begin = SMALL.analysis_length - SMALL.hop_length
    np.testing.assert_allclose(out, wanted[begin : begin + len(out)], atol=1e-4)
