"""`python -m training prepare`: from music collections, or package names, to stores and pairs on disk."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import click
import soundfile

from training.corpus import corpus, excerpts
from training.data import layouts, pairs, preparation, stores
from training.data.activity import ActivitySettings
from training.data.audio import SAMPLE_RATE
from training.data.damages import say_missing
from training.data.items import ItemSettings
from training.data.recordings import Recording

OPEN = "open"
"""The source that is not a folder but the open corpus."""

_STRIDES_S = {False: 3.0, True: 6.0}
"""Published, and for the open corpus, which takes half the room so; pairs are the same with both."""

_MOST_HOURS = 8.0
"""Of pairs, unless more are asked for: 10 GB."""


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for all of it.")
@click.option("--layout", type=click.Choice(get_args(layouts.Layout)), help="Of the sources; recognised if left out.")
@click.option("--licence", default="unknown", show_default=True, help="Of the music in plain folders.")
@click.option(
    "--format", "sample_format", type=click.Choice(get_args(stores.Format)), default="int16", show_default=True
)
@click.option(
    "--stride", "stride_s", type=click.FloatRange(0.01, 6.0), help="From one 6 s session to the next [3; open: 6]."
)
@click.option(
    "--min-cut", "min_cut_hz", default=19_500.0, show_default=True, help="Leave out what ends below, in hertz."
)
@click.option("--pairs", "hours", type=click.FloatRange(0.0), help="Hours of pairs [all music once, 8 at most].")
@click.option(
    "--songs", default=200, show_default=True, type=click.IntRange(0), help="Synthetic songs of the open corpus."
)
@click.option("--seed", default=0, show_default=True, help="Of all that is drawn.")
@click.option("--workers", default=os.cpu_count() or 1, show_default="all cores", type=click.IntRange(1))
def prepare(
    sources: tuple[str, ...],
    out: Path,
    layout: layouts.Layout | None,
    licence: str,
    sample_format: stores.Format,
    stride_s: float | None,
    min_cut_hz: float,
    hours: float | None,
    songs: int,
    seed: int,
    workers: int,
) -> None:
    """Prepare music to train on: MUSDB18-HQ, MoisesDB, plain folders, or `open`.

    Writes the active parts of every mixture and stem to OUT/music, and pairs of damaged and clean music to
    OUT/pairs, which is what `fit` reads. `open` fetches and prepares the open corpus: it downloads 4.3 GB of
    Debian packages and needs the packages lmms, lmms-common and openmpt123. All can be interrupted and started again.
    """
    is_open = OPEN in sources
    stride = round((stride_s or _STRIDES_S[is_open]) * 100) * SAMPLE_RATE // 100
    settings = preparation.PreparationSettings(ActivitySettings(stride=stride), sample_format, min_cut_hz, workers)
    try:
        found, not_made = _recordings(sources, out, layout, licence, songs, seed, workers)
        report = preparation.prepare(found, out / "music", settings)
        if is_open:
            excerpts.write([one for one in found if one.layout == OPEN], out / "eval", min_cut_hz)
        _say(report, not_made)
        if report.written and hours != 0:
            say_missing()
            hours = hours or min(_MOST_HOURS, pairs.hours_of_one_pass(out / "music", ItemSettings(), seed))
            _say_pairs(*pairs.render(out / "music", out / "pairs", hours, ItemSettings(), seed, workers))
    except (ValueError, RuntimeError, OSError, soundfile.SoundFileError) as error:
        raise click.ClickException(str(error)) from error
    if not report.written:
        raise click.ClickException(f"nothing to train on was found in {', '.join(sources)}")


def _recordings(
    sources: tuple[str, ...],
    out: Path,
    layout: layouts.Layout | None,
    licence: str,
    songs: int,
    seed: int,
    workers: int,
) -> tuple[list[Recording], dict[str, str]]:
    """The recordings of all sources; folders are looked at first, so that a wrong one is found at once."""
    found = [one for source in sources if source != OPEN for one in layouts.find(Path(source), layout, licence)]
    if OPEN not in sources:
        return found, {}
    made, failed = corpus.build(out / OPEN, songs, seed, workers)
    return found + made, failed


def _say(report: preparation.Report, not_made: dict[str, str]) -> None:
    """Say what was left out and why, then what is there."""
    for name, reason in sorted((report.left_out | not_made).items()):
        click.echo(f"left out: {name}: {reason}")
    click.echo(f"{report.written} stores, {len(report.left_out | not_made)} left out")


def _say_pairs(lines: list[dict[str, Any]], failed: dict[str, str]) -> None:
    """Amount and damages of the pairs."""
    for name, reason in sorted(failed.items()):
        click.echo(f"left out: {name}: {reason}")
    hours = sum(line["seconds"] for line in lines) / 3600
    click.echo(f"{len(lines)} pairs, {hours:.1f} hours")
    last = [[stage for stage in line["damages"] if "codec" in stage][-1] for line in lines]
    kinds = Counter((stage["codec"], stage["bitrate_bps"] // 1000) for stage in last)
    for (codec, kbps), count in sorted(kinds.items()):
        click.echo(f"{codec:>8} {kbps:4d} kbps: {count}")
