"""What a script may expect of any effect: the same checks on Pedalboard's own plugins, on ours and on boards of both.

Where ours differs on purpose, `docs/effects.md` says so, and `TestWhereTheyDiffer` holds both to it.
"""

import gc
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pedalboard
import pytest

from apollo_rt import ApolloEffect, Board, Chain, Mix, load_model
from tests.doubles import tiny_models
from tests.doubles.sounds import planar_noise

RATE = 44_100


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Answers a frame late: whatever is not kept in step shows."""
    return load_model(tiny_models.delay_one_frame(tmp_path_factory.mktemp("model")))


MAKERS = {
    "native Gain": lambda model: pedalboard.Gain(-6),
    "native HighpassFilter": lambda model: pedalboard.HighpassFilter(300),
    "native Delay": lambda model: pedalboard.Delay(0.01, feedback=0.3, mix=0.5),
    "native Pedalboard": lambda model: pedalboard.Pedalboard([pedalboard.Compressor(-30, 4), pedalboard.Gain(3)]),
    "ApolloEffect": lambda model: ApolloEffect(0.8, model, low_cut_hz=60),
    "Board of both": lambda model: Board([pedalboard.HighpassFilter(300), ApolloEffect(model=model)]),
    "Mix of both": lambda model: Mix([Chain([ApolloEffect(model=model)]), pedalboard.Gain(-6)]),
}
NATIVE = [name for name in MAKERS if name.startswith("native")]
OURS = [name for name in MAKERS if name not in NATIVE]


@pytest.fixture(params=MAKERS)
def make(request, model):
    """Makes a fresh effect."""
    return lambda: MAKERS[request.param](model)


class TestArrays:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
    @pytest.mark.parametrize("shape", [(0,), (5000,), (1, 0), (2, 0), (1, 1), (1, 5000), (2, 5000)])
    @pytest.mark.parametrize("reset", [True, False])
    def test_as_many_float32_samples_come_back_in_the_same_shape(self, make, shape, dtype, reset):
        out = make()(np.zeros(shape, dtype), RATE, reset=reset)
        assert (out.shape, out.dtype) == (shape, np.float32)
        assert out.flags.c_contiguous
        assert out.flags.writeable

    def test_64_bits_are_taken_as_32(self, make):
        audio = planar_noise(3000)
        np.testing.assert_array_equal(make()(audio.astype(np.float64), RATE), make()(audio, RATE))

    def test_the_callers_array_is_left_alone_and_may_be_read_only_or_a_view(self, make):
        audio = planar_noise(3000)
        expected = make()(audio, RATE)
        audio.flags.writeable = False
        before, twice = audio.copy(), np.repeat(audio, 2, axis=1)
        for view in (audio, np.asfortranarray(audio), twice[:, ::2]):
            np.testing.assert_array_equal(make()(view, RATE), expected)
        np.testing.assert_array_equal(audio, before)

    def test_what_comes_back_belongs_to_the_caller(self, make):
        effect, audio = make(), planar_noise(3000)
        out = effect(audio, RATE, reset=False)
        kept = out.copy()
        effect(planar_noise(3000, seed=1), RATE, reset=False)
        np.testing.assert_array_equal(out, kept)
        assert not np.shares_memory(out, audio)

    def test_one_channel_and_a_row_of_samples_are_the_same(self, make):
        audio = planar_noise(3000, channels=1)
        np.testing.assert_array_equal(make()(audio[0], RATE), make()(audio, RATE)[0])

    @pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.float16, np.complex64, bool])
    def test_other_types_are_a_type_error(self, make, dtype):
        with pytest.raises(TypeError):
            make()(np.zeros((2, 100), dtype), RATE)

    @pytest.mark.parametrize("audio", [[0.0, 0.1], [[0.0, 0.1]], None, "audio"])
    def test_what_is_no_array_is_a_type_error(self, make, audio):
        with pytest.raises(TypeError):
            make()(audio, RATE)

    @pytest.mark.parametrize("shape", [(), (1, 2, 10)])
    def test_other_numbers_of_axes_are_an_error(self, make, shape):
        with pytest.raises((RuntimeError, ValueError)):
            make()(np.zeros(shape, np.float32), RATE)


class TestArguments:
    def test_process_is_the_call_by_position_and_by_name(self, make):
        audio = planar_noise(3000)
        expected = make()(audio, RATE)
        np.testing.assert_array_equal(make().process(audio, RATE, 8192, True), expected)
        named = make().process(input_array=audio, sample_rate=float(RATE), buffer_size=8192, reset=True)
        np.testing.assert_array_equal(named, expected)

    @pytest.mark.parametrize("buffer_size", [1, 255, 8192, 10**9])
    def test_the_buffer_size_does_not_change_the_result(self, make, buffer_size):
        audio = planar_noise(3000)
        np.testing.assert_allclose(make()(audio, RATE, buffer_size), make()(audio, RATE), atol=1e-6)

    @pytest.mark.parametrize("sample_rate", ["44100", None])
    def test_a_rate_that_is_no_number_is_a_type_error(self, make, sample_rate):
        with pytest.raises(TypeError):
            make()(planar_noise(100), sample_rate)

    def test_a_size_that_is_no_whole_number_is_a_type_error(self, make):
        with pytest.raises(TypeError):
            make()(planar_noise(100), RATE, 2.5)

    @pytest.mark.parametrize("sample_rate", [8000, 22_050, 44_100.5, 48_000, 96_000, 192_000])
    def test_any_sample_rate_is_taken(self, make, sample_rate):
        assert make()(planar_noise(5000), sample_rate).shape == (2, 5000)


class TestTime:
    def test_the_same_input_gives_the_same_output_again_and_again(self, make):
        effect, audio = make(), planar_noise(6000)
        first = effect(audio, RATE)
        for _ in range(2):
            np.testing.assert_array_equal(effect(audio, RATE), first)

    def test_a_stream_in_blocks_equals_the_whole(self, make):
        """Ours lags by `latency_samples`, which silence behind the end brings out; Pedalboard's lag by none."""
        audio, effect = planar_noise(12_000), make()
        latency = getattr(effect, "latency_samples", 0)
        padded = np.pad(audio, ((0, 0), (0, latency)))
        sizes = np.array([4096, 1, 2, 63, 500, 3000] * 9)
        edges = np.minimum(np.cumsum([0, *sizes]), padded.shape[1])
        blocks = [effect(padded[:, a:b], RATE, reset=False) for a, b in pairwise(edges) if b > a]
        np.testing.assert_allclose(np.concatenate(blocks, axis=1)[:, latency:], make()(audio, RATE), atol=1e-6)

    def test_an_empty_block_changes_nothing(self, make):
        effect, other, audio = make(), make(), planar_noise(3000)
        effect(audio, RATE, reset=False)
        other(audio, RATE, reset=False)
        assert effect(audio[:, :0], RATE, reset=False).shape == (2, 0)
        np.testing.assert_array_equal(effect(audio, RATE, reset=False), other(audio, RATE, reset=False))

    def test_after_reset_it_is_as_new(self, make):
        effect, audio = make(), planar_noise(6000)
        first = make()(audio, RATE, reset=False)
        effect(planar_noise(777, seed=1), RATE, reset=False)
        effect.reset()
        np.testing.assert_array_equal(effect(audio, RATE, reset=False), first)

    def test_without_reset_the_past_is_heard(self, make, request):
        if "Gain" in request.node.callspec.params["make"]:
            pytest.skip("a gain has no past")
        effect, audio = make(), planar_noise(6000)
        first = effect(audio, RATE, reset=False)
        assert not np.array_equal(effect(audio, RATE, reset=False), first)

    def test_rate_and_channels_may_be_others_in_the_next_call(self, make):
        effect = make()
        for channels, sample_rate in ((2, 44_100), (1, 48_000), (2, 22_050), (2, 44_100)):
            audio = planar_noise(3000, channels)
            np.testing.assert_array_equal(effect(audio, sample_rate), make()(audio, sample_rate))


