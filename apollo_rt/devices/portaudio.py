"""PortAudio: this machine's audio devices, and a stream on them that calls a compiled callback.

The only module that imports sounddevice, and only when a device is really wanted: files are restored without PortAudio.
"""

import atexit
import os
import threading
from contextlib import suppress
from typing import Any

from apollo_rt.devices import loopback, pulse
from apollo_rt.devices.device import Device, Direction
from apollo_rt.devices.jack_period import JACK, jack_period
from apollo_rt.devices.left_behind import leave_behind, take_hung, threads_begun
from apollo_rt.devices.library_copy import renew
from apollo_rt.devices.next_steps import next_step
from apollo_rt.devices.opening_environment import (
    device_of,
    environment_of,
    library_messages_hidden,
    unwrapped_latency_s,
)
from apollo_rt.errors import DeviceError
from apollo_rt.system.guarded_thread import GuardedThread

_USUAL_RATES = (44_100, 48_000, 88_200, 96_000, 192_000)
_BAD_SAMPLE_RATE = -9997
_UNAVAILABLE = -9985

_CLOSING_S = 3.0
"""How long a device may take to close: closing waits for PortAudio's own thread, and that never comes back where it
hangs in the plugin of a sound server that has died (seen with PulseAudio 16, one time in four)."""

_STARTING_S = 10.0
"""How long a device may take to start."""

_ALSA_BLOCKS = 3
"""Blocks of latency to ask ALSA for. PortAudio makes a period one block then, and a buffer four; with more latency a
period is several blocks, and they all come in one burst (measured with PulseAudio 16: half of the callbacks less than
0.1 ms after the one before), and with a shorter one a busy machine runs dry."""


_LOCK = threading.Lock()
"""Nobody may ask for devices while they are looked for anew: PortAudio frees what it told before."""


def list_devices() -> list[Device]:
    """All devices of this machine, those that a sound server offers included.

    Raises:
        DeviceError: PortAudio is missing, or can't start.
    """
    sounddevice = _load()
    with _LOCK:
        host_apis = sounddevice.query_hostapis()
        devices = [device_of(record, host_apis[record["hostapi"]]) for record in sounddevice.query_devices()]
    has_gate = any(device.host_api == "ALSA" for device in devices)
    server = pulse.read_server() if has_gate else None
    return loopback.mark_loops(loopback.with_server(devices, server), server)


def offered_rates(device: Device, direction: Direction) -> list[int]:
    """The usual sample rates that a device can be opened at, in Hz; it is asked, not opened."""
    sounddevice, offered = _load(), []
    check = sounddevice.check_input_settings if direction == "input" else sounddevice.check_output_settings
    channels = min(device.channels(direction), 2)
    for rate in _USUAL_RATES:
        with library_messages_hidden(), environment_of([device]), suppress(sounddevice.PortAudioError):
            check(device=device.portaudio_number, channels=channels, dtype="float32", samplerate=rate)
            offered.append(rate)
    return offered


def library_version() -> str:
    """PortAudio's name and version."""
    return str(_load().get_portaudio_version()[1])


def peak_of(device: Device, seconds: float) -> float:
    """The loudest sample that a device captures now, of 1.

    Raises:
        DeviceError: it can't be opened.
    """
    sounddevice = _load()
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
    sounddevice = _load()
    try:
        with _LOCK:
            renew(sounddevice, take_hung())
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"PortAudio can't start: {error.args[0]}") from None


