"""The effect keeps Pedalboard's call contract, and one path serves whole arrays and streams at every sample rate."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pedalboard
import pytest

import apollo_rt
from apollo_rt import ApolloEffect, ModelFileError, RestorationStream, load_model
from apollo_rt.control.parameters import PARAMETERS, Parameters
from apollo_rt.latency import FADE_LENGTH
from tests.doubles import tiny_models
from tests.doubles.sound_files import tone
from tests.doubles.sounds import planar_noise

RATES = [44_100, 48_000, 22_050, 32_000, 96_000, 11_025, 8000, 192_000, 44_100.5]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Tiny models by name."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "identity": load_model(tiny_models.identity(folder)),
        "half": load_model(tiny_models.gain(folder, 0.5)),
        "late": load_model(tiny_models.delay_one_frame(folder)),
        "busy": load_model(tiny_models.busy(folder)),
    }


def streamed(effect, audio, sample_rate, sizes):
    """The audio in blocks, then silence until the last sample is out; cut to what belongs to the audio."""
    latency, blocks, start = None, [], 0
    while latency is None or start < audio.shape[1] + latency:
        size = next(sizes)
        block = audio[:, start : start + size]
        block = np.pad(block, ((0, 0), (0, size - block.shape[1])))
        out = effect(block, sample_rate, reset=False)
        assert out.shape == block.shape
        blocks.append(out)
        latency = effect.latency_samples
        start += size
    return np.concatenate(blocks, axis=1)[:, latency : latency + audio.shape[1]]


class TestArguments:
    def test_it_works_beside_a_real_pedalboard(self, models):
        board = pedalboard.Pedalboard([pedalboard.Gain(gain_db=20 * np.log10(2))])
        sine = tone(20_000, 48_000).T
        out = board(ApolloEffect(model=models["half"])(sine, 48_000), 48_000)
        np.testing.assert_allclose(out[:, 3000:-3000], sine[:, 3000:-3000], atol=1e-5)

    def test_two_samples_of_stereo_are_rows_of_channels_where_pedalboard_cannot_tell(self, models):
        audio = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
        mono = np.stack([ApolloEffect(model=models["late"])(channel, 44_100) for channel in audio])
        np.testing.assert_allclose(ApolloEffect(model=models["late"])(audio, 44_100), mono, atol=1e-7)

    def test_mono_is_restored_as_two_equal_channels(self, models):
        audio = planar_noise(5000, channels=1)
        out = ApolloEffect(model=models["late"])(audio, 44_100)
        stereo = ApolloEffect(model=models["late"])(np.repeat(audio, 2, axis=0), 44_100)
        np.testing.assert_allclose(out[0], stereo[0], atol=1e-7)

    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("reset", [True, False])
    def test_samples_come_before_channels_where_the_caller_says_so(self, models, channels, reset):
        audio = planar_noise(5000, channels)
        expected = ApolloEffect(model=models["late"])(audio, 44_100, reset=reset)
        for axis in (1, -1):
            out = ApolloEffect(model=models["late"])(audio.T, 44_100, reset=reset, channel_axis=axis)
            np.testing.assert_array_equal(out, expected.T)
            assert out.flags.c_contiguous

    def test_16_bit_integers_have_their_own_full_scale(self, models):
        steps = np.array([[-32_768, -1, 0, 1, 32_767] * 400] * 2, np.int16)
        out = ApolloEffect(0.0, models["half"])(steps, 44_100)
        assert out.dtype == np.float32
        np.testing.assert_array_equal(out, steps / np.float32(32_768))

    @pytest.mark.parametrize(
        ("call", "error", "reason"),
        [
            ({"input_array": np.zeros((2, 10), np.int32)}, TypeError, "float32, float64.*or int16, got int32"),
            ({"input_array": [[0.0, 0.0]]}, TypeError, "must be a numpy array, got list"),
            ({"input_array": np.zeros((3, 10))}, ValueError, r"1 or 2 channels.*got \(3, 10\)$"),
            ({"input_array": np.zeros((10, 2))}, ValueError, r"got \(10, 2\); say channel_axis=-1"),
            (
                {"input_array": np.zeros((2, 10)), "channel_axis": 1},
                ValueError,
                r"\(samples, channels\).*channel_axis=0",
            ),
            ({"channel_axis": 2}, ValueError, "channel_axis must be 0, 1, -1 or -2, got 2"),
            ({"input_array": np.zeros((0, 10))}, ValueError, "1 or 2 channels"),
            ({"input_array": np.zeros((1, 2, 10))}, ValueError, "1 or 2 channels"),
            ({"input_array": np.array([[0, 0], [0, np.nan]])}, ValueError, "finite, got nan at channel=1, sample=1"),
            ({"sample_rate": 999.9}, ValueError, "from 1000 to 768000 Hz, got 999.9"),
            ({"sample_rate": 0}, ValueError, "got 0"),
            ({"sample_rate": float("nan")}, ValueError, "got nan"),
            ({"sample_rate": "44100"}, TypeError, "must be a number of Hz, got '44100'"),
            ({"buffer_size": 0}, ValueError, "buffer_size must be at least 1, got 0"),
            ({"buffer_size": 10.0}, TypeError, "buffer_size must be a whole number of samples, got 10.0"),
        ],
    )
    def test_what_pedalboard_would_guess_or_choke_on_is_refused(self, models, call, error, reason):
        arguments = {"input_array": np.zeros((2, 10), np.float32), "sample_rate": 44_100, **call}
        with pytest.raises(error, match=reason):
            ApolloEffect(model=models["identity"])(**arguments)

    def test_a_model_is_given_by_its_file_too(self, tmp_path, models):
        path = tiny_models.gain(tmp_path, 0.5)
        for given in (path, str(path)):
            np.testing.assert_array_equal(
                ApolloEffect(model=given)(planar_noise(1000), 44_100),
                ApolloEffect(model=models["half"])(planar_noise(1000), 44_100),
            )
        with pytest.raises(ModelFileError):
            ApolloEffect(model=tmp_path / "missing.onnx")


class TestParameters:
    @pytest.mark.parametrize("row", PARAMETERS, ids=lambda row: row.name)
    def test_every_row_of_the_table_is_a_keyword_and_an_attribute_with_its_bounds(self, models, row):
        value = row.value_at(0.7)
        effect = ApolloEffect(model=models["half"], **{row.name: value})
        assert getattr(effect, row.name) == effect.get(row.name) == value
        assert row.description in getattr(ApolloEffect, row.name).__doc__
        setattr(effect, row.name, row.default)
        assert effect.parameters.as_dict() == Parameters().as_dict()
        for wrong in (row.minimum - 0.01, row.maximum + 0.01, float("nan")):
            with pytest.raises(ValueError, match=f"{row.name} must be from .* got"):
                setattr(effect, row.name, wrong)
            with pytest.raises(ValueError, match=f"{row.name} must be from .* got"):
                ApolloEffect(model=models["half"], **{row.name: wrong})
        with pytest.raises(TypeError, match=f"{row.name} must be a number"):
            setattr(effect, row.name, "much")
        assert getattr(effect, row.name) == row.default

    @pytest.mark.parametrize("row", PARAMETERS, ids=lambda row: row.name)
    def test_a_change_is_heard_from_the_next_block_on(self, models, row):
        """As it is in `Parameters`' own streams (`test_parameters_live`), and it outlives a reset."""
        effect, audio = ApolloEffect(model=models["busy"]), planar_noise(20_000)
        plain = effect(audio, 44_100)
        setattr(effect, row.name, row.value_at(1.0 if row.is_switch else 0.4))
        changed = effect(audio, 44_100)
        assert np.abs(changed - plain).max() > 1e-3
        effect.reset()
        np.testing.assert_array_equal(effect(audio, 44_100), changed)
        effect.set(row.name, row.default)
        np.testing.assert_array_equal(effect(audio, 44_100), plain)

    def test_a_slip_of_the_pen_is_no_attribute(self, models):
        effect = ApolloEffect(model=models["half"])
        with pytest.raises(AttributeError, match="strenght"):
            effect.strenght = 0.5
        with pytest.raises(TypeError, match=r"takes model, provider, mix, .*, got 'strenght'"):
            ApolloEffect(model=models["half"], strenght=0.5)

    def test_its_text_says_what_it_is_and_how_it_is_set(self, models):
        text = repr(ApolloEffect(mix=0.5, air_db=-3, model=models["half"]))
        assert text.startswith("<apollo_rt.ApolloEffect mix=0.5 bypass=0 ")
        assert " air_db=-3 " in text
        assert " model='tiny gain' at 0x" in text


