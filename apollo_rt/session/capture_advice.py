"""Capture advice says what of this machine's sound can be captured, by which command, and whether any comes."""

from collections.abc import Iterator

from apollo_rt.devices import pulse
from apollo_rt.devices.device import Device
from apollo_rt.devices.jack_period import JACK, jack_period
from apollo_rt.devices.next_steps import next_step
from apollo_rt.errors import DeviceError

_LISTENING_S = 0.3


def capture_lines() -> Iterator[str]:
    """Lines on what of this machine's sound can be captured, by which command, and whether any comes."""
    try:
        from apollo_rt.devices.portaudio import list_devices

        devices = list_devices()
    except DeviceError as error:
        yield f"capture      nothing: {error}"
        return
    server = pulse.read_server()
    if server:
        yield f"server       {server.name}, default output {server.default_sink}, default input {server.default_source}"
    if any(device.host_api == JACK for device in devices) and (period := jack_period()):
        yield f"jack         period of {period} samples; any client's ports, `--input CLIENT`"
    yield f"capture      {_way(devices, server)}"
    monitors = [device.name for device in devices if device.captures]
    if monitors:
        yield f"monitors     {', '.join(monitors)}"
    default = next((device for device in devices if device.is_default_input), None)
    if default:
        yield f"listening    {_heard(default)}"


def _way(devices: list[Device], server: pulse.Server | None) -> str:
    """The best way to capture what plays here."""
    is_served = any(device.environment for device in devices)
    if server and is_served:
        return "what players play, by a sink of our own: `apollo-rt live --all`, or `--app NAME` for one of them"
    if server:
        return f"not yet: {next_step('no server')}"
    cable = next((device for device in devices if device.captures), None)
    return f"what plays to a cable: `--input {cable.name!r}`" if cable else f"not yet: {next_step('no loopback')}"


def _heard(device: Device) -> str:
    """Whether a device gives more than zeros: without permission macOS gives these, and no error."""
    from apollo_rt.devices.portaudio import peak_of

    try:
        peak = peak_of(device, _LISTENING_S)
    except DeviceError as error:
        return f"{device}: {error}"
    return (
        f"{device}: captured only zeros; {next_step('only zeros')}" if peak == 0.0 else f"{device}: it hears something"
    )
