"""The heart of the plugins, in C++, gives what the stream in Python gives: at any rate, in any blocks, and mixed."""

import time
from pathlib import Path

import numpy as np
import pytest

from apollo_rt.control.parameters import PARAMETERS, Parameters
from apollo_rt.inference.model import load
from apollo_rt.inference.model_file import default_model_path
from apollo_rt.stream.dry_line import DryLine
from apollo_rt.stream.restoration_stream import RestorationStream
from tests.doubles import tiny_models
from tests.doubles.plugin_heart import PluginHeart, blocks, live_calls, needs_compiler, set_hop_delay_ms
from tests.doubles.plugin_reference import difference_db, reference, sound

RATES = [22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000]
AWKWARD = [1, 255, 256, 257, 4608, 77, 1152, 2048]


@pytest.fixture(autouse=True)
def _compiler() -> None:
    needs_compiler()


@pytest.mark.parametrize("rate", RATES)
def test_it_is_the_stream_in_python_at_each_rate(busy, rate):
    audio = sound()
    with PluginHeart(busy.card.path, rate) as heart:
        out = heart.stream(audio, [480])
        assert heart.covered == 0
        assert difference_db(out, reference(busy, audio, rate, heart.latency, 480)) < -80


@pytest.mark.parametrize("rate", RATES)
def test_an_impulse_comes_out_after_the_latency_to_the_sample(identity, rate):
    audio = np.zeros((2, 12_000), np.float32)
    audio[:, 3000] = 0.5
    with PluginHeart(identity.card.path, rate) as heart:
        out = heart.stream(audio, [333])
        assert list(np.abs(out).argmax(axis=1)) == [3000 + heart.latency] * 2
        around = out[0, 3000 + heart.latency + np.arange(-40, 41)]
        assert np.allclose(around, around[::-1], atol=1e-5)  # symmetrical: not a fraction of a sample beside it


def test_at_the_models_rate_it_takes_the_streams_latency_and_a_hop(identity):
    with PluginHeart(identity.card.path) as heart:
        assert heart.latency == identity.framing.algorithmic_latency + identity.framing.hop_length


@pytest.mark.parametrize(
    "make",
    [
        tiny_models.identity,
        tiny_models.delay_one_frame,
        tiny_models.carrier_only,
        tiny_models.newest_samples,
        tiny_models.lookahead,
        tiny_models.busy,
    ],
    ids=lambda make: make.__name__,
)
def test_everything_that_a_model_file_may_ask_for_is_there(tmp_path, make):
    model, audio = load(make(tmp_path)), sound(9000)
    with PluginHeart(model.card.path) as heart:
        assert difference_db(heart.stream(audio), reference(model, audio, 44_100, heart.latency, 512)) < -80


def test_the_model_that_ships_gives_what_it_gives_in_python():
    path = default_model_path()
    model = load(path)
    golden = np.ascontiguousarray(model.card.golden.input.reshape(-1, 2).T)
    with PluginHeart(path) as heart:
        audio = np.concatenate((golden, golden, sound(8000)), axis=1)
        out, expected = heart.stream(audio), reference(model, audio, 44_100, heart.latency, 512)
    error = np.sqrt(np.mean((out - expected) ** 2.0) / np.mean(expected**2.0))
    # Its layers round to 8 bits: where a sum stands between two steps, the last bit of the FFT decides.
    assert 20 * np.log10(error) < -75
    assert difference_db(out, expected) < -60


VALUES = [
    {"mix": 0.35},
    {"bypass": 1.0},
    {"delta": 1.0, "output_gain_db": 6.0},
    {"strength": 1.5, "air_db": -60.0},
    {"air_db": 9.0, "crossover_hz": 1500.0},
    {"low_cut_hz": 300.0, "output_gain_db": -12.5},
    {"strength": 0.2, "air_db": -6.0, "crossover_hz": 8000.0, "low_cut_hz": 90.0, "mix": 0.8},
]


@pytest.mark.parametrize("values", VALUES, ids=lambda values: "-".join(values))
def test_every_parameter_does_what_it_does_in_python(busy, values):
    audio = sound()
    with PluginHeart(busy.card.path, 48_000, **values) as heart:
        out = heart.stream(audio, [512])
        assert difference_db(out, reference(busy, audio, 48_000, heart.latency, 512, **values)) < -80


