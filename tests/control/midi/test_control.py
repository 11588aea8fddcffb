"""MIDI from bytes to parameters and back, on a desk that the test plays; real ports are in test_ports.py."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from apollo_rt.config import Framing
from apollo_rt.control.midi.control import MidiControl
from apollo_rt.control.midi.inbox import Inbox
from apollo_rt.control.midi.map import (
    CC,
    CC14,
    NOTE,
    PITCH,
    PROGRAM,
    TURN,
    Action,
    MidiMap,
    Origin,
    default_map,
    read_map,
    write_map,
)  # fmt: skip
from apollo_rt.control.midi.message import Event, decode, encode
from apollo_rt.control.midi.port import match
from apollo_rt.control.parameters import PARAMETERS, parameter
from apollo_rt.errors import ControlError
from apollo_rt.inference.model import load
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from tests.doubles import tiny_models
from tests.doubles.audio_servers import wait_for
from tests.doubles.memory_files import MemoryReader, MemoryWriter
from tests.doubles.midi import Desk, FakePort
from tests.doubles.sounds import noise
from tests.doubles.still_engine import StillEngine, session_of

CC_1, NOTE_1, PROGRAM_1, PITCH_1 = 0xB0, 0x90, 0xC0, 0xE0
"""Status bytes on channel 1."""
MIX = Action(TURN, "mix")


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr("apollo_rt.control.presets.preset_folder", lambda: tmp_path / "presets")
    return session_of(StillEngine())


@pytest.fixture
def desk_with(session, tmp_path):
    def make(text=""):
        (tmp_path / "map.yaml").write_text(f"{text}\ndefaults: {'false' if text else 'true'}")
        return Desk(session, read_map(tmp_path / "map.yaml", PARAMETERS), tmp_path / "map.yaml")

    return make


# --- the map ---------------------------------------------------------------------------------------------------------


def test_the_defaults_bind_every_parameter_and_the_presets():
    found = default_map(PARAMETERS)
    assert {action.name for action in found.bindings.values() if action.kind == TURN} == {
        row.name for row in PARAMETERS
    }
    knobs = [row.name for row in PARAMETERS if not row.is_switch]
    assert found.find(CC, 20, 7) == (Origin(CC, 20), Action(TURN, knobs[0]))
    assert found.find(PROGRAM, 3, 1) == (Origin(PROGRAM), Action("load_preset"))
    assert found.find(CC, 1, 1) is None


def test_a_file_comes_on_top_of_the_defaults_and_is_written_as_it_is_read(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text(
        "takeover: jump\ncc 1: mix\ncc14 21 channel 3: crossover_hz\nnote 60: nothing\npitch channel 2: air_db\n"
        "note 61 channel 16: hold delta\nprogram 5: load_preset My radio\ncc 7: swap_settings\n"
    )
    found = read_map(path, PARAMETERS)
    assert found.takeover == "jump"
    assert found.find(CC, 1, 9)[1] == MIX
    assert found.find(CC14, 21, 3)[1].name == "crossover_hz"
    assert found.find(CC14, 21, 4) is None
    assert found.find(NOTE, 60, 1) is None
    assert found.find(PITCH, None, 2)[1].name == "air_db"
    assert found.find(PROGRAM, 5, 1)[1] == Action("load_preset", "My radio")
    assert found.find(CC, 7, 1)[1] == Action("swap_settings")
    write_map(path, found, PARAMETERS)
    again = read_map(path, PARAMETERS)
    assert again.takeover == "jump"
    assert {**again.bindings} == {**found.bindings}
    assert "cc 20" not in path.read_text(), "what is as in the defaults is left to them"


def test_what_is_bound_to_a_plugin_that_is_not_loaded_rests_and_is_kept(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("cc 1: limiter.threshold_db\nnote 3: toggle gate.active\ncc 2: mix")
    found = read_map(path, PARAMETERS)
    assert found.find(CC, 1, 1) is None
    write_map(path, found, PARAMETERS)
    assert "cc 1: limiter.threshold_db" in path.read_text()
    row = replace(parameter("mix"), name="limiter.threshold_db")
    assert read_map(path, (*PARAMETERS, row)).find(CC, 1, 1)[1].name == "limiter.threshold_db"


def test_a_binding_of_the_very_channel_comes_first():
    both = MidiMap({Origin(CC, 1): MIX, Origin(CC, 1, 2): Action("reset")})
    assert [both.find(CC, 1, channel)[1] for channel in (1, 2)] == [MIX, Action("reset")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cc 128: mix", "what moves must be cc 0 to 127, .* got 'cc 128'"),
        ("cc: mix", "got 'cc'"),
        ("cc14 32: mix", "cc14 0 to 31"),
        ("pitch 3: mix", "got 'pitch 3'"),
        ("cc 1 channel 0: mix", "channel 1 to 16"),
        ("knob 1: mix", "got 'knob 1'"),
        ("7: mix", "got '7'"),
        ("cc 1: wetness", r"what happens must be a parameter \(mix, .* got 'wetness'"),
        ("cc 1: toggle mix", r"toggle or hold of a switch \(bypass"),
        ("cc 1: get mix", "got 'get mix'"),
        ("cc 1: [mix]", "what happens must be"),
        ("defaults: 3", "defaults must be true or false, got 3"),
        ("takeover: soft", "takeover must be pickup or jump, got 'soft'"),
        ("cc 1: mix\ncc 1: bypass", "line 2: no YAML: 'cc 1' is said twice"),
    ],
)  # fmt: skip
def test_a_map_that_says_nothing_known_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "map.yaml"
    path.write_text(text)
    with pytest.raises(ControlError, match=message) as caught:
        read_map(path, PARAMETERS)
    assert str(caught.value).startswith(f"{path}:")


# --- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ([0xB2, 20, 64], Event(CC, 20, 3, 64)),
        ([0x9F, 60, 100], Event(NOTE, 60, 16, 100)),
        ([0xC0, 5], Event(PROGRAM, 5, 1, 127)),
        ([0xE0, 0, 64], Event(PITCH, None, 1, 8192)),
        ([0xE0, 127, 127], Event(PITCH, None, 1, 16_383)),
    ],
)
def test_bytes_become_events_and_events_become_bytes(message, event):
    assert decode(message) == event
    assert encode(event) == message


@pytest.mark.parametrize("message", [[], [0xB0], [0xB0, 20], [0xB0, 20, 200], [20, 20, 20], [0xF8], [0xF0, 1, 0xF7]])
def test_what_is_broken_or_not_for_us_is_nothing(message):
    assert decode(message) is None
    inbox = Inbox()
    inbox.receive(message)
    assert inbox.take() == []


def test_a_note_that_is_let_go_has_no_velocity():
    assert decode([0x80, 60, 64]) == decode([0x90, 60, 0]) == Event(NOTE, 60, 1, 0)


def test_of_a_controller_the_latest_value_wins_and_every_note_counts():
    inbox = Inbox()
    for value in range(100):
        inbox.receive([CC_1, 20, value])
        inbox.receive([CC_1, 21, 100 - value])
        inbox.receive([NOTE_1, 60, value])
    taken = inbox.take()
    assert taken[:2] == [Event(CC, 20, 1, 99), Event(CC, 21, 1, 1)]
    assert [event.value for event in taken[2:]] == list(range(100))
    assert inbox.take() == []
    assert inbox.n_received == 300


def test_a_flood_of_notes_takes_no_more_memory_than_the_newest_need():
    inbox = Inbox()
    for index in range(10_000):
        inbox.receive([NOTE_1, index % 128, 1])
    assert [event.number for event in inbox.take()] == [index % 128 for index in range(10_000 - 256, 10_000)]


# --- knobs -----------------------------------------------------------------------------------------------------------


def test_a_knob_does_nothing_until_it_has_passed_the_value(desk_with):
    desk = desk_with("cc 1: mix")
    desk.control._commander.run("set", {"name": "mix", "value": 0.5})
    desk.play([CC_1, 1, 10])
    desk.play([CC_1, 1, 40])
    assert desk.get("mix") == 0.5
    desk.play([CC_1, 1, 70])
    assert desk.get("mix") == 70 / 127
    desk.play([CC_1, 1, 5])
    assert desk.get("mix") == 5 / 127, "once it has the value it leads it, however fast"
    desk.control._commander.run("set", {"name": "mix", "value": 0.9})
    desk.play([CC_1, 1, 6])
    assert desk.get("mix") == 0.9, "who changes it elsewhere takes it away from the knob"
    desk.play([CC_1, 1, 114])
    assert desk.get("mix") == 114 / 127, "near enough to take it over"


def test_a_knob_jumps_where_the_map_says_so(desk_with):
    desk = desk_with("takeover: jump\ncc 1: mix")
    desk.play([CC_1, 1, 10])
    assert desk.get("mix") == 10 / 127


def test_the_whole_way_of_a_knob_is_the_whole_range_of_every_parameter(desk_with):
    desk = desk_with()
    desk.control._use_map(MidiMap(default_map(PARAMETERS).bindings, "jump"))
    for origin, action in default_map(PARAMETERS).bindings.items():
        if action.kind == TURN:
            row = parameter(action.name)
            desk.play([CC_1, origin.number, 0])
            assert desk.get(row.name) == row.minimum
            desk.play([CC_1, origin.number, 127])
            assert desk.get(row.name) == row.maximum


def test_two_halves_are_one_value_of_14_bits(desk_with):
    desk = desk_with("takeover: jump\ncc14 1: mix")
    desk.play([CC_1, 1, 64], [CC_1, 33, 3])
    assert desk.get("mix") == pytest.approx((64 * 128 + 3) / 16_383)
    desk.play([CC_1, 33, 4])
    assert desk.get("mix") == pytest.approx((64 * 128 + 4) / 16_383), "a fine half alone moves on from the coarse one"


def test_a_coarse_half_waits_for_its_fine_one_and_then_goes_alone(desk_with):
    desk = desk_with("takeover: jump\ncc14 1: mix")
    desk.play([CC_1, 1, 63], [CC_1, 33, 127])
    desk.play([CC_1, 1, 64])
    assert desk.get("mix") == pytest.approx((63 * 128 + 127) / 16_383), "not 64 with the old fine half"
    desk.wait(0.03)
    assert desk.get("mix") == pytest.approx(64 * 128 / 16_383)


def test_halves_that_arrive_faster_than_they_are_looked_at_are_never_mixed(desk_with):
    desk = desk_with("takeover: jump\ncc14 1: mix")
    heard = []
    run = desk.control._commander.run
    desk.control._commander.run = lambda *call: (heard.append(call[1]["position"]), run(*call))[1]
    rng = np.random.default_rng(3)
    sent, pending = [], []
    for value in range(0, 16_384, 37):
        sent.append(value)
        pending += [[CC_1, 1, value >> 7], [CC_1, 33, value & 127]]
        while pending and rng.random() < 0.5:
            n_taken = int(rng.integers(1, len(pending) + 1))
            desk.play(*pending[:n_taken])
            del pending[:n_taken]
    desk.play(*pending)
    assert np.all(np.diff(heard) > 0), "a rising fader never steps back"
    assert set(np.round(np.array(heard) * 16_383).astype(int)) <= set(sent)
    assert heard[-1] == sent[-1] / 16_383


def test_the_pitch_wheel_is_a_fader_too(desk_with):
    desk = desk_with("takeover: jump\npitch channel 1: mix")
    desk.play([PITCH_1, 0, 32])
    assert desk.get("mix") == pytest.approx(4096 / 16_383)


# --- notes, programs, presets ----------------------------------------------------------------------------------------


def test_a_note_toggles_and_another_holds(desk_with):
    desk = desk_with("note 60: toggle bypass\nnote 61: hold bypass")
    for expected in (1, 0, 1):
        desk.play([NOTE_1, 60, 1], [NOTE_1, 60, 0])
        assert desk.get("bypass") == expected
    desk.play([NOTE_1, 60, 100], [0x80, 60, 0])
    desk.play([NOTE_1, 61, 100])
    assert desk.get("bypass") == 1
    desk.play([NOTE_1, 61, 0])
    assert desk.get("bypass") == 0


def test_a_switch_follows_a_pedal(desk_with):
    desk = desk_with("cc 64: bypass")
    desk.play([CC_1, 64, 127])
    assert desk.get("bypass") == 1
    desk.play([CC_1, 64, 0])
    assert desk.get("bypass") == 0


def test_a_program_loads_the_preset_of_its_number_or_of_its_name(desk_with):
    desk = desk_with("program: load_preset\nprogram 9: load_preset b")
    run = desk.control._commander.run
    for name, mix in (("a", 0.25), ("b", 0.75)):
        run("set", {"name": "mix", "value": mix})
        run("save_preset", {"name": name})
    for program, mix in ((0, 0.25), (1, 0.75), (0, 0.25), (9, 0.75)):
        desk.play([PROGRAM_1, program])
        assert desk.get("mix") == mix
    desk.play([PROGRAM_1, 77])
    assert desk.said == ["midi: program: program 77 has no preset; there are 2"]


def test_what_a_command_refuses_is_said_and_the_desk_goes_on(desk_with):
    desk = desk_with("takeover: jump\nnote 1: load_preset gone\ncc 1: mix")
    desk.play([NOTE_1, 1, 100], [CC_1, 1, 0])
    assert "gone" in desk.said[0]
    assert desk.get("mix") == 0


# --- feedback --------------------------------------------------------------------------------------------------------


def test_what_changes_elsewhere_is_sent_to_the_desk_once(desk_with):
    desk = desk_with("cc 1 channel 2: mix\ncc14 2: strength\npitch channel 3: output_gain_db\nnote 9: toggle bypass")
    desk.shown()
    for name, value in (("mix", 0.5), ("strength", 0.75), ("output_gain_db", 12), ("bypass", 1)):
        desk.control._commander.run("set", {"name": name, "value": value})
    sent = desk.shown()
    for message in ([0xB1, 1, 64], [CC_1, 2, 64], [CC_1, 34, 0], [0xE2, 127, 127], [NOTE_1, 9, 127]):
        assert message in sent
    assert desk.shown() == []


def test_the_desk_learns_the_values_there_are_when_it_is_opened(desk_with):
    desk = desk_with("cc 1: mix")
    assert [CC_1, 1, 127] in desk.shown()


def test_a_fader_that_is_touched_is_not_moved_and_what_it_said_is_not_said_back(desk_with):
    desk = desk_with("takeover: jump\ncc 1: mix")
    desk.shown()
    desk.play([CC_1, 1, 40])
    assert [CC_1, 1, 40] not in desk.shown(0.1) + desk.shown(1)
    desk.play([CC_1, 1, 50])
    desk.control._commander.run("set", {"name": "mix", "value": 1})
    assert desk.shown(0.1) == []
    assert desk.shown(0.5) == [[CC_1, 1, 127]]


def test_a_desk_that_repeats_what_it_is_sent_makes_no_loop_and_changes_nothing(desk_with):
    desk = desk_with("takeover: jump\ncc 1: mix\ncc14 2: crossover_hz")
    desk.control._commander.run("set", {"name": "mix", "value": 0.501})
    desk.control._commander.run("set", {"name": "crossover_hz", "value": 3333})
    sent = desk.shown()
    for _ in range(5):
        desk.play(*sent)
        assert (desk.get("mix"), desk.get("crossover_hz")) == (0.501, 3333)
        sent = desk.shown()
        assert sent == []


def test_a_light_is_lit_again_where_the_button_put_it_out(desk_with):
    desk = desk_with("note 9: toggle bypass")
    desk.shown()
    desk.play([NOTE_1, 9, 127])
    desk.play([NOTE_1, 9, 0])
    assert desk.shown() == [[NOTE_1, 9, 127]]


def test_the_light_of_a_preset_is_lit_while_it_is_the_current_one(desk_with):
    desk = desk_with("note 1: load_preset a")
    assert [NOTE_1, 1, 0] in desk.shown()
    desk.control._commander.run("save_preset", {"name": "a"})
    assert desk.shown() == [[NOTE_1, 1, 127]]


# --- learning --------------------------------------------------------------------------------------------------------


def test_the_next_knob_that_moves_is_bound_said_and_kept(desk_with, session, tmp_path):
    desk = desk_with()
    assert session.commands.run("learn", {"name": "mix"})["learning"] == "mix"
    desk.play([0xB4, 77, 12])
    assert desk.get("mix") == 1, "the movement that binds changes nothing yet"
    assert desk.said == ["midi: cc 77 channel 5 is bound to mix"]
    desk.play([0xB4, 77, 126])
    desk.play([0xB4, 77, 50])
    assert desk.get("mix") == 50 / 127
    assert read_map(tmp_path / "map.yaml", PARAMETERS).find(CC, 77, 5)[1] == MIX
    assert session.commands.run("midi")["cc 77 channel 5"] == "mix"


def test_a_knob_with_a_fine_half_is_bound_with_14_bits(desk_with):
    together = desk_with()
    together.control.learn("mix")
    together.play([CC_1, 3, 100], [CC_1, 35, 7])
    assert together.said[-1] == "midi: cc14 3 channel 1 is bound to mix"
    apart = desk_with()
    apart.control.learn("mix")
    apart.play([CC_1, 3, 100])
    apart.wait(0.1)
    apart.play([CC_1, 35, 7])
    assert apart.said[-1] == "midi: cc14 3 channel 1 is bound to mix"
    apart.play([CC_1, 3, 127], [CC_1, 35, 127])
    apart.play([CC_1, 3, 1], [CC_1, 35, 1])
    assert apart.get("mix") == pytest.approx(129 / 16_383)


def test_a_knob_that_moved_before_is_bound_to_the_parameter_that_is_chosen_then(desk_with, session):
    desk = desk_with()
    with pytest.raises(ControlError, match="no controller has moved yet"):
        session.commands.run("learn_moved", {"name": "mix"})
    desk.play([0xB4, 77, 12])
    assert session.commands.run("midi")["moved"] == "cc 77 channel 5"
    assert session.commands.run("learn_moved", {"name": "mix"})["cc 77 channel 5"] == "mix"
    desk.play([0xB4, 77, 126])
    desk.play([0xB4, 77, 50])
    assert desk.get("mix") == 50 / 127
    desk.wait(1.0)
    desk.play([CC_1, 3, 100], [CC_1, 35, 7], [CC_1, 3, 101], [CC_1, 35, 1])
    assert session.commands.run("midi")["moved"] == "cc14 3 channel 1"
    desk.wait(1.0)
    desk.play([CC_1, 35, 7])
    assert session.commands.run("midi")["moved"] == "cc 35 channel 1", "no half of what moved long ago"
    desk.play([NOTE_1, 40, 100], [NOTE_1, 40, 0], [PROGRAM_1, 3])
    with pytest.raises(ControlError, match="note 40 channel 1 is a key, which can switch but not turn mix"):
        session.commands.run("learn_moved", {"name": "mix"})
    session.commands.run("learn_moved", {"name": "bypass"})
    desk.play([NOTE_1, 40, 100])
    assert desk.get("bypass") == 1


def test_a_note_is_learnt_for_a_switch_and_not_for_a_knob(desk_with):
    desk = desk_with()
    desk.control.learn("mix")
    desk.play([NOTE_1, 40, 100], [NOTE_1, 40, 0])
    assert desk.said == []
    desk.control.learn("bypass")
    desk.play([NOTE_1, 40, 100], [NOTE_1, 40, 0])
    assert desk.said == ["midi: note 40 channel 1 is bound to toggle bypass"]
    desk.play([NOTE_1, 40, 100])
    assert desk.get("bypass") == 1


def test_learning_is_given_up_on_request_and_refused_for_what_there_is_not(desk_with, session):
    desk = desk_with()
    session.commands.run("learn", {"name": "mix"})
    session.commands.run("learn")
    desk.play([CC_1, 77, 12])
    assert desk.said == []
    with pytest.raises(ValueError, match="parameter must be one of"):
        session.commands.run("learn", {"name": "wetness"})


# --- ports -----------------------------------------------------------------------------------------------------------


def test_a_desk_that_is_gone_is_waited_for_and_found_again(desk_with):
    desk = desk_with("cc 1: mix")
    desk.shown()
    assert desk.poll() == []
    desk.port.is_plugged = False
    assert desk.poll() == ["midi: Desk 1 is gone; it is waited for"]
    assert not desk.port.is_open
    assert desk.poll() == []
    assert desk.shown() == []
    assert not desk.control.describe()["is_connected"]
    desk.port.is_plugged = True
    assert desk.poll() == ["midi: Desk 1 is back"]
    assert [CC_1, 1, 127] in desk.shown(), "it is shown all values anew"
    desk.play([CC_1, 1, 126])
    assert desk.get("mix") == 126 / 127


def test_a_port_is_named_by_a_part_of_its_name_that_only_it_has():
    names = ["Midi Through:0", "nanoKONTROL2:1", "nanoPAD2:1", "Apollo RT:out"]
    assert match(names, "kontrol") == 1
    assert match([*names, "nano"], "nano") == 4
    with pytest.raises(ControlError, match=r"several have that in their name: 'nanoKONTROL2:1', 'nanoPAD2:1'"):
        match(names, "nano")
    with pytest.raises(ControlError, match=r"must have 'apollo' in its name, or be virtual; there are: 'Midi"):
        match(names, "apollo")
    with pytest.raises(ControlError, match="there are: none"):
        match([], "x")


def test_the_thread_handles_what_arrives_and_ends(session, tmp_path):
    port = FakePort()
    midi_map = MidiMap({Origin(CC, 1): MIX}, "jump")
    control = MidiControl("desk", session.commands, session.controls, midi_map, tmp_path / "m.yaml", print, port.open)
    control.start()
    arrived = threading.Event()
    run = session.commands.run
    session.commands.run = lambda *call: (run(*call), arrived.set())
    port.arrived.append([CC_1, 1, 0])
    assert arrived.wait(60)
    control.close()
    assert session.controls.get("mix") == 0
    assert not port.is_open


@pytest.mark.realtime
def test_100_000_events_while_it_plays_leave_the_audio_as_it_is(tmp_path):
    model = load(tiny_models.identity(tmp_path, Framing(hop_length=256, analysis_length=1024)))
    samples, sink, port = noise(2 * 44_100), MemoryWriter(), FakePort()
    engine = Engine(model, VirtualDevice(44_100), EngineSettings(headroom=22_050), MemoryReader(samples), sink)
    session = session_of(engine)
    midi_map = MidiMap({Origin(CC, number): MIX for number in range(64)}, "jump")
    control = MidiControl("desk", session.commands, session.controls, midi_map, tmp_path / "m.yaml", print, port.open)
    with engine:
        control.start()
        for index in range(100_000):
            port.arrived.append([CC_1 | index & 15, index & 127, index >> 7 & 127])
        assert engine.wait(60)
        assert wait_for(lambda: control.describe()["n_received"] == 100_000)
        control.close()
    assert engine.parameters.mix == (99_999 >> 7 & 127) / 127, "the latest value has won"
    np.testing.assert_allclose(sink.samples, samples, atol=1e-5)