class TestCopies:
    @pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda effect: pickle.loads(pickle.dumps(effect))])
    def test_a_copy_has_the_settings_and_the_model_and_a_stream_of_its_own(self, models, twin):
        effect, audio = ApolloEffect(0.7, models["late"], strength=0.5, output_gain_db=-6), planar_noise(5000)
        first = effect(audio, 44_100, reset=False)
        other = twin(effect)
        assert other.parameters.as_dict() == effect.parameters.as_dict()
        np.testing.assert_array_equal(other(audio, 44_100, reset=False), first)
        effect.mix = 0.1
        assert other.mix == 0.7

    def test_the_models_of_a_copy_and_of_a_pickle_are_of_the_same_file_and_tier(self, tmp_path):
        path = tiny_models.identity(tmp_path)
        effect = pickle.loads(pickle.dumps(ApolloEffect(model=path)))
        assert (effect._model.card.path, effect._model.tier) == (path, "full")
        assert copy.copy(effect)._model is effect._model

    def test_the_model_that_ships_is_pickled_as_such(self):
        pickled = pickle.dumps(ApolloEffect())
        assert b".onnx" not in pickled
        assert pickle.loads(pickled)(planar_noise(1000), 44_100).shape == (2, 1000)

    def test_a_pickle_whose_model_is_gone_says_so(self, tmp_path):
        path = tiny_models.identity(tmp_path)
        pickled = pickle.dumps(ApolloEffect(model=path))
        path.unlink()
        with pytest.raises(ModelFileError, match=r"identity\.onnx"):
            pickle.loads(pickled)


