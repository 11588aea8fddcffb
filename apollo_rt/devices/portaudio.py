"""PortAudio, the library: loaded late, it lists this machine's audio devices, anew where some have come since.

The only module that imports sounddevice, and only when a device is really wanted: files are restored without PortAudio.
"""

import sys
import threading
from contextlib import suppress
from functools import partial
from typing import Any

from apollo_rt.devices import loopback, pulse
from apollo_rt.devices.device import Device, Direction
from apollo_rt.devices.left_behind import leave_behind, take_hung
from apollo_rt.devices.library_copy import renew
from apollo_rt.devices.next_steps import next_step
from apollo_rt.devices.opening_environment import device_of, environment_of, library_messages_hidden
from apollo_rt.devices.time_limit import LibraryEnd, in_time
from apollo_rt.errors import DeviceError

_USUAL_RATES = (44_100, 48_000, 88_200, 96_000, 192_000)

_RENEWING_S = 20.0
"""How long the library may take to find the devices: on a busy machine JACK alone takes seconds."""

_ENDS: list[LibraryEnd] = []
"""Of the library, once it is loaded."""

_LOCK = threading.Lock()
"""Nobody may ask for devices while they are looked for anew: PortAudio frees what it told before."""


def list_devices() -> list[Device]:
    """All devices of this machine, those that a sound server offers included.

    Raises:
        DeviceError: PortAudio is missing, or can't start.
    """
    sounddevice = load_library()
    with _LOCK:
        host_apis = sounddevice.query_hostapis()
        devices = [device_of(record, host_apis[record["hostapi"]]) for record in sounddevice.query_devices()]
    is_served = any(device.host_api == "ALSA" for device in devices)  # a sound server is reached through it
    server = pulse.read_server() if is_served else None
    return loopback.mark_loops(loopback.with_server(devices, server), server)


def offered_rates(device: Device, direction: Direction) -> list[int]:
    """The usual sample rates that a device can be opened at, in Hz; it is asked, not opened."""
    sounddevice, offered = load_library(), []
    check = sounddevice.check_input_settings if direction == "input" else sounddevice.check_output_settings
    channels = min(device.channels(direction), 2)
    for rate in _USUAL_RATES:
        with library_messages_hidden(), environment_of([device]), suppress(sounddevice.PortAudioError):
            check(device=device.portaudio_number, channels=channels, dtype="float32", samplerate=rate)
            offered.append(rate)
    return offered


def library_version() -> str:
    """PortAudio's name and version."""
    return str(load_library().get_portaudio_version()[1])


def peak_of(device: Device, seconds: float) -> float:
    """The loudest sample that a device captures now, of 1.

    Raises:
        DeviceError: it can't be opened.
    """
    sounddevice = load_library()
    rate = device.sample_rate("input")
    try:
        with (
            library_messages_hidden(),
            environment_of([device]),
            sounddevice.InputStream(rate, device=device.portaudio_number, channels=1, dtype="float32") as stream,
        ):
            samples, _ = stream.read(round(seconds * rate))
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"can't be captured: {error.args[0]}") from None
    return float(abs(samples).max())


def rescan() -> None:
    """See the devices that have come since PortAudio was loaded; no stream may be open, but for one that hangs.

    Raises:
        DeviceError: PortAudio can't start again.
    """
    sounddevice = load_library()
    try:
        with _LOCK:
            in_time("looking for devices", _RENEWING_S, partial(renew, sounddevice, take_hung()))
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"PortAudio can't start: {error.args[0]}") from None
    except TimeoutError:
        give_up("PortAudio", set())
        raise DeviceError("PortAudio does not start; a sound server hangs, or has just died") from None


def give_up(name: str, thread_ids: set[int]) -> None:
    """Give up what hangs in the library, which is never ended from now on: that would wait for it.

    Args:
        name: of its devices.
        thread_ids: see `left_behind.leave_behind`.
    """
    for end in _ENDS:
        end.drop()
    leave_behind(name, thread_ids)


def load_library() -> Any:
    """Load sounddevice at its first use; it opens every device once then, which is when system libraries chatter.

    Raises:
        DeviceError: PortAudio is missing, or can't start.
    """
    is_loaded = "sounddevice" in sys.modules
    try:
        with library_messages_hidden():
            import sounddevice
    except OSError:
        raise DeviceError(
            f"PortAudio, which audio devices are reached through, is not installed: {next_step('no portaudio')}; from "
            "file to file it works without"
        ) from None
    except Exception as error:
        # Its own error type can't be named here: the import that defines it is what failed.
        if type(error).__name__ != "PortAudioError":
            raise
        raise DeviceError(f"PortAudio can't start: {error.args[0]}") from None
    end = getattr(sounddevice, "_exit_handler", None)  # private: a version without it ends as it likes
    if end and not is_loaded:
        _ENDS.append(LibraryEnd(end))
    return sounddevice
