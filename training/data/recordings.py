"""A recording as the collection has it: where its files are, whose it is, and where it may be used."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from training.data.audio import Audio, load

Split = Literal["train", "valid", "test"]

MIXTURE = "mixture"
"""The source that is the whole recording."""

VALID_SHARE = 0.05
"""Share of the groups that becomes validation where a collection doesn't say."""


@dataclass(frozen=True)
class Recording:
    """One recording.

    Args:
        layout: Of the collection it came from.
        group: Artist, album, author or package; a group is never in two splits.
        name: Of the recording within its group.
        split: ``test`` is kept out of everything that trains.
        licence: What the collection says, or ``unknown``.
        mixture: Files that add up to the whole.
        stems: Files that add up to each stem; empty where there are none.
    """

    layout: str
    group: str
    name: str
    split: Split
    licence: str
    mixture: tuple[Path, ...]
    stems: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Group and name, as reports give them."""
        return f"{self.group}/{self.name}"

    def sources(self) -> dict[str, tuple[Path, ...]]:
        """The files of the mixture and of every stem, by source."""
        return {MIXTURE: self.mixture, **self.stems}


def load_sum(files: tuple[Path, ...]) -> Audio:
    """Read files and add them up; shorter ones are silent at the end. Peaks above full scale are kept.

    Shape:
        result: ``(samples, 2)``

    Raises:
        soundfile.SoundFileError: A file can't be read.
    """
    parts = [load(file) for file in files]
    total = np.zeros((max(len(part) for part in parts), 2), np.float32)
    for part in parts:
        total[: len(part)] += part
    return total


def split_by_name(group: str, valid_share: float = VALID_SHARE) -> Split:
    """Train or valid, by a group's name alone, so that a collection that grows keeps its splits."""
    return "valid" if zlib.crc32(group.encode()) < valid_share * 2**32 else "train"


def plain(name: str) -> str:
    """A name without characters that a file name or a list of names could trip over."""
    kept = "".join(character if character.isalnum() or character in "-_. " else "" for character in name)
    return "-".join(kept.replace("__", "_").split()).strip(".") or "unnamed"
