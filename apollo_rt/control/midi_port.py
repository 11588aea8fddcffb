"""MIDI ports of the machine, by python-rtmidi; nobody else imports it.

On Linux that is ALSA's sequencer where the kernel has one, else JACK.
"""

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from apollo_rt.errors import ControlError

VIRTUAL = "virtual"
CLIENT_NAME = "Apollo RT"

Receive = Callable[[list[int]], None]
"""Gets the bytes of one message, in a thread of the system's."""


class Port(Protocol):
    """An open port, both ways as far as the device has both."""

    @property
    def name(self) -> str:
        """For people."""

    def send(self, message: list[int]) -> None:
        """Send one message, if there is a way back."""

    def is_there(self) -> bool:
        """Whether the device still is."""

    def close(self) -> None:
        """Let go; nothing is received any more."""


def list_ports() -> list[str]:
    """The names of the ports that can be listened to.

    Raises:
        ControlError: this machine has no MIDI.
    """
    client, names = _ports("MidiIn")
    client.delete()  # not left to Python's memory: JACK would wait for it at the program's end, its time-out long
    return [name for name in names if not name.startswith(CLIENT_NAME)]


def open_port(wanted: str, receive: Receive) -> Port:
    """Open a port.

    Args:
        wanted: its name or a part of it, upper or lower case; or `virtual`: a port for other programs to connect to.
        receive: called for each message, not for clock, active sensing and system exclusive.

    Raises:
        ControlError: there is none, or more than one, or this machine has no MIDI.
    """
    return _RtMidiPort(wanted, receive)


def match(names: list[str], wanted: str) -> int:
    """Which of some ports is meant: the one of that very name, else the only one that has it in its name; never ours.

    Raises:
        ControlError: none is, or several are.
    """
    if wanted in names:
        return names.index(wanted)
    others = [index for index, name in enumerate(names) if not name.startswith(CLIENT_NAME)]
    found = [index for index in others if wanted.casefold() in names[index].casefold()]
    if len(found) == 1:
        return found[0]
    which = ", ".join(repr(names[index]) for index in found or others) or "none"
    what = "several have that in their name" if found else "there are"
    raise ControlError(f"midi: a port must have {wanted!r} in its name, or be {VIRTUAL}; {what}: {which}")


def back_end() -> str:
    """What MIDI goes through on this machine.

    Raises:
        ControlError: python-rtmidi isn't installed.
    """
    rtmidi = _rtmidi()
    return str(rtmidi.get_api_display_name(_api(rtmidi)))


class _RtMidiPort:
    """See `Port`."""

    def __init__(self, wanted: str, receive: Receive) -> None:
        self._wanted = wanted
        self._input, names = _ports("MidiIn")
        self._output, out_names = _ports("MidiOut")
        self._has_output = True
        if wanted == VIRTUAL:
            self.name = f"{CLIENT_NAME} (virtual)"
            self._input.open_virtual_port("in")
            self._output.open_virtual_port("out")
        else:
            index = match(names, wanted)
            self.name = names[index]
            self._input.open_port(index, "in")
            self._has_output = self._open_output(out_names)
        self._input.set_callback(lambda event, _: receive(event[0]))

    def send(self, message: list[int]) -> None:
        """Send one message, if there is a way back."""
        if self._has_output:
            with suppress(_rtmidi().RtMidiError):  # it has just gone; `is_there` will tell
                self._output.send_message(message)

    def is_there(self) -> bool:
        """Whether the device still is; asked of a new client, for one whose server died still tells the old names."""
        try:
            names = list_ports()
        except ControlError:
            return False
        return self._wanted == VIRTUAL or self.name in names

    def close(self) -> None:
        """Let go."""
        self._input.cancel_callback()
        for side in (self._input, self._output):
            if self._is_server_alive():
                side.close_port()
                side.delete()
            else:
                # JACK's library crashes when a client of a server that died is closed: it is left behind for good.
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(side))

    def _open_output(self, names: list[str]) -> bool:
        """The way back: the output of the same name, else of the same client, else with what is wanted in its name."""
        client, wanted = self.name.partition(":")[0], self._wanted.casefold()
        same = [name for name in names if name == self.name]
        near = [name for name in names if name.partition(":")[0] == client]
        alike = [name for name in names if wanted in name.casefold() and not name.startswith(CLIENT_NAME)]
        found = (same + near + alike)[:1]
        for name in found:
            self._output.open_port(names.index(name), "out")
        return bool(found)

    @staticmethod
    def _is_server_alive() -> bool:
        try:
            list_ports()
        except ControlError:
            return False
        return True


def _rtmidi() -> Any:
    try:
        import rtmidi
    except ImportError:
        raise ControlError("midi: python-rtmidi is not installed; pip install 'apollo-rt[midi]'") from None
    return rtmidi


def _api(rtmidi: Any) -> int:
    if sys.platform != "linux":
        return int(rtmidi.API_UNSPECIFIED)
    return int(rtmidi.API_LINUX_ALSA if Path("/dev/snd/seq").exists() else rtmidi.API_UNIX_JACK)


def _ports(side: str) -> tuple[Any, list[str]]:
    """A client that isn't connected yet, and the names of the ports that it sees."""
    rtmidi = _rtmidi()
    try:
        client = getattr(rtmidi, side)(_api(rtmidi), CLIENT_NAME)
        return client, list(client.get_ports())
    except rtmidi.RtMidiError as error:
        reason = str(error).split(":")[-1].strip()
        raise ControlError(f"midi: {back_end()} gives no MIDI: {reason}") from None
