"""`python -m training levels fit | correct`: trains on a store of levels; the same command again goes on."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from training.fitting.fit import restart_with_fast_allocator

_RUN_OPTIONS = (
    click.option("--levels", "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True),
    click.option("--run", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run."),
    click.option("--steps", default=100_000, show_default=True, type=click.IntRange(1), help="Where the run ends."),
    click.option(
        "--minutes", type=click.FloatRange(0.0, min_open=True), help="End this part of the run after so long."
    ),
    click.option(
        "--decay-from", default=1.0, show_default=True, type=click.FloatRange(0, 1), help="Share of the steps."
    ),
    click.option("--batch", default=8, show_default=True, type=click.IntRange(1), help="Crops a step."),
    click.option("--frames", default=768, show_default=True, type=click.IntRange(16), help="Length of a crop."),
    click.option("--learning-rate", default=1.5e-3, show_default=True),
    click.option("--validate-every", default=1000, show_default=True, type=click.IntRange(1), help="Steps."),
    click.option("--threads", default=1, show_default=True, type=click.IntRange(1)),
    click.option("--precision", help="[default: bf16-mixed where the machine is made for it, else 32-true]"),
    click.option("--seed", default=0, show_default=True),
    click.option(
        "--start",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="A net to begin with; one with fewer hidden units goes on with more.",
    ),
    click.option("--fuse", is_flag=True, help="Fuse the net: half a minute at the start, then faster."),
)


def _run_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


@click.command("fit")
@_run_options
@click.option("--width", default=256, show_default=True, type=click.IntRange(8))
@click.option("--hidden", default=256, show_default=True, type=click.IntRange(8))
def fit(minutes: float | None, width: int, hidden: int, **options: Any) -> None:
    """Train the level net.

    Writes RUN/last.ckpt, with which the same command goes on, and RUN/levels.pt, the averaged net alone.
    """
    restart_with_fast_allocator()
    from training.levels import level_run
    from training.nets.level_net import LevelNetConfig

    try:
        level_run.fit(level_run.Settings(ends=_ends(minutes), **options), LevelNetConfig(width=width, hidden=hidden))
    except ValueError as error:
        raise click.ClickException(str(error)) from error


@click.command("correct")
@_run_options
@click.option("--width", default=96, show_default=True, type=click.IntRange(8))
def correct(minutes: float | None, width: int, **options: Any) -> None:
    """Train the correction of a level net, which stays as it is: --start names it.

    Writes RUN/last.ckpt, with which the same command goes on, and RUN/levels.pt, both nets.
    """
    restart_with_fast_allocator()
    from training.levels import level_run

    try:
        level_run.correct(level_run.Settings(ends=_ends(minutes), **options), width)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _ends(minutes: float | None) -> float | None:
    """A moment of the monotonic clock."""
    return time.monotonic() + 60 * minutes if minutes else None
