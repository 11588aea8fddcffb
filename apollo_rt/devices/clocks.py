"""Clocks of devices decide the driver: which devices share one, and at which rates they run."""

import math

from apollo_rt.devices.device import Device
from apollo_rt.devices.jack_period import JACK
from apollo_rt.devices.loopback import leads_to_server
from apollo_rt.devices.portaudio_driver import PortAudioDriver
from apollo_rt.live.clock_bridge.bridged_driver import BridgedDriver
from apollo_rt.live.endpoints.driver import Driver

_ONE_CLOCK_FOR_ALL = (JACK, "ASIO")
"""Host APIs under which everything runs by one clock."""


def open_driver(
    source: Device | None, target: Device | None, sample_rate: int, block_size: int, allow_feedback: bool = False
) -> Driver:
    """A driver at the engine's rate, whatever the devices' rates and clocks are; not started.

    Each device runs at its own rate, so that nobody else has to convert: what a sound server or the system takes for
    that is seldom as good. One clock at the engine's rate is served by one stream, without a resampler.

    Args:
        source: captures; None where the input is a file.
        target: plays; None where the output is a file.
        sample_rate: Hz, the engine's.
        block_size: samples per callback at about the engine's rate; at multiples of it as many more.
        allow_feedback: run even when the source hears what the target plays.
    """
    if source and target and not share_clock(source, target):
        in_rate, out_rate = source.sample_rate("input"), target.sample_rate("output")
        capture = PortAudioDriver(source, None, in_rate, _scaled(block_size, in_rate / sample_rate))
        playback = PortAudioDriver(
            None, target, out_rate, _scaled(block_size, out_rate / sample_rate), allow_feedback, captured_beside=source
        )
        return BridgedDriver((capture, playback), sample_rate)
    device = target or source
    assert device is not None
    rate = device.sample_rate("output" if target else "input")
    driver = PortAudioDriver(source, target, rate, _scaled(block_size, rate / sample_rate), allow_feedback)
    return driver if rate == sample_rate else BridgedDriver((driver,), sample_rate)


def share_clock(source: Device, target: Device) -> bool:
    """Whether one stream serves both: they are one device, or all devices of their host API run together.

    Two ends of one sound server do not count as that: each has a buffer of its own there, and whenever one runs dry or
    the program stands still, what was captured meanwhile waits in the other and makes all that follows later by as much
    (measured with PulseAudio 16: by 17 to 58 ms in 3 of 11 starts, docs/clocks.md). Two streams come back to their
    latency.
    """
    if source.host_api != target.host_api or _is_served(source) or _is_served(target):
        return False
    return source.host_api in _ONE_CLOCK_FOR_ALL or source.portaudio_number == target.portaudio_number


def _is_served(device: Device) -> bool:
    """Whether a sound server stands behind a device; what ALSA names after no hardware is a plugin of one, mostly."""
    return leads_to_server(device) or (device.host_api == "ALSA" and "(hw:" not in device.name)


def _scaled(block_size: int, ratio: float) -> int:
    """As many samples as take about as long at a rate that is so much higher; powers of two stay such."""
    return block_size << max(round(math.log2(ratio)), 0)
