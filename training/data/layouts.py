"""Layouts of music collections: what a folder holds, found by looking.

musdb18hq   {train,test}/<artist - title>/{drums,bass,other,vocals,mixture}.wav
moisesdb    <song>/data.json, <song>/<stem>/<track>.wav
listed      LICENCES.tsv beside the music, with the columns file, author, licence and split
folder      any tree of music files; a folder with a file named `mixture` is one song with its stems
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import soundfile

from training.data.held_out import is_held_out, is_test_folder, is_valid_folder
from training.data.recordings import MIXTURE, Recording, Split, plain, split_by_name

Layout = Literal["musdb18hq", "moisesdb", "listed", "folder"]

MUSDB_VALID = frozenset(
    {
        "ANiMAL - Rockshow",
        "Actions - One Minute Smile",
        "Alexander Ross - Goodbye Bolero",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Fergessen - Nos Palpitants",
        "James May - On The Line",
        "Johnny Lokke - Promises & Lies",
        "Leaf - Summerghost",
        "Meaxic - Take A Step",
        "Patrick Talbot - A Reason To Leave",
        "Skelpolu - Human Mistakes",
        "Traffic Experiment - Sirens",
        "Triviul - Angelsaint",
        "Young Griffo - Pennies",
    }
)
"""The validation songs that users of MUSDB18 agree on (the package `musdb`, `configs/mus.yaml`)."""

LISTING = "LICENCES.tsv"
"""What says whose each file is, and where it may be used."""

ENDINGS = frozenset({f".{name.lower()}" for name in soundfile.available_formats()} | {".aif", ".m4a"} - {".raw"})
"""What counts as a music file."""

_MUSDB_LICENCE = "MUSDB18-HQ: educational use only, mostly CC BY-NC-SA"
_MOISESDB_LICENCE = "MoisesDB: non-commercial research, CC BY-NC-SA 4.0"


def recognise(source: Path) -> Layout:
    """Layout of a folder; ``folder`` if no other.

    Raises:
        ValueError: It is no folder.
    """
    if not source.is_dir():
        raise ValueError(f"a source must be a folder of music or `open`, got {source}")
    if any(source.glob("train/*/mixture.wav")) or any(source.glob("test/*/mixture.wav")):
        return "musdb18hq"
    if any(source.glob("*/data.json")) or any(source.glob("*/*/data.json")):
        return "moisesdb"
    if (source / LISTING).is_file():
        return "listed"
    return "folder"


def find(source: Path, layout: Layout | None = None, licence: str = "unknown") -> list[Recording]:
    """List the recordings of a collection; no audio is read.

    Args:
        source: The collection's folder.
        layout: Taken as given; recognised if None.
        licence: Of a plain folder.

    Raises:
        ValueError: The folder holds no recording in this layout.
    """
    layout = layout or recognise(source)
    found = list(_FINDERS[layout](source, licence))
    if not found:
        raise ValueError(f"{source} holds no music in the layout {layout}")
    if any(one.split == "train" for one in found):
        return found
    # One artist alone, whose name happens to fall to validation, is music to train on.
    return [
        one if one.split == "test" or _is_marked_valid(one, source) else replace(one, split="train") for one in found
    ]


def _musdb18hq(source: Path, _: str) -> Iterator[Recording]:
    """The splits are folders; validation is agreed on by name."""
    for mixture in sorted(source.glob("*/*/mixture.wav")):
        title = mixture.parent.name
        split: Split = "valid" if title in MUSDB_VALID else "train"
        if is_test_folder(mixture.parent.parent.name) or is_held_out(title):
            split = "test"
        group = plain(title.split(" - ")[0])
        yield Recording("musdb18hq", group, plain(title), split, _MUSDB_LICENCE, (mixture,), _stems_beside(mixture))


def _moisesdb(source: Path, _: str) -> Iterator[Recording]:
    """A stem is the sum of its tracks, the mixture the sum of all; splits go by artist."""
    for listing in sorted((*source.glob("*/data.json"), *source.glob("*/*/data.json"))):
        try:
            song = json.loads(listing.read_text())
        except ValueError:
            song = {}
        tracks: dict[str, list[Path]] = defaultdict(list)
        for file in _music(listing.parent):
            tracks[plain(file.relative_to(listing.parent).parts[0])].append(file)
        stems = {stem: tuple(files) for stem, files in sorted(tracks.items())}
        title = f"{song.get('artist', listing.parent.name)} - {song.get('song', listing.parent.name)}"
        group = plain(str(song.get("artist", listing.parent.name)))
        split = _split(listing.parent.relative_to(source), group, title)
        mixture = tuple(file for files in stems.values() for file in files)
        if mixture:
            name = f"{plain(title)}-{listing.parent.name[:8]}"
            yield Recording("moisesdb", group, name, split, _MOISESDB_LICENCE, mixture, stems)


def _listed(source: Path, _: str) -> Iterator[Recording]:
    """Groups, licences and splits stand in the list; a file that is listed but missing is an error of the list."""
    with (source / LISTING).open(newline="") as listing:
        for row in csv.DictReader(listing, delimiter="\t"):
            file = source / row["file"]
            split: Split = next(name for name in get_args(Split) if name == row["split"])
            yield Recording("listed", plain(row["author"]), plain(file.stem), split, row["licence"], (file,))


def _folder(source: Path, licence: str) -> Iterator[Recording]:
    """Every folder of files is one group; every file a recording, unless one of them is the mixture of the others."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for file in _music(source):
        by_folder[file.parent].append(file)
    for folder, files in sorted(by_folder.items()):
        below = folder.relative_to(source)
        mixture = next((file for file in files if file.stem.lower() == MIXTURE), None)
        if mixture is not None:
            group = plain("-".join(below.parts[:-1]) or folder.name)
            split = _split(below, group, folder.name)
            yield Recording("folder", group, plain(folder.name), split, licence, (mixture,), _stems_beside(mixture))
            continue
        group = plain("-".join(below.parts) or source.resolve().name)
        for file in files:
            split = _split(below, group, file.stem, f"{folder.name} - {file.stem}")
            yield Recording("folder", group, plain(file.stem), split, licence, (file,))


_FINDERS: dict[Layout, Callable[[Path, str], Iterator[Recording]]] = {
    "musdb18hq": _musdb18hq,
    "moisesdb": _moisesdb,
    "listed": _listed,
    "folder": _folder,
}


def _split(below: Path, group: str, *names: str) -> Split:
    """Split that folders and names say, else by the group's name."""
    if is_held_out(*names) or any(is_test_folder(part) for part in below.parts):
        return "test"
    if any(is_valid_folder(part) for part in below.parts):
        return "valid"
    return split_by_name(group)


def _is_marked_valid(recording: Recording, source: Path) -> bool:
    return any(is_valid_folder(part) for part in recording.mixture[0].relative_to(source).parts)


def _music(folder: Path) -> list[Path]:
    """All music files below a folder, hidden ones left out."""
    files = (file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS and not file.name.startswith("."))
    return sorted(file for file in files if file.is_file())


def _stems_beside(mixture: Path) -> dict[str, tuple[Path, ...]]:
    """The other music files of a mixture's folder, each a stem."""
    files = sorted(mixture.parent.iterdir())
    return {plain(file.stem): (file,) for file in files if file.suffix.lower() in ENDINGS and file != mixture}
