"""One plugin hop by hop: its latency to the sample, as Pedalboard's own offline result, and bypassed where it fails."""

import numpy as np
import pytest

from apollo_rt.errors import PluginError
from apollo_rt.plugins.hosted_plugin import AbsentPlugin, HostedPlugin
from apollo_rt.plugins.native_parameters import NOT_LIVE
from apollo_rt.plugins.pedalboard_plugins import make_plugin
from apollo_rt.plugins.plugin_spec import parse_spec
from tests.doubles.vst3_plugin import LATENCY, MAXIMIZER_LATENCY, NO_NUMBERS, maximizer, vst3

RATE, HOP = 44_100, 256
FADE_SLOPE = 1 / 64
FILES = {"VST3": vst3, "somebody's VST3": maximizer}


def sine(n_hops, level=0.5):
    samples = level * np.sin(2 * np.pi * 440 * np.arange(n_hops * HOP) / RATE)
    return np.tile(samples.astype(np.float32), (2, 1))


def noise(n_hops):
    return np.random.default_rng(0).uniform(-0.5, 0.5, (2, n_hops * HOP)).astype(np.float32)


def streamed(plugin, samples):
    hops = (samples[:, begin : begin + HOP] for begin in range(0, samples.shape[1], HOP))
    return np.concatenate([plugin.process(hop) for hop in hops], axis=1)


def delayed(samples, n):
    return np.concatenate([np.zeros((2, n), np.float32), samples], axis=1)[:, : samples.shape[1]]


class Broken:
    """Stands in for a plugin that goes wrong at its hundredth hop."""

    def __init__(self, fault):
        self.fault, self.n_hops = fault, 0

    def reset(self):
        self.n_hops = 0

    def process(self, hop, sample_rate, buffer_size, reset):
        self.n_hops += 1
        if self.n_hops < 100:
            return np.float32(-0.5) * hop
        if self.fault == "raises":
            raise ZeroDivisionError("oh no\nand more")
        return hop[:, :7] if self.fault == "is short" else hop * np.nan