class TestTime:
    @pytest.mark.parametrize("sample_rate", RATES)
    def test_a_whole_array_is_aligned_to_the_sample(self, models, sample_rate):
        impulse = np.zeros((2, 20_001), np.float32)
        impulse[:, 9000] = 1.0
        out = ApolloEffect(model=models["half"])(impulse, sample_rate)
        assert out.argmax(axis=1).tolist() == [9000, 9000]
        sine = tone(20_001, sample_rate).T
        out = ApolloEffect(model=models["half"])(sine, sample_rate)
        np.testing.assert_allclose(out[:, 4000:-4000], sine[:, 4000:-4000] / 2, atol=3e-5)

    @pytest.mark.parametrize("sample_rate", RATES)
    def test_a_stream_lags_by_exactly_its_latency(self, models, sample_rate):
        effect = ApolloEffect(model=models["identity"])
        impulse = np.zeros((2, 30_000), np.float32)
        impulse[:, 100] = 1.0
        out = np.concatenate([effect(block, sample_rate, reset=False) for block in np.split(impulse, 30, 1)], axis=1)
        assert out.argmax(axis=1).tolist() == [100 + effect.latency_samples] * 2

    def test_at_the_models_rate_the_latency_is_that_of_the_model_alone(self, models):
        effect = ApolloEffect(model=models["identity"])
        effect(planar_noise(10), 44_100, reset=False)
        assert effect.latency_samples == models["identity"].framing.algorithmic_latency

    @pytest.mark.parametrize("sample_rate", [44_100, 48_000, 22_050])
    @pytest.mark.parametrize("mix", [0.3, 1.0])
    def test_a_stream_in_any_blocks_equals_the_whole_array(self, models, sample_rate, mix):
        audio = planar_noise(12_000)
        expected = ApolloEffect(mix, models["late"])(audio, sample_rate)
        random = np.random.default_rng(3)
        for sizes in (iter([0, 1, 63, 64, 65, 8191] * 99), iter(random.integers(0, 3000, 999)), iter([20_011] * 9)):
            effect = ApolloEffect(mix, models["late"])
            np.testing.assert_array_equal(streamed(effect, audio, sample_rate, sizes), expected)

    def test_many_tiny_blocks_never_run_dry(self, models):
        """The queue holds what two converters ever hold back, whatever the blocks."""
        audio = planar_noise(4000)
        expected = ApolloEffect(model=models["late"])(audio, 48_000)
        out = streamed(ApolloEffect(model=models["late"]), audio, 48_000, iter([1, 2, 3] * 99_999))
        np.testing.assert_array_equal(out, expected)

    @pytest.mark.parametrize("sample_rate", [44_100, 48_000])
    def test_an_effect_that_was_used_equals_a_new_one(self, models, sample_rate):
        audio, effect = planar_noise(5000), ApolloEffect(model=models["late"])
        first = effect(audio, sample_rate, reset=False)
        effect(planar_noise(777, seed=1), sample_rate, reset=False)
        effect.reset()
        np.testing.assert_array_equal(effect(audio, sample_rate, reset=False), first)
        whole = effect(audio, sample_rate)
        np.testing.assert_array_equal(effect(audio, sample_rate), whole)
        np.testing.assert_array_equal(effect(audio, sample_rate, reset=False), first)

    def test_rate_and_channels_may_change_between_streams_only(self, models):
        effect = ApolloEffect(model=models["identity"])
        effect(planar_noise(100), 44_100, reset=False)
        for audio, sample_rate in ((planar_noise(100), 48_000), (planar_noise(100, channels=1), 44_100)):
            with pytest.raises(ValueError, match="must stay 44100 and 2 within a stream"):
                effect(audio, sample_rate, reset=False)
        effect.reset()
        effect(planar_noise(100, channels=1), 48_000, reset=False)
        effect(planar_noise(100), 44_100)


