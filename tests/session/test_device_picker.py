"""Other devices while the engine runs: chosen, refused, and gone back from."""

import gc
import logging
from dataclasses import replace

import numpy as np
import pytest

from apollo_rt.config import Framing
from apollo_rt.devices.device import Device
from apollo_rt.errors import DeviceError
from apollo_rt.inference.model import load
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.session.device_picker import DevicePicker, reopening
from apollo_rt.session.endpoints import Endpoints
from apollo_rt.session.wanted_devices import WantedDevices
from tests.doubles import tiny_models
from tests.doubles.audio_servers import wait_for
from tests.doubles.hand_device import HandDevice

RATE = 44_100
DEVICES = [
    Device(0, "radio", "ALSA", 2, 0, captures="radio"),
    Device(1, "microphone", "ALSA", 1, 0, is_default_input=True),
    Device(2, "speakers", "ALSA", 0, 2, is_default_output=True),
    Device(3, "headphones", "ALSA", 0, 2),
    Device(4, "radio's own output", "ALSA", 0, 2, feeds="radio"),
]


@pytest.fixture(scope="module")
def gain(tmp_path_factory):
    return load(tiny_models.gain(tmp_path_factory.mktemp("model"), 0.5, Framing()))


class Desk:
    """Devices that a test moves by hand, chosen by a picker on a real engine."""

    def __init__(self, model, monkeypatch, caplog, words=("radio", "speakers"), follows=True):
        self.refused, self.opened, self.block_size = set(), [], 256
        monkeypatch.setattr("apollo_rt.devices.portaudio.list_devices", lambda: DEVICES)
        monkeypatch.setattr("apollo_rt.devices.portaudio.rescan", lambda: None)
        monkeypatch.setattr(WantedDevices, "driver", lambda _, *found: self.driver(*found))
        monkeypatch.setattr(WantedDevices, "trouble", lambda _: "")
        wanted = WantedDevices(*words, RATE, 256, False)
        found = wanted.find()
        endpoints = Endpoints("radio", "speakers", self.driver(*found), None, None, None, wanted)
        way = reopening(wanted, 300.0, False)
        self.engine = Engine(model, endpoints.driver, EngineSettings(), None, None, way if follows else None)
        self.picker = DevicePicker(self.engine, endpoints, lambda wanted: reopening(wanted, 300.0, False))
        self.log = caplog
        caplog.set_level(logging.WARNING, "apollo_rt")

    def driver(self, captured, played):
        name = f"{captured.name} -> {played.name}"
        device = HandDevice(name, refuses=bool(self.refused & {captured.name, played.name}))
        device.block_size = self.block_size
        self.opened.append(device)
        return device

    def says(self, text):
        """Time goes on for a device that plays."""

        def said():
            if self.opened[-1].active:
                self.opened[-1].play(np.zeros((512, 2), np.float32))
            return any(text in message for message in self.log.messages)

        assert wait_for(said), self.log.messages


@pytest.fixture
def desk(gain, monkeypatch, caplog):
    return Desk(gain, monkeypatch, caplog)


def test_another_output_is_gone_to_and_the_stream_goes_on_with_its_latency(desk):
    with desk.engine:
        desk.opened[-1].play(np.full((8192, 2), 0.4, np.float32))
        before = desk.engine.snapshot()
        desk.picker.choose(target="headphones")
        desk.says("radio -> speakers: left for radio -> headphones")
        assert desk.picker.names == ("radio (ALSA)", "headphones (ALSA)")
        assert not desk.opened[0].active
        heard = desk.opened[-1].play(np.full((16_384, 2), 0.4, np.float32))
        after = desk.engine.snapshot()
    assert heard[-256:] == pytest.approx(np.full((256, 2), 0.2), abs=0.01), "it is restored there, too"
    assert after.latency == before.latency
    assert after.samples > before.samples
    assert after.reconnections == 1


def test_the_old_device_is_faded_out_and_the_new_one_in(desk):
    with desk.engine:
        old = desk.opened[-1]
        parts = [old.play(np.full((8192, 2), 0.4, np.float32))]
        desk.picker.choose(target="headphones")
        while old.active:
            parts.append(old.play(np.full((256, 2), 0.4, np.float32)))
        assert wait_for(lambda: desk.opened[-1] is not old and desk.opened[-1].active)
        new = desk.opened[-1].play(np.full((16_384, 2), 0.4, np.float32))
    before = np.concatenate(parts)
    assert np.abs(np.diff(before[4096:, 0])).max() < 0.01, "a click at the end"
    assert before[-1, 0] == 0.0
    assert new[0, 0] == 0.0
    assert np.abs(np.diff(new[:, 0])).max() < 0.01, "a click at the beginning"


@pytest.mark.parametrize("follows", [True, False])
def test_one_that_can_not_be_opened_leads_back_to_the_present_ones(gain, monkeypatch, caplog, follows):
    desk = Desk(gain, monkeypatch, caplog, follows=follows)
    desk.refused = {"headphones"}
    with desk.engine:
        desk.picker.choose(target="headphones")
        desk.says("radio -> headphones: is gone; going back to radio -> speakers")
        assert wait_for(lambda: desk.opened[-1].active)
        assert desk.opened[-1].name == "radio -> speakers"
        assert desk.picker.names == ("radio (ALSA)", "speakers (ALSA)")
        assert not desk.engine.wait(0.0)
        desk.refused = set()
        desk.picker.choose(target="headphones")
        desk.says("radio -> speakers: left for radio -> headphones")


