"""Levels on disk: one item is a stretch of music with one damage, measured once.

<folder>/<split>/<name>.npy       float16 (frames, numbers): long, short, fast of the damaged, short of the clean
<folder>/<split>/<name>.slow.npy  float16 (frames / 4, numbers): running averages of the damaged
<folder>/<split>/<name>.like.npy  float16 (frames, 2, 2, bands): level of the clean, distance of both (left, right)
<folder>/<split>/<name>.json      source, damage, where the clean music itself ends; written last
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.nets.level_bands import LevelBands

SLOW_EVERY = 4
"""Running averages over half a second and more are kept for every fourth frame."""

_FAST = ("long", "short", "fast")


UNDAMAGED = "none"
"""The damage of an item that has none."""


@dataclass(frozen=True)
class LevelItem:
    """Item of a store: what is known of it beside its levels.

    Attributes:
        name: of its files.
        group: whose music it is; splits go by it.
        damage: label, or `UNDAMAGED`.
        cut_hz: where the clean music itself ends; above there is nothing to learn.
        frames: length.
    """

    name: str
    group: str
    damage: str
    cut_hz: float
    frames: int


def write(
    folder: Path,
    item: LevelItem,
    damaged: dict[str, NDArray[np.float16]],
    clean: dict[str, NDArray[np.float16]],
    likeness: NDArray[np.float16],
) -> None:
    """Writes one item; it counts once its `.json` is there.

    Args:
        folder: of the split.
        item: what is known of it.
        damaged: levels by part.
        clean: levels by part, of which `short` is kept.
        likeness: of both (`level_bands.measure_likeness`).

    Shape:
        damaged, clean: ``(frames, *LevelBands.widths[part])`` each; likeness: ``(frames, 2, 2, n_long)``
    """
    frames = item.frames
    parts = [*(damaged[name] for name in _FAST), clean["short"]]
    values = np.concatenate([part.reshape(frames, -1) for part in parts], axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{item.name}.like.npy", likeness)
    put(folder, item, values, damaged["slow"][::SLOW_EVERY].reshape(-(-frames // SLOW_EVERY), -1))


def put(folder: Path, item: LevelItem, values: NDArray[np.float16], slow: NDArray[np.float16]) -> None:
    """Writes the rows of one item as they are; it counts once its `.json` is there.

    Shape:
        values: ``(frames, numbers)``; slow: ``(frames / SLOW_EVERY, numbers)``
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{item.name}.npy", values)
    np.save(folder / f"{item.name}.slow.npy", slow)
    part = folder / f"{item.name}.json.part"
    part.write_text(json.dumps(asdict(item)))
    part.replace(folder / f"{item.name}.json")


def rows(folder: Path, item: LevelItem) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """All rows of one item as they lie on disk: those of every frame, and those of its running averages.

    Shape:
        ``(frames, numbers)``, ``(frames / SLOW_EVERY, numbers)``
    """
    return tuple(np.load(folder / f"{item.name}{suffix}", mmap_mode="r") for suffix in (".npy", ".slow.npy"))


def items_of(folder: Path) -> list[LevelItem]:
    """Lists what is complete, by name."""
    return [LevelItem(**json.loads(file.read_text())) for file in sorted(folder.glob("*.json"))]


def read(
    folder: Path, item: LevelItem, begin: int, frames: int, bands: LevelBands
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
    """Reads a stretch of one item.

    Args:
        folder: of the split.
        item: which.
        begin: first frame.
        frames: how many.
        bands: what was measured.

    Returns:
        Levels of the damaged music by part, and those to be reached.

    Shape:
        parts: ``(frames, *bands.widths[part])``; wanted: ``(frames, 4, n_short)``
    """
    every, few = rows(folder, item)
    values = every[begin : begin + frames].astype(np.float32)
    of_frame = np.arange(begin, begin + frames) // SLOW_EVERY
    slow = few[of_frame[0] : of_frame[-1] + 1][of_frame - of_frame[0]]
    levels, at = {}, 0
    for name in _FAST:
        size = int(np.prod(bands.widths[name]))
        levels[name] = values[:, at : at + size].reshape(frames, *bands.widths[name])
        at += size
    levels["slow"] = slow.astype(np.float32).reshape(frames, *bands.widths["slow"])
    return levels, values[:, at:].reshape(frames, *bands.widths["short"])


def read_likeness(folder: Path, item: LevelItem, begin: int, frames: int) -> NDArray[np.float32]:
    """Reads what the damaged and the clean music of a stretch have in common.

    Args:
        folder: of the split.
        item: which.
        begin: first frame.
        frames: how many.

    Returns:
        Level of the clean music and distance, of left and right.

    Shape:
        ``(frames, 2, 2, n_long)``
    """
    whole = np.load(folder / f"{item.name}.like.npy", mmap_mode="r")
    stretch: NDArray[np.float32] = whole[begin : begin + frames].astype(np.float32)
    return stretch


def has_likeness(folder: Path, item: LevelItem) -> bool:
    """Tells whether an item was measured with it."""
    return (folder / f"{item.name}.like.npy").exists()
