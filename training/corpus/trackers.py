"""Songs of trackers, files of samples and what to play with them; composed by people for games, rendered here."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from training.corpus import debian_packages
from training.corpus.rendering import render_once
from training.data.audio import SAMPLE_RATE
from training.data.recordings import plain

SUFFIXES = (".it", ".mod", ".s3m", ".xm")

_GAIN_DB = -6
"""Trackers add up their samples; at 0 dB the loudest songs clip."""
_LONGEST_S = 200
"""Some songs go round for ten minutes."""


@dataclass(frozen=True)
class Game:
    """A Debian package of a game, which is also the group; all its songs are for training."""

    name: str
    licence: str


GAMES: tuple[Game, ...] = (
    *(Game(name, "GPL-2+") for name in ("bb", "criticalmass-data", "fb-music-high", "flobopuyo", "freedroid-data")),
    *(Game(name, "GPL-2+") for name in ("heroes-sound-tracks", "penguin-command", "pingus-data", "rockdodger")),
    *(Game(name, "GPL-2") for name in ("bomberclone-data", "gl-117-data", "madbomber-data", "tuxtype-data")),
    Game("biniax2-data", "Zlib"),
    Game("circuslinux-data", "GPL"),
    Game("pekka-kana-2-data", "BSD-2-Clause"),
    Game("rafkill-data", "LGPL-2"),
    Game("ri-li-data", "GPL-2, GPL-3"),
    Game("solarwolf", "LGPL-2.1"),
    Game("tecnoballz-data", "GPL-3+"),
    Game("vodovod", "GPL-2+"),
)


def songs_of(game: Game, work: Path) -> list[Path]:
    """Fetch a game and list its songs.

    Args:
        game: Which one.
        work: See `debian_packages.fetch`.

    Raises:
        RuntimeError: openmpt123 isn't installed, or the package can't be had.
    """
    if shutil.which("openmpt123") is None:
        raise RuntimeError("openmpt123 isn't installed: `apt-get install openmpt123`")
    return sorted(file for file in debian_packages.fetch(game.name, work).rglob("*") if file.suffix in SUFFIXES)


def render(song: Path, folder: Path) -> Path:
    """Render a song, unless it is there.

    Args:
        song: A tracker's file.
        folder: For the FLAC file.

    Raises:
        OSError: openmpt123 failed, or took too long.
    """

    def command(flac: Path) -> list[str]:
        form = ["--samplerate", str(SAMPLE_RATE), "--no-float", "--gain", str(_GAIN_DB), "--end-time", str(_LONGEST_S)]
        return ["openmpt123", "--batch", "--quiet", *form, "--output", str(flac), str(song)]

    def is_done(finished: CompletedProcess[bytes], flac: Path) -> bool:
        return finished.returncode == 0 and flac.exists()  # of a file that it can't read it ends with 0

    return render_once(folder / f"{plain(song.name)}.flac", command, is_done)