class TestMix:
    @pytest.mark.parametrize("sample_rate", [44_100, 48_000])
    def test_mix_0_is_the_input_bit_for_bit(self, models, sample_rate):
        audio, effect = planar_noise(9000), ApolloEffect(0.0, models["half"])
        np.testing.assert_array_equal(effect(audio, sample_rate), audio)
        np.testing.assert_array_equal(streamed(effect, audio, sample_rate, iter([700] * 99)), audio)

    @pytest.mark.parametrize("sample_rate", [44_100, 48_000])
    def test_mix_lies_on_the_line_between_dry_and_wet(self, models, sample_rate):
        audio = planar_noise(9000)
        wet = ApolloEffect(1.0, models["half"])(audio, sample_rate)
        mixed = ApolloEffect(0.25, models["half"])(audio, sample_rate)
        np.testing.assert_allclose(mixed, 0.75 * audio + 0.25 * wet, atol=1e-6)

    def test_a_change_fades_without_a_click(self, models):
        effect = ApolloEffect(0.0, models["half"])
        constant = np.ones((2, 1000), np.float32)
        effect(constant, 44_100, reset=False)
        effect.mix = 1.0
        out = effect(constant, 44_100, reset=False)
        steps = np.diff(np.concatenate((np.ones((2, 1)), out), axis=1))
        assert np.abs(steps).max() <= 0.5 / FADE_LENGTH + 1e-6
        np.testing.assert_allclose(out[:, FADE_LENGTH:], 0.5, atol=1e-6)
        np.testing.assert_allclose(effect(constant, 44_100, reset=False), 0.5, atol=1e-6)

    def test_mix_outlives_a_reset(self, models):
        effect = ApolloEffect(1.0, models["half"])
        effect.mix = 0.0
        effect.reset()
        assert effect.mix == 0.0
        np.testing.assert_array_equal(effect(planar_noise(100), 44_100), planar_noise(100))


def test_effects_in_several_threads_do_not_disturb_each_other(models):
    inputs = [planar_noise(30_000, seed=seed) for seed in range(6)]
    expected = [ApolloEffect(model=models["late"])(audio, 48_000) for audio in inputs]

    def work(audio):
        effect = ApolloEffect(model=models["late"])
        return [effect(audio, 48_000) for _ in range(3)]

    with ThreadPoolExecutor(6) as pool:
        for results, right in zip(pool.map(work, inputs), expected, strict=True):
            for result in results:
                np.testing.assert_array_equal(result, right)


def test_the_effect_is_the_stream_with_another_face(models):
    audio = planar_noise(5000)
    stream = RestorationStream(models["late"])
    effect = ApolloEffect(model=models["late"])
    np.testing.assert_array_equal(effect(audio, 44_100, reset=False), stream.process(audio.T).T)


class TestFrontPage:
    def test_it_has_at_most_ten_names_and_each_can_be_had(self):
        assert len(apollo_rt.__all__) <= 10
        for name in apollo_rt.__all__:
            assert getattr(apollo_rt, name).__doc__
            assert name in dir(apollo_rt)

    def test_a_name_that_is_not_there_is_an_attribute_error(self):
        with pytest.raises(AttributeError, match="no attribute 'torch'"):
            _ = apollo_rt.torch
