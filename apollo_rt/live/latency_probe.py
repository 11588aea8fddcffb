"""A probe for the latency: bursts of noise through the whole engine and a real loop from the output back to the input.

    bursts -> engine's callback -> device's output -> cable or monitor -> device's input -> recording

What the device captures is recorded and does not reach the engine, so nothing feeds back. The lag between a burst and
its echo is the whole latency: all terms of the report, those of the devices included.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.address_table import AddressTable, from_address
from apollo_rt.compiled.native import array_from_address, call_address
from apollo_rt.compiled.records import Record, add, load, new_record
from apollo_rt.live.endpoints.driver import Clocks, Driver, calls_unevenly, clocks_of, conversion_latency_s
from apollo_rt.live.realtime.callback import stream_callback

_LONGEST_BLOCK = 65_536

N_BURSTS = 8
_LEAD_S, _BURST_S, _SPACING_S, _LONGEST_S = 1.0, 0.25, 0.5, 3.0
_CUTOFF_HZ = 8000.0
_PEAK = 0.25
_HEARD = 0.3
"""Likeness (normalised correlation) from which on an echo counts; what is only noise stays below 0.1."""


class ProbeControl(Record):
    """Numbers that the probe's callback and its driver share.

    Attributes:
        engine_callback: address.
        engine_userdata: address.
        channels: of the device.
        position: samples that were played.
    """

    engine_callback: int
    engine_userdata: int
    channels: int
    position: int


class Probe(NamedTuple):
    """Holds what the probe's callback plays and records.

    Attributes:
        control: numbers that it shares with the driver.
        bursts: what is played.
        recording: what comes back.
        block: the engine's input.
    """

    control: ProbeControl
    bursts: Annotated[NDArray[np.float32], "length"]
    recording: Annotated[NDArray[np.float32], "length"]
    block: Annotated[NDArray[np.float32], 2 * _LONGEST_BLOCK]


@dataclass(frozen=True)
class RoundTrip:
    """Round trip as measured.

    Attributes:
        lags: of the bursts that were heard, in samples.
        likeness: mean of their normalised correlations.
    """

    lags: tuple[int, ...]
    likeness: float

    @property
    def median(self) -> float:
        """In samples."""
        return float(np.median(self.lags))


def _body(input_address: int, output_address: int, block_size: int, time_info: int, flags: int, userdata: int) -> int:
    """`PaStreamCallback`: records, and calls the engine's with bursts for an input."""
    probe = from_address(userdata, Probe)
    control, bursts = probe.control, probe.bursts
    n_samples, channels, position = int(block_size), control.channels, control.position
    device = array_from_address(input_address, (n_samples, channels), np.float32)
    block = array_from_address(probe.block.ctypes.data, (n_samples, channels), np.float32)
    for index in range(min(n_samples, _LONGEST_BLOCK)):
        is_inside = position + index < bursts.shape[0]
        if is_inside:
            probe.recording[position + index] = 0.5 * (device[index, 0] + device[index, channels - 1])
        for channel in range(channels):
            block[index, channel] = bursts[position + index] if is_inside else np.float32(0.0)
    add(control, "position", n_samples)
    arguments = (block.ctypes.data, output_address, n_samples, time_info, int(flags), control.engine_userdata)
    return int(call_address(control.engine_callback, arguments) & 0xFFFFFFFF)


@cache
def _compiled_body() -> Any:
    return stream_callback(_body)


