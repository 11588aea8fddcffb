"""The one table of commands behind screen, MIDI and socket, against the session that they control."""

import json
import math
from types import SimpleNamespace

import pytest

from apollo_rt.control.arguments import CHOICES, NUMBER, TEXT, Argument
from apollo_rt.control.commands import COMMANDS, TOPICS, command, schema
from apollo_rt.control.parameters import PARAMETERS
from apollo_rt.errors import ApolloError, ControlError
from tests.doubles.still_engine import StillEngine, session_of

SWITCHES = [row.name for row in PARAMETERS if row.is_switch]
KNOBS = [row for row in PARAMETERS if not row.is_switch]


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr("apollo_rt.control.presets.preset_folder", lambda: tmp_path / "presets")
    return session_of(StillEngine())


def run(session, command_name, **arguments):
    reply = session.commands.run(command_name, arguments)
    json.dumps(reply, allow_nan=False)
    return reply


def test_every_parameter_is_listed_told_and_changed_within_its_range(session):
    rows = run(session, "parameters")["parameters"]
    assert [row["name"] for row in rows] == [row.name for row in PARAMETERS]
    for row, listed in zip(PARAMETERS, rows, strict=True):
        assert listed["value"] == run(session, "get", name=row.name)["value"] == row.default
        assert listed["text"] == row.text(row.default)
        reply = run(session, "set", name=row.name, value=row.minimum)
        assert reply == {"name": row.name, "value": row.minimum, "text": row.text(row.minimum), "position": 0.0}
        with pytest.raises(ValueError, match=f"{row.name} must be from"):
            run(session, "set", name=row.name, value=row.maximum + 1)
        assert session.controls.get(row.name) == row.minimum


def test_steps_and_turns_move_a_parameter_as_far_as_its_range_goes(session):
    for row in KNOBS:
        assert run(session, "change", name=row.name, steps=-1000)["value"] == row.minimum
        assert run(session, "change", name=row.name, steps=1)["value"] == row.stepped(row.minimum, 1) > row.minimum
        assert run(session, "change", name=row.name, steps=1000)["value"] == row.maximum
        assert run(session, "turn", name=row.name, position=0.5)["value"] == row.value_at(0.5)
        assert run(session, "turn", name=row.name, position=1)["value"] == row.maximum


def test_a_switch_is_toggled_and_nothing_else_is(session):
    for name in SWITCHES:
        assert run(session, "toggle", name=name)["value"] == 1
        assert run(session, "toggle", name=name)["value"] == 0
    with pytest.raises(ValueError, match=r"switch, one of .*bypass.*, got 'mix'"):
        run(session, "toggle", name="mix")


def test_reset_brings_one_or_all_back(session):
    for row in PARAMETERS:
        run(session, "set", name=row.name, value=row.minimum)
    run(session, "reset", name="mix")
    assert session.controls.get("mix") == 1
    run(session, "reset")
    assert [session.controls.get(row.name) for row in PARAMETERS] == [row.default for row in PARAMETERS]


def test_a_and_b_are_two_sets_of_values_and_switches_belong_to_neither(session):
    run(session, "set", name="mix", value=0.5)
    assert run(session, "swap_settings")["slot"] == "B"
    assert session.controls.get("mix") == 0.5, "both begin alike"
    run(session, "set", name="mix", value=0.2)
    run(session, "set", name="bypass", value=1)
    assert run(session, "swap_settings", slot="A")["slot"] == "A"
    assert (session.controls.get("mix"), session.controls.get("bypass")) == (0.5, 1)
    assert run(session, "swap_settings", slot="A")["slot"] == "A"
    run(session, "swap_settings")
    assert session.controls.get("mix") == 0.2


def test_presets_are_saved_listed_loaded_and_deleted(session):
    run(session, "set", name="mix", value=0.3)
    assert run(session, "save_preset", name="radio") == {"presets": ["radio"], "current": "radio"}
    run(session, "reset")
    reply = run(session, "load_preset", name="radio")
    assert (reply["preset"], session.controls.get("mix")) == ("radio", 0.3)
    assert run(session, "delete_preset", name="radio") == {"presets": [], "current": None}
    with pytest.raises(ControlError, match="radio"):
        run(session, "load_preset", name="radio")


def test_figures_are_plain_data(session):
    assert run(session, "meters") == {side: {"peak": (0.0, 0.0), "rms": (0.0, 0.0)} for side in ("input", "output")}
    assert run(session, "stats")["latency"]
    assert run(session, "spectra")["after_db"] == [-50.0, -49.0, -48.0]


def test_quit_ends_the_session(session):
    run(session, "quit")
    assert session.is_over


def test_a_model_is_listed_and_chosen(session):
    chosen = []
    listed = {"model": "tiny", "models": [{"name": "a", "title": "tiny", "is_used": True}]}
    session.controls.models_face = SimpleNamespace(describe=lambda: listed, choose=chosen.append)
    assert run(session, "models") == listed
    assert run(session, "choose_model", name="a") == listed
    assert chosen == ["a"]


