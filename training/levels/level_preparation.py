"""`python -m training levels prepare`: measures the levels of music and of what codecs make of it, once and for all.

Each stretch of music becomes several items. A third of them are undamaged: as they are, rounded to 16 bits, or through
another sample rate and back. Some are made mono, wide, or play on one side alone, before they are encoded.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zlib import crc32

import click
import numpy as np

from training.data import layouts, stores
from training.data.alignment import refuse_shifted
from training.data.audio import SAMPLE_RATE, Audio, measure_cut_hz, resample
from training.data.damage_kinds import label
from training.data.damages import draw, say_missing
from training.data.degrade import degrade_in_turn
from training.data.preparation import run_all
from training.data.recordings import load_sum
from training.levels import store
from training.nets.level_bands import LevelBands, measure, measure_likeness

UNDAMAGED_SHARE = 1 / 3
_STRETCH_S = 40
_SHORTEST_S = 5
_RATES = (22_050, 32_000, 48_000)


@dataclass(frozen=True)
class LevelStretch:
    """A part of a recording that becomes items.

    Attributes:
        group: whose music it is.
        name: of the part, within its group.
        split: train or valid.
        load: reads it.
    """

    group: str
    name: str
    split: str
    load: Callable[[], Audio]


@click.command("prepare")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the levels.")
@click.option("--variants", default=4, show_default=True, type=click.IntRange(1), help="Items made of each stretch.")
@click.option("--first", default=0, show_default=True, type=click.IntRange(0), help="Number of the first variant.")
@click.option("--workers", default=os.cpu_count() or 1, show_default="all cores", type=click.IntRange(1))
def command(sources: tuple[Path, ...], out: Path, variants: int, first: int, workers: int) -> None:
    """Measure levels to train the level net on.

    SOURCE is a folder of music in any layout that `prepare` knows, or the folder `music` that it made. About 2 GB for
    an hour of items. What is there already is left as it is.
    """
    try:
        found = [stretch for source in sources for stretch in stretches(source)]
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    say_missing()
    jobs = {
        f"{stretch.split}/{stretch.group}/{stretch.name}/{variant}": partial(make, stretch, variant, out)
        for variant in range(first, first + variants)
        for stretch in found
    }
    made, failed = run_all(jobs, workers, "Measuring levels")
    for name, reason in sorted(failed.items()):
        click.echo(f"left out: {name}: {reason}")
    click.echo(f"{len(made)} items, {len(failed)} left out")


def stretches(source: Path) -> list[LevelStretch]:
    """Lists the stretches of a collection, or of the stores that were made of one; test music is left out.

    Raises:
        ValueError: there is no music.
    """
    if (source / "manifest.jsonl").exists():
        return _of_stores(source)
    return [
        LevelStretch(one.group, one.name, one.split, partial(load_sum, one.mixture))
        for one in layouts.find(source)
        if one.split != "test"
    ]


def _of_stores(folder: Path) -> list[LevelStretch]:
    found = []
    for split in ("train", "valid"):
        for one in stores.load_manifest(folder, split):
            if one.source != "mixture":
                continue
            for run in one.runs:
                for begin in range(run.begin, run.end, _STRETCH_S * SAMPLE_RATE):
                    end = min(begin + _STRETCH_S * SAMPLE_RATE, run.end)
                    name = f"{one.recording}-{begin // SAMPLE_RATE:04d}"
                    if end - begin >= _SHORTEST_S * SAMPLE_RATE:
                        found.append(LevelStretch(one.group, name, split, partial(one.read, begin, end)))
    return found


def make(stretch: LevelStretch, variant: int, out: Path) -> str:
    """Makes one item, unless it is there.

    Returns:
        Its name.

    Raises:
        ValueError: the music is too short, or silent.
    """
    name = f"{stretch.group}__{stretch.name}__{variant}"
    folder = out / stretch.split
    if (folder / f"{name}.json").exists():
        return name
    random = np.random.default_rng((crc32(name.encode()), variant))
    clean = stretch.load()
    if len(clean) < _SHORTEST_S * SAMPLE_RATE or np.abs(clean).max() < 1e-3:
        raise ValueError("too short, or silent")
    cut_hz = measure_cut_hz(clean)
    clean = _placed(clean[: 120 * SAMPLE_RATE], random)
    clean, damaged, what = _undamaged(clean, random) if random.random() < UNDAMAGED_SHARE else _damaged(clean, random)
    bands = LevelBands()
    frames = len(clean) // bands.framing.hop_length
    item = store.LevelItem(name, stretch.group, what, cut_hz, frames)
    likeness = measure_likeness(damaged, clean, bands)
    store.write(folder, item, measure(damaged, bands), measure(clean, bands), likeness)
    return name


def _placed(audio: Audio, random: np.random.Generator) -> Audio:
    """Now and then mono, wider or narrower, or on one side alone."""
    chance = random.random()
    middle = audio.mean(axis=1, keepdims=True)
    if chance < 0.05:
        return np.repeat(middle, 2, axis=1)
    if chance < 0.2:
        audio = middle + np.float32(random.uniform(0.0, 2.0)) * (audio - middle)
    elif chance < 0.27:
        side = random.integers(2)
        audio = np.where(np.arange(2) == side, audio, audio * np.float32(random.choice([0.0, 0.01, 0.1]))).astype(
            np.float32
        )
    elif chance < 0.29:
        audio = audio - middle
    return audio / np.float32(max(1.0, float(np.abs(audio).max())))


def _undamaged(audio: Audio, random: np.random.Generator) -> tuple[Audio, Audio, str]:
    """Music as it is, or through another rate and back; often rounded to 16 bits, at any loudness."""
    chance = random.random()
    if chance < 0.3:
        rate = int(random.choice(_RATES))
        audio = resample(resample(audio, SAMPLE_RATE, rate), rate, SAMPLE_RATE)[: len(audio)]
    if random.random() < 0.5:
        gain = np.float32(10 ** (random.uniform(-40, 0) / 20))
        audio = (np.round(audio * gain * 32_767) / (32_767 * gain)).astype(np.float32)
    return audio, audio, store.UNDAMAGED


def _damaged(audio: Audio, random: np.random.Generator) -> tuple[Audio, Audio, str]:
    """Encoded and decoded; sometimes a sound server's resampler lies behind.

    Raises:
        AlignmentError: the damaged music is shifted against the clean one.
    """
    stages = draw(random)
    damaged = degrade_in_turn(audio, stages)
    refuse_shifted(audio, damaged, len(stages), label(stages))
    return audio, damaged, label(stages)
