"""What is around the opening of a device: variables that it is opened with, messages of C libraries kept away."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from apollo_rt.devices.device import Device


@contextmanager
def environment_of(devices: list[Device]) -> Iterator[None]:
    """Set the variables that the devices are opened with, and nothing beyond that."""
    wanted = dict(pair for device in devices for pair in device.environment)
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
