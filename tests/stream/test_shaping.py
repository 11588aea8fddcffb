"""Strength, air and crossover: how much of the model's change is taken, bin by bin, and never with a click."""

from pathlib import Path

import numpy as np
import pytest

import apollo_rt
from apollo_rt.config import Framing
from apollo_rt.control.parameters import Parameters, parameter
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.inference.model import load
from apollo_rt.inference.onnx_session import run_step
from apollo_rt.stream.batch_stream import open_batch_stream
from apollo_rt.stream.processor import Processor
from apollo_rt.stream.restoration_stream import RestorationStream
from apollo_rt.stream.stft import CARRIER_SEED, analyse, fill_carrier, synthesise
from tests.doubles import tiny_models
from tests.doubles.sounds import gaussian_noise

RATE = 44_100
HOP = 256
FRAMING = Framing(hop_length=HOP, analysis_length=2048)
LATENCY = FRAMING.algorithmic_latency
CUT_HZ = 8000
DEMO = Path(apollo_rt.__file__).parent / "data" / "demo.mp3"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """`half`: half the input. `restorer`: below 8 kHz the input times 0.7, above it noise, as a real one has it."""
    folder = tmp_path_factory.mktemp("models")
    above = (np.arange(FRAMING.n_bins) * RATE / FRAMING.analysis_length >= CUT_HZ).astype(np.float32)[None, :, None]
    nodes = [
        tiny_models.node("Mul", "spectrum kept", "corrected"),
        tiny_models.node("Mul", "carrier level", "generated"),
        tiny_models.node("Add", "corrected generated", "restored"),
    ]
    constants = {"kept": 0.7 * (1 - above), "level": 0.5 * above}
    path = tiny_models.write(folder / "restorer.onnx", FRAMING, nodes, constants=constants, carrier="hash-uniform-1")
    return {
        "half": load(tiny_models.gain(folder, 0.5, FRAMING)),
        "restorer": load(path),
        "busy": load(tiny_models.busy(folder, FRAMING)),
    }


def restored(model, samples, **values):
    """Aligned with the input."""
    stream = RestorationStream(model, Parameters(**values))
    padded = np.concatenate([samples, np.zeros((LATENCY, 2), np.float32)])
    return stream.process(padded)[LATENCY:]


def band_db(samples, low_hz, high_hz):
    """Power of the first channel's middle between two frequencies, in dB."""
    window = np.hanning(len(samples))
    power = np.abs(np.fft.rfft(samples[:, 0] * window)) ** 2
    frequency_hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return 10 * np.log10(power[(frequency_hz >= low_hz) & (frequency_hz < high_hz)].sum() + 1e-30)


def dull(n_samples=2 * RATE):
    """Music that a codec cut off: sines below 7 kHz, nothing above."""
    time_s = np.arange(n_samples) / RATE
    waves = sum(np.sin(2 * np.pi * hz * time_s + hz) for hz in (220, 440, 1100, 3300, 6900))
    return np.repeat(0.05 * waves[:, None], 2, axis=1).astype(np.float32)


def test_at_the_defaults_a_frame_is_the_models_bit_for_bit(models):
    """Against the same pieces without any shaping between them."""
    samples, plain = gaussian_noise(20 * HOP), Processor(models["busy"])
    expected, state = np.empty_like(samples), plain.compiled
    for frame, begin in enumerate(range(0, len(samples), HOP)):
        analyse(state.analysis, samples[begin : begin + HOP], state.buffers.spectrum)
        fill_carrier(CARRIER_SEED, frame, state.buffers.carrier)
        assert run_step(state.addresses, frame & 1) == 0
        synthesise(state.synthesis, state.buffers.restored, expected[begin : begin + HOP])
    processor = Processor(models["busy"])
    out = np.concatenate([processor.process(hop) for hop in samples.reshape(-1, HOP, 2)])
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.5])
def test_strength_scales_what_the_model_changed(models, strength):
    samples = gaussian_noise(20_000)
    out = restored(models["half"], samples, strength=strength)
    np.testing.assert_allclose(out, samples * (1 - 0.5 * strength), atol=1e-6)


