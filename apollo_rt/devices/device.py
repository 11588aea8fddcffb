"""Device names, numbers and two words become an audio device, or an error that lists what there is.

Works on a list of records, so that the rules are the same, and testable, on every system; `portaudio.list_devices`
makes the list of this machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from apollo_rt.devices.next_steps import next_step, system_of
from apollo_rt.errors import DeviceError
from apollo_rt.printable import printable

Direction = Literal["input", "output"]

WORDS = DEFAULT, LOOPBACK, SPEAKERS = "default", "loopback", "speakers"
"""Words with a meaning of their own; the last two only where no device bears them as its name."""

_HOST_API_RANK = {"Windows WASAPI": 0, "Windows DirectSound": 1, "MME": 2, "Windows WDM-KS": 3}
"""Windows shows every device once for each of its interfaces: which one is taken, lowest latency first."""

_SHORTEST_CUT = 31
"""MME cuts names after so many characters, hence as many decide whether two names are the same device's."""


@dataclass(frozen=True)
class Device:
    """One audio device as PortAudio reaches it.

    Attributes:
        number: what the user may call it by.
        name: what the system calls it.
        host_api: PortAudio's name of the interface that leads to it.
        input_channels: 0 where it can't capture.
        output_channels: 0 where it can't play.
        default_sample_rate: Hz.
        input_sample_rate: Hz at which it captures, where that is another; else 0.
        is_default_input: its host API's default for capture.
        is_default_output: its host API's default for playback.
        aliases: other names that it answers to.
        portaudio_number: PortAudio's index for it.
        environment: variables that have to be set while it is opened.
        captures: what its capture side hears of the machine's own sound, as a key; empty if nothing that we know of.
        feeds: where its playback side can be heard again, as a key of the same kind.
    """

    number: int
    name: str
    host_api: str
    input_channels: int
    output_channels: int
    default_sample_rate: float = 44_100.0
    is_default_input: bool = False
    is_default_output: bool = False
    aliases: tuple[str, ...] = ()
    portaudio_number: int = -1
    environment: tuple[tuple[str, str], ...] = ()
    captures: str = ""
    feeds: str = ""
    input_sample_rate: float = 0.0

    def channels(self, direction: Direction) -> int:
        """Number of channels in one direction."""
        return self.input_channels if direction == "input" else self.output_channels

    def sample_rate(self, direction: Direction) -> int:
        """Hz at which it runs by itself in one direction."""
        return round((direction == "input" and self.input_sample_rate) or self.default_sample_rate)

    def is_default(self, direction: Direction) -> bool:
        """Whether it is its host API's default in one direction."""
        return self.is_default_input if direction == "input" else self.is_default_output

    @property
    def system(self) -> str:
        """System that runs it, for lists: a sink that a server offers is the server's, though ALSA leads there."""
        return "PulseAudio" if self.environment else self.host_api

    def __str__(self) -> str:
        """Name and system."""
        return f"{self.name} ({self.system})"


def find_device(devices: Sequence[Device], wanted: str, direction: Direction, host_api: str = "") -> Device:
    """Find the one device that is meant.

    Args:
        devices: all there are.
        wanted: a number, a name or part of one in any case, `default`, or where no device bears it as its name,
            `Loopback` (as input: what captures the machine's own output) or `speakers` (as output: the default).
        direction: what it is to be used for.
        host_api: the host API of the device at the other endpoint, if there is one; its default is preferred.

    Raises:
        DeviceError: nothing fits, or several devices do; the message lists them.
    """
    usable = [device for device in devices if device.channels(direction)]
    if not usable:
        raise DeviceError(
            f"this machine has no {direction} device; {next_step('no device', _system(devices))}; a file can be the "
            f"{direction} instead"
        )
    if wanted.isdecimal():
        return _by_number(usable, int(wanted), direction)
    word = wanted.casefold().strip()
    if word == DEFAULT:
        return _default(usable, direction, host_api)
    hits = _bearers(usable, word)
    if len(hits) == 1:
        return hits[0]
    if word == LOOPBACK and direction == "input":
        meant = _own_output(hits or usable, _default_feed(devices, host_api))
    elif word == SPEAKERS and direction == "output":
        meant = [_default(hits or usable, direction, host_api)] if not hits or _has_default(hits, direction) else hits
    else:
        meant = hits
    if len(meant) == 1:
        return meant[0]
    how_many = "several devices fit" if meant else "no device fits"
    hint = "" if meant else _hint(devices, word)
    raise DeviceError(f"{direction} {wanted!r}: {how_many}{hint}; {_listing(meant or usable)}")


def refuse_feedback(source: Device, target: Device) -> None:
    """Refuse to play where we listen.

    Raises:
        DeviceError: what `source` captures is what `target` plays.
    """
    if source.captures and source.captures == target.feeds:
        raise DeviceError(
            f"feedback: {source.name!r} hears what {target.name!r} plays, so the restored sound would be restored "
            f"again and again; {next_step('feedback', _system([source, target]))}; or insist with --allow-feedback"
        )


