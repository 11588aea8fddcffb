"""Loopbacks capture the machine's own sound: which device hears what which other device plays.

Every rule names the two ends of a loop by one key. Ends are found by the names that the systems give them; nothing is
opened.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from apollo_rt.devices import pulse
from apollo_rt.devices.device import Device

_SERVER_PCMS = ("default", "pulse", "pipewire")
"""ALSA devices that lead to the sound server's defaults, where there is a server."""

_SAME_NAME_CABLES = ("blackhole", "loopback audio", "soundflower", "vb-cable")
"""macOS: drivers that give back as a source what is played to them under the same name."""

_WINDOWS_CABLE = re.compile(r"^(cable(?:[- ]\w+)?) (?:input|output) \(", re.IGNORECASE)
"""Windows: VB-Audio's cables, `CABLE Input (...)` to play to, `CABLE Output (...)` to capture from."""

_SND_ALOOP = re.compile(r"Loopback.*\(hw:(\d+),([01])\)")
"""Linux: the kernel's cable; what is played to its device 0 is captured from its device 1, and the other way round."""

_WASAPI_LOOPBACK = " [loopback]"
_WINDOWS_DEFAULTS = ("microsoft sound mapper", "primary sound driver")
_PULSE_MONITOR = "monitor of "
_MME_NAME_LENGTH = 31


def with_server(devices: Sequence[Device], server: pulse.Server | None) -> list[Device]:
    """Add a sound server's sinks and sources to PortAudio's devices, where PortAudio can reach but not list them.

    Args:
        devices: PortAudio's.
        server: what `pulse.read_server` returned; without it, only the default sink's monitor is added.

    Returns:
        All devices; the server's have the numbers behind PortAudio's.
    """
    server_device = next((device for device in devices if device.host_api == "ALSA" and device.name == "pulse"), None)
    if server_device is None:
        return list(devices)
    added = _server_devices(server, server_device) if server else [_unknown_monitor(server_device)]
    return [*devices, *(replace(device, number=len(devices) + index) for index, device in enumerate(added))]


def mark_loops(devices: Sequence[Device], server: pulse.Server | None) -> list[Device]:
    """Fill in what each device captures and feeds."""
    default_output = next(
        (device.name for device in devices if device.is_default_output and device.host_api == "Windows WASAPI"), ""
    )
    return [_at_its_rate(_marked(device, server, default_output), server) for device in devices]


def leads_to_server(device: Device) -> bool:
    """Whether a sound server, or whoever set up the system, decides what hardware a device is."""
    return bool(device.environment) or (device.host_api == "ALSA" and device.name.casefold() in _SERVER_PCMS)


def _server_devices(server: pulse.Server, server_device: Device) -> list[Device]:
    sinks = [_reached_by(server_device, sink, "PULSE_SINK", output_channels=sink.channels) for sink in server.sinks]
    sources = [
        _reached_by(server_device, source, "PULSE_SOURCE", input_channels=source.channels) for source in server.sources
    ]
    return sources + sinks


def _reached_by(
    server_device: Device, end: pulse.Endpoint, variable: str, input_channels: int = 0, output_channels: int = 0
) -> Device:
    return replace(
        server_device,
        name=end.description,
        aliases=(end.name,),
        input_channels=input_channels,
        output_channels=output_channels,
        default_sample_rate=float(end.sample_rate),
        is_default_input=False,
        is_default_output=False,
        environment=((variable, end.name),),
    )


def _unknown_monitor(server_device: Device) -> Device:
    end = pulse.Endpoint(pulse.DEFAULT_MONITOR, "Monitor of the default output", 2, 44_100)
    return _reached_by(server_device, end, "PULSE_SOURCE", input_channels=2)


def _marked(device: Device, server: pulse.Server | None, windows_default: str) -> Device:
    captures, feeds = _ends(device, device.name.casefold(), server, windows_default)
    return replace(
        device,
        captures=captures if device.input_channels else "",
        feeds=feeds if device.output_channels else "",
    )


def _ends(device: Device, name: str, server: pulse.Server | None, windows_default: str) -> tuple[str, str]:
    """Keys of what a device captures and feeds, whether it has the channels for it or not."""
    if leads_to_server(device):
        return _server_ends(device, server)
    if aloop := _SND_ALOOP.search(device.name):
        card, end = aloop.group(1), int(aloop.group(2))
        return f"aloop {card},{1 - end}", f"aloop {card},{end}"
    if cable := _WINDOWS_CABLE.match(name):
        return cable.group(1), cable.group(1)
    if name.startswith(_SAME_NAME_CABLES):
        return name, name
    if device.host_api == "PulseAudio":
        return _sink_key(name.removeprefix(_PULSE_MONITOR)) if name.startswith(_PULSE_MONITOR) else "", _sink_key(name)
    if name.endswith(_WASAPI_LOOPBACK):
        return _endpoint_key(name.removesuffix(_WASAPI_LOOPBACK)), ""
    if windows_default:
        return "", _endpoint_key(windows_default.casefold() if name.startswith(_WINDOWS_DEFAULTS) else name)
    return "", ""


def _at_its_rate(device: Device, server: pulse.Server | None) -> Device:
    """ALSA says 44100 Hz of whatever leads to a server's defaults; the server would resample, like a codec's cut."""
    if server is None or device.environment or not leads_to_server(device):
        return device
    source = next((source for source in server.sources if source.name == server.default_source), None)
    sink = server.sink(server.default_sink)
    return replace(
        device,
        default_sample_rate=float(sink.sample_rate if sink else device.default_sample_rate),
        input_sample_rate=float(source.sample_rate if source else 0.0),
    )


def _server_ends(device: Device, server: pulse.Server | None) -> tuple[str, str]:
    """Ends of a device that leads to a sound server: to what the environment says, or to the server's default."""
    target = dict(device.environment)
    if server is None:
        return ("sink default" if "PULSE_SOURCE" in target else ""), "sink default"
    heard = server.monitored_sink(target.get("PULSE_SOURCE", server.default_source))
    played = target.get("PULSE_SINK", server.default_sink)
    return (_sink_key(heard) if heard else ""), (_sink_key(played) if played else "")


def _sink_key(name: str) -> str:
    return f"sink {name}"


def _endpoint_key(name: str) -> str:
    """Windows: MME cuts names short, so no more of them can decide."""
    return f"endpoint {name[:_MME_NAME_LENGTH]}"