class TestObjects:
    def test_it_is_an_effect_and_no_instrument(self, make):
        assert (make().is_effect, make().is_instrument) == (True, False)

    def test_two_that_are_set_alike_are_still_two(self, make):
        one, other = make(), make()
        assert one == one
        assert one != other
        assert len({one, other}) == 2

    def test_its_text_says_what_it_is(self, make):
        assert repr(make()).startswith(("<pedalboard.", "<Pedalboard with ", "<apollo_rt."))

    def test_a_weak_reference_can_be_taken(self, make):
        effect = make()
        reference = weakref.ref(effect)
        assert reference() is effect
        del effect
        gc.collect()
        assert reference() is None

    def test_an_unknown_attribute_can_be_neither_read_nor_set(self, make, request):
        if request.node.callspec.params["make"] == "native Pedalboard":
            pytest.skip("Pedalboard's own container is written in Python and takes any attribute")
        effect = make()
        with pytest.raises(AttributeError):
            _ = effect.wetness
        with pytest.raises(AttributeError):
            effect.wetness = 1.0

    def test_several_in_several_threads_do_not_disturb_each_other(self, make):
        inputs = [planar_noise(20_000, seed=seed) for seed in range(4)]
        expected = [make()(audio, RATE) for audio in inputs]
        with ThreadPoolExecutor(4) as pool:
            outs = pool.map(lambda audio: [effect(audio, RATE) for effect in [make()] for _ in range(3)], inputs)
            for results, right in zip(outs, expected, strict=True):
                for out in results:
                    np.testing.assert_array_equal(out, right)

    def test_one_in_several_threads_serves_one_call_after_the_other(self, make):
        effect, inputs = make(), [planar_noise(20_000, seed=seed) for seed in range(4)]
        expected = [make()(audio, RATE) for audio in inputs]
        with ThreadPoolExecutor(4) as pool:
            for out, right in zip(pool.map(lambda audio: effect(audio, RATE), inputs), expected, strict=True):
                np.testing.assert_array_equal(out, right)


