"""The mixer: one gain, never a step, and signals that pass bit for bit where nothing is mixed."""

import numpy as np
import pytest

from apollo_rt.control.parameters import Parameters, parameter
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.stream import mixer

ENOUGH = 10**6
RATE = 44_100


@pytest.fixture
def signals():
    random = np.random.default_rng(5)
    return [random.uniform(-1, 1, (300, 2)).astype(np.float32) for _ in range(2)]


def mixer_at(start, **wanted):
    """A mixer that stands where `start` has it and is told to go where `wanted` says."""
    made = mixer.new_mixer(Parameters(**start).values)
    mixer.read_mixer_targets(made, Parameters(**{**start, **wanted}).values)
    return made


def mixed(made, dry, wet, n_wet=ENOUGH):
    out = np.empty_like(dry)
    n_covered = mixer.crossfade(dry, wet, n_wet, made, out)
    mixer.finish(made, out, RATE)
    return out, n_covered


def fade(n_samples, n_wet, target, gain):
    """Gain per sample, seen on a wet signal of ones over silence."""
    dry, wet = np.zeros((n_samples, 2), np.float32), np.ones((n_samples, 2), np.float32)
    out, n_covered = mixed(mixer_at({"mix": gain}, mix=target), dry, wet, n_wet)
    np.testing.assert_array_equal(out[:, 0], out[:, 1])
    return out[:, 0], n_covered


@pytest.mark.parametrize(("target", "which"), [(0.0, 0), (1.0, 1)])
def test_at_either_end_a_signal_passes_bit_for_bit(signals, target, which):
    out, _ = mixed(mixer_at({"mix": target}), *signals)
    np.testing.assert_array_equal(out, signals[which])


def test_mix_is_linear_in_amplitude(signals):
    out, _ = mixed(mixer_at({"mix": 0.25}), *signals)
    np.testing.assert_allclose(out, 0.75 * signals[0] + 0.25 * signals[1], atol=1e-7)


def test_a_signal_faded_against_itself_stays_as_it_is(signals):
    out, _ = mixed(mixer_at({"mix": 1.0}, mix=0.0), signals[0], signals[0].copy())
    np.testing.assert_allclose(out, signals[0], atol=1e-7)


@pytest.mark.parametrize(("gain", "target"), [(0.0, 1.0), (1.0, 0.0), (0.3, 0.8), (1.0, 0.97)])
def test_the_gain_moves_to_its_target_by_one_fade_and_stays(gain, target):
    gains, n_covered = fade(200, ENOUGH, target, gain)
    steps = np.abs(np.diff(np.concatenate([[gain], gains])))
    assert steps.max() <= 1 / FADE_LENGTH + 1e-6
    assert np.count_nonzero(steps > 1e-6) == np.ceil(abs(target - gain) * FADE_LENGTH)
    np.testing.assert_allclose(gains[-1], target, atol=1e-7)
    assert n_covered == 0


def test_the_fade_ends_exactly_where_the_wet_signal_does():
    gains, n_covered = fade(200, 150, 1.0, 1.0)
    np.testing.assert_allclose(gains[: 150 - FADE_LENGTH + 1], 1)
    np.testing.assert_allclose(gains[150 - FADE_LENGTH : 150], np.arange(FADE_LENGTH, 0, -1) / FADE_LENGTH)
    np.testing.assert_array_equal(gains[150:], 0)
    assert n_covered == 200 - 150 + FADE_LENGTH - 1


def test_where_no_wet_signal_is_it_is_not_even_read():
    dry = np.ones((10, 2), np.float32)
    out, _ = mixed(mixer_at({"mix": 0.0}, mix=1.0), dry, np.full_like(dry, np.nan), n_wet=0)
    np.testing.assert_array_equal(out, dry)


def test_missing_wet_samples_are_no_concern_of_a_listener_to_the_bypass():
    assert fade(100, 0, 0.0, 0.0)[1] == 0


# --- delta -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mix", [1.0, 0.5])
def test_delta_is_wet_minus_dry(signals, mix):
    dry, wet = signals
    out, _ = mixed(mixer_at({"delta": 1, "mix": mix}), dry, wet)
    np.testing.assert_allclose(out, mix * (wet - dry), atol=1e-6)


def test_where_nothing_was_changed_delta_is_silence(signals):
    out, _ = mixed(mixer_at({"delta": 1}), signals[0], signals[0].copy())
    assert not out.any()


def test_what_is_missing_is_silence_in_delta_and_is_not_read(signals):
    dry = signals[0]
    out, _ = mixed(mixer_at({"delta": 1, "mix": 0.0}, mix=1.0), dry, np.full_like(dry, np.nan), n_wet=0)
    assert not out.any()


def test_bypass_wins_over_everything(signals):
    everything = {"delta": 1, "low_cut_hz": 500, "output_gain_db": 6, "bypass": 1}
    out, _ = mixed(mixer_at(everything), *signals)
    np.testing.assert_array_equal(out, signals[0])


# --- low cut and gain ------------------------------------------------------------------------------------------------


def sine(frequency_hz, n_samples=RATE):
    wave = np.sin(2 * np.pi * frequency_hz / RATE * np.arange(n_samples))
    return np.repeat(wave[:, None], 2, axis=1).astype(np.float32) * 0.25


