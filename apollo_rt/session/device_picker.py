"""Choosing other devices while the engine runs, for whichever interface the wish comes from."""

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from apollo_rt.devices.device import Device, Direction, find_device, label
from apollo_rt.errors import DeviceError
from apollo_rt.live.supervision.reopening import Reopening
from apollo_rt.live.supervision.rest import Rest
from apollo_rt.session.endpoints import Endpoints
from apollo_rt.session.wanted_devices import WantedDevices


class MovableEngine(Protocol):
    """An engine that can move to other devices, as a picker needs it."""

    @property
    def chosen(self) -> Reopening | None:
        """Choice of the present devices; None for those of the start."""

    @property
    def awaited(self) -> Reopening | None:
        """Choice that isn't decided yet, if any."""

    def choose_devices(self, wanted: Reopening, back: Reopening) -> None:
        """Go to other devices."""


@dataclass(frozen=True)
class DeviceChoice:
    """Devices that there are to choose from.

    Attributes:
        inputs: devices that capture; empty where the input is a file.
        outputs: devices that play; empty where the output is a file.
        source: the one that is captured from.
        target: the one that is played to.
    """

    inputs: tuple[Device, ...]
    outputs: tuple[Device, ...]
    source: Device | None
    target: Device | None


def reopening(wanted: WantedDevices, give_up_s: float, follow_default: bool, rest: Rest | None = None) -> Reopening:
    """A way to devices, and back to them when they are lost.

    Args:
        wanted: by the user's words.
        give_up_s: for how long to try.
        follow_default: go where a word leads when the system changes that.
        rest: when to let go of them for a while.
    """
    if follow_default:
        return Reopening(wanted.reopen, wanted.has_moved, wanted.trouble, give_up_s, rest)
    return Reopening(wanted.reopen, trouble=wanted.trouble, give_up_s=give_up_s, rest=rest)


class DevicePicker:
    """Tells which devices there are and goes to others; any thread may ask.

    Args:
        engine: running.
        endpoints: of its start.
        reopening: how to come to devices.
        list_devices: None: those of this machine, as PortAudio and the sound server tell them.
    """

    def __init__(
        self,
        engine: MovableEngine,
        endpoints: Endpoints,
        reopening: Callable[[WantedDevices], Reopening],
        list_devices: Callable[[], Sequence[Device]] | None = None,
    ) -> None:
        self._engine, self._endpoints, self._reopening = engine, endpoints, reopening
        self._list_devices = list_devices
        self._lock = threading.Lock()  # between those who choose
        self._ways: list[tuple[weakref.ref[Reopening], WantedDevices]] = []  # as long as the engine knows them

    @property
    def wanted(self) -> WantedDevices:
        """The devices that play now, by the words that they were chosen with."""
        return self._wanted_by(self._engine.chosen)

    @property
    def names(self) -> tuple[str, str]:
        """Input and output for people."""
        source, target = self.wanted.found
        return str(source or self._endpoints.input_name), str(target or self._endpoints.output_name)

    def choice(self) -> DeviceChoice:
        """The devices there are, and those that play now.

        Raises:
            DeviceError: there can't be any.
        """
        source, target = self.wanted.found
        devices = self._devices() if source or target else ()
        return DeviceChoice(
            tuple(device for device in devices if source and device.input_channels),
            tuple(device for device in devices if target and device.output_channels),
            source,
            target,
        )

    def choose(self, source: str | None = None, target: str | None = None) -> None:
        """Go to other devices within moments; what came of it is logged, and where it fails the present ones stay.

        Who chooses before the last choice is decided changes that one: input and output may be chosen one by one.
        The present ones named again are looked for anew, as after a change of cables.

        Args:
            source: as `--input`; None: the present one, or that of a choice on its way.
            target: as `--output`; None: the present one.

        Raises:
            DeviceError: there is no such device, it is a loop with the other, or that endpoint is a file.
        """
        if self._endpoints.wanted.words == (None, None):
            raise DeviceError("input and output of this run are files; there is no device to change")
        with self._lock:
            before = self._wanted_by(self._engine.awaited or self._engine.chosen)
            wanted = before.others(self._lasting(source, "input"), self._lasting(target, "output"))
            wanted.find()
            way = self._reopening(wanted)
            self._ways = [*(pair for pair in self._ways if pair[0]() is not None), (weakref.ref(way), wanted)]
            self._engine.choose_devices(way, self._reopening(self._endpoints.wanted))

    def describe(self) -> dict[str, Any]:
        """As plain values: what can be chosen by its number, for each endpoint, and the names of what plays now.

        Raises:
            DeviceError: see `choice`.
        """
        choice, (source, target) = self.choice(), self.names
        lists = {"inputs": (choice.inputs, choice.source), "outputs": (choice.outputs, choice.target)}
        described = {
            name: [
                {
                    "number": device.number,
                    "name": f"{label(device, devices)} ({device.system})",
                    "is_used": device.number == (used and used.number),
                }
                for device in devices
            ]
            for name, (devices, used) in lists.items()
        }
        return {"input": source, "output": target, **described}

    def _wanted_by(self, way: Reopening | None) -> WantedDevices:
        """The devices that a way of ours leads to; None: those of the start."""
        return next((wanted for known, wanted in self._ways if way and known() is way), self._endpoints.wanted)

    def _lasting(self, word: str | None, direction: Direction) -> str | None:
        """A word that leads to the same device when devices are looked for anew: a number may not."""
        if word is None or not word.isdecimal():
            return word
        devices = self._devices()
        meant = find_device(devices, word, direction)
        return next((name for name in (meant.name, *meant.aliases) if _leads_to(meant, name, devices, direction)), word)

    def _devices(self) -> Sequence[Device]:
        if self._list_devices:
            return self._list_devices()
        from apollo_rt.devices.portaudio import list_devices

        return list_devices()


def _leads_to(meant: Device, name: str, devices: Sequence[Device], direction: Direction) -> bool:
    try:
        return find_device(devices, name, direction) == meant
    except DeviceError:  # several have that name
        return False
