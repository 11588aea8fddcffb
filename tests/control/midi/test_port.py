"""MIDI ports through a library that refuses: what is asked again, and what is said in the end; no system takes part."""

import sys
from types import SimpleNamespace

import pytest

from apollo_rt.control.midi import port as midi_port
from apollo_rt.errors import ControlError


@pytest.fixture
def refusals(monkeypatch):
    """As many times a client is refused from now on."""
    left = []

    class Client:
        def __init__(self, *_):
            if left:
                raise library.RtMidiError(left.pop())

        def get_ports(self):
            return ["Desk", "Apollo RT:in"]

        def delete(self):
            pass

    library = SimpleNamespace(
        RtMidiError=type("RtMidiError", (Exception,), {}),
        MidiIn=Client,
        API_UNSPECIFIED=0,
        API_LINUX_ALSA=1,
        API_UNIX_JACK=2,
        get_api_display_name=lambda _: "Jack",
    )
    monkeypatch.setitem(sys.modules, "rtmidi", library)
    monkeypatch.setattr(midi_port, "_PAUSE_S", 0.0)
    return left


def test_a_server_that_refuses_for_a_moment_is_asked_again(refusals):
    refusals.extend(["MidiInJack::initialize: JACK server not running?"] * (midi_port._TRIES - 1))
    assert midi_port.list_ports() == ["Desk"]
    assert refusals == []


def test_a_server_that_is_not_there_is_told_in_one_line(refusals):
    refusals.extend(["MidiInJack::initialize: JACK server not running?"] * midi_port._TRIES)
    with pytest.raises(ControlError, match=r"^midi: Jack gives no MIDI: JACK server not running\?$"):
        midi_port.list_ports()
