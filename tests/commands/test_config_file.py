"""`--config`: every option of `live` from a file, each mistake with its line, and who wins."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from apollo_rt.commands.cli import apollo_rt
from apollo_rt.commands.config_file import options_by_name
from apollo_rt.commands.live import live
from apollo_rt.control.parameter_table import PARAMETERS
from apollo_rt.session import run
from apollo_rt.session.run_options import LiveOptions

EVERY_OPTION = """
input: Monitor of Player
output: Headphones
block-size: 512
headroom: 2000
model: m
provider: cpu
tier: light
before: ["HighpassFilter(cutoff_frequency_hz=30)", "/a.vst3"]
after: /b.vst3
duration: 20
stats-json: stats.json
overwrite: true
capture-incident: incidents
raw: s16le,48000,1
raw-output: wav
reserve: 2.5
pace: false
allow-feedback: true
no-reconnect: true
give-up: 20
follow-default: true
preset: radio
midi: nano
midi-map: map.yaml
control: true
control-token-file: token
record: recordings
split-titles: true
plain: true
verbose: true
log-file: log
"""
ELSEWHERE = {"chain", "auto", "seconds", "sink", "app", "all", "idle-close"}
"""Options of the tests below, or that exclude some of these."""


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[LiveOptions]:
    """Options of the runs that were begun."""
    done: list[LiveOptions] = []
    monkeypatch.setattr(run, "run_live", done.append)
    return done


def with_config(tmp_path: Path, text: str, *arguments: str, **environment: str) -> Any:
    path = tmp_path / "apollo.yaml"
    path.write_text(text)
    return CliRunner().invoke(apollo_rt, ["live", "--config", str(path), *arguments], env=environment)


def test_every_option_can_stand_there(called: list[LiveOptions], tmp_path: Path) -> None:
    values = {row.name.replace("_", "-"): row.value_at(0.4) for row in PARAMETERS if not row.is_switch}
    switches = {row.name: "true" for row in PARAMETERS if row.is_switch}
    text = EVERY_OPTION + "".join(f"{name}: {value}\n" for name, value in {**values, **switches}.items())
    named = {line.partition(":")[0] for line in text.splitlines() if line}
    assert named | ELSEWHERE == set(options_by_name(live)), "a new option must be tried here, too"
    done = with_config(tmp_path, text)
    assert done.exit_code == 0, done.output
    (options,) = called
    assert (options.source, options.target, options.block_size) == ("Monitor of Player", "Headphones", 512)
    assert (options.headroom, options.model, options.provider, options.tier) == (2000, "m", "cpu", "light")
    assert options.chain.before == ("HighpassFilter(cutoff_frequency_hz=30)", "/a.vst3")
    assert options.chain.after == ("/b.vst3",)
    assert (options.duration_s, options.stats_json, options.overwrite) == (20.0, Path("stats.json"), True)
    assert (options.incidents, options.reserve_s, options.pace) == (Path("incidents"), 2.5, False)
    assert options.raw[0] is not None
    assert (options.raw[0].sample_rate, options.raw[1]) == (48_000, None)
    assert (options.allow_feedback, options.reconnect, options.give_up_s) == (True, False, 20.0)
    assert (options.follow_default, options.plain, options.verbosity) == (True, True, 1)
    control = options.control
    assert (control.preset, control.midi, control.midi_map) == ("radio", "nano", Path("map.yaml"))
    assert (control.control_port, control.control_token_file) == (8765, Path("token"))
    assert (control.record, control.split_titles, options.log_file) == (Path("recordings"), True, Path("log"))
    assert options.parameters is not None
    for row in PARAMETERS:
        assert options.parameters.get(row.name) == pytest.approx(1.0 if row.is_switch else row.value_at(0.4))
    assert control.overrides.keys() == {row.name for row in PARAMETERS}, "they win over the preset"


def test_a_sink_and_its_players_too(called: list[LiveOptions], tmp_path: Path) -> None:
    assert with_config(tmp_path, "sink: true\napp: [firefox, mpv]\nall: false\nbypass: false\n").exit_code == 0
    assert (called[0].sink.name, called[0].sink.apps, called[0].sink.takes_all) == (
        "Apollo RT",
        ("firefox", "mpv"),
        False,
    )
    assert with_config(tmp_path, "sink: Mine\nno-reconnect: false").exit_code == 0
    assert (called[1].sink.name, called[1].reconnect) == ("Mine", True)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(called, tmp_path) -> None:
    text = "mix: 0.2\nstrength: 0.2\nblock-size: 64\n"
    environment = {"APOLLO_RT_LIVE_MIX": "0.4", "APOLLO_RT_LIVE_STRENGTH": "0.4"}
    assert with_config(tmp_path, text, "--mix", "0.6", **environment).exit_code == 0
    (options,) = called
    assert (options.parameters.mix, options.parameters.strength, options.block_size) == (0.6, 0.4, 64)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mix: 0.5\nvolume: 3\n", "line 2: option must be one of after, air-db,"),
        ("# mine\n\nmix: 7\n", "line 3: mix: Invalid value for '--mix': mix must be from 0 to 1, got 7.0"),
        ("mix: [1, 2]\n", "line 1: mix: must be one value, got [1, 2]"),
        ("bypass: 1\n", "line 1: bypass: must be true or false, got 1"),
        ("plain: true\nblock-size: many\n", "line 2: block-size: Invalid value for '--block-size': 'many'"),
        ("mix: 1\nmix: 0\n", "line 2: no YAML: 'mix' is said twice"),
        ("model:\n", "line 1: model: must be one value, got None"),
        ("config: other.yaml\n", "line 1: option must be one of"),
        ("- mix\n", "must be lines of `name: value`"),
        ("app: [{a: b}]\n", "line 1: app: must be one value"),
    ],
)
def test_a_mistake_is_told_by_its_line_before_anything_begins(called, tmp_path, text, message) -> None:
    done = with_config(tmp_path, text)
    assert (done.exit_code, called) == (2, [])
    assert message in " ".join(done.output.split())
    assert "apollo.yaml" in done.output