def test_other_threads_run_while_it_works(model):
    """One call of one block: nobody is made to let the interpreter go, so a thread counts only where that is let go.

    The counting thread sleeps between two numbers and so always gives it back.
    """
    audio, ours = planar_noise(160 * RATE), ApolloEffect(model=model)
    for work, lets_go in (
        (lambda part: pedalboard.Reverb()(part, RATE, part.shape[1]), True),
        (lambda part: ours(part, RATE, part.shape[1]), True),
        (lambda part: sum(range(part.shape[1])), False),
    ):
        # The longer it takes, the more often: on a busy machine the thread may have its turn late.
        parts = (np.ascontiguousarray(audio[:, : seconds * RATE]) for seconds in (20, 40, 80, 160))
        assert any(counted_during(lambda part=part, work=work: work(part)) > 10 for part in parts) == lets_go


def counted_during(work):
    """How far another thread counts meanwhile."""
    counted, before_s, is_done = [0], sys.getswitchinterval(), threading.Event()

    def count():
        while not is_done.is_set():
            counted[0] += 1
            time.sleep(0.0005)

    thread = threading.Thread(target=count)
    sys.setswitchinterval(1000.0)
    try:
        thread.start()
        at_start = counted[0]
        work()
        return counted[0] - at_start
    finally:
        is_done.set()
        sys.setswitchinterval(before_s)
        thread.join()


class TestAttributes:
    """Of two plugins with settings: one of theirs, ours."""

    CASES = (
        ("native", lambda model: pedalboard.Compressor(), "threshold_db", -20.0),
        ("native", lambda model: pedalboard.Reverb(), "room_size", 0.25),
        ("ours", lambda model: ApolloEffect(model=model), "strength", 0.5),
        ("ours", lambda model: ApolloEffect(model=model), "low_cut_hz", 80.0),
    )

    @pytest.mark.parametrize(("whose", "maker", "name", "value"), CASES)
    def test_a_setting_is_read_and_set_and_shown_and_its_type_is_checked(self, model, whose, maker, name, value):
        effect = maker(model)
        setattr(effect, name, value)
        assert getattr(effect, name) == value
        assert f"{name}={value:g}" in repr(effect)
        for wrong in ("x", None, [1.0]):
            with pytest.raises(TypeError):
                setattr(effect, name, wrong)
        assert getattr(effect, name) == value

    def test_a_value_out_of_bounds_is_a_value_error_and_changes_nothing(self, model):
        for effect, name, wrong in ((pedalboard.Reverb(), "room_size", 3.0), (ApolloEffect(model=model), "mix", 3.0)):
            before = getattr(effect, name)
            with pytest.raises(ValueError, match=r"between|from"):
                setattr(effect, name, wrong)
            assert getattr(effect, name) == before
            with pytest.raises(ValueError, match=r"between|from"):
                type(effect)(**{name: wrong})

    def test_an_unknown_keyword_is_a_type_error(self, model):
        for kind in (pedalboard.Reverb, ApolloEffect):
            with pytest.raises(TypeError):
                kind(wetness=1.0)

    def test_a_change_within_a_stream_keeps_the_stream(self, model):
        audio = planar_noise(4000)
        for maker, name, value in (
            (lambda: pedalboard.Delay(0.02, 0.0, 1.0), "mix", 0.9),
            (lambda: ApolloEffect(model=model), "mix", 0.9),
        ):
            effect = maker()
            latency = 882 if isinstance(effect, pedalboard.Delay) else effect.latency_samples
            effect(audio, RATE, reset=False)
            setattr(effect, name, value)
            tail = effect(np.zeros_like(audio), RATE, reset=False)
            assert np.abs(tail[:, : latency - 64]).max() > 0.1, "what was inside still comes out"