def test_one_with_longer_blocks_than_the_latency_covers_is_refused_with_the_reason(desk):
    with desk.engine:
        desk.block_size = 1024
        desk.picker.choose(source="microphone")
        desk.says("microphone -> speakers: needs 768 samples of latency for its blocks, and this run has 0 for that")
        assert wait_for(lambda: desk.opened[-1].active)
        assert desk.picker.names == ("radio (ALSA)", "speakers (ALSA)")


def test_where_the_present_ones_are_lost_as_well_they_are_waited_for(desk):
    desk.refused = {"headphones"}
    with desk.engine:
        desk.picker.choose(target="headphones")
        desk.refused = {"headphones", "speakers"}
        desk.says("trying again in 0.25 s")
        desk.refused = set()
        desk.says("plays again")
        assert desk.opened[-1].name == "radio -> speakers"


def test_a_device_that_is_lost_after_it_was_chosen_is_come_back_to(desk):
    with desk.engine:
        desk.picker.choose("microphone", "headphones")
        desk.says("left for microphone -> headphones")
        desk.opened[-1].vanish()
        desk.says("microphone -> headphones: plays again")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"target": "gramophone"}, "output 'gramophone': no device fits"),
        ({"target": "radio's own output"}, "feedback: 'radio' hears what"),
        ({"source": "99"}, "no input device has that number"),
    ],
)
def test_what_there_is_not_and_a_loop_are_refused_and_nothing_changes(desk, words, reason):
    with desk.engine:
        with pytest.raises(DeviceError, match=reason):
            desk.picker.choose(**words)
        desk.opened[-1].play(np.zeros((2048, 2), np.float32))
        assert len(desk.opened) == 1
        assert desk.picker.names == ("radio (ALSA)", "speakers (ALSA)")


def test_the_choice_lists_what_can_capture_and_what_can_play(desk):
    choice = desk.picker.choice()
    assert [device.name for device in choice.inputs] == ["radio", "microphone"]
    assert [device.name for device in choice.outputs] == ["speakers", "headphones", "radio's own output"]
    assert (choice.source, choice.target) == (DEVICES[0], DEVICES[2])


def test_it_is_described_in_plain_values_for_every_face(desk):
    described = desk.picker.describe()
    assert described["input"] == "radio (ALSA)"
    assert described["outputs"] == [
        {"number": 2, "name": "speakers (ALSA)", "is_used": True},
        {"number": 3, "name": "headphones (ALSA)", "is_used": False},
        {"number": 4, "name": "radio's own output (ALSA)", "is_used": False},
    ]


def test_a_device_chosen_by_its_number_is_the_same_one_when_numbers_change(desk, monkeypatch):
    with desk.engine:
        desk.picker.choose(target="3")
        swapped = [replace(DEVICES[3], number=2), replace(DEVICES[2], number=3)]
        monkeypatch.setattr("apollo_rt.devices.portaudio.list_devices", lambda: [*DEVICES[:2], *swapped])
        desk.says("left for radio -> headphones")


def test_who_chooses_twice_before_the_first_is_decided_gets_both_and_the_engine_always_knows_where_it_is(desk):
    with desk.engine:
        poll, desk.engine._connection.poll = desk.engine._connection.poll, list  # the supervisor is busy elsewhere
        desk.picker.choose(target="headphones")
        first = desk.engine.awaited
        desk.picker.choose(source="microphone")
        assert desk.engine.awaited is not first
        assert desk.picker.names == ("radio (ALSA)", "speakers (ALSA)"), "nothing is decided yet"
        desk.engine._connection.poll = poll
        desk.says("radio -> speakers: left for microphone -> headphones")
        assert wait_for(lambda: desk.engine.awaited is None)
        assert desk.picker.names == ("microphone (ALSA)", "headphones (ALSA)")


def test_one_that_was_gone_to_while_another_was_chosen_is_still_known(desk):
    """The supervisor goes to the first choice just before the second one is handed over."""
    with desk.engine:
        hand_over, waiting = desk.engine.choose_devices, []
        desk.engine.choose_devices = lambda *ways: waiting.append(ways)
        desk.picker.choose(target="headphones")
        desk.picker.choose(target="speakers")
        hand_over(*waiting[0])
        desk.says("left for radio -> headphones")
        assert desk.picker.names == ("radio (ALSA)", "headphones (ALSA)")
        assert desk.picker.describe()["output"] == "headphones (ALSA)"
        hand_over(*waiting[1])
        desk.says("left for radio -> speakers")


def test_many_choices_leave_nothing_behind(desk):
    with desk.engine:
        for _ in range(50):
            desk.picker.choose(target="headphones")
        gc.collect()
        desk.picker.choose(target="speakers")
        assert len(desk.picker._ways) <= 4


def test_where_the_second_choice_fails_it_goes_back_to_the_first(desk):
    with desk.engine:
        desk.picker.choose(target="headphones")
        desk.says("left for radio -> headphones")
        desk.refused = {"microphone"}
        desk.picker.choose(source="microphone")
        desk.says("microphone -> headphones: is gone; going back to radio -> headphones")
        assert wait_for(lambda: desk.opened[-1].active)
        assert desk.opened[-1].name == "radio -> headphones"
        assert desk.picker.names == ("radio (ALSA)", "headphones (ALSA)")


def test_an_end_that_is_a_file_stays_one():
    class Still:
        chosen = awaited = None

    for words, reason in (((None, None), "are files"), ((None, "speakers"), "input of this run is a file")):
        endpoints = Endpoints(
            "song.mp3", "speakers", HandDevice(), None, None, None, WantedDevices(*words, RATE, 256, False)
        )
        picker = DevicePicker(Still(), endpoints, lambda wanted: reopening(wanted, 300.0, False))
        with pytest.raises(DeviceError, match=reason):
            picker.choose(source="radio")
        assert picker.names == ("song.mp3", "speakers")
        assert picker.choice().inputs == ()
