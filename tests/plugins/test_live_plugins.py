"""Plugins in the live engine: as offline to the sample, aligned with dry, bypassed without a click when they fail."""

import json
import os
import signal
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile

from apollo_rt.commands.cli import main
from apollo_rt.control.commands import Commander
from apollo_rt.errors import PluginError
from apollo_rt.inference.model import load
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.supervision.load_shedding import LoadShedding
from apollo_rt.plugins.live_plugins import LivePlugins
from apollo_rt.plugins.pedalboard_plugins import make_plugin
from apollo_rt.plugins.plugin_chains import OFF, ON, TIMED
from apollo_rt.plugins.plugin_rows import BYPASS
from apollo_rt.plugins.plugin_spec import parse_spec
from apollo_rt.session.controls import LiveControls
from apollo_rt.stream.restoration_stream import RestorationStream
from tests.doubles import tiny_models
from tests.doubles.audio_servers import wait_for
from tests.doubles.memory_files import MemoryReader, MemoryWriter
from tests.doubles.sound_files import write
from tests.doubles.sounds import noise
from tests.doubles.stepped import Stepped
from tests.doubles.vst3_plugin import (
    CRASHES,
    HANGS,
    IS_SLOW,
    LATENCY,
    MAXIMIZER_LATENCY,
    NO_NUMBERS,
    maximizer,
    vst3,
)

RATE, HOP = 44_100, 256
FRAMING = tiny_models.MEDIUM
LEVEL, FREQUENCY_HZ = 0.5, 440.0


def sine(n_hops):
    samples = LEVEL * np.sin(2 * np.pi * FREQUENCY_HZ / RATE * np.arange(n_hops * HOP))
    return np.repeat(samples, 2).reshape(-1, 2).astype(np.float32)


@contextmanager
def playing(before=(), after=(), pace=False):
    plugins = LivePlugins([parse_spec(text) for text in before], [parse_spec(text) for text in after], RATE, HOP, pace)
    try:
        yield plugins
    finally:
        plugins.stop()


def offline(texts, samples):
    for text in texts:
        samples = make_plugin(parse_spec(text)).process(samples.T, RATE, buffer_size=HOP, reset=True).T
    return samples


def pid_of(plugins):
    return plugins._process._process.pid


def change(plugins, name, value):
    """Change a parameter, and let it arrive: a test's stream runs faster than music."""
    plugins.set(name, value)
    arrive(plugins)


def arrive(plugins):
    """Wait until the plugins' process has taken in all changes: it reads on only once it has taken in what it read.

    A change on its way is with our sending thread, in the pipe, or read and not taken in yet; each of further changes,
    which change nothing, pushes it on by a place.
    """
    import fcntl  # as the socket to the process, not on every system
    import termios

    process, switch = plugins._process, plugins._plugins[0].values[BYPASS]

    def is_read():
        return not process._changes and not any(fcntl.ioctl(process._process.stdin, termios.FIONREAD, bytes(4)))

    for _ in range(4):
        process.change(0, BYPASS, switch)
        assert wait_for(is_read)


def poll_until(plugins, *wanted):
    """The supervisor's polls, until one says something that is wanted; all that was said."""
    lines = []

    def is_said():
        lines.extend(plugins.poll())
        return any(words in line for line in lines for words in wanted)

    assert wait_for(is_said), lines
    return lines


# --- sound -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["c_api", "python"])
def test_the_engine_plays_what_the_same_chain_makes_offline(tmp_path, backend):
    model = load(tiny_models.busy(tmp_path, FRAMING), backend)
    before = ["HighpassFilter(cutoff_frequency_hz=300)", "BrickwallLimiter(ceiling_db=-12)"]
    after = [f"{vst3()}?threshold_db=-18", "Gain(gain_db=-2)"]
    samples, sink = noise(3 * RATE), MemoryWriter()
    with playing(before, after) as plugins:
        driver = VirtualDevice(RATE, 256, pace=False)
        engine = Engine(model, driver, EngineSettings(), MemoryReader(samples), sink, plugins=plugins)
        with engine:
            engine.wait()
        assert engine.latency.plugins_before == 220
        assert engine.latency.plugins_after == LATENCY
        assert engine.latency.plugin_padding == -(220 + LATENCY) % HOP
        assert engine.latency.stream == FRAMING.algorithmic_latency + 2 * HOP + EngineSettings().headroom
        assert "plugins before 5.0" in str(engine.latency)
        assert [state.state for state in engine.snapshot().plugins] == ["playing"] * 4
        assert engine.snapshot().deadline_misses == 0
    stream = RestorationStream(model)
    # The model's frames lie where the plugins before it are late, by 220 samples.
    silence = np.zeros((220, 2), np.float32), np.zeros((stream.latency_samples, 2), np.float32)
    heard = np.concatenate([silence[0], offline(before, samples), silence[1]])
    expected = offline(after, stream.process(heard.astype(np.float32))[stream.latency_samples + 220 :])
    # At its end the stream lacks what an offline run adds behind the last sample.
    end = len(samples) - 2 * HOP
    np.testing.assert_allclose(sink.samples[:end], expected[:end], atol=2e-6)
    assert np.abs(expected).max() > 0.05


