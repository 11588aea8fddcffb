"""`python -m training prepare`: from package names, or a folder of music, to pairs on disk."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import click

from training.data import corpus, excerpts, pairs


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for everything that is made.")
@click.option(
    "--music",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Train on this folder of music instead of the open corpus (every sub-folder is one artist or album).",
)
@click.option("--turns", default=2, show_default=True, type=click.IntRange(1, len(pairs.DAMAGES)), help="Damages each.")
@click.option("--seed", default=0, show_default=True, help="Of the damages drawn.")
@click.option("--limit", type=click.IntRange(1), help="Stop after so many new pairs.")
@click.option("--eval/--no-eval", "evaluation", default=True, show_default=True, help="Cut the evaluation excerpts.")
def prepare(out: Path, music: Path | None, turns: int, seed: int, limit: int | None, evaluation: bool) -> None:
    """Fetch music, damage it, and write pairs to train on.

    Without --music: downloads 2.3 GB of Debian packages and renders the LMMS songs (needs Debian or
    Ubuntu, and the packages lmms and lmms-common). Takes an hour; can be interrupted and started again.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if music is None:
        corpus.build(out)
    else:
        corpus.adopt(music, out / "clean")
    if evaluation:
        excerpts.write(out / "clean", out / "eval")
    failed = pairs.build(out / "clean", out / "pairs", turns, seed, limit)
    lines = pairs.manifest(out / "pairs")
    hours = sum(float(line["seconds"]) for line in lines) / 3600
    click.echo(f"{len(lines)} pairs, {hours:.1f} hours, in {out / 'pairs'}; {len(failed)} left out")
    for (codec, bitrate_bps), count in sorted(Counter((line["codec"], line["bitrate_bps"]) for line in lines).items()):
        click.echo(f"{codec:>8} {int(bitrate_bps) // 1000:4d} kbps: {count}")
