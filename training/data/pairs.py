"""Pairs on disk: items rendered once and for all, which is faster than making them while training.

    <folder>/{train,valid}/<group>__<recording>__<start s>__<number>__<damage>.npy   int16 (2, samples, 2)
    <folder>/{train,valid}/stems__<number>__<damage>.npy                   [clean, damaged][sample][left, right]
    <folder>/manifest.jsonl                                                one line a pair

What is there already is left as it is, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.atomic_file import AtomicFile, write_whole
from training.data.audio import SAMPLE_RATE, Audio
from training.data.items import Item, Items, ItemSettings
from training.data.preparation import run_all
from training.data.stores import load_manifest

_FULL_SCALE = 32_767


def render(
    music: Path, folder: Path, hours: float, settings: ItemSettings, seed: int, workers: int
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Render items until there are so many hours to train on, and one pass over the validation music.

    Args:
        music: Folder of stores with their manifest.
        folder: Where pairs go.
        hours: Of pairs to train on; those of an earlier run count.
        settings: How items are made.
        seed: Of the draws.
        workers: Processes.

    Returns:
        The manifest's lines, and the items that could not be made, with the reasons.

    Raises:
        ValueError: There is nothing to train on.
    """
    count = max(1, round(hours * 3600 / settings.seconds))
    failed = _render_split(partial(items, music, "train", settings, seed), range(count), folder / "train", workers)
    if load_manifest(music, "valid"):
        valid = partial(items, music, "valid", settings, seed)
        failed |= _render_split(valid, range(min(valid().one_pass, count)), folder / "valid", workers)
    return _write_manifest(folder), failed


@cache
def items(music: Path, split: str, settings: ItemSettings, seed: int) -> Items:
    """The items of one split of a folder of stores; read once in each process."""
    return Items(load_manifest(music, split), settings, seed)


def hours_of_one_pass(music: Path, settings: ItemSettings, seed: int) -> float:
    """Hours of pairs after which every mixture to train on has been taken once."""
    return items(music, "train", settings, seed).one_pass * settings.seconds / 3600


def quantise(clean: Audio, damaged: Audio) -> NDArray[np.int16]:
    """Both halves as 16 bit; where one passes full scale, both are turned down together.

    Shape:
        clean and damaged: ``(samples, 2)``; result: ``(2, samples, 2)``
    """
    both = np.stack([clean, damaged])
    gain = min(1.0, 1.0 / float(np.abs(both).max(initial=1e-9)))
    return np.round(both * (_FULL_SCALE * gain)).astype(np.int16)


def _render_split(source: Callable[[], Items], numbers: range, folder: Path, workers: int) -> dict[str, str]:
    source()
    done = {int(note.stem) for note in (folder / "made").glob("*.json")}
    jobs = {
        f"{folder.name} item {number}": partial(_make, source, number, folder)
        for number in numbers
        if number not in done
    }
    return run_all(jobs, workers, f"Rendering pairs to {folder.name}")[1]


def _make(source: Callable[[], Items], number: int, folder: Path) -> str:
    """Make one item, write it whole, and note that it is done."""
    item = source().make(number)
    path = folder / f"{item.name}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    with AtomicFile(path) as file:
        np.save(file, quantise(item.clean, item.damaged))
    note = folder / "made" / f"{number:07d}.json"
    note.parent.mkdir(exist_ok=True)
    write_whole(note, json.dumps(_line(item, folder.name, number)))
    return item.name


def _line(item: Item, split: str, number: int) -> dict[str, Any]:
    """Line of the manifest about a pair."""
    return {
        "name": item.name,
        "split": split,
        "number": number,
        "sources": item.sources,
        "licences": item.licences,
        "seconds": round(len(item.clean) / SAMPLE_RATE, 3),
        "misalignment": round(item.misalignment, 4),
        "damages": [asdict(damage) for damage in item.damages],
    }


def _write_manifest(folder: Path) -> list[dict[str, Any]]:
    """One line for each pair, from the notes beside them."""
    lines = [json.loads(note.read_text()) for note in sorted(folder.glob("*/made/*.json"))]
    write_whole(folder / "manifest.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    return lines