@pytest.mark.parametrize("name", ["devices", "midi", "models"])
def test_what_a_run_does_not_have_is_an_error_in_one_line(session, name):
    with pytest.raises(ApolloError, match=f"^{name}: [^\n]+$"):
        run(session, name)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("dance", {}, "command must be one of parameters, get, .*, got 'dance'"),
        (["get"], {}, "command must be one of"),
        ("get", {}, "get needs name"),
        ("get", {"name": "wetness"}, "parameter must be one of mix, .*, got 'wetness'"),
        ("get", {"name": 3}, "name must be 1 to 200 printable characters, got 3"),
        ("get", {"name": "mix\n"}, "printable"),
        ("get", {"name": "x" * 10_000}, r"got 'x+\.\.\.$"),
        ("get", {"name": "mix", "value": 1}, "get takes name, got 'value'"),
        ("set", {"name": "mix", "value": "1"}, "value must be a number"),
        ("set", {"name": "mix", "value": math.nan}, "value must be a number"),
        ("set", {"name": "mix", "value": 10**400}, "value must be a number"),
        ("set", {"name": "mix", "value": [1]}, "value must be a number"),
        ("set", {"name": "bypass", "value": 0.5}, "bypass must be 0 or 1"),
        ("swap_settings", {"slot": "C"}, "slot must be one of A, B, got 'C'"),
        ("quit", {"now": True}, "quit takes no arguments, got 'now'"),
        ("choose_devices", {}, "input, output or both"),
        ("subscribe", {"topics": ["meters"]}, "only the control socket"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_refused_by_name_and_changes_nothing(session, name, arguments, message):
    before = [session.controls.get(row.name) for row in PARAMETERS]
    with pytest.raises(ValueError, match=message):
        session.commands.run(name, arguments)
    assert [session.controls.get(row.name) for row in PARAMETERS] == before


@pytest.mark.parametrize("value", [[], "meters", ["meters", "meters"], ["noise"], [3], [["meters"]], None, {}])
def test_a_list_of_words_has_each_known_word_once(value):
    with pytest.raises(ValueError, match="topics must be a list of different words of meters, stats"):
        Argument("topics", CHOICES, "", choices=("meters", "stats")).check(value)


def test_numbers_keep_their_bounds_and_texts_their_length():
    number, text = Argument("by", NUMBER, "", minimum=-1, maximum=2), Argument("name", TEXT, "", max_length=3)
    assert [number.check(value) for value in (-1, 2, True)] == [-1.0, 2.0, 1.0]
    for value in (-1.01, 2.01, math.inf, None, "1"):
        with pytest.raises(ValueError, match="by must be a number from -1 to 2"):
            number.check(value)
    assert text.check("abc") == "abc"
    for value in ("", "abcd", "a\0"):
        with pytest.raises(ValueError, match="name must be 1 to 3"):
            text.check(value)


def test_every_row_is_described_and_the_schema_is_made_from_the_rows():
    assert len({row.name for row in COMMANDS}) == len(COMMANDS)
    for row in COMMANDS:
        assert command(row.name) is row
        assert all(thing.description.endswith(".") for thing in (row, *row.arguments))
    assert set(schema()) == {row.name for row in COMMANDS} >= set(TOPICS)
    assert schema()["set"]["required"] == ["name", "value"]
    assert schema()["subscribe"]["properties"]["topics"]["items"]["enum"] == list(TOPICS)


class HeardBy:
    """A stand-in for the level match of an engine."""

    def __init__(self) -> None:
        self.is_on, self.gain_db, self.heard = True, -1.25, []

    def describe(self) -> dict:
        return {"is_on": self.is_on, "gain_db": self.gain_db}

    def hear(self, what: str | None) -> None:
        self.heard.append(what)


def test_levels_are_matched_and_unmatched(session):
    session.controls.listening_face = HeardBy()
    assert run(session, "level_match") == {"is_on": True, "gain_db": -1.25}
    assert session.controls.bypass_gain_db == -1.25
    assert run(session, "level_match", state="off")["is_on"] is False
    assert run(session, "level_match")["is_on"] is False
    assert session.controls.bypass_gain_db == 0.0


def test_a_blind_test_runs_by_commands_and_nothing_shows_meanwhile_what_is_heard(session):
    session.controls.listening_face = face = HeardBy()
    run(session, "begin_blind_test")
    for name in ("meters", "spectra"):
        with pytest.raises(ControlError, match="blind test is running"):
            run(session, name)
    assert face.heard[-1] in ("input", "restored")
    assert run(session, "hear", what="input")["heard"] == face.heard[-1] == "input"
    for _ in range(10):
        told = run(session, "answer", what="restored")
    assert told["score"] == sum(pair["x"] == "restored" for pair in told["answers"])
    assert face.heard[-1] is None
    run(session, "meters")
    run(session, "begin_blind_test")
    assert run(session, "end_blind_test")["is_running"] is False


def test_a_blind_test_needs_a_listener_and_something_to_compare(session):
    for name in ("level_match", "blind_test", "begin_blind_test"):
        with pytest.raises(ControlError, match="nobody listens to this run"):
            run(session, name)
    session.controls.listening_face = HeardBy()
    run(session, "set", name="mix", value=0.0)
    with pytest.raises(ValueError, match="mix above 0"):
        run(session, "begin_blind_test")
    run(session, "set", name="mix", value=0.5)
    run(session, "set", name="delta", value=1)
    with pytest.raises(ValueError, match="delta off"):
        run(session, "begin_blind_test")
