"""MIDI ports of the machine, by python-rtmidi; nobody else imports it.

On Linux that is ALSA's sequencer where the kernel has one, else JACK. A port is opened in a process of its own
(`host_process`), since JACK's library can crash when one is closed.

Messages are fetched, never called back with: JACK would run the callback in its real-time thread, all its clients would
wait for Python's lock, and to close the port in that moment hangs or crashes the program (python-rtmidi 1.5.8 holds the
lock while JACK ends the thread, and frees what the callback is about to call).
"""

import ctypes
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from apollo_rt.errors import ControlError

VIRTUAL = "virtual"
CLIENT_NAME = "Apollo RT"

_QUEUE_LENGTH = 16_384
"""Messages that wait to be fetched, 0.16 s of the worst flood; newer ones are dropped by the library."""
_SETTLE_S = 0.02
"""More than a period of any sound server that music is played through."""
_TRIES, _PAUSE_S = 4, 0.25
"""A JACK server that waits for a client which died refuses others, for a moment."""


class Port(Protocol):
    """An open port, both ways as far as the device has both."""

    @property
    def name(self) -> str:
        """For people."""

    def fetch(self) -> list[int] | None:
        """The bytes of the next message that has arrived, None if none has; clock, sensing and sysex are left out."""

    def send(self, message: list[int]) -> None:
        """Send one message, if there is a way back."""

    def ports(self) -> list[str] | None:
        """The names of all ports that could be listened to, None when this one's device is gone."""

    def close(self) -> None:
        """Let go; nothing may be asked of it any more."""


def list_ports() -> list[str]:
    """The names of the ports that can be listened to.

    Raises:
        ControlError: this machine has no MIDI.
    """
    client, names = _ports("MidiIn")
    client.delete()  # not left to Python's memory: JACK would wait for it at the program's end, its time-out long
    return [name for name in names if not name.startswith(CLIENT_NAME)]


def open_port(wanted: str) -> Port:
    """Open a port.

    Args:
        wanted: its name or a part of it, upper or lower case; or `virtual`: a port for other programs to connect to.

    Raises:
        ControlError: there is none, or more than one, or this machine has no MIDI.
    """
    return _RtMidiPort(wanted)


def close_client(client: Any) -> None:
    """Close a port of python-rtmidi's, and its client with it."""
    client.close_port()
    time.sleep(_SETTLE_S)  # JACK's thread may still be in what `delete` takes away before its end
    client.delete()


def match(names: list[str], wanted: str) -> int:
    """Find the port that is meant: the one of that very name, else the only one that has it in its name; never ours.

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
    """Name of the system that MIDI goes through on this machine.

    Raises:
        ControlError: python-rtmidi isn't installed.
    """
    rtmidi = _rtmidi()
    return str(rtmidi.get_api_display_name(_api(rtmidi)))


class _RtMidiPort:
    """See `Port`."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._clients: list[Any] = []
        try:
            self._input, names = self._client("MidiIn", queue_size_limit=_QUEUE_LENGTH)
            self._output, out_names = self._client("MidiOut")
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
        except BaseException:
            self.close()
            raise

    def fetch(self) -> list[int] | None:
        """The bytes of the next message that has arrived, None if none has."""
        event = self._input.get_message()
        return event[0] if event else None

    def send(self, message: list[int]) -> None:
        """Send one message, if there is a way back."""
        if self._has_output:
            with suppress(_rtmidi().RtMidiError):  # it has just gone; `ports` will tell
                self._output.send_message(message)

    def ports(self) -> list[str] | None:
        """See `Port`; asked of a new client, for one whose server died still tells the old names."""
        names = _ports_now()
        return names if names is not None and (self._wanted == VIRTUAL or self.name in names) else None

    def close(self) -> None:
        """Let go."""
        for client in self._clients:
            if _ports_now() is not None:
                close_client(client)
            else:
                # JACK's library crashes when a client of a server that died is closed: it is left behind for good.
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))

    def _client(self, side: str, **options: Any) -> tuple[Any, list[str]]:
        client, names = _ports(side, **options)
        self._clients.append(client)
        return client, names

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


def _ports_now() -> list[str] | None:
    """As `list_ports`; None where the server has died."""
    try:
        return list_ports()
    except ControlError:
        return None


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


def _ports(side: str, **options: Any) -> tuple[Any, list[str]]:
    """A client that isn't connected yet, and the names of the ports that it sees."""
    rtmidi = _rtmidi()
    for _ in range(_TRIES - 1):
        with suppress(rtmidi.RtMidiError):
            return _ports_at_once(rtmidi, side, **options)
        time.sleep(_PAUSE_S)
    try:
        return _ports_at_once(rtmidi, side, **options)
    except rtmidi.RtMidiError as error:
        reason = str(error).split(":")[-1].strip()
        raise ControlError(f"midi: {back_end()} gives no MIDI: {reason}") from None


def _ports_at_once(rtmidi: Any, side: str, **options: Any) -> tuple[Any, list[str]]:
    client = getattr(rtmidi, side)(_api(rtmidi), CLIENT_NAME, **options)
    return client, list(client.get_ports())
