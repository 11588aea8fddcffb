"""`live devices`, `midi`, `doctor` and `latency`, and the options that they were before: both lead to the same."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from apollo_rt.commands.cli import apollo_rt
from apollo_rt.devices import portaudio
from apollo_rt.session import doctor, run
from apollo_rt.session.run_options import LiveOptions


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was done, in place of looking at the machine."""
    done: list[Any] = []
    ports = "apollo_rt.control.midi.port"
    monkeypatch.setattr(portaudio, "list_devices", lambda: done.append("devices") or [])
    monkeypatch.setattr(f"{ports}.list_ports", lambda: done.append("midi") or [])
    monkeypatch.setattr(f"{ports}.back_end", lambda: "ALSA")
    monkeypatch.setattr(doctor, "choose_settings", lambda *given: done.append(("doctor", *given)) or {"block_size": 64})
    monkeypatch.setattr(run, "run_latency", lambda options: done.append(("latency", options)))
    monkeypatch.setattr(run, "run_live", lambda options: done.append(("live", options.block_size)))
    return done


def live(*arguments: str, **environment: str) -> Any:
    variables = {f"APOLLO_RT_LIVE_{name}": value for name, value in environment.items()}
    return CliRunner().invoke(apollo_rt, ["live", *arguments], env=variables)


AS_BEFORE = ["-i", "In", "-o", "Out", "--measure-latency", "--block-size", "128", "--model", "m", "--tier", "light"]
PROBE = ("latency", LiveOptions("In", "Out", block_size=128, model="m", tier="light"))


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["devices"], "devices"),
        (["--list-devices"], "devices"),
        (["midi"], "midi"),
        (["--list-midi"], "midi"),
        (["doctor"], ("doctor", None, "auto", 60.0)),
        (["doctor", "--seconds", "5", "--model", "m"], ("doctor", "m", "auto", 5.0)),
        (["--seconds", "5", "--model", "m", "doctor"], ("doctor", "m", "auto", 5.0)),
        (["--doctor", "--seconds", "5", "--model", "m"], ("doctor", "m", "auto", 5.0)),
        (["latency", "-i", "In", "-o", "Out", "--block-size", "128", "--model", "m", "--tier", "light"], PROBE),
        (["-i", "In", "-o", "Out", "latency", "--block-size", "128", "--model", "m", "--tier", "light"], PROBE),
        (AS_BEFORE, PROBE),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_command_does_what_its_option_did(called: list[Any], arguments: list[str], wanted: Any) -> None:
    done = live(*arguments)
    assert done.exit_code == 0, done.output
    assert called == [wanted]


def test_what_the_environment_says_of_live_holds_for_its_commands(called: list[Any]) -> None:
    environment = {"SOURCE": "In", "BLOCK_SIZE": "128", "MODEL": "m", "TIER": "light", "MIX": "0.5"}
    assert live("latency", "-o", "Out", **environment).exit_code == 0
    assert called == [PROBE]


@pytest.mark.parametrize(("option", "name"), [("--mix=0.5", "mix"), ("--record=there", "record"), ("--auto", "auto")])
def test_an_option_that_a_command_has_not_is_refused_with_its_name(called: list[Any], option: str, name: str) -> None:
    done = live(option, "doctor")
    assert done.exit_code == 2
    assert f"doctor takes no --{name}; see `live doctor --help`" in done.output
    assert called == []


def test_auto_measures_and_starts_whether_the_doctor_was_called_too_or_not(called: list[Any]) -> None:
    measured = ("doctor", None, "auto", 60.0)
    assert live("--auto").exit_code == live("--auto", "--doctor").exit_code == 0
    assert called == [measured, ("live", 64), measured, ("live", 64)]


def test_help_shows_the_commands_and_none_of_the_options_that_they_were() -> None:
    text = live("--help").output
    assert all(f"  {name} " in text for name in ("devices", "midi", "doctor", "latency"))
    gone = ("--list-devices", "--list-midi", "--doctor", "--measure-latency", "--control-token ")
    assert [option for option in gone if option in text] == []
    assert text.count("\n  -") < 50


@pytest.mark.parametrize("where", ["option", "environment"])
def test_a_token_on_the_command_line_is_refused_with_the_option_for_a_file(called: list[Any], where: str) -> None:
    token = "a-token-that-nobody-may-read"  # it is refused
    done = live("--control-token", token) if where == "option" else live(CONTROL_TOKEN=token)
    assert done.exit_code == 2
    assert "--control-token-file FILE" in " ".join(done.output.split())
    assert token not in done.output
    assert called == []


def test_building_an_engine_goes_by_its_former_name_too(tmp_path: Path) -> None:
    outputs = [
        CliRunner().invoke(apollo_rt, [name, "--model", str(tmp_path / "none.onnx")]).exception
        for name in ("build-engine", "prepare")
    ]
    assert str(outputs[0]) == str(outputs[1]) != ""
    shown = CliRunner().invoke(apollo_rt, ["--help"]).output
    assert "build-engine" in shown
    assert "prepare" not in shown
