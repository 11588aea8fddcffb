"""Hop in, hop out: delay, guard, reset, both back ends, no allocation, no interpreter."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from apollo_rt import model, native
from apollo_rt.config import Framing
from apollo_rt.errors import ModelFileError
from apollo_rt.processor import (
    FRAME_OK,
    FRAME_REPLACED,
    STEP_FAILED,
    Processor,
    ProcessorState,
    process_hop,
    reset_processor,
)
from tests import tiny_models
from tests.tiny_models import SMALL

BACKENDS = ["c_api", "python"]
H = SMALL.hop_length


def music(n_hops: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((n_hops * H, 2))).astype(np.float32)


def run(processor: Processor, samples: np.ndarray) -> np.ndarray:
    n_hop = processor.framing.hop_length
    return np.concatenate([processor.process(hop) for hop in samples.reshape(-1, n_hop, 2)])


def lookahead_model(directory, level: float = 0.5):
    """One frame late by design (`lookahead_frames` 1); NaN while the frame it answers for is louder than `level`."""
    framing = Framing(hop_length=H, analysis_length=256, lookahead_frames=1)
    nodes = [
        tiny_models.node("Abs", "state_0", "magnitude"),
        tiny_models.helper.make_node("ReduceMax", ["magnitude"], ["peak"], keepdims=0),
        tiny_models.node("Greater", "peak threshold", "is_loud"),
        tiny_models.node("Where", "is_loud nan state_0", "restored"),
        tiny_models.node("Identity", "spectrum", "state_0_next"),
    ]
    threshold = level * float(tiny_models.asymmetric_windows(framing)[0].sum())
    constants = {"threshold": threshold, "nan": np.nan}
    states = [(2, framing.n_bins, 2)]
    return tiny_models.write(directory / "lookahead.onnx", framing, nodes, states=states, constants=constants)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_identity_model_gives_the_stream_back_one_hop_later(tmp_path, backend):
    processor = Processor(model.load(tiny_models.identity(tmp_path), backend))
    samples = music(30)
    out = run(processor, samples)
    assert processor.framing.hop_delay == H
    assert np.abs(out[H:] - samples[:-H]).max() < 1e-6
    assert np.abs(out[:H]).max() < 1e-6


def test_a_model_with_lookahead_is_later_by_its_lookahead(tmp_path):
    processor = Processor(model.load(lookahead_model(tmp_path)))
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


# --- guard -----------------------------------------------------------------------------------------------------------


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
    processor = Processor(model.load(lookahead_model(tmp_path)))
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


def gathering_model(directory):
    """Fails inside ONNX Runtime once its state has counted to two: there are only two channels to gather from."""
    nodes = [
        tiny_models.helper.make_node("Cast", ["state_0"], ["index"], to=tiny_models.TensorProto.INT64),
        tiny_models.node("Gather", "spectrum index", "gathered"),
        tiny_models.node("Mul", "gathered zero", "nothing"),
        tiny_models.node("Add", "nothing spectrum", "restored"),
        tiny_models.node("Add", "state_0 one", "state_0_next"),
    ]
    constants = {"one": 1.0, "zero": 0.0}
    return tiny_models.write(directory / "gather.onnx", SMALL, nodes, states=[(1,)], constants=constants)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_that_onnx_runtime_refuses_is_covered_by_the_dry_frame(tmp_path, backend):
    processor = Processor(model.load(gathering_model(tmp_path), backend))
    samples = music(30)
    out = run(processor, samples)
    assert np.abs(out[H:] - samples[:-H]).max() < 1e-6
    assert processor.frame_faults == 10  # every third, since the states start again
    assert "indices" in processor.error


def test_the_compiled_hop_says_that_a_step_failed(tmp_path):
    processor = Processor(model.load(gathering_model(tmp_path)))
    hop = np.zeros((H, 2), np.float32)
    assert [process_hop(processor.compiled, hop, hop) for _ in range(3)] == [FRAME_OK, FRAME_OK, STEP_FAILED]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_that_fails_at_once_is_refused_with_the_reason(tmp_path, backend):
    nodes = [
        tiny_models.node("Gather", "spectrum index", "gathered"),
        tiny_models.node("Mul", "gathered spectrum", "restored"),
    ]
    nodes.insert(0, tiny_models.helper.make_node("Cast", ["seven"], ["index"], to=tiny_models.TensorProto.INT64))
    nodes.insert(0, tiny_models.node("ReduceMax", "spectrum", "peak"))
    nodes.insert(1, tiny_models.node("Reshape", "peak one_axis", "flat"))
    nodes.insert(1, tiny_models.helper.make_node("Cast", ["one"], ["one_axis"], to=tiny_models.TensorProto.INT64))
    nodes.insert(3, tiny_models.node("Add", "flat constant", "seven"))
    path = tiny_models.write(tmp_path / "broken.onnx", SMALL, nodes, constants={"constant": 7.0, "one": np.ones(1)})
    with pytest.raises(ModelFileError, match=r"the graph can't be run: .*indices"):
        Processor(model.load(path, backend))


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


def test_a_hop_allocates_nothing_and_the_detector_sees_code_that_does(tmp_path):
    processor = Processor(model.load(tiny_models.busy(tmp_path)))
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
    interval = sys.getswitchinterval()
    try:
        worker.start()
        while progress[1] == 0:
            time.sleep(0.001)
        sys.setswitchinterval(1000.0)  # from here this thread keeps the interpreter
        start, deadline = int(progress[1]), time.monotonic() + 30
        while progress[1] < start + 50 and time.monotonic() < deadline:
            pass
        reached = int(progress[1])
    finally:
        sys.setswitchinterval(interval)
        progress[0] = 1
        worker.join()
    assert reached >= start + 50
    assert processor.frame_faults == 0


def test_a_second_process_loads_the_compiled_hop_from_the_cache(tmp_path):
    code = (
        "import sys; from apollo_rt import model, processor; "
        "processor.Processor(model.load(sys.argv[1])); "
        "functions = [processor.process_hop, processor.reset_processor]; "
        "print([(sum(f.stats.cache_hits.values()), sum(f.stats.cache_misses.values())) for f in functions])"
    )
    command = [sys.executable, "-c", code, str(tiny_models.busy(tmp_path))]
    answers = [subprocess.check_output(command, text=True).strip() for _ in range(2)]
    assert answers[1] == "[(1, 0), (1, 0)]"
