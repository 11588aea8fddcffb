"""The doctor: what holds is told from what doesn't, with the reason, and `--auto` starts with the best that holds."""

import time
from dataclasses import replace

import numpy as np
import pytest

from apollo_rt.commands.cli import main
from apollo_rt.config import Framing
from apollo_rt.inference.model import load
from apollo_rt.live.monitoring.durations import Durations
from apollo_rt.live.settings_trial import (
    Repeated,
    Setting,
    Trial,
    best_setting,
    default_headroom,
    run_trial,
    with_headroom,
)
from apollo_rt.session import doctor
from apollo_rt.session.doctor import advice_lines, device_lines, machine_lines, scheduling_lines, trial_lines
from tests.doubles import tiny_models

CALM = Durations(1000, 1.0, 1.2, 1.5, 2.0, 2.5)
EVEN = Durations(1000, 5.8, 5.8, 5.9, 6.0, 6.1)


def trial(tier="full", block_size=256, step=CALM, n_missed=0, n_late=0):
    headroom = default_headroom(block_size)
    latency = 512 + headroom + max(block_size - 256, 0)
    setting = Setting(block_size, headroom, tier)
    return Trial(setting, 44_100, latency, 256, 256, step, EVEN, 1000, n_missed, n_late)


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ({}, ""),
        ({"n_missed": 3}, "3 of 1000 hops missed: the longest step took 2.5 ms, 5.8 ms are safe"),
        ({"n_late": 2}, "the device would have run dry 2 times: 6.1 ms between two calls"),
        ({"step": replace(CALM, p99=6.5)}, "one step in a hundred takes 6.5 ms, a hop lasts 5.8 ms"),
        ({"step": replace(CALM, p999=6.0)}, "one step in a thousand takes 6.0 ms, 5.8 ms are safe"),
    ],
)
def test_a_setting_holds_or_the_reason_is_given(faults, reason):
    tried = trial(**faults)
    assert tried.trouble == reason
    assert tried.holds is not bool(reason)


def test_the_best_is_the_best_tier_that_holds_at_its_least_latency():
    slow = replace(CALM, p99=7.0)
    trials = [trial("full", size, slow) for size in (64, 256)]
    trials += [trial("light", 64, n_missed=1), trial("light", 256), trial("light", 512)]
    assert best_setting(trials) == Setting(256, 320, "light")
    assert best_setting([*trials[3:], trial("full", 1024)]).tier == "light"
    assert best_setting([trial("full", 1024), *trials[2:]]) == Setting(1024, 1088, "full")


def test_rare_long_steps_are_covered_by_more_headroom_and_slow_ones_by_nothing():
    rare = trial(step=replace(CALM, p999=9.0, max=10.0), n_missed=2)
    setting = with_headroom(rare)
    assert setting.headroom % 64 == 0
    assert 1.25 * 441 + 64 <= setting.headroom + 64 < 1.25 * 441 + 192
    assert best_setting([rare]) == setting
    hopeless = [trial(block_size=size, step=replace(CALM, p99=7.0)) for size in (64, 256)]
    assert best_setting(hopeless).block_size == 256


def test_the_table_and_the_advice_say_what_holds_and_why_the_rest_does_not():
    good, bad = trial(), trial(block_size=64, n_missed=9)
    lines = list(trial_lines([bad, good]))
    assert lines[-2].endswith("does not hold: 9 of 1000 hops missed: the longest step took 2.5 ms, 5.8 ms are safe")
    assert lines[-1].endswith("holds")
    assert "--block-size 256 --headroom 320 --tier full" in "\n".join(advice_lines(good))
    assert "No setting held to the end" in "\n".join(advice_lines(bad))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load(tiny_models.gain(tmp_path_factory.mktemp("model"), 0.5, Framing()))


@pytest.mark.realtime
def test_a_trial_runs_at_real_cadence_and_counts_what_comes(model):
    music = np.random.default_rng(0).uniform(-0.5, 0.5, (44_100, 2)).astype(np.float32)
    begin_s = time.monotonic()
    tried = run_trial(model, Setting(512, 576, "full"), music, 1.0)
    elapsed_s = time.monotonic() - begin_s
    assert elapsed_s >= 1.0
    assert 0 < tried.n_hops <= (elapsed_s + 0.1) * 44_100 / 256, "never faster than music; slower on a busy machine"
    assert tried.step_ms.count > 0
    assert tried.latency == 512 + 256 + 576
    assert tried.interval_ms.count > 0


def test_music_for_the_trials_never_ends():
    source = Repeated(np.arange(20, dtype=np.float32).reshape(10, 2))
    read = np.concatenate([source.read(7) for _ in range(4)])
    assert len(source.read(3)) == 3
    np.testing.assert_array_equal(read[:10], np.arange(20).reshape(10, 2))
    np.testing.assert_array_equal(read[10:14, 0], [0, 2, 4, 6])


def test_machine_scheduling_and_devices_are_told():
    assert next(iter(machine_lines())).startswith("machine")
    assert [line.split()[0] for line in scheduling_lines()] == ["priority", "memory"]
    assert next(iter(device_lines())).split()[0] in ("audio", "devices")


def test_the_report_is_printed_without_measuring_and_says_what_can_be_captured(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", None)
    with pytest.raises(SystemExit) as ended:
        main(["live", "doctor", "--report"])
    assert (ended.value.code or 0) == 0
    lines = capsys.readouterr().out.splitlines()
    told = {line.split()[0] for line in lines}
    assert told >= {"apollo-rt", "packages", "machine", "priority", "memory", "capture"}
    assert any("numba" in line for line in lines)


def test_doctor_prints_and_leaves_and_auto_starts_with_what_holds(model, tmp_path, monkeypatch, capsys):
    asked = []

    def examine(models, duration_s):
        asked.append((list(models), duration_s))
        return trial(block_size=512)

    monkeypatch.setattr(doctor, "examine", examine)
    arguments = ["live", "--model", str(model.card.path), "-i", "demo", "-o", str(tmp_path / "out.wav"), "--no-pace",
                 "--duration", "0.1", "--plain", "--seconds", "7"]  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--doctor"])
    assert (ended.value.code or 0) == 0
    assert not (tmp_path / "out.wav").exists()
    with pytest.raises(SystemExit):
        main([*arguments, "--auto"])
    assert (tmp_path / "out.wav").exists()
    assert asked == [(["full"], 7.0), (["full"], 7.0)]
    assert "rebuffering 5.8 + headroom 13.1" in capsys.readouterr().out
