"""`python -m training burst`: trains the level net on a machine that is had for minutes, and goes on the next time.

```
 here    levels store --levels pack--> pieces of 50 MB
 there   pieces --> RUN/levels --> steps until the time is up --> RUN/last.ckpt[.000, .001, ...], RUN/levels.pt
```
"""

import time
from pathlib import Path
from typing import Any

import click

from training.fitting.fit import restart_with_fast_allocator

_CHECKPOINT = "last.ckpt"
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("burst")
@click.option("--pieces", "sources", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True)
@click.option("--run", type=_FOLDER, required=True, help="Folder of the run; one that is there is taken up.")
@click.option("--minutes", default=25.0, show_default=True, type=click.FloatRange(0.0, min_open=True))
@click.option("--steps", default=100_000, show_default=True, type=click.IntRange(1), help="Where the whole run ends.")
@click.option("--decay-from", default=1.0, show_default=True, type=click.FloatRange(0, 1), help="Share of the steps.")
@click.option("--batch", default=64, show_default=True, type=click.IntRange(1), help="Crops a step.")
@click.option("--frames", default=768, show_default=True, type=click.IntRange(16), help="Length of a crop.")
@click.option("--width", default=512, show_default=True, type=click.IntRange(8))
@click.option("--hidden", default=512, show_default=True, type=click.IntRange(8))
@click.option("--learning-rate", default=1.5e-3, show_default=True)
@click.option("--validate-every", default=1000, show_default=True, type=click.IntRange(1), help="Steps.")
@click.option("--accelerator", default="auto", show_default=True, help="As PyTorch Lightning names it: gpu, cpu.")
@click.option("--workers", default=8, show_default=True, type=click.IntRange(0), help="Processes that draw crops.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--precision", help="[default: bf16-mixed where the machine is made for it, else 32-true]")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--part-mb", type=click.FloatRange(0.0, min_open=True), help="Leave the checkpoint in parts of that size."
)
def command(
    sources: Path, run: Path, minutes: float, width: int, hidden: int, part_mb: float | None, **options: Any
) -> None:
    """Train the level net for some minutes on the pieces that are there; the same command goes on, with others too.

    RUN is all that has to travel: last.ckpt (or its parts) and levels.pt, the averaged net that `export` takes.
    """
    ends = time.monotonic() + 60 * minutes
    restart_with_fast_allocator()
    from training.levels import pieces
    from training.levels.level_run import Settings, fit
    from training.nets.level_net import LevelNetConfig

    try:
        join(run / _CHECKPOINT)
        levels = run / "levels"
        click.echo(f"{pieces.unpack(sources, levels)} pieces")
        settings = Settings(folder=levels, run=run, ends=ends, start=None, fuse=False, **options)
        fit(settings, LevelNetConfig(width=width, hidden=hidden))
        if part_mb:
            split(run / _CHECKPOINT, round(part_mb * 1_000_000))
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def split(file: Path, largest_bytes: int) -> list[Path]:
    """Writes a file as `NAME.000`, `NAME.001` ..., and removes it and what is left of an earlier one.

    Returns:
        The parts.
    """
    content = file.read_bytes()
    for old in _parts(file):
        old.unlink()
    parts: list[Path] = []
    for begin in range(0, len(content), largest_bytes):
        parts.append(file.with_name(f"{file.name}.{len(parts):03d}"))
        parts[-1].write_bytes(content[begin : begin + largest_bytes])
    file.unlink()
    return parts


def join(file: Path) -> None:
    """Puts the parts of a file together, if there are any and the file itself isn't there.

    Raises:
        ValueError: a part is missing.
    """
    parts = _parts(file)
    if file.exists() or not parts:
        return
    for number, part in enumerate(parts):
        if part.suffix != f".{number:03d}":
            raise ValueError(f"run must hold all parts of {file.name}, {file.name}.{number:03d} is missing")
    with file.open("wb") as whole:
        for part in parts:
            whole.write(part.read_bytes())


def _parts(file: Path) -> list[Path]:
    return sorted(file.parent.glob(f"{file.name}.[0-9][0-9][0-9]"))