def test_random_automation_is_followed_step_by_step(busy):
    rng, audio, size = np.random.default_rng(5), sound(60_000), 384
    parameters = Parameters()
    with PluginHeart(busy.card.path) as heart:
        stream, line = RestorationStream(busy, parameters), DryLine(heart.latency, parameters, 44_100)
        held = np.zeros((heart.latency - stream.latency_samples, 2), np.float32)
        actual, expected = [], []
        for block in blocks(audio, [size]):
            row = PARAMETERS[rng.integers(len(PARAMETERS))]
            value = row.value_at(rng.random())
            parameters.set(row.name, value)
            heart.set(row.name, value)
            actual.append(heart.process(block))
            dry = np.ascontiguousarray(block.T)
            wet = np.concatenate((held, stream.process(dry)))
            held = wet[len(dry) :]
            expected.append(line.mixed(dry, np.ascontiguousarray(wet[: len(dry)])).T)
    assert difference_db(np.concatenate(actual, axis=1), np.concatenate(expected, axis=1)) < -80


@pytest.mark.parametrize("rate", [44_100, 48_000, 192_000])
def test_the_sizes_of_blocks_make_no_difference_to_a_bit(busy, rate):
    audio = sound(40_000)
    with PluginHeart(busy.card.path, rate, low_cut_hz=120.0, strength=0.7) as heart:
        whole = heart.process(audio)
        for sizes in ([512], AWKWARD, [2048, 128]):
            heart.reset()
            assert np.array_equal(heart.stream(audio, sizes), whole)
        heart.reset()
        assert np.array_equal(heart.process(audio, in_place=False), whole)


def test_after_a_reset_it_is_as_new(busy):
    audio = sound(20_000)
    with PluginHeart(busy.card.path, 48_000) as heart, PluginHeart(busy.card.path, 48_000) as fresh:
        heart.stream(sound(11_111, seed=3), [700])
        heart.reset()
        assert np.array_equal(heart.stream(audio), fresh.stream(audio))


def test_values_hold_from_the_first_sample_on(halved):
    audio = np.full((2, 4000), 0.25, np.float32)
    with PluginHeart(halved.card.path, mix=0.0, output_gain_db=6.0) as heart:
        out = heart.stream(audio, [100])
        assert np.allclose(out[:, heart.latency :], 0.25 * 10**0.3, atol=1e-6)


def test_one_channel_is_doubled_and_averaged(busy):
    audio = sound(9000)[:1]
    with PluginHeart(busy.card.path) as heart:
        both = heart.stream(np.repeat(audio, 2, axis=0))
        heart.reset()
        assert np.allclose(heart.stream(audio), both.mean(axis=0), atol=1e-7)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38], ids=str)
def test_what_is_no_audio_is_silence(busy, value):
    audio = sound(9000)
    audio[:, 4000:4100] = value
    silenced = np.where(np.abs(audio) <= 1e6, audio, np.float32(0))
    with PluginHeart(busy.card.path, 48_000) as heart:
        out = heart.stream(audio)
        assert np.isfinite(out).all()
        heart.reset()
        assert np.array_equal(out, heart.stream(silenced))


def test_a_frame_that_the_model_spoils_is_dry(tmp_path):
    model = load(tiny_models.faulty(tmp_path))
    audio = sound(9000) * 0.1
    audio[:, 3000:3800] = 0.9
    with PluginHeart(model.card.path) as heart:
        out = heart.stream(audio)
        assert difference_db(out[:, heart.latency :], audio[:, : -heart.latency]) < -80


def test_the_hosts_own_denormals_stay(identity):
    tiny = np.float32(1e-30)
    with PluginHeart(identity.card.path) as heart:
        heart.process(sound(600))
        assert tiny * np.float32(1e-10) > 0


def test_values_beyond_the_bounds_are_held_at_them(identity):
    with PluginHeart(identity.card.path) as heart:
        for row in PARAMETERS:
            assert heart.get(row.name) == row.default
            for value, held in ((1e9, row.maximum), (-1e9, row.minimum)):
                heart.set(row.name, value)
                assert heart.get(row.name) == held


def test_a_file_that_is_no_model_is_refused(tmp_path, capfd):
    no_model = tmp_path / "none.onnx"
    no_model.write_bytes(Path(__file__).read_bytes())
    with pytest.raises(RuntimeError):
        PluginHeart(no_model)
    assert "none.onnx" in capfd.readouterr().err


# --- in time and late ------------------------------------------------------------------------------------------------


@pytest.fixture
def slow_hops():
    yield set_hop_delay_ms
    set_hop_delay_ms(0)