def broken(monkeypatch, fault):
    plugin = Broken(fault)
    monkeypatch.setattr("apollo_rt.plugins.hosted_plugin.make_plugin", lambda _: plugin)
    monkeypatch.setattr("apollo_rt.plugins.hosted_plugin.rows_of", lambda _: [])
    return HostedPlugin(parse_spec("Gain"), RATE, HOP)


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("HighpassFilter(cutoff_frequency_hz=30)", 0),
        ("Delay(delay_seconds=0.1, mix=0.5)", 0),
        ("BrickwallLimiter(ceiling_db=-3)", 220),
        ("Resample(target_sample_rate=32000)", None),
        ("Resample(target_sample_rate=8000)", None),
        ("MP3Compressor", None),
        ("VST3", LATENCY),
        ("somebody's VST3", MAXIMIZER_LATENCY),
    ],
)
def test_a_plugin_comes_out_as_late_as_it_says_and_as_pedalboard_makes_it_offline(text, latency):
    spec = parse_spec(f"{FILES[text]()}?threshold_db=-6" if text in FILES else text)
    plugin = HostedPlugin(spec, RATE, HOP)
    assert latency in (None, plugin.latency)
    assert plugin.latency > 0 or latency == 0
    samples = noise(2 * plugin.latency // HOP + 60)
    expected = make_plugin(spec).process(samples, RATE, buffer_size=HOP, reset=True)
    expected = expected[:, : samples.shape[1] - plugin.latency]
    out = streamed(plugin, samples)
    assert plugin.failure == ""
    assert np.abs(out).max() > 0.1
    np.testing.assert_array_equal(out[:, : plugin.latency], 0)
    np.testing.assert_allclose(out[:, plugin.latency :], expected, atol=1e-6)


def test_a_plugin_for_one_channel_runs_once_for_each_and_is_set_on_both():
    """ZamComp: left is loud and compressed, right is quiet and left as it is."""
    plugin = HostedPlugin(parse_spec(f"{maximizer().with_name('ZamComp.vst3')}?threshold_db=-20"), RATE, HOP)
    assert plugin.latency == 0
    samples = sine(80, 1.0) * np.array([[0.5], [0.05]], np.float32)
    out = streamed(plugin, samples)
    assert plugin.failure == ""
    left, right = (np.abs(out[side, -20 * HOP :]).max() / np.abs(samples[side]).max() for side in (0, 1))
    assert left < 0.6
    assert right == pytest.approx(1.0, abs=0.01)
    plugin.set_value("threshold_db", 0.0)
    np.testing.assert_allclose(np.abs(streamed(plugin, samples)[0, -20 * HOP :]).max(), 0.5, atol=0.01)
    plugin.set_value("threshold_db", -60.0)
    assert np.abs(streamed(plugin, samples)[1, -20 * HOP :]).max() < 0.04
    plugin.reset()


@pytest.mark.parametrize(
    ("text", "latency"),
    [("BrickwallLimiter", 220), ("VST3", LATENCY), ("somebody's VST3", MAXIMIZER_LATENCY)],
)  # fmt: skip
def test_an_impulse_comes_out_at_the_latency_and_again_after_a_reset(text, latency):
    plugin = HostedPlugin(parse_spec(str(FILES[text]()) if text in FILES else text), RATE, HOP)
    assert plugin.arrival == plugin.latency == latency
    for _ in range(2):
        impulse = np.zeros((2, 8 * HOP), np.float32)
        impulse[:, HOP + 3] = 0.25
        np.testing.assert_allclose(streamed(plugin, impulse), delayed(impulse, latency), atol=1e-6)
        streamed(plugin, noise(3))
        plugin.reset()


@pytest.mark.parametrize("fault", ["raises", "is short", "returns NaN"])
def test_a_plugin_that_fails_is_bypassed_at_once_and_nothing_steps(monkeypatch, fault):
    plugin = broken(monkeypatch, fault)
    samples = sine(150)
    out = streamed(plugin, samples)
    before, after = slice(0, 99 * HOP), slice(99 * HOP + 64, None)
    np.testing.assert_array_equal(out[:, before], np.float32(-0.5) * samples[:, before])
    np.testing.assert_array_equal(out[:, after], samples[:, after])
    steepest = np.abs(np.diff(samples)).max() + 1.5 * 0.5 * FADE_SLOPE
    assert np.abs(np.diff(out)).max() < steepest
    reasons = {"raises": "raised ZeroDivisionError: oh no", "is short": "returned 7 samples of 256",
               "returns NaN": "no numbers"}  # fmt: skip
    assert reasons[fault] in plugin.failure


def test_the_test_of_steps_would_hear_one():
    samples = sine(150)
    out = np.concatenate([-0.5 * samples[:, : 99 * HOP], samples[:, 99 * HOP :]], axis=1)
    assert np.abs(np.diff(out)).max() > np.abs(np.diff(samples)).max() + 1.5 * 0.5 * FADE_SLOPE


def test_the_bypass_of_a_plugin_fades_both_ways_at_its_latency(monkeypatch):
    plugin = HostedPlugin(parse_spec("BrickwallLimiter(ceiling_db=-12)"), RATE, HOP)
    samples = sine(200)
    parts = []
    for begin in range(0, 200, 50):
        plugin.is_bypassed = begin in (50, 150)
        parts.append(streamed(plugin, samples[:, begin * HOP : (begin + 50) * HOP]))
    out, dry = np.concatenate(parts, axis=1), delayed(samples, 220)
    np.testing.assert_array_equal(out[:, 51 * HOP : 100 * HOP], dry[:, 51 * HOP : 100 * HOP])
    assert np.abs(out[:, 140 * HOP : 150 * HOP]).max() < 0.26  # limited again
    assert np.abs(np.diff(out)).max() < np.abs(np.diff(samples)).max() + 0.25 * FADE_SLOPE


def test_a_parameter_is_changed_between_hops_and_refused_in_words():
    plugin = HostedPlugin(parse_spec(str(vst3())), RATE, HOP)
    streamed(plugin, noise(4))
    plugin.set_value("threshold_db", -20.0)
    assert np.abs(streamed(plugin, noise(40))[:, 20 * HOP :]).max() < 0.12
    with pytest.raises(PluginError, match="out of range"):
        plugin.set_value("threshold_db", -300.0)
    plugin.set_value("fault", float(NO_NUMBERS))
    streamed(plugin, noise(2))
    assert "no numbers" in plugin.failure


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("PitchShift", "can't be live: block by block it returns nothing"),
        ("GSMFullRateCompressor", "can't be live"),
        ("Foo", "one of Bitcrush, .*BrickwallLimiter"),
        ("HighpassFilter(frequency=3)", "parameters are cutoff_frequency_hz, got frequency=3"),
        ("HighpassFilter(cutoff_frequency_hz=-3)", "must be from 5 to 20000"),
        ("LadderFilter(mode='HPF5')", "parameters are"),
        ("Convolution(impulse_response_filename='/no/such.wav')", "Convolution: "),
        ("/no/such.vst3", "no such plugin"),
        ("{vst3}?treshold_db=-1", "parameters are .*threshold_db, .* got 'treshold_db'"),
        ("{vst3}?threshold_db=-300", "out of range"),
        ("{vst3}#Other", "holds 'Test Limiter', got 'Other'"),
    ],
)
def test_a_plugin_that_cant_be_had_is_refused_with_what_there_is(text, reason):
    with pytest.raises(PluginError, match=reason) as caught:
        HostedPlugin(parse_spec(text.format(vst3=vst3()) if "{" in text else text), RATE, HOP)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", sorted(NOT_LIVE))
def test_what_is_said_to_fail_block_by_block_still_does(kind):
    tone = sine(250)
    effect = make_plugin(parse_spec(kind))
    out = [effect.process(hop, RATE, buffer_size=HOP, reset=False) for hop in np.split(tone, 250, axis=1)]
    out = np.concatenate(out, axis=1)[0]
    expected = make_plugin(parse_spec(kind)).process(tone, RATE, reset=True)[0, : len(out)]
    assert np.linalg.norm(expected) > 10
    assert np.dot(out, expected) < 0.5 * np.linalg.norm(expected) ** 2


def test_in_the_place_of_an_absent_plugin_its_latency_stays():
    samples = noise(10)
    plugin = AbsentPlugin(300, HOP)
    np.testing.assert_array_equal(streamed(plugin, samples), delayed(samples, 300))
    plugin.reset()
    np.testing.assert_array_equal(streamed(plugin, samples), delayed(samples, 300))