def level_db(settings, frequency_hz):
    """What is left of a sine, in the second half of a second."""
    tone = sine(frequency_hz)
    out, _ = mixed(mixer_at(settings), tone, tone)
    half = slice(RATE // 2, None)
    return 20 * np.log10(np.std(out[half]) / np.std(tone[half]))


@pytest.mark.parametrize("gain_db", [-24.0, -6.0, 0.0, 12.0])
def test_the_output_gain_is_in_decibels(gain_db):
    assert level_db({"output_gain_db": gain_db}, 1000) == pytest.approx(gain_db, abs=1e-4)


@pytest.mark.parametrize("cut_hz", [50, 200, 1000])
def test_the_low_cut_is_a_butterworth_filter_of_second_order(cut_hz):
    assert level_db({"low_cut_hz": cut_hz}, cut_hz) == pytest.approx(-3.01, abs=0.03)
    assert level_db({"low_cut_hz": cut_hz}, cut_hz / 2) == pytest.approx(-12.3, abs=0.1)
    assert level_db({"low_cut_hz": cut_hz}, cut_hz / 4) == pytest.approx(-24.1, abs=0.2)
    assert level_db({"low_cut_hz": cut_hz}, 8000) == pytest.approx(0, abs=0.05)


def test_at_its_minimum_the_low_cut_is_off_bit_for_bit(signals):
    out, _ = mixed(mixer_at({"low_cut_hz": 20}), *signals)
    np.testing.assert_array_equal(out, signals[1])


def test_a_low_cut_that_was_switched_off_leaves_nothing_behind(signals):
    made = mixer_at({"low_cut_hz": 300}, low_cut_hz=20)
    mixed(made, sine(100, 1000), sine(100, 1000))
    out, _ = mixed(made, *signals)
    np.testing.assert_array_equal(out, signals[1])


JUMPS = [
    ({}, {"mix": 0.0}),
    ({}, {"bypass": 1}),
    ({}, {"delta": 1}),
    ({}, {"low_cut_hz": 1000}),
    ({"low_cut_hz": 1000}, {"low_cut_hz": 20}),
    ({"low_cut_hz": 30}, {"low_cut_hz": 1000}),
    ({"output_gain_db": -24}, {"output_gain_db": 12}),
    ({"low_cut_hz": 400, "output_gain_db": 12, "delta": 1}, {"bypass": 1}),
]


@pytest.mark.parametrize(("start", "wanted"), JUMPS)
@pytest.mark.parametrize("block_size", [1, 37, 3000])
def test_a_jump_of_any_of_them_is_a_small_step_per_sample_and_settles_in_time(start, wanted, block_size):
    """Wet and dry are constants, so that every step there is comes from what moved."""
    n_samples = 4000
    dry, wet = np.full((n_samples, 2), 0.25, np.float32), np.full((n_samples, 2), -0.5, np.float32)
    made = mixer.new_mixer(Parameters(**start).values)
    before, _ = mixed(made, dry, wet)
    mixer.read_mixer_targets(made, Parameters(**{**start, **wanted}).values)
    blocks = [mixed(made, dry[i : i + block_size], wet[i : i + block_size])[0] for i in range(0, n_samples, block_size)]
    out = np.concatenate(blocks)
    steps = np.abs(np.diff(np.concatenate([before[-1:], out]), axis=0))
    assert steps.max() <= (0.5 + 2 * 0.25) * 4 * (1 / FADE_LENGTH + 2 / 512)
    settings = {**start, **wanted}
    longest_ms = max(parameter(name).settles_ms for name in wanted)
    settled = round(longest_ms / 1e3 * RATE)
    if "low_cut_hz" not in settings or settings.get("bypass"):  # else the filter itself rings on
        np.testing.assert_array_equal(out[settled:], np.broadcast_to(out[-1], out[settled:].shape))
    else:
        assert made[mixer.TARGET_LOW_CUT] == (settings["low_cut_hz"] if settings["low_cut_hz"] > 20 else 0)


def test_the_sizes_of_blocks_do_not_show_while_everything_moves():
    dry, wet = (np.random.default_rng(seed).uniform(-1, 1, (5000, 2)).astype(np.float32) for seed in (1, 2))
    outs = []
    for size in (1, 64, 511, 5000):
        made = mixer_at({"low_cut_hz": 30, "mix": 0.2}, low_cut_hz=900, output_gain_db=6, delta=1, mix=1.0)
        outs.append(
            np.concatenate([mixed(made, dry[i : i + size], wet[i : i + size])[0] for i in range(0, 5000, size)])
        )
    for out in outs[1:]:
        np.testing.assert_array_equal(out, outs[0])


def test_samples_that_are_no_audio_do_not_poison_the_low_cut():
    made, block = mixer_at({"low_cut_hz": 100}), sine(1000, 2000)
    spoilt = block.copy()
    spoilt[500] = np.nan
    out, _ = mixed(made, spoilt, spoilt)
    assert np.isnan(out[500]).all(), "left to the guard, which counts it"
    assert np.isfinite(np.delete(out, 500, axis=0)).all()
