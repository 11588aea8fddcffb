"""A stream of PortAudio on one device or two, which calls a compiled callback."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from apollo_rt.devices import pulse
from apollo_rt.devices.device import Device
from apollo_rt.devices.jack_period import JACK, jack_period
from apollo_rt.devices.left_behind import threads_begun
from apollo_rt.devices.opening_environment import environment_of, library_messages_hidden, unwrapped_latency_s
from apollo_rt.devices.portaudio import give_up, load_library
from apollo_rt.devices.time_limit import in_time
from apollo_rt.errors import DeviceError
from apollo_rt.system.guarded_thread import GuardedThread

_BAD_SAMPLE_RATE = -9997
_UNAVAILABLE = -9985

_CLOSING_S = 3.0
"""How long a device may take to close: closing waits for PortAudio's own thread, and that never comes back where it
hangs in the plugin of a sound server that has died (seen with PulseAudio 16, one time in four)."""

_STARTING_S = 10.0
"""How long a device may take to open, and to start."""

_ALSA_BLOCKS = 3
"""Blocks of latency to ask ALSA for. PortAudio makes a period one block then, and a buffer four; with more latency a
period is several blocks, and they all come in one burst (measured with PulseAudio 16: half of the callbacks less than
0.1 ms after the one before), and with a shorter one a busy machine runs dry."""


class PortAudioDriver:
    """A stream on one device or two that calls a compiled callback: an `engine.Driver`.

    Args:
        source: captures; None where the input is a file.
        target: plays; None where the output is a file.
        sample_rate: Hz; the stream runs at no other.
        block_size: samples per callback. ALSA takes the next power of two, and that as the most of varying blocks.
        allow_feedback: run even when the source hears what the target plays.
        captured_beside: what captures in a stream of its own, started before this one.

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
        captured_beside: Device | None = None,
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
        self._all_devices = [*self._devices, captured_beside] if captured_beside else self._devices
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
        except load_library().PortAudioError:
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
        sounddevice = load_library()
        try:
            with library_messages_hidden(), environment_of(self._devices):
                opening = partial(self._open, sounddevice, callback_address, userdata_address)
                self._stream = self._in_time("open", opening)
                with threads_begun(self._thread_ids):
                    self._in_time("start", self._stream.start)
        except sounddevice.PortAudioError as error:
            self.stop()
            raise DeviceError(self._reason(error)) from None
        self._was_started = True
        self.device_latency_s = self._reported_latency()
        self._refuse_feedback()

    def _in_time(self, what: str, call: Callable[[], Any]) -> Any:
        """Open or start the stream, unless that hangs, as closing may, where a server dies at the wrong moment."""
        try:
            return in_time(what, _STARTING_S, call)
        except TimeoutError:
            self._stream = None
            give_up(self.name, self._thread_ids)
            raise DeviceError(f"{self.name}: does not {what}; its sound server hangs, or has just died") from None

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
            give_up(self.name, self._thread_ids)
            raise DeviceError(f"{self.name}: does not let go of its stream; restart the sound server and this program")

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
        is_served = all(device.host_api in ("ALSA", "PulseAudio") for device in self._all_devices)
        if self._allow_feedback or len(self._all_devices) < 2 or not is_served:
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


def _settings(sounddevice: Any, device: Device) -> Any:
    """WASAPI runs a shared device at its mixer's rate, mostly 48 kHz, unless it is told to convert."""
    return sounddevice.WasapiSettings(auto_convert=True) if device.host_api == "Windows WASAPI" else None
