"""The options that a live run shares with what measures one: endpoints, block, headroom, tier."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from apollo_rt.commands.model_options import model_option, provider_option

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--input", "-i", "source", default="Loopback", show_default=True, metavar="INPUT",
        help="Device (name, part of it, or number), default, Loopback, a file, http(s)://, - for stdin, or demo.",
    ),
    click.option(
        "--output", "-o", "target", default="speakers", show_default=True, metavar="OUTPUT",
        help="Device (name, part of it, or number), default, speakers, a file, or - for stdout.",
    ),
    click.option(
        "--block-size", type=click.IntRange(1, 4096), default=256, show_default=True, metavar="SAMPLES",
        help="What a device hands over at once; more is safer and later.",
    ),
    click.option(
        "--headroom", type=click.IntRange(64, 44_100), metavar="SAMPLES",
        help="Latency that covers computing and jitter.",
    ),
    model_option,
    provider_option(),
    click.option("--tier", metavar="NAME", help="The best of the model's tiers that may be used; its best by itself."),
)  # fmt: skip


def run_options(command: Command) -> Command:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def seconds_option(command: Command) -> Command:
    """`--seconds`: how long the doctor measures."""
    return click.option(
        "--seconds", type=click.FloatRange(2.0), default=60.0, show_default=True, help="How long the doctor measures."
    )(command)