class ProbeDriver:
    """A driver with the probe between the device and the engine: a `driver.Driver`.

    Args:
        driver: has input and output.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.name, self.sample_rate = driver.name, driver.sample_rate
        self.block_size, self.varying_block = driver.block_size, driver.varying_block
        self.input_channels, self.output_channels = driver.input_channels, driver.output_channels
        bursts, self._starts = make_bursts(driver.sample_rate)
        block = np.zeros(2 * _LONGEST_BLOCK, np.float32)
        self._probe = AddressTable(Probe(new_record(ProbeControl), bursts, np.zeros_like(bursts), block))

    @property
    def device_latency_s(self) -> tuple[float, float]:
        """Latency that the device reports."""
        return self._driver.device_latency_s

    @property
    def conversion_latency_s(self) -> tuple[float, float, float]:
        """See `driver.BridgingDriver`; so the next two."""
        return conversion_latency_s(self._driver)

    @property
    def clocks(self) -> Clocks | None:
        """State of two clocks that are held together."""
        return clocks_of(self._driver)

    @property
    def calls_unevenly(self) -> bool:
        """A device hands over blocks as they come."""
        return calls_unevenly(self._driver)

    @property
    def active(self) -> bool:
        """The device calls back."""
        return self._driver.active

    @property
    def finished(self) -> bool:
        """The device has come to an end by itself."""
        return self._driver.finished

    @property
    def is_done(self) -> bool:
        """All bursts are played, and there was time for the last one to come back."""
        probe = self._probe.value
        return bool(load(probe.control, "position") >= len(probe.bursts))

    def start(self, callback_address: int, userdata_address: int) -> None:
        """Open the device with the probe's callback."""
        control = self._probe.value.control
        control.engine_callback, control.engine_userdata = callback_address, userdata_address
        control.channels, control.position = self.input_channels, 0
        self._driver.start(_compiled_body().address, self._probe.address)

    def stop(self) -> None:
        """Stop the device."""
        self._driver.stop()

    def round_trip(self) -> RoundTrip:
        """Round trip by the recording, once all `is_done`."""
        probe = self._probe.value
        return find_echoes(probe.recording, probe.bursts, self._starts, self.sample_rate)


def make_bursts(sample_rate: int) -> tuple[NDArray[np.float32], list[int]]:
    """Bursts of noise with silence around, each of its own; up to 8 kHz, where a codec has left something.

    Returns:
        The samples, mono, and where each burst begins.

    Shape:
        (samples,)
    """
    random = np.random.default_rng(8)
    length, spacing = round(_BURST_S * sample_rate), round(_SPACING_S * sample_rate)
    samples = np.zeros(round((_LEAD_S + _LONGEST_S) * sample_rate) + N_BURSTS * spacing, np.float32)
    starts = [round(_LEAD_S * sample_rate) + number * spacing for number in range(N_BURSTS)]
    for start in starts:
        spectrum = np.fft.rfft(random.standard_normal(length))
        spectrum[np.fft.rfftfreq(length, 1 / sample_rate) > _CUTOFF_HZ] = 0.0
        burst = np.fft.irfft(spectrum, length) * np.hanning(length)
        samples[start : start + length] = _PEAK * burst / np.abs(burst).max()
    return samples, starts


def find_echoes(
    recording: NDArray[np.float32], bursts: NDArray[np.float32], starts: list[int], sample_rate: int
) -> RoundTrip:
    """Find each burst in the recording by correlation.

    Shape:
        recording, bursts: (samples,)
    """
    length, longest = round(_BURST_S * sample_rate), round(_LONGEST_S * sample_rate)
    lags, likenesses = [], []
    for start in starts:
        burst = bursts[start : start + length].astype(np.float64)
        heard = recording[start : start + longest].astype(np.float64)
        n = 1 << (len(heard) + length).bit_length()
        correlation = np.fft.irfft(np.fft.rfft(heard, n) * np.conj(np.fft.rfft(burst, n)), n)[: len(heard) - length + 1]
        energy = np.concatenate([[0.0], np.cumsum(heard**2)])
        around = energy[length:] - energy[:-length]
        lag = int(np.argmax(correlation))
        likeness = float(correlation[lag] / np.sqrt(around[lag] * np.sum(burst**2) + 1e-12))
        if likeness >= _HEARD:
            lags.append(lag)
            likenesses.append(likeness)
    return RoundTrip(tuple(lags), float(np.mean(likenesses)) if lags else 0.0)
