"""Options choose how files are written: `--rate`, `--quality`, `--bitrate`, `--float`."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from apollo_rt.files.output_format import KBPS, QUALITIES, RATES, OutputSettings

_Command = TypeVar("_Command", bound=Callable[..., Any])


def output_options(command: _Command) -> _Command:
    """Add the options to a command; `take_output` makes settings of them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_output(options: dict[str, Any]) -> OutputSettings:
    """Take them out of the options of a command; what is not ours is left in."""
    rate = options.pop("rate")
    return OutputSettings(
        float_wav=options.pop("float_wav"),
        rate=int(rate) if rate.isdecimal() else rate,
        quality=options.pop("quality"),
        bitrate_kbps=options.pop("bitrate"),
    )


_OPTIONS = (
    click.option(
        "--rate",
        type=click.Choice(["auto", "keep", *map(str, RATES)]),
        default="auto",
        show_default=True,
        help="Sample rate of what is written: the source's, but at least the model's; the source's; or one in Hz.",
    ),
    click.option(
        "--quality",
        type=click.Choice(QUALITIES),
        default="high",
        show_default=True,
        help="Of .mp3, .m4a, .ogg and .opus; lossless is for .m4a.",
    ),
    click.option(
        "--bitrate", type=click.IntRange(*KBPS), metavar="KBPS", help="Instead of --quality: of all channels together."
    ),
    click.option(
        "--float", "float_wav", is_flag=True, help="Write .wav and .w64 with 32-bit floats, which don't clip."
    ),
)
