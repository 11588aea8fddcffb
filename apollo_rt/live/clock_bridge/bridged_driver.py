"""Driver of a clock bridge: plays at the engine's rate with a device at another rate, or two with a clock each."""

import math
from collections.abc import Sequence

from apollo_rt.compiled.address_table import AddressTable
from apollo_rt.compiled.records import load
from apollo_rt.errors import DeviceError
from apollo_rt.live.clock_bridge.bridge_state import ClockBridge, make_clock_bridge
from apollo_rt.live.clock_bridge.callbacks import capture_address, device_address
from apollo_rt.live.endpoints.driver import Clocks, Driver
from apollo_rt.stream.resample import half_length

_UNEVEN_BLOCKS, _EVEN_BLOCKS = 3, 1
"""Blocks that the ring holds back beside the one being captured: as many as devices hand over at once (measured, see
`docs/clocks.md`); for a sound server more than for a sound card."""

_FAR_S, _FAR_BLOCKS = 0.01, 0.5
"""What is farther from the target, in seconds and in blocks, is mended by a jump: a correction of 0.5 % needs 2 s for
10 ms. A sound server may be so far off after its start, because it asks for a whole buffer at once then."""

_LEFT_BEHIND: list["BridgedDriver"] = []
"""Those whose device did not let go: its thread may still call back, so their memory must never be freed."""


class BridgedDriver:
    """Calls the engine back through a clock bridge: a `Driver`, and a `driver.BridgingDriver`.

    Args:
        drivers: one that captures, plays or both; or two, of which the first captures and the second plays.
        sample_rate: Hz, the engine's.
    """

    def __init__(self, drivers: Sequence[Driver], sample_rate: int) -> None:
        """Wire it; nothing compiles or runs yet."""
        self._drivers = list(drivers)
        self._capture, self._playback = self._drivers[0], self._drivers[-1]
        self.name = " -> ".join(driver.name for driver in self._drivers)
        self.sample_rate = sample_rate
        self.input_channels = 2 if self._capture.input_channels else 0
        self.output_channels = 2 if self._playback.output_channels else 0
        self.calls_unevenly = any(driver.varying_block for driver in self._drivers)
        self.varying_block = self.calls_unevenly or self._playback.sample_rate != sample_rate
        self.block_size = math.ceil(self._playback.block_size * sample_rate / self._playback.sample_rate)
        self._attached: AddressTable[ClockBridge] | None = None

    @property
    def device_latency_s(self) -> tuple[float, float]:
        """Latency that the devices report, input and output, in s."""
        return self._capture.device_latency_s[0], self._playback.device_latency_s[1]

    @property
    def conversion_latency_s(self) -> tuple[float, float, float]:
        """Delays in s of the ring between two clocks, of the resampler towards the engine, and of the one from it."""
        in_rate, rate, out_rate = self._rates
        ring_s = 0.0
        if self._has_two_clocks:
            # Devices count a block into their latency: captured before it was handed over, played after that.
            held_back = self._target - half_length(in_rate, rate) - self._capture.block_size
            ring_s = held_back / in_rate + self._playback.block_size / out_rate
        input_s = half_length(in_rate, rate) / in_rate if self.input_channels else 0.0
        output_s = half_length(rate, out_rate, is_steered=False) / rate if self.output_channels else 0.0
        return ring_s, input_s, output_s

    @property
    def clocks(self) -> Clocks | None:
        """State of the two clocks; None where there is one."""
        if not self._has_two_clocks:
            return None
        if self._attached is None:
            return Clocks(0.0, self._target, self._target, self._capture.sample_rate, 0)
        figures, control = self._attached.value.figures, self._attached.value.control
        correction_ppm, fill = float(load(figures, "correction_ppm")), float(load(figures, "ring_fill"))
        return Clocks(correction_ppm, fill, float(figures.target), self._capture.sample_rate, int(control.resyncs))

    @property
    def active(self) -> bool:
        """All devices call back."""
        return all(driver.active for driver in self._drivers)

    @property
    def finished(self) -> bool:
        """A device has come to its end by itself."""
        return any(driver.finished for driver in self._drivers)

    def start(self, callback_address: int, userdata_address: int) -> None:
        """Compile what is new, open the devices and start them, the one that captures first.

        Raises:
            DeviceError: a device refuses; none runs then.
        """
        bridge = self._new_bridge()
        bridge.control.engine_callback, bridge.control.engine_userdata = callback_address, userdata_address
        callbacks = [capture_address()] if self._has_two_clocks else []
        callbacks.append(device_address())
        self._attached = AddressTable(bridge)
        try:
            for driver, address in zip(self._drivers, callbacks, strict=True):
                driver.start(address, self._attached.address)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop and close all, the one that calls the engine first. May be called twice.

        Raises:
            DeviceError: a device does not let go.
        """
        errors = []
        for driver in reversed(self._drivers):
            try:
                driver.stop()
            except DeviceError as error:
                errors.append(error)
        if errors:
            _LEFT_BEHIND.append(self)
            raise errors[0]

    @property
    def _has_two_clocks(self) -> bool:
        return len(self._drivers) == 2

    @property
    def _rates(self) -> tuple[int, int, int]:
        """Of the capture device, the engine and the playback device; the engine's where there is no device."""
        in_rate = self._capture.sample_rate if self.input_channels else self.sample_rate
        out_rate = self._playback.sample_rate if self.output_channels else self.sample_rate
        return in_rate, self.sample_rate, out_rate

    @property
    def _longest_block(self) -> float:
        """Of either device, in samples as captured."""
        return max(
            self._capture.block_size,
            self._playback.block_size * self._capture.sample_rate / self._playback.sample_rate,
        )

    @property
    def _target(self) -> float:
        """Samples as captured that the ring holds back: filter, the block being captured, and unevenness."""
        n_blocks = _UNEVEN_BLOCKS if self.calls_unevenly else _EVEN_BLOCKS
        filter_length = half_length(self._capture.sample_rate, self.sample_rate)
        return math.ceil(filter_length + self._capture.block_size + n_blocks * self._longest_block)

    def _new_bridge(self) -> ClockBridge:
        in_rate, rate, out_rate = self._rates
        channels = self._capture.input_channels, self._playback.output_channels
        if not self._has_two_clocks:
            return make_clock_bridge(in_rate, out_rate, rate, channels)
        far = max(_FAR_S * in_rate, _FAR_BLOCKS * self._longest_block)
        return make_clock_bridge(in_rate, out_rate, rate, channels, self._target, far, self._playback.block_size)
