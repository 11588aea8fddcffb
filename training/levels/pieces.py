"""A store of levels in pieces: small enough to be sent to a machine that is had for half an hour.

A piece is a zip of items, at most so many bytes. A level takes one byte, in steps of half a decibel, as its difference
from the frame before, which deflate halves again: 50 MB hold 11 minutes of items, two ninths of what the store takes,
and rounding by 0.16 dB (root mean square) where the best net errs by 5 dB. Likenesses, which only the correction
needs, stay at home.

<split>/<name>.json     what is known of the item, and how many numbers its rows have
<split>/<name>.levels   uint8 differences: rows of the store, then those of its running averages
"""

import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apollo_rt.atomic_file import whole_path
from training.levels import store
from training.levels.store import LevelItem

SPLITS = ("train", "valid")
_STEP = 0.055  # of a level, a logarithm to base 10 of power: 0.55 dB
_LOWEST = -12.0  # -120 dB of full scale, the floor of all levels
_SUFFIX = ".levels.zip"


def pack(levels: Path, out: Path, largest_bytes: int, seed: int) -> list[Path]:
    """Writes pieces of a store, its items in random order: each piece has music of many groups.

    Args:
        levels: the store.
        out: folder of the pieces; those that are there are written anew.
        largest_bytes: of a piece.
        seed: of the order.

    Returns:
        The pieces.

    Raises:
        ValueError: the store is empty, or an item is larger than a piece may be.
    """
    items = [(split, item) for split in SPLITS for item in store.items_of(levels / split)]
    if not any(split == "train" for split, _ in items):
        raise ValueError(f"levels must hold items to train on, found none in {levels / 'train'}")
    order = np.random.default_rng(seed).permutation(len(items))
    packed = (_packed(levels / items[place][0], *items[place]) for place in order)
    out.mkdir(parents=True, exist_ok=True)
    pieces: list[Path] = []
    for content in _filled(packed, largest_bytes):
        pieces.append(out / f"{len(pieces):04d}{_SUFFIX}")
        with whole_path(pieces[-1]) as path, zipfile.ZipFile(path, "w") as piece:
            for name, data in content:
                piece.writestr(name, data, zipfile.ZIP_DEFLATED)
    return pieces


def unpack(pieces: Path, levels: Path) -> int:
    """Writes the items of all pieces in a folder to a store; those that are there already are left as they are.

    Returns:
        How many pieces there were.

    Raises:
        ValueError: there is none, or what one holds is no item.
    """
    files = sorted(pieces.glob(f"*{_SUFFIX}"))
    if not files:
        raise ValueError(f"pieces must hold *{_SUFFIX}, found none in {pieces}; `python -m training levels pack`")
    for file in files:
        with zipfile.ZipFile(file) as piece:
            for name in piece.namelist():
                split, _, base = name.partition("/")
                if split not in SPLITS or Path(base).name != base:
                    raise ValueError(f"{file} holds {name!r}, which is no item")
                if base.endswith(".json") and not (levels / split / base).exists():
                    _unpacked(piece, split, base.removesuffix(".json"), levels)
    return len(files)


def _packed(folder: Path, split: str, item: LevelItem) -> list[tuple[str, bytes]]:
    """Both files of an item."""
    values, slow = store.rows(folder, item)
    head = json.dumps(asdict(item) | {"numbers": values.shape[1], "slow_numbers": slow.shape[1]})
    data = b"".join(_coded(part).tobytes() for part in (values, slow))
    return [(f"{split}/{item.name}.json", head.encode()), (f"{split}/{item.name}.levels", data)]


def _unpacked(piece: zipfile.ZipFile, split: str, name: str, levels: Path) -> None:
    head = json.loads(piece.read(f"{split}/{name}.json"))
    numbers, slow_numbers = head.pop("numbers"), head.pop("slow_numbers")
    item = LevelItem(**head)
    if item.name != name:
        raise ValueError(f"{piece.filename}: {name} calls itself {item.name}")
    data = np.frombuffer(piece.read(f"{split}/{name}.levels"), np.uint8)
    n_slow = -(-item.frames // store.SLOW_EVERY)
    if len(data) != item.frames * numbers + n_slow * slow_numbers:
        raise ValueError(f"{piece.filename}: {name} is not as long as it says")
    parts = data[: item.frames * numbers].reshape(-1, numbers), data[item.frames * numbers :].reshape(-1, slow_numbers)
    store.put(levels / split, item, *(_decoded(part) for part in parts))


def _filled(packed: Iterator[list[tuple[str, bytes]]], largest_bytes: int) -> Iterator[list[tuple[str, bytes]]]:
    """Items one after the other, as many as a piece can take."""
    content: list[tuple[str, bytes]] = []
    size = 0
    for files in packed:
        own = sum(len(zlib.compress(data)) + 2 * len(name) + 200 for name, data in files)
        if own > largest_bytes:
            raise ValueError(f"an item takes {own} bytes, a piece may take {largest_bytes}")
        if size + own > largest_bytes:
            yield content
            content, size = [], 0
        content += files
        size += own
    if content:
        yield content


def _coded(levels: NDArray[np.float16]) -> NDArray[np.uint8]:
    """Levels as steps, each row as its difference from the one before, modulo 256."""
    steps = np.round((levels.astype(np.float32) - _LOWEST) / _STEP).clip(0, 255).astype(np.uint8)
    return np.diff(steps, axis=0, prepend=np.zeros((1, steps.shape[1]), np.uint8))


def _decoded(differences: NDArray[np.uint8]) -> NDArray[np.float16]:
    steps = np.add.accumulate(differences, axis=0, dtype=np.uint8)
    return (steps * np.float32(_STEP) + np.float32(_LOWEST)).astype(np.float16)