@pytest.mark.parametrize(("air_db", "factor"), [(-6.0206, 0.5), (6.0206, 2.0), (-60.0, 0.0)])
def test_air_scales_what_is_generated_where_nothing_is(tmp_path, air_db, factor):
    model = load(tiny_models.carrier_only(tmp_path, 0.01, FRAMING))
    silence = np.zeros((20_000, 2), np.float32)
    expected = restored(model, silence) * np.float32(factor)
    assert np.abs(restored(model, silence)).max() > 1e-6
    np.testing.assert_allclose(restored(model, silence, air_db=air_db), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("values", "below_db", "above_db"),
    [
        ({}, -3.1, 0.0),
        ({"strength": 0.0}, 0.0, 0.0),
        ({"air_db": -12.0}, -3.1, -12.0),
        ({"air_db": 6.0}, -3.1, 6.0),
        ({"strength": 0.0, "air_db": 6.0}, 0.0, 6.0),
        ({"strength": 1.5, "air_db": -60.0}, -5.19, -90.0),
    ],
)
def test_strength_acts_below_the_cut_and_air_above_it(models, values, below_db, above_db):
    """At the sines, whose level the model lowers by 3.1 dB, and in the band that is all generated."""
    music = dull()
    middle, plain = slice(RATE // 2, -RATE // 4), restored(models["restorer"], music)
    out = restored(models["restorer"], music, **values)
    assert band_db(out[middle], 1050, 1150) - band_db(music[middle], 1050, 1150) == pytest.approx(below_db, abs=0.15)
    change_db = band_db(out[middle], 9000, 20_000) - band_db(plain[middle], 9000, 20_000)
    if above_db > -90:
        assert change_db == pytest.approx(above_db, abs=0.3)
    else:
        assert change_db < -50


def test_on_a_real_mp3_air_moves_what_lies_above_the_cut_and_strength_what_lies_below():
    """The demo ends at 7.9 kHz; with the model that ships. Measured: see docs/effects.md."""
    with AudioReader(DEMO, RATE) as reader:
        music = reader.read(3 * RATE)[RATE:]
    model = load()
    plain = restored(model, music)
    softer, weaker = (restored(model, music, **values) for values in ({"air_db": -12.0}, {"strength": 0.0}))

    def change_db(out, low_hz, high_hz):
        return band_db(out - music, low_hz, high_hz) - band_db(plain - music, low_hz, high_hz)

    for low_hz, high_hz in ((9000, 12_000), (12_000, 18_000)):
        assert change_db(softer, low_hz, high_hz) == pytest.approx(-12, abs=0.3)
        assert change_db(weaker, low_hz, high_hz) == pytest.approx(0, abs=0.3)
    assert change_db(softer, 100, 2000) == pytest.approx(0, abs=1.5)
    assert change_db(weaker, 100, 2000) < -12


@pytest.mark.parametrize("crossover_hz", [1000.0, 4000.0, 12_000.0])
def test_below_the_crossover_the_signal_stays_dry_and_a_quarter_above_it_is_the_models(models, crossover_hz):
    samples = gaussian_noise(RATE)
    change = (restored(models["half"], samples, crossover_hz=crossover_hz) - samples)[RATE // 4 : -RATE // 4]
    dry = samples[RATE // 4 : -RATE // 4]

    def change_db(low, high):
        return band_db(change, low * crossover_hz, high * crossover_hz) - band_db(
            dry, low * crossover_hz, high * crossover_hz
        )

    assert change_db(0.1, 0.8) < -55
    assert change_db(0.8, 1.0) < -35
    assert change_db(1.3, 1.7) == pytest.approx(-6.02, abs=0.1)


@pytest.mark.parametrize(
    ("values", "atol"), [({"strength": 0.0, "air_db": -60.0}, 1e-6), ({"crossover_hz": 2e4}, 1e-5)]
)
def test_with_all_of_it_off_the_input_comes_back(models, values, atol):
    music, inside = dull(20_000), slice(HOP, -HOP)  # music that begins and ends at once has all frequencies there
    out = restored(models["half"], music, **values)
    np.testing.assert_allclose(out[inside], music[inside], atol=atol)


def test_with_a_lookahead_the_dry_frame_is_as_old_as_the_restored_one(tmp_path):
    model = load(tiny_models.lookahead(tmp_path, level=9.0))
    samples, stream = gaussian_noise(64 * 100), RestorationStream(model, Parameters(strength=0.3, air_db=-20))
    out, lag = stream.process(samples), stream.latency_samples
    np.testing.assert_allclose(out[lag:], samples[:-lag], atol=1e-6)


JUMPS = [
    ({}, {"strength": 0.0}),
    ({}, {"air_db": 12.0}),
    ({"air_db": -60.0}, {"air_db": 12.0}),
    ({}, {"crossover_hz": 20_000.0}),
    ({"crossover_hz": 20_000.0}, {"crossover_hz": 20.0}),
]


@pytest.mark.parametrize(("start", "wanted"), JUMPS)
def test_a_jump_of_any_of_them_fades_over_hops_and_is_complete_in_time(models, start, wanted):
    """What a jump changes begins at zero, grows by a share of its whole in every hop, and is then all there is."""
    music, at = dull(RATE), 60 * HOP
    parameters = Parameters(**start)
    stream = RestorationStream(models["restorer"], parameters)
    before = stream.process(music[:at])
    for name, value in wanted.items():
        parameters.set(name, value)
    out = np.concatenate([before, stream.process(music[at:])])
    old, new = (
        RestorationStream(models["restorer"], Parameters(**values)).process(music)
        for values in (start, {**start, **wanted})
    )
    settled = at + round(max(parameter(name).settles_ms for name in wanted) / 1e3 * RATE) + HOP
    np.testing.assert_array_equal(out[:at], old[:at])
    # Averages of power began at other moments; they agree as they go on.
    assert np.abs(out[settled:] - new[settled:]).max() < 0.05 * np.abs(new - old).max()
    # No click: nothing in the change is steeper than what the two signals are anyway, faded over two hops.
    natural = max(np.abs(np.diff(signal, axis=0)).max() for signal in (old, new))
    assert np.abs(np.diff(out, axis=0)).max() <= 1.1 * natural
    first_hop = np.abs((out - old)[at : at + HOP]).max()
    assert first_hop <= 0.35 * np.abs(new - old).max()


def test_reset_equals_new_and_what_is_wanted_holds_from_the_first_hop(models):
    samples, parameters = gaussian_noise(9000), Parameters(strength=0.4, air_db=-6, crossover_hz=500)
    stream = RestorationStream(models["busy"], parameters)
    first = stream.process(samples)
    parameters.strength = 1.3
    stream.process(samples)
    parameters.strength = 0.4
    stream.reset()
    np.testing.assert_array_equal(stream.process(samples), first)


def test_back_at_the_defaults_the_stream_is_the_models_again_bit_for_bit(models):
    samples, parameters = gaussian_noise(90 * HOP), Parameters()
    stream, plain = RestorationStream(models["busy"], parameters), RestorationStream(models["busy"])
    outs = [stream.process(samples[: 20 * HOP])]
    parameters.strength, parameters.crossover_hz = 0.2, 3000
    outs.append(stream.process(samples[20 * HOP : 40 * HOP]))
    parameters.strength, parameters.crossover_hz = 1.0, 20
    outs.append(stream.process(samples[40 * HOP :]))
    expected, out = plain.process(samples), np.concatenate(outs)
    assert not np.array_equal(out[30 * HOP : 40 * HOP], expected[30 * HOP : 40 * HOP])
    np.testing.assert_array_equal(out[63 * HOP :], expected[63 * HOP :])


@pytest.mark.parametrize("values", [{"strength": 0.4}, {"air_db": 6.0}, {"crossover_hz": 900.0}])
def test_blocks_of_frames_are_shaped_as_single_ones(tmp_path, values):
    model = load(tiny_models.in_batches(tiny_models.gain(tmp_path, 2.0), n_frames=6))
    samples = gaussian_noise(64 * 60)
    batches = open_batch_stream(model, parameters=Parameters(**values))
    hops = RestorationStream(model, Parameters(**values))
    lag = batches.latency_samples - hops.latency_samples
    fast = batches.process(np.concatenate([samples, np.zeros((lag, 2), np.float32)]))[lag:]
    np.testing.assert_allclose(fast, hops.process(samples), atol=1e-6)


def test_both_back_ends_shape_alike(tmp_path):
    path, samples = tiny_models.busy(tmp_path), gaussian_noise(5000)
    one, other = (
        RestorationStream(load(path, backend), Parameters(strength=0.3, air_db=3)).process(samples)
        for backend in ("c_api", "python")
    )
    np.testing.assert_array_equal(one, other)
