"""A report says of a machine what one wants to know who mends a fault on it: `live doctor --report`."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from apollo_rt.devices.device import describe_devices
from apollo_rt.errors import DeviceError
from apollo_rt.inference.installed_runtime import runtime_lines
from apollo_rt.session.capture_advice import capture_lines
from apollo_rt.session.doctor import limit_lines, machine_lines, scheduling_lines

_PACKAGES = ("numpy", "numba", "onnxruntime-gpu", "onnxruntime", "sounddevice", "pulsectl", "av", "textual")


def report_lines() -> Iterator[str]:
    """Lines to paste into an issue; nothing is measured, and nothing in it is of a user's music."""
    yield f"apollo-rt    {version('apollo-rt')}, Python {platform.python_version()}, {platform.platform()}"
    yield f"packages     {', '.join(_versions())}"
    yield from machine_lines()
    yield from runtime_lines()
    yield from scheduling_lines()
    yield from limit_lines()
    yield from capture_lines()
    try:
        from apollo_rt.devices.portaudio import library_version, list_devices

        yield f"portaudio    {library_version()}"
        yield from describe_devices(list_devices())
    except DeviceError as error:
        yield f"devices      none: {error}"


def _versions() -> Iterator[str]:
    for name in _PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    yield f"built for {sys.platform}"
