"""Songs of the music program LMMS, composed by people and rendered here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from training.corpus.rendering import render_once
from training.data.audio import SAMPLE_RATE
from training.data.recordings import Split, plain

DEMOS = Path("/usr/share/lmms/projects")
"""Where the Debian package `lmms-common` puts its songs."""


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

    Args:
        song: A project file.
        folder: For the WAV file.

    Raises:
        OSError: LMMS failed, or took too long.
    """

    def command(wav: Path) -> list[str]:
        return ["lmms", "--allowroot", "render", str(song), "-f", "wav", "-s", str(SAMPLE_RATE), "-a", "-o", str(wav)]

    def is_done(finished: CompletedProcess[bytes], _: Path) -> bool:
        return finished.stdout.rstrip().endswith(b"Done")  # its last word counts: it may crash when it is done

    return render_once(folder / f"{plain(song.stem)}.wav", command, is_done)


def author_of(song: Path) -> str:
    """The author in a song's file name: ``CapDan-ReggaeTry.mmpz``, ``Crunk(Demo).mmp``."""
    return song.stem.replace("(", "-").split("-")[0]