def label(device: Device, devices: Sequence[Device]) -> str:
    """Name of a device in a list of `devices`: where another has its name, with what tells it from that.

    Either part finds it, and so does the whole; one without a second name has its number alone.
    """
    has_twin = any(other.name.casefold() == device.name.casefold() and other != device for other in devices)
    return _long_name(device) if has_twin and device.aliases else device.name


def describe_devices(devices: Sequence[Device]) -> list[str]:
    """A table for people: number, name, host API, channels, rate, and marks for defaults and loopbacks."""
    if not devices:
        return ["no audio devices; files can still be restored"]
    labels = [printable(label(device, devices)) for device in devices]
    width = max(map(len, labels))
    return [
        f"{device.number:>3}  {name:<{width}}  {device.system:<12}  {device.input_channels:>3} in "
        f"{device.output_channels:>3} out  {device.default_sample_rate:>6.0f} Hz  {', '.join(_marks(device))}".rstrip()
        for device, name in zip(devices, labels, strict=True)
    ]


def device_records(devices: Sequence[Device]) -> list[dict[str, object]]:
    """The same table for programs: plain values, one record a device; each of its names finds it."""
    return [
        {
            "number": device.number,
            "names": list(dict.fromkeys((label(device, devices), *_names(device)))),
            "system": device.system,
            "input_channels": device.input_channels,
            "output_channels": device.output_channels,
            "input_sample_rate": device.sample_rate("input"),
            "output_sample_rate": device.sample_rate("output"),
            "is_default_input": device.is_default_input,
            "is_default_output": device.is_default_output,
            "is_loopback": bool(device.captures),
        }
        for device in devices
    ]


def _long_name(device: Device) -> str:
    return f"{device.name} [{device.aliases[0]}]" if device.aliases else device.name


def _marks(device: Device) -> list[str]:
    marks = {
        "default input": device.is_default_input,
        "default output": device.is_default_output,
        "loopback": bool(device.captures),
    }
    return [mark for mark, is_set in marks.items() if is_set]


def _by_number(usable: Sequence[Device], number: int, direction: Direction) -> Device:
    for device in usable:
        if device.number == number:
            return device
    raise DeviceError(f"{direction} device {number}: no {direction} device has that number; {_listing(usable)}")


def _bearers(usable: Sequence[Device], word: str) -> list[Device]:
    """Devices of that name, or else with it in their name; of one device behind several host APIs only the best way."""
    names = {device.number: [name.casefold() for name in _names(device)] for device in usable}
    hits = [device for device in usable if word in names[device.number]]
    hits = hits or [device for device in usable if any(word in name for name in names[device.number])]
    best = min((_rank(device) for device in hits), default=0)
    hits = [device for device in hits if _rank(device) == best]
    own = {_short_name(device) for device in hits if not device.environment}
    return [device for device in hits if not device.environment or _short_name(device) not in own]


def _names(device: Device) -> tuple[str, ...]:
    return device.name, *device.aliases, _long_name(device)


def _default(usable: Sequence[Device], direction: Direction, host_api: str) -> Device:
    defaults = [device for device in usable if device.is_default(direction)]
    if not defaults:
        raise DeviceError(f"the system names no default {direction} device; {_listing(usable)}")
    return min(defaults, key=lambda device: (device.host_api != host_api, _rank(device)))


def _has_default(devices: Sequence[Device], direction: Direction) -> bool:
    return any(device.is_default(direction) for device in devices)


def _default_feed(devices: Sequence[Device], host_api: str) -> str:
    """Key of where the default output can be heard; empty if nowhere."""
    outputs = [device for device in devices if device.output_channels]
    return _default(outputs, "output", host_api).feeds if _has_default(outputs, "output") else ""


def _own_output(usable: Sequence[Device], default_feed: str) -> list[Device]:
    """Devices that capture the default output; else all that hear something of what the machine plays."""
    listeners = [device for device in usable if device.captures]
    best = min((_rank(device) for device in listeners), default=0)
    listeners = [device for device in listeners if _rank(device) == best]
    meant = [device for device in listeners if device.captures == default_feed] or listeners
    cables = {device.captures.partition(",")[0] for device in meant}
    if len(cables) != 1:
        return meant
    # One cable may be heard through several devices: the kernel's has two ends, of which music is by custom played to
    # the first; and a server's default input may happen to be the very monitor that is also there by its own name.
    return [min(meant, key=lambda device: (device.captures, not device.environment))]


def _rank(device: Device) -> int:
    return _HOST_API_RANK.get(device.host_api, 0)


def _short_name(device: Device) -> str:
    return device.name.casefold()[:_SHORTEST_CUT]


def _hint(devices: Sequence[Device], word: str) -> str:
    """Advice for where no device fits, in brackets."""
    system = _system(devices)
    if word == LOOPBACK:
        return f" (nothing here captures the machine's own output: {next_step('no loopback', system)})"
    has_server = any(device.environment for device in devices)
    step = "" if has_server or "ALSA" not in _host_apis(devices) else next_step("no server", system)
    return f" ({step})" if step else ""


def _system(devices: Sequence[Device]) -> str:
    return system_of(_host_apis(devices))


def _host_apis(devices: Sequence[Device]) -> set[str]:
    return {device.host_api for device in devices}


def _listing(devices: Sequence[Device]) -> str:
    return "there are:\n" + "\n".join(describe_devices(devices))