class PortAudioDriver:
    """A stream on one device or two that calls a compiled callback: an `engine.Driver`.

    Args:
        source: captures; None where the input is a file.
        target: plays; None where the output is a file.
        sample_rate: Hz; the stream runs at no other.
        block_size: samples per callback. ALSA takes the next power of two, and that as the most of varying blocks.
        allow_feedback: run even when the source hears what the target plays.
        heard_beside: what captures in a stream of its own, started before this one.

    Raises:
        DeviceError: the two devices can't be driven by one stream.
    """

    def __init__(
        self,
        source: Device | None,
        target: Device | None,
        sample_rate: int,
        block_size: int = 256,
        allow_feedback: bool = False,
        heard_beside: Device | None = None,
    ) -> None:
        self._devices = [device for device in (source, target) if device is not None]
        if len({device.host_api for device in self._devices}) > 1:
            raise DeviceError(
                f"{source} and {target} can't run as one stream: they belong to different host APIs; "
                f"choose two devices of the same one (`live devices` shows them)"
            )
        self.name = " -> ".join(str(device) for device in self._devices)
        self.sample_rate = sample_rate
        # ALSA hands over what it has got, a little more or less than a period. To make blocks of a fixed size of that,
        # PortAudio keeps a block in reserve; but it spends that reserve at the start on an input that isn't there yet,
        # and from then on fills what is missing with what it played one block ago (measured with PulseAudio 16, and
        # read in pa_linux_alsa.c and pa_process.c). So we take what comes.
        self.varying_block = self._is_alsa
        self.block_size = 1 << (block_size - 1).bit_length() if self._is_alsa else block_size
        if self._devices[0].host_api == JACK:
            self.block_size = max(block_size, jack_period())
        self.input_channels = min(source.input_channels, 2) if source else 0
        self.output_channels = min(target.output_channels, 2) if target else 0
        self.device_latency_s = (0.0, 0.0)
        self._ends = [*self._devices, heard_beside] if heard_beside else self._devices
        self._allow_feedback = allow_feedback
        self._stream: Any = None
        self._was_started = False
        self._thread_ids: set[int] = set()

    @property
    def active(self) -> bool:
        """The device calls back."""
        if self._stream is None:
            return False
        try:
            return bool(self._stream.active)
        except _load().PortAudioError:
            return False

    @property
    def finished(self) -> bool:
        """The stream was started and has come to its end by itself; only the callback knows whether it wanted that."""
        return self._was_started and self._stream is not None and not self.active

    def start(self, callback_address: int, userdata_address: int) -> None:
        """Open the devices and start.

        Raises:
            DeviceError: a device refuses, or input and output turn out to be the same loop.
        """
        sounddevice = _load()
        try:
            with library_messages_hidden(), environment_of(self._devices):
                self._stream = self._open(sounddevice, callback_address, userdata_address)
                with threads_begun(self._thread_ids):
                    self._start_in_time()
        except sounddevice.PortAudioError as error:
            self.stop()
            raise DeviceError(self._reason(error)) from None
        self._was_started = True
        self.device_latency_s = self._reported_latency()
        self._refuse_feedback()

    def _start_in_time(self) -> None:
        """Start the stream, unless that hangs, as closing may, where a server dies at the wrong moment."""
        starting = GuardedThread("starting", self._stream.start)
        starting.start()
        starting.join(_STARTING_S)
        if starting.error:
            raise starting.error
        if starting.is_alive:
            self._stream = None
            self._leave_behind()
            raise DeviceError(f"{self.name}: does not start; its sound server hangs, or has just died")

    def stop(self) -> None:
        """Stop and close; when this returns no callback runs any more. May be called twice.

        Raises:
            DeviceError: the device does not let go; what the callback uses must stay where it is.
        """
        stream, self._stream = self._stream, None
        if stream is None:
            return
        closing = GuardedThread("closing", stream.close)
        with library_messages_hidden():
            closing.start()
            closing.join(_CLOSING_S)
        if closing.is_alive:
            self._leave_behind()
            raise DeviceError(f"{self.name}: does not let go of its stream; restart the sound server and this program")

    def _leave_behind(self) -> None:
        """Give up a stream that hangs; at the program's end sounddevice would close it again, and wait for ever."""
        atexit.unregister(_load()._exit_handler)
        leave_behind(self.name, self._thread_ids)

    @property
    def _is_alsa(self) -> bool:
        return self._devices[0].host_api == "ALSA"

    def _open(self, sounddevice: Any, callback_address: int, userdata_address: int) -> Any:
        kind = "duplex" if len(self._devices) == 2 else "input" if self.input_channels else "output"
        channels = [count for count in (self.input_channels, self.output_channels) if count]
        settings = [_settings(sounddevice, device) for device in self._devices]
        latency = _ALSA_BLOCKS * self.block_size / self.sample_rate if self._is_alsa else "low"

        def per_end(values: list[Any]) -> Any:
            return values if kind == "duplex" else values[0]

        # `_StreamBase` is private by name, but its docstring offers it to authors of their own streams, and it is the
        # only way to hand over a C function: the callback must not need the interpreter. The version is pinned, and
        # tests/devices/test_portaudio.py fails if its shape changes.
        return sounddevice._StreamBase(
            kind=kind,
            samplerate=self.sample_rate,
            blocksize=0 if self.varying_block else self.block_size,
            device=per_end([device.portaudio_number for device in self._devices]),
            channels=per_end(channels),
            dtype=per_end(["float32"] * len(channels)),
            latency=per_end([latency] * len(channels)),
            extra_settings=per_end(settings),
            callback=sounddevice._ffi.cast("PaStreamCallback *", callback_address),
            userdata=sounddevice._ffi.cast("void *", userdata_address),
            wrap_callback=None,
        )

    def _reported_latency(self) -> tuple[float, float]:
        """Input and output latency in seconds as the open stream reports them, mended where we know better."""
        latency = self._stream.latency
        ends = unwrapped_latency_s(latency if len(self._devices) == 2 else [latency], self.sample_rate)
        input_s = ends.pop(0) if self.input_channels else 0.0
        output_s = ends.pop(0) if self.output_channels else 0.0
        if self.input_channels and self._is_alsa:
            # PortAudio reports the whole buffer, but it is full only just before an overrun: what waits is one period,
            # which is one block. Measured from loopback to loudspeaker, the sum is right:
            # tests/commands/test_live_on_servers.py.
            input_s = self.block_size / self.sample_rate
        return input_s, output_s

    def _refuse_feedback(self) -> None:
        """Ask the sound server where the running streams really are: no name tells what its own configuration does."""
        is_served = all(device.host_api in ("ALSA", "PulseAudio") for device in self._ends)
        if self._allow_feedback or len(self._ends) < 2 or not is_served:
            return
        sink = pulse.feedback_sink(os.getpid())
        if sink:
            self.stop()
            raise DeviceError(
                f"feedback: the sound server captures from the very output {sink!r} that it plays to, so the restored "
                "sound would be restored again and again; choose another device for one end, or insist with "
                "--allow-feedback"
            )

    def _reason(self, error: Exception) -> str:
        code = error.args[1] if len(error.args) > 1 else None
        if code == _BAD_SAMPLE_RATE:
            return (
                f"{self.name}: does not run at {self.sample_rate} Hz, which the system says is its rate; set another "
                "one in the system's settings, or choose a device of the sound server"
            )
        if code == _UNAVAILABLE:
            return f"{self.name}: is in use by another program, or gone"
        return f"{self.name}: {' '.join(str(error.args[0]).split())}"


def _load() -> Any:
    """The library, loaded at its first use; it opens every device once then, which is when system libraries chatter."""
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
    return sounddevice


def _settings(sounddevice: Any, device: Device) -> Any:
    """WASAPI runs a shared device at its mixer's rate, mostly 48 kHz, unless it is told to convert."""
    return sounddevice.WasapiSettings(auto_convert=True) if device.host_api == "Windows WASAPI" else None