class TestWhereTheyDiffer:
    """Each row of the table in `docs/effects.md`, on both."""

    @pytest.mark.parametrize("name", OURS)
    def test_16_bit_integers_are_refused_there_and_taken_here(self, model, name):
        audio = np.zeros((2, 100), np.int16)
        with pytest.raises(TypeError):
            pedalboard.Gain()(audio, RATE)
        assert MAKERS[name](model)(audio, RATE).dtype == np.float32

    @pytest.mark.parametrize("name", OURS)
    def test_samples_before_channels_are_guessed_there_and_said_here(self, model, name):
        audio = planar_noise(100).T
        assert pedalboard.Gain()(audio, RATE).shape == (100, 2)
        with pytest.raises(ValueError, match="channel_axis=-1"):
            MAKERS[name](model)(audio, RATE)
        assert MAKERS[name](model)(audio, RATE, channel_axis=-1).shape == (100, 2)

    @pytest.mark.parametrize("name", OURS)
    def test_as_many_channels_as_samples_are_an_error_there_and_clear_here(self, model, name):
        audio = planar_noise(2)
        with pytest.raises(RuntimeError):
            pedalboard.Gain()(audio, RATE)
        assert MAKERS[name](model)(audio, RATE).shape == (2, 2)

    @pytest.mark.parametrize("name", OURS)
    def test_what_is_not_finite_passes_there_and_is_refused_here(self, model, name):
        audio = np.array([[0.0, np.nan, 0.0]], np.float32)
        assert np.isnan(pedalboard.Gain()(audio, RATE)).any()
        with pytest.raises(ValueError, match="finite"):
            MAKERS[name](model)(audio, RATE)

    @pytest.mark.parametrize("name", OURS)
    def test_more_than_two_channels_pass_there_and_are_refused_here(self, model, name):
        assert pedalboard.Gain()(planar_noise(100, 3), RATE).shape == (3, 100)
        with pytest.raises(ValueError, match="1 or 2 channels"):
            MAKERS[name](model)(planar_noise(100, 3), RATE)

    @pytest.mark.parametrize("name", OURS)
    def test_a_whole_call_leaves_its_end_inside_there_and_nothing_here(self, model, name):
        impulse = np.zeros((2, 1000), np.float32)
        impulse[:, -1] = 0.5
        delay, ours = pedalboard.Delay(0.01, 0.0, 1.0), MAKERS[name](model)
        delay(impulse, RATE)
        ours(impulse, RATE)
        assert delay(np.zeros_like(impulse), RATE, reset=False).any()
        assert not ours(np.zeros_like(impulse), RATE, reset=False).any()

    @pytest.mark.parametrize("name", OURS)
    def test_another_rate_within_a_stream_begins_anew_there_and_is_refused_here(self, model, name):
        delay, ours = pedalboard.Delay(0.01, 0.0, 1.0), MAKERS[name](model)
        delay(planar_noise(1000), 44_100, reset=False)
        assert not delay(np.zeros((2, 1000), np.float32), 48_000, reset=False).any()
        ours(planar_noise(1000), 44_100, reset=False)
        with pytest.raises(ValueError, match=r"must stay 44100 and 2 within a stream, got 48000 and 2; call reset"):
            ours(planar_noise(1000), 48_000, reset=False)

    @pytest.mark.parametrize("sample_rate", [0, -1, float("nan"), float("inf")])
    def test_a_rate_that_cannot_be_passes_there_and_is_refused_here(self, model, sample_rate):
        assert pedalboard.Gain()(planar_noise(100), sample_rate).shape == (2, 100)
        with pytest.raises(ValueError, match="sample_rate must be from"):
            ApolloEffect(model=model)(planar_noise(100), sample_rate)

    def test_a_latent_stream_comes_short_there_and_at_a_constant_latency_here(self):
        audio = planar_noise(1000)
        assert pedalboard.MP3Compressor(2.0)(audio, RATE, reset=False).shape[1] < 1000
        board = Board([pedalboard.MP3Compressor(2.0)])
        assert board(audio, RATE, reset=False).shape[1] == 1000
        assert board.latency_samples > 1000
