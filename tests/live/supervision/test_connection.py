"""The connection ends whoever holds it up; what it does while it plays is in live/test_faults.py."""

import threading

from apollo_rt.control.parameters import Parameters
from apollo_rt.live.realtime.shared_state import make_shared_state
from apollo_rt.live.supervision import connection
from apollo_rt.live.supervision.connection import Connection
from apollo_rt.live.supervision.connection_state import ConnectionState
from apollo_rt.live.supervision.reopening import Reopening
from apollo_rt.live.supervision.rest import Rest
from tests.doubles import tiny_models
from tests.doubles.audio_servers import wait_for
from tests.doubles.hand_device import HandDevice


class SlowDevice(HandDevice):
    """Opens when the test says so."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.is_opening, self.may_open, self.was_stopped = threading.Event(), threading.Event(), False

    def start(self, callback_address: int, userdata_address: int) -> None:
        self.is_opening.set()
        assert self.may_open.wait(60)
        super().start(callback_address, userdata_address)

    def stop(self) -> None:
        self.was_stopped |= self.active
        super().stop()


def test_an_end_does_not_wait_for_a_device_that_opens_for_ever_and_what_opens_later_is_closed(monkeypatch) -> None:
    """A sound server dies while it is asked for a device, and the user ends the run meanwhile."""
    monkeypatch.setattr(connection, "_STOPPING_S", 0.05)
    first, second = HandDevice("first"), SlowDevice()
    shared = make_shared_state(tiny_models.MEDIUM, 832, 2, 2, 4096, Parameters().values)
    held = Connection(first, shared, Reopening(lambda: second))
    held.start()
    first.vanish()
    lines: list[str] = []

    def poll() -> None:
        while held.state is ConnectionState.PLAYING or not second.is_opening.is_set():
            lines.extend(held.poll())

    polling = threading.Thread(target=poll)
    polling.start()
    assert second.is_opening.wait(60)
    held.stop()
    assert held.state is ConnectionState.CLOSED
    second.may_open.set()
    polling.join(60)
    assert wait_for(lambda: second.was_stopped)
    assert not second.active
    assert shared.stats.counters.reconnections == 0
    assert not any("plays again" in line for line in lines)


def test_devices_rest_while_nothing_plays_and_come_back_when_something_does() -> None:
    rest, opened = Rest(idle_s=0.0), []

    def open_anew() -> HandDevice:
        opened.append(HandDevice("second"))
        return opened[-1]

    first = HandDevice("first")
    shared = make_shared_state(tiny_models.MEDIUM, 832, 2, 2, 4096, Parameters().values)
    held = Connection(first, shared, Reopening(open_anew, rest=rest))
    held.start()
    assert held.poll() == [], "something plays, as far as is known"
    rest.note(False)
    assert held.poll() == ["nothing plays: the devices are closed until something does"]
    assert (held.state, first.active, held.poll(), opened) == (ConnectionState.RESTING, False, [], [])
    rest.note(True)
    (line,) = held.poll()
    assert "plays again" in line
    assert (held.state, opened[0].active) == (ConnectionState.PLAYING, True)
    rest.note(False)
    held.poll()
    held.stop()
    assert held.state is ConnectionState.CLOSED


def test_rest_is_due_so_long_after_the_last_sound(monkeypatch) -> None:
    clock_s = [0.0]
    monkeypatch.setattr("apollo_rt.live.supervision.rest.time.monotonic", lambda: clock_s[0])
    rest = Rest(idle_s=60.0)
    clock_s[0] = 100.0
    assert not rest.is_due, "nobody has said yet that nothing plays"
    rest.note(False)
    clock_s[0] = 159.0
    assert not rest.is_due
    rest.note(True)
    rest.note(False)
    clock_s[0] = 218.0
    rest.note(False)
    assert not rest.is_due
    clock_s[0] = 219.0
    assert rest.is_due
