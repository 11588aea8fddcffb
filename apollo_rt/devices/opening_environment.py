"""Opening a device needs an environment: its variables, messages of C libraries kept away, latency as it is."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from apollo_rt.devices.device import Device

_OUR_NAME = ("PULSE_PROP_OVERRIDE", 'application.name="Apollo RT" application.icon_name=audio-card')
"""Streams and mixers show this; else "ALSA plug-in [python3.11]"."""


@contextmanager
def environment_of(devices: list[Device]) -> Iterator[None]:
    """Set the variables that the devices are opened with, and nothing beyond that."""
    wanted = dict([_OUR_NAME, *(pair for device in devices for pair in device.environment)])
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def library_messages_hidden() -> Iterator[None]:
    """Keep what C libraries print (ALSA pages for missing plug-ins) from the terminal: errors come as exceptions."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def unwrapped_latency_s(reported_s: Sequence[float], sample_rate: int) -> list[float]:
    """The latency of a stream's ends as it is, where PortAudio's JACK back end says 97391 s.

    It leaves one JACK period out of either ("One buffer is not counted as latency", pa_jack.c), in unsigned arithmetic:
    where a port has less latency of its own, as other programs' ports do, the difference wraps. By how much it falls
    below zero is the period, which belongs to each endpoint:
    `tests/commands/test_live_on_servers.py` proves the sum to the sample.

    Args:
        reported_s: of each endpoint, in seconds.
        sample_rate: Hz.
    """
    wrap_s = 2**32 / sample_rate
    unwrapped_s = [value - wrap_s if value > wrap_s / 2 else value for value in reported_s]
    left_out_s = max(0.0, *(-value for value in unwrapped_s))
    return [value + left_out_s for value in unwrapped_s]


def device_of(record: dict[str, Any], host_api: dict[str, Any]) -> Device:
    """A device as PortAudio describes it, and its host API."""
    number = record["index"]
    return Device(
        number=number,
        name=record["name"],
        host_api=host_api["name"],
        input_channels=record["max_input_channels"],
        output_channels=record["max_output_channels"],
        default_sample_rate=record["default_samplerate"],
        is_default_input=number == host_api["default_input_device"],
        is_default_output=number == host_api["default_output_device"],
        portaudio_number=number,
    )