def test_somebodys_vst3_plays_live_as_offline_and_is_set_by_name(identity):
    """ZaMaximX2 limits to -6 dB, then to -20 dB, as told by the commands behind every interface."""
    texts, samples = [f"{maximizer()}?output_ceiling_db=-6&threshold_db=-6"], noise(RATE)
    with playing(after=texts) as plugins:
        stream = Stepped(identity, HOP, plugins=plugins)
        out = stream.play(samples)
        assert plugins.latencies[1] == MAXIMIZER_LATENCY
        heard = len(samples) - stream.delay
        np.testing.assert_allclose(out[stream.delay :], offline(texts, samples)[:heard], atol=1e-5)
        commands = Commander(LiveControls(_Engine(plugins, stream.parameters), lambda: None))
        for name in ("threshold_db", "output_ceiling_db"):
            commands.run("set", {"name": f"za_maxim_x2.{name}", "value": -20.0})
        arrive(plugins)
        assert np.abs(stream.play(samples)[RATE // 2 :]).max() == pytest.approx(0.1, rel=0.1)
        assert [state.state for state in plugins.states()] == ["playing"]


@pytest.mark.parametrize("setting", [{}, {"bypass": 1.0}, {"mix": 0.5}])
def test_an_impulse_comes_out_at_d_wet_dry_and_mixed(identity, setting):
    with playing(["BrickwallLimiter"], [str(vst3()), "HighpassFilter(cutoff_frequency_hz=5)"]) as plugins:
        stream = Stepped(identity, HOP, plugins=plugins, **setting)
        samples = np.zeros((30 * HOP, 2), np.float32)
        samples[5 * HOP + 7] = 0.5
        out = stream.play(samples)
        assert stream.delay == FRAMING.algorithmic_latency + HOP + FADE_LENGTH + 2 * HOP
        np.testing.assert_allclose(out[:, 0][5 * HOP + 7 + stream.delay], 0.5, atol=2e-3)
        assert np.argmax(np.abs(out[:, 1])) == 5 * HOP + 7 + stream.delay
        assert np.sort(np.abs(out[:, 0]))[-2] < 2e-3  # one impulse, not two beside each other


def test_after_a_jump_of_the_worker_plugins_play_on_aligned(identity):
    with playing(["BrickwallLimiter"], [f"{vst3()}?threshold_db=0"]) as plugins:
        stream = Stepped(identity, HOP, plugins=plugins)
        samples = sine(200)
        out = [stream.play(samples[: 60 * HOP])]
        out += [stream.call(samples[k * HOP : (k + 1) * HOP]) for k in range(60, 90)]
        out = np.concatenate([*out, stream.play(samples[90 * HOP :])])
    assert stream.stats["jumps"] == 1
    expected = np.concatenate([np.zeros((stream.delay, 2), np.float32), samples])[: len(samples)]
    np.testing.assert_allclose(out[stream.delay :], expected[stream.delay :], atol=1e-4)


# --- faults ----------------------------------------------------------------------------------------------------------


def fault(plugins, kind):
    if kind == "is killed":
        os.kill(pid_of(plugins), signal.SIGKILL)
        plugins._process._process.wait()
    else:
        change(plugins, "test_limiter.fault", {"crashes": CRASHES, "hangs": HANGS}[kind])


@pytest.mark.parametrize(
    ("kind", "message", "plays_again"),
    [
        ("is killed", "the plugins' process was killed (SIGKILL)", "TestLimiter (after the model)"),
        ("crashes", "TestLimiter (after the model) crashed (SIGSEGV): it is bypassed", "Gain (before the model)"),
        ("hangs", "TestLimiter (after the model) did not answer for 1 s: it is bypassed", "Gain (before the model)"),
    ],
)
def test_a_plugin_that_dies_while_music_plays_is_bypassed_without_a_step_and_the_rest_comes_back(
    identity, kind, message, plays_again
):
    # Only in real time does a hop have to come within a second.
    with playing(["Gain(gain_db=-6)"], [f"{vst3()}?threshold_db=-18"], pace=kind == "hangs") as plugins:
        stream = Stepped(identity, HOP, plugins=plugins)
        samples = sine(400)
        out = [stream.play(samples[: 100 * HOP])]
        fault(plugins, kind)
        out.append(stream.play(samples[100 * HOP : 200 * HOP]))
        lines = poll_until(plugins, "plugins play again")
        out.append(stream.play(samples[200 * HOP : 400 * HOP]))
        assert message in lines[0]
        assert plays_again in lines[-1]
        states = {state.name: state.state for state in plugins.states()}
    out, delay = np.concatenate(out), stream.delay
    dry = np.concatenate([np.zeros((delay, 2), np.float32), samples])[: len(out)]
    quiet, loud = slice(80 * HOP, 99 * HOP), slice(120 * HOP, 190 * HOP)
    assert np.abs(out[quiet]).max() < 0.15  # limited
    np.testing.assert_allclose(out[loud], dry[loud], atol=1e-4)  # all bypassed, at the same latency
    assert 0.24 < np.abs(out[-50 * HOP :]).max() / (1 if kind != "is killed" else 0.5) < 0.26  # what is left plays
    assert states["gain"] == "playing"
    assert (states["test_limiter"] == "playing") == (kind == "is killed")
    steepest = 2 * np.pi * FREQUENCY_HZ / RATE * LEVEL
    assert np.abs(np.diff(out, axis=0)).max() < steepest + 1.2 * LEVEL / FADE_LENGTH
    assert stream.stats["deadline_misses"] == 0  # nothing is late where a test moves the clock


def test_a_plugin_that_was_taken_out_is_tried_again_when_its_bypass_is_switched_off(identity):
    with playing(after=[str(vst3())]) as plugins:
        stream = Stepped(identity, HOP, plugins=plugins)
        change(plugins, "test_limiter.fault", CRASHES)
        stream.play(sine(10))
        assert "crashed" in poll_until(plugins, "bypassed")[0]
        plugins.set("test_limiter.fault", 0)
        plugins.set("test_limiter.threshold_db", -18)
        plugins.set("test_limiter.bypass", 0)
        poll_until(plugins, "plugins play again")
        out = stream.play(sine(100))
        assert np.abs(out[60 * HOP :]).max() < 0.15
        assert plugins.states()[0].state == "playing"


def test_an_exception_inside_a_plugin_costs_nothing_but_the_plugin(identity):
    with playing(["Gain(gain_db=-6)"], [str(vst3())]) as plugins:
        stream, process = Stepped(identity, HOP, plugins=plugins), pid_of(plugins)
        change(plugins, "test_limiter.fault", NO_NUMBERS)
        out = stream.play(sine(60))
        lines = poll_until(plugins, "bypassed")
        assert lines == ["TestLimiter (after the model) returned values that are no numbers: it is bypassed"]
        assert pid_of(plugins) == process
        assert 0.24 < np.abs(out[30 * HOP :]).max() < 0.26


def test_a_plugin_that_crashes_while_it_is_loaded_is_named_and_leaves_no_process():
    with pytest.raises(PluginError, match=r"TestLimiter: crashed \(SIGSEGV\) while it was loaded"):
        LivePlugins([], [parse_spec(f"{vst3()}?fault={CRASHES}")], RATE, HOP)
    n_before = threading.active_count()
    with pytest.raises(PluginError, match="there is no such plugin"):
        LivePlugins([], [parse_spec("/no/such.vst3")], RATE, HOP)
    assert threading.active_count() <= n_before + 1


def test_a_process_that_keeps_dying_is_given_up(identity):
    with playing(["Gain"]) as plugins:
        stream, lines = Stepped(identity, HOP, plugins=plugins), []
        for _ in range(5):
            os.kill(pid_of(plugins), signal.SIGKILL)
            plugins._process._process.wait()
            lines = poll_until(plugins, "play again", "keeps dying")
            if "keeps dying" in lines[-1]:
                break
            stream.play(sine(3))
        assert "keeps dying" in lines[-1]


def test_without_plugins_no_process_is_left_after_the_end():
    with playing(["Gain"]) as plugins:
        process = plugins._process._process
    assert process.poll() is not None
    plugins.stop()  # twice is once


# --- control ---------------------------------------------------------------------------------------------------------


class _Engine:
    """As much of an engine as commands about parameters need."""

    def __init__(self, plugins, parameters):
        self.plugins, self.parameters = plugins, parameters


def test_plugins_parameters_are_reached_by_name_by_the_commands_behind_every_interface(identity):
    with playing(["HighpassFilter(cutoff_frequency_hz=30)"], [f"{vst3()}?threshold_db=-1"]) as plugins:
        stream = Stepped(identity, HOP, plugins=plugins)
        commands = Commander(LiveControls(_Engine(plugins, stream.parameters), lambda: None))
        rows = {row["name"]: row for row in commands.run("parameters")["parameters"]}
        row = rows["test_limiter.threshold_db"]
        assert (row["unit"], row["minimum"], row["maximum"]) == ("dB", -60, 0)
        assert row["value"] == pytest.approx(-1, abs=0.04)
        assert rows["highpass_filter.cutoff_frequency_hz"]["value"] == 30
        assert "mix" in rows
        assert commands.run("set", {"name": "test_limiter.threshold_db", "value": -18})["value"] == -18
        assert commands.run("change", {"name": "test_limiter.threshold_db", "steps": -100})["value"] == -60
        commands.run("set", {"name": "test_limiter.threshold_db", "value": -18})
        arrive(plugins)
        assert np.abs(stream.play(sine(60))[30 * HOP :]).max() < 0.15
        assert commands.run("toggle", {"name": "test_limiter.bypass"})["value"] == 1
        arrive(plugins)
        assert np.abs(stream.play(sine(60))[30 * HOP :]).max() > 0.49
        for name, value, reason in (
            ("test_limiter.threshold_db", 1, "from -60 to 0"),
            ("test_limiter.gain", 1, "parameter must be one of"),
            ("limiter.x", 1, "parameter must be one of"),
        ):
            with pytest.raises(ValueError, match=reason):
                commands.run("set", {"name": name, "value": value})
        commands.run("reset")
        assert commands.run("get", {"name": "test_limiter.bypass"})["value"] == 0


def test_a_hundred_thousand_changes_disturb_nothing_and_the_last_one_counts(identity):
    with playing(["Gain(gain_db=0)"]) as plugins:
        stream = Stepped(identity, HOP, plugins=plugins)
        for number in range(100_000):
            plugins.set("gain.gain_db", -20 + number % 10)
        plugins.set("gain.gain_db", -12.0)
        arrive(plugins)
        out = stream.play(sine(60))
        assert np.abs(out[40 * HOP :]).max() == pytest.approx(0.5 * 10 ** (-12 / 20), rel=0.01)


def test_the_ladder_gives_up_plugins_before_the_last_tier_and_times_them_before_they_come_back(identity):
    class Workers:
        names = ("full",)
        wanted = probed = None

        def want(self, slot):
            self.wanted = slot

        def probe(self, slot):
            self.probed = slot

    with playing(["Gain(gain_db=-6)"]) as plugins:
        stream, workers, chains = Stepped(identity, HOP, plugins=plugins), Workers(), plugins.chains
        workers.tiers = stream.tiers
        shedding = LoadShedding(workers, stream.shared.stats, 1e9, chains)
        assert shedding.ladder.names == ("full", "full without plugins", "dry")
        shedding._take(1)
        assert chains.control.wanted == OFF
        assert workers.wanted == 0
        out = stream.play(sine(60))
        assert np.abs(out[40 * HOP :]).max() > 0.49  # bypassed
        shedding.ladder.rung = 1
        shedding._probe(0)
        assert chains.control.wanted == TIMED
        out = stream.play(sine(60))
        assert np.abs(out[10 * HOP :]).max() > 0.49  # still, though they run
        assert stream.tiers.shadow_ns[:-1].sum() == 60
        shedding._take(0)
        assert chains.control.wanted == ON
        assert np.abs(stream.play(sine(60))[40 * HOP :]).max() < 0.26
        shedding._take(2)
        assert (chains.control.wanted, workers.wanted) == (OFF, 4)


@pytest.mark.realtime
def test_plugins_that_are_too_slow_are_counted_as_misses_and_switched_off_with_a_line(identity, caplog):
    with playing(after=[str(vst3())], pace=True) as plugins:
        plugins.set("test_limiter.fault", IS_SLOW)
        samples = np.zeros((100 * RATE, 2), np.float32)
        driver = VirtualDevice(RATE, 256)
        engine = Engine(identity, driver, EngineSettings(realtime=False), MemoryReader(samples), MemoryWriter(),
                        plugins=plugins)  # fmt: skip
        with engine:
            assert wait_for(lambda: any("without plugins" in record.message for record in caplog.records))
            assert engine.snapshot().deadline_misses > 0
            assert engine.snapshot().tier == "full"


# --- the rest --------------------------------------------------------------------------------------------------------


def test_the_command_line_plays_a_chain_and_reports_it(tmp_path, capsys, identity):
    source, target, board = write(tmp_path / "in.wav", sine(200)), tmp_path / "out.wav", tmp_path / "board.yaml"
    board.write_text("before:\n  - Gain(gain_db=-6)\n")
    arguments = ["live", "--input", str(source), "--output", str(target), "--no-pace", "--plain",
                 "--model", str(identity.card.path), "--chain", str(board), "--after", f"{vst3()}?threshold_db=-18",
                 "--stats-json", str(tmp_path / "stats.json")]  # fmt: skip
    with pytest.raises(SystemExit) as left:
        main(arguments)
    said = capsys.readouterr().out
    assert left.value.code == 0, said
    assert "before: Gain, 0.0 ms, playing; parameters gain.*" in said
    assert "after: TestLimiter, 5.0 ms, playing; parameters test_limiter.*" in said
    assert "plugins after 5.0 + plugin padding 0.8" in said
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert stats["latency"]["plugins_after_samples"] == LATENCY
    assert [plugin["name"] for plugin in stats["plugins"]] == ["gain", "test_limiter"]
    assert stats["parameters"]["gain.gain_db"] == -6.0
    assert stats["parameters"]["test_limiter.threshold_db"] == pytest.approx(-18.0, abs=0.1)
    assert stats["parameters"]["mix"] == 1.0
    out, rate = soundfile.read(target)
    assert (len(out), rate) == (200 * HOP, RATE)
    assert np.abs(out[100 * HOP :]).max() == pytest.approx(10 ** (-18 / 20), rel=0.1)


def test_a_preset_made_with_a_plugin_plays_without_it_and_says_what_it_skips(tmp_path, capfd, identity):
    source, target, preset = write(tmp_path / "in.wav", sine(200)), tmp_path / "out.wav", tmp_path / "mine.yaml"
    preset.write_text("output_gain_db: -6\ntest_limiter.threshold_db: -30\n")
    with pytest.raises(SystemExit) as left:
        main(["live", "--input", str(source), "--output", str(target), "--no-pace", "--plain",
              "--model", str(identity.card.path), "--preset", str(preset)])  # fmt: skip
    assert left.value.code == 0
    assert "no such plugin in this run, skipped: test_limiter.threshold_db" in capfd.readouterr().err
    out, _ = soundfile.read(target)
    assert np.abs(out[100 * HOP :]).max() == pytest.approx(LEVEL * 10 ** (-6 / 20), rel=0.01)


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [("Foo", "must be a .vst3"), ("Gain(gain=1)", "parameters are gain_db"), ("Gain(3)", "must be like"),
     ("PitchShift", "can't be live")],
)  # fmt: skip
def test_a_wrong_plugin_is_one_line_and_leaves_no_file(tmp_path, capsys, identity, plugin, reason):
    source, target = write(tmp_path / "in.wav", sine(20)), tmp_path / "out.wav"
    with pytest.raises(SystemExit) as left:
        main(["live", "-i", str(source), "-o", str(target), "--no-pace", "--plain",
              "--model", str(identity.card.path), "--before", plugin])  # fmt: skip
    said = capsys.readouterr().err
    assert left.value.code == 1
    assert reason in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == [source]


def test_the_command_plugins_shows_what_can_be_set(capsys):
    with pytest.raises(SystemExit) as left:
        main(["plugins", f"{vst3()}?threshold_db=-3", "LadderFilter"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert "after: TestLimiter, 5.0 ms" in said
    assert "test_limiter.threshold_db = -3.0 dB, -60 to 0 dB" in said
    assert "ladder_filter.mode" in said
    assert "0 LPF12, 1 HPF12" in said
