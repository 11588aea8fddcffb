"""Songs of the music program LMMS, composed by people and rendered here."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from training.data.audio import SAMPLE_RATE
from training.data.recordings import Split, plain

DEMOS = Path("/usr/share/lmms/projects")
"""Where the Debian package `lmms-common` puts its songs."""

_TIMEOUT_S = 600
"""The slowest song took 200 s on a loaded core."""


@dataclass(frozen=True)
class Author:
    """An author of demo songs; the group is ``lmms-<name>``."""

    name: str
    split: Split
    licence: str


AUTHORS: tuple[Author, ...] = (
    *(Author(name, "test", "Artistic-2") for name in ("EsoXLB", "Momo64", "Settel", "Thomasso")),
    Author("Saber", "test", "BSD-2-clause"),
    Author("Jousboxx", "test", "CC-BY-SA-4.0"),
    *(Author(name, "train", "Artistic-2") for name in ("Crunk", "Greshz", "Impulslogik", "Oglsdl")),
    *(Author(name, "train", "Artistic-2") for name in ("Socceroos", "Surrender", "TameAnderson")),
    Author("CapDan", "train", "Artistic-2, CC-BY-SA-3.0 by song"),
    Author("Alf42red", "train", "CC-BY-SA-3.0"),
    Author("Skiessi", "train", "CC-BY-SA-4.0"),
    *(Author(name, "train", "GPL-2+") for name in ("DirtyLove", "Shovon", "StrictProduction")),
)


def songs_of(author: Author) -> list[Path]:
    """The project files of one author.

    Raises:
        RuntimeError: LMMS isn't installed.
    """
    if not DEMOS.is_dir():
        raise RuntimeError("LMMS isn't installed: `apt-get install lmms lmms-common`, or leave its songs out")
    songs = [*DEMOS.glob("demos/**/*.mmp*"), *DEMOS.glob("shorties/**/*.mmp*")]
    return sorted(song for song in songs if author_of(song) == author.name)


def render(song: Path, folder: Path) -> Path:
    """Render a song, unless it is there.

    LMMS may crash when it is done, so its last word counts, not its status.

    Args:
        song: A project file.
        folder: For the WAV file.

    Raises:
        OSError: LMMS failed, or took too long.
    """
    wav = folder / f"{plain(song.stem)}.wav"
    if wav.exists():
        return wav
    folder.mkdir(parents=True, exist_ok=True)
    part = wav.with_suffix(".part.wav")
    arguments = ["lmms", "--allowroot", "render", str(song), "-f", "wav", "-s", str(SAMPLE_RATE), "-a", "-o", str(part)]
    try:
        finished = subprocess.run(  # noqa: S603 (a fixed program, and a path of our own listing)
            arguments,
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"lmms took longer than {_TIMEOUT_S} s") from error
    if not finished.stdout.rstrip().endswith(b"Done"):
        raise OSError(f"lmms ended with status {finished.returncode}")
    part.replace(wav)
    return wav


def author_of(song: Path) -> str:
    """The author in a song's file name: ``CapDan-ReggaeTry.mmpz``, ``Crunk(Demo).mmp``."""
    return song.stem.replace("(", "-").split("-")[0]
