"""Words of the user that name a file, a pipe or the demo, and not a device."""

import os
from pathlib import Path

from apollo_rt.devices.device import WORDS
from apollo_rt.files.music_names import MUSIC_SUFFIXES, refuse_address
from apollo_rt.network.address import is_address, lacks_scheme
from apollo_rt.standard_streams import DASH, STDIN, STDOUT

DEMO = "demo"
DEMO_FILE = Path(__file__).parents[1] / "data" / "demo.mp3"


def is_read(wanted: str) -> bool:
    """Whether an input is a stream, a file or a pipe; else it is a device."""
    return is_address(wanted) or input_file(wanted) is not None


def input_file(wanted: str) -> Path | None:
    """The file that an input is, None if it is a device."""
    if wanted.casefold() == DEMO:
        return DEMO_FILE
    if lacks_scheme(wanted):  # a file all the same where there is one; else its reader says what an address lacks
        return Path(wanted)
    return STDIN if wanted == DASH else _file(wanted)


def output_file(wanted: str) -> Path | None:
    """The file that an output is, None if it is a device."""
    refuse_address(wanted)
    return STDOUT if wanted == DASH else _file(wanted)


def _file(wanted: str) -> Path | None:
    if is_address(wanted):
        return None
    path = Path(wanted)
    if path.suffix.lower() in MUSIC_SUFFIXES or (len(path.parts) > 1 and path.parent.is_dir()):
        return path
    is_device = wanted.isdecimal() or wanted.casefold() in WORDS
    return path if not is_device and os.path.exists(path) else None  # noqa: PTH110  # `Path.exists` raises where a name is too long