def test_a_host_that_renders_waits_and_gets_the_same_bits(busy, slow_hops):
    audio = sound(12_000)
    with PluginHeart(busy.card.path) as heart:
        expected = heart.stream(audio)
        slow_hops(10)  # a hop lasts 5.8 ms: slower than real time
        heart.reset()
        assert np.array_equal(heart.stream(audio), expected)
        assert heart.covered == 0


def test_a_live_host_gets_dry_in_time_where_a_hop_is_late(halved, slow_hops):
    size = 441
    audio = np.full((2, 60 * size), 0.5, np.float32)
    with PluginHeart(halved.card.path) as heart:
        out, begin_s = [], time.perf_counter()
        for number, block in enumerate(blocks(audio, [size])):
            if number == 20:
                slow_hops(60)
            if number == 26:
                slow_hops(0)
            time.sleep(max(begin_s + number * 0.01 - time.perf_counter(), 0.002))
            out.append(heart.process(block))
        played = np.concatenate(out, axis=1)[:, heart.latency + 2000 :]
        assert heart.covered > size
    assert np.isclose(played, 0.5, atol=1e-6).any()  # dry
    assert np.isclose(played[:, -size:], 0.25, atol=1e-6).all()  # and wet again
    assert np.abs(np.diff(played)).max() <= 0.25 / 64 + 1e-6  # nothing steps


def test_nothing_steps_where_hops_are_late_at_another_rate(halved, slow_hops):
    audio = np.full((2, 60 * 480), 0.5, np.float32)
    with PluginHeart(halved.card.path, 48_000) as heart:
        out, begin_s = [], time.perf_counter()
        for number, block in enumerate(blocks(audio, [480])):
            slow_hops(45 if number in range(20, 26) else 0)
            time.sleep(max(begin_s + number * 0.01 - time.perf_counter(), 0.002))
            out.append(heart.process(block))
        played = np.concatenate(out, axis=1)[:, heart.latency + 2000 :]
        assert heart.covered > 0
    assert np.abs(np.diff(played)).max() <= 0.25 / 64 + 1e-5


BLOCK_MS = 441 / 44.1


@pytest.mark.parametrize(
    ("period_ms", "inside_ms", "is_live"),
    [
        (BLOCK_MS, 0.1, True),
        (BLOCK_MS, 5.0, True),  # it waits for half the block
        (0.97 * BLOCK_MS, 0.1, True),  # another clock
        (0.3 * BLOCK_MS, 0.2, False),
        (0.01 * BLOCK_MS, 0.05, False),
        (3 * BLOCK_MS, 2.99 * BLOCK_MS, False),  # a machine too slow for real time renders
        (1.5 * BLOCK_MS, 0.2 * BLOCK_MS, True),  # other plugins make the render slow: it leaves time enough
    ],
)
def test_a_live_host_is_told_from_one_that_renders_by_its_pace(period_ms, inside_ms, is_live):
    begins = [call * period_ms for call in range(400)]
    verdicts = live_calls(begins, [begin + inside_ms for begin in begins], 441)
    assert not any(verdicts[:8])  # nothing is known yet
    assert verdicts[8:] == [is_live] * 392


def test_a_pause_begins_anew():
    live = [call * BLOCK_MS for call in range(50)]
    rendered = [live[-1] + 5000 + call * 0.1 for call in range(50)]
    begins = live + rendered
    verdicts = live_calls(begins, [begin + 0.05 for begin in begins], 441)
    assert all(verdicts[8:50])
    assert not any(verdicts[50:])


def test_a_host_that_splits_its_blocks_is_live():
    begins = [call // 4 * BLOCK_MS + call % 4 * 0.1 for call in range(400)]
    verdicts = live_calls(begins, [begin + 0.09 for begin in begins], 110)
    assert all(verdicts[36:])


def test_a_render_whose_core_is_taken_away_now_and_then_does_not_look_live():
    rng = np.random.default_rng(0)
    inside, away = rng.uniform(5, 60, 600), np.where(rng.random(600) < 0.05, rng.uniform(1, 25, 600), 0.02)
    begins = np.concatenate(([0.0], np.cumsum(inside + away)[:-1]))
    assert not any(live_calls(begins, begins + inside, 441))


def test_a_live_host_that_jitters_by_two_blocks_stays_live():
    rng = np.random.default_rng(0)
    begins = np.sort(np.arange(600) * BLOCK_MS + rng.uniform(0, 2 * BLOCK_MS, 600))
    verdicts = live_calls(begins, begins + 0.05, 441)
    assert all(verdicts[60:])
