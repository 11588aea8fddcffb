"""`python -m training levels prepare | pack | fit | correct`."""

from pathlib import Path

import click

from training.levels import level_fit, level_preparation, pieces

_MB = 1_000_000


@click.group()
def levels() -> None:
    """Learn the levels of what is missing: prepare a store, pack it for elsewhere, fit the net, then its correction."""


@click.command("pack")
@click.option("--levels", "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the pieces.")
@click.option("--piece-mb", default=50.0, show_default=True, type=click.FloatRange(0.0, min_open=True))
@click.option("--seed", default=0, show_default=True, help="Of the order of the items.")
def pack(folder: Path, out: Path, piece_mb: float, seed: int) -> None:
    """Pack a store of levels into pieces for `burst`: two ninths of its size, in files of at most so many MB."""
    try:
        made = pieces.pack(folder, out, round(piece_mb * _MB), seed)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{len(made)} pieces, {sum(file.stat().st_size for file in made) / _MB:.1f} MB, in {out}")


levels.add_command(level_preparation.command)
levels.add_command(pack)
levels.add_command(level_fit.fit)
levels.add_command(level_fit.correct)
