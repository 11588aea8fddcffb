"""The open corpus: music that can be had by package name on Debian, as recordings.

    game music (Vorbis) ---------------------------\
    songs of LMMS and trackers --rendered----------+-> recordings
    MMA, MIDI songs, drum kits --synthetic songs---/   (with stems)

The split goes by group, which is a package or an author, never by clip. Nothing of the test groups
may reach a training run. Nothing here is committed to the repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import soundfile

from training.corpus import debian_packages, drums, lmms, soundfont, synthetic, trackers
from training.corpus.scores import Accompanist
from training.data.preparation import run_all
from training.data.recordings import MIXTURE, Recording, Split, plain

SOUNDFONTS = ("fluid-soundfont-gm", "musescore-general-soundfont-lossless")
KITS = ("hydrogen-drumkits", "sonic-pi-samples")
SYNTHETIC_LICENCE = "MIDI: GPL-2+ (mma, openttd-openmsx); sounds: MIT (soundfonts), CC0, CC-BY, GPL by kit"


def build(work: Path, songs: int, seed: int, workers: int) -> tuple[list[Recording], dict[str, str]]:
    """Fetch, render and synthesise the whole corpus; what is there already is left as it is.

    Args:
        work: Folder for packages, rendered and synthetic songs.
        songs: Number of synthetic songs.
        seed: Of the synthetic songs.
        workers: Processes.

    Returns:
        The recordings, and what could not be made, with the reasons.

    Raises:
        RuntimeError: Something that all needs isn't there: Debian, a package, LMMS, openmpt123.
    """
    if songs:
        soundfont.check()
    rendered, failed = _rendered(work, workers)
    made, not_made = _synthetic(work, songs, seed, workers) if songs else ([], {})
    return [*_recorded(work), *rendered, *made], failed | not_made


def _recorded(work: Path) -> Iterator[Recording]:
    """The music of the packages, without files of a low bit rate."""
    for package in debian_packages.PACKAGES:
        song_of = attrgetter("parent") if package.in_parts else Path  # the files come sorted
        for song, found in groupby(debian_packages.music_of(package, work), song_of):
            files = tuple(found)
            if max(map(_bitrate_bps, files)) >= package.min_bitrate_bps:
                stems = {plain(file.stem): (file,) for file in files} if package.in_parts else {}
                yield Recording("open", package.name, plain(song.stem), package.split, package.licence, files, stems)


def _bitrate_bps(file: Path) -> float:
    return float(file.stat().st_size * 8 / soundfile.info(file).duration)


def _rendered(work: Path, workers: int) -> tuple[list[Recording], dict[str, str]]:
    """The songs of LMMS and of trackers."""
    folder = work / "rendered"
    jobs: dict[str, Callable[[], Any]] = {}
    for author in lmms.AUTHORS:
        for song in lmms.songs_of(author):
            render = partial(lmms.render, song, folder)
            jobs[f"lmms/{song.stem}"] = partial(_recording, render, f"lmms-{author.name}", author.split, author.licence)
    for game in trackers.GAMES:
        for song in trackers.songs_of(game, work):
            render = partial(trackers.render, song, folder / game.name)
            jobs[f"{game.name}/{song.name}"] = partial(_recording, render, game.name, "train", game.licence)
    recordings, failed = run_all(jobs, workers, "Rendering songs")
    return [recordings[name] for name in sorted(recordings)], failed


def _recording(render: Callable[[], Path], group: str, split: Split, licence: str) -> Recording:
    """Of a song that is rendered first."""
    file = render()
    return Recording("open", group, plain(file.stem), split, licence, (file,))


def _synthetic(work: Path, count: int, seed: int, workers: int) -> tuple[list[Recording], dict[str, str]]:
    """Songs made here, all to train on: they share their instruments."""
    for package in ("mma", "openttd-openmsx", *SOUNDFONTS, *KITS):
        debian_packages.fetch(package, work)
    jobs = {f"synthetic/{number}": partial(_song, work, number, seed) for number in range(count)}
    folders, failed = run_all(jobs, workers, "Making synthetic songs")
    recordings = []
    for _, folder in sorted(folders.items()):
        stems = {plain(file.stem): (file,) for file in sorted(folder.glob("*.flac")) if file.stem != MIXTURE}
        whole = (folder / f"{MIXTURE}.flac",)
        recordings.append(Recording("open", folder.parent.name, folder.name, "train", SYNTHETIC_LICENCE, whole, stems))
    return recordings, failed


def _song(work: Path, number: int, seed: int) -> Path:
    """Make one song, unless it is there."""
    songs = work / "songs"
    made = next(songs.glob(f"*/{seed}-{number:05d}-*"), None)
    return made or synthetic.save(studio(work).make(number, seed), songs)


@cache
def studio(work: Path) -> synthetic.Studio:
    """Everything that synthetic songs are made with, from the unpacked packages."""
    raw = work / "raw"
    return synthetic.Studio(
        Accompanist(raw / "mma"),
        tuple(sorted((raw / "openttd-openmsx").rglob("*.mid"))),
        tuple(sorted(font for package in SOUNDFONTS for font in (raw / package).rglob("*.sf2"))),
        tuple(drums.kits(*(raw / package for package in KITS))),
    )
