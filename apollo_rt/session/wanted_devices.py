"""Devices that the user named: found by his words, opened as the engine's driver, watched, and found again."""

import os

from apollo_rt.devices import pulse
from apollo_rt.devices.device import WORDS, Device, find_device, refuse_feedback
from apollo_rt.devices.loopback import leads_to_server
from apollo_rt.devices.pulse_connection import n_events
from apollo_rt.devices.virtual_sink import VirtualSink
from apollo_rt.errors import DeviceError
from apollo_rt.live.endpoints.driver import Driver


class WantedDevices:
    """Devices by the words that a user named them with, which may lead to others by now.

    Args:
        source: captures; None where the input is a file.
        target: plays; None where the output is a file.
        sample_rate: Hz, the model's.
        block_size: samples per callback.
        allow_feedback: accept an input that hears the output.
        own_sink: what is captured, where that is a sink of ours; it is made again where somebody removed it.

    Attributes:
        words: of source and target.
        found: the devices that these led to last.
    """

    def __init__(
        self,
        source: str | None,
        target: str | None,
        sample_rate: int,
        block_size: int,
        allow_feedback: bool,
        own_sink: VirtualSink | None = None,
    ) -> None:
        self.words = (source, target)
        self._settings = (sample_rate, block_size, allow_feedback, own_sink)
        self.found: tuple[Device | None, Device | None] = (None, None)
        self._seen_events = -1

    def others(self, source: str | None, target: str | None) -> "WantedDevices":
        """The same with another word for one endpoint or both, where that is given.

        Raises:
            DeviceError: that endpoint is a file.
        """
        for word, before, end in ((source, self.words[0], "input"), (target, self.words[1], "output")):
            if word is not None and before is None:
                raise DeviceError(
                    f"{end} {word!r}: the {end} of this run is a file and stays one; start anew to change that"
                )
        return WantedDevices(source or self.words[0], target or self.words[1], *self._settings)

    def find(self) -> tuple[Device | None, Device | None]:
        """The devices, as far as PortAudio knows of them.

        Raises:
            DeviceError: one is missing or ambiguous, or they are a loop.
        """
        captured, played = self.found = self._find()
        if captured and played and not self._settings[2]:
            refuse_feedback(captured, played)
        return captured, played

    def _find(self) -> tuple[Device | None, Device | None]:
        """As the words say; but where the server's default is our own sink, what was it before is played to."""
        source, target = self.words
        captured, played = _find_devices(source, target)
        own_sink = self._settings[3]
        if own_sink and played and leads_to_server(played):
            is_default = "PULSE_SINK" not in dict(played.environment)
            if is_default and (default := own_sink.real_default()):
                return _find_devices(source, default)
        return captured, played

    def reopen(self) -> Driver:
        """Poll for the devices anew, those that came since the last poll included.

        Raises:
            DeviceError: as above.
        """
        from apollo_rt.devices.portaudio import rescan

        if own_sink := self._settings[3]:
            own_sink.make()
        rescan()
        return self.driver(*self.find())

    def driver(self, captured: Device | None, played: Device | None) -> Driver:
        """Driver of the endpoints; nothing is opened yet."""
        sample_rate, block_size, allow_feedback, _ = self._settings
        from apollo_rt.devices.clocks import open_driver

        return open_driver(captured, played, sample_rate, block_size, allow_feedback)

    def trouble(self) -> str:
        """Reason why the open devices can't go on: where a sink vanishes, a sound server moves what played or captured.

        Asked of a server only, whenever something has changed there; elsewhere a device that vanishes is lost.
        """
        captured, played = self.found
        n_now = n_events()
        if not (captured and captured.host_api in ("ALSA", "PulseAudio")) or n_now == self._seen_events:
            return ""
        self._seen_events = n_now
        routes = pulse.routes(os.getpid())
        if routes.feedback_sink and played and not self._settings[2]:
            return f"the sound server moved the output to {routes.feedback_sink!r}, which is what is captured"
        opened = dict(captured.environment).get("PULSE_SOURCE", pulse.DEFAULT_MONITOR)
        if opened != pulse.DEFAULT_MONITOR and routes.captured and opened not in routes.captured:
            return f"the sound server captures {routes.captured[0]!r} instead of {opened!r}"
        return ""

    def has_moved(self) -> bool:
        """Whether the words lead to other devices than when they were found last."""
        before = self.found
        try:
            return [_place(device) for device in self._find()] != [_place(device) for device in before]
        except DeviceError:
            return False


def _place(device: Device | None) -> tuple[object, ...]:
    """Place that tells a device from another; a sound server's default is one device that may be in two places."""
    return (device.name, device.host_api, device.environment, device.captures, device.feeds) if device else ()


def _find_devices(source: str | None, target: str | None) -> tuple[Device | None, Device | None]:
    """The devices at both endpoints; each prefers the host API of the other, if that was the plainer one to find."""
    if source is None and target is None:
        return None, None
    from apollo_rt.devices.portaudio import list_devices

    devices = list_devices()
    captured = find_device(devices, source, "input") if source is not None else None
    host_api = captured.host_api if captured else ""
    played = find_device(devices, target, "output", host_api) if target is not None else None
    if source is not None and played and played.host_api != host_api and source.casefold() in WORDS:
        captured = find_device(devices, source, "input", played.host_api)
    return captured, played
