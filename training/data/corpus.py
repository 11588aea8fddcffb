r"""The open corpus: music that can be had by package name on Debian, and how it is fetched.

    apt package --dpkg -x--> recordings --\
                                          admit (bandwidth, bit rate) -> clean/<group>/<track>.flac
    lmms-common --lmms render--> mixes ---/                              clean/tracks.jsonl

The split goes by group, which is a package or an author, never by clip. Nothing of the evaluation
groups may reach a training run. Nothing here is committed to the repository.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from training.data.audio import SAMPLE_RATE, Audio, measure_cut_hz, resample

Split = Literal["train", "valid", "eval"]

MIN_CUT_HZ = 19_500.0
"""A target whose own spectrum ends below this would teach a low-pass."""

RENDER_TIMEOUT_S = 600
"""The slowest LMMS song took 200 s on a loaded core."""

DEMOS = Path("/usr/share/lmms/projects")
"""Where the Debian package `lmms-common` puts its songs."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Package:
    """A Debian package of recorded music.

    Args:
        name: The package, which is also the group.
        split: Where its music may be used.
        licence: Of the music, as its copyright file says.
        archive: Glob of the zip archive inside the package that holds the music, empty if none.
        music: Glob of the music files inside package or archive.
        min_bitrate_bps: Files below this are left out: the target is lossy itself.
    """

    name: str
    split: Split
    licence: str
    archive: str
    music: str
    min_bitrate_bps: int = 150_000


@dataclass(frozen=True)
class Author:
    """An author of LMMS demo songs; the group is ``lmms-<name>``."""

    name: str
    split: Split
    licence: str


@dataclass(frozen=True)
class Track:
    """One admitted track, as `tracks.jsonl` holds it."""

    group: str
    name: str
    split: Split
    licence: str
    bitrate_bps: int
    seconds: float
    cut_hz: float

    def path(self, clean: Path) -> Path:
        """The FLAC file below the folder of clean music."""
        return clean / self.group / f"{self.name}.flac"


PACKAGES: tuple[Package, ...] = (
    Package("wesnoth-1.16-music", "train", "GPL-2+", "", "**/core/music/*.ogg"),
    Package("supertuxkart-data", "train", "CC-BY-SA, CC-BY, CC0, GPL by song", "", "**/data/music/*.ogg"),
    Package("nexuiz-music", "valid", "GPL-2+", "**/music.pk3", "sound/cdtracks/*.ogg"),
    Package("hyperrogue-music", "eval", "CC-BY-SA-3.0", "", "**/hyperrogue/music/*.ogg", 300_000),
    Package("ufoai-music", "train", "GPL-2, CC-BY-3.0, CC-BY-SA-3.0 by song", "**/0music.pk3", "music/*.ogg"),
    Package("0ad-data", "train", "CC-BY-SA-3.0", "**/public.zip", "audio/music/*.ogg"),
)

AUTHORS: tuple[Author, ...] = (
    *(Author(name, "eval", "Artistic-2") for name in ("EsoXLB", "Momo64", "Settel", "Thomasso")),
    Author("Saber", "eval", "BSD-2-clause"),
    Author("Jousboxx", "eval", "CC-BY-SA-4.0"),
    *(Author(name, "train", "Artistic-2") for name in ("Crunk", "Greshz", "Impulslogik", "Oglsdl")),
    *(Author(name, "train", "Artistic-2") for name in ("Socceroos", "Surrender", "TameAnderson")),
    Author("CapDan", "train", "Artistic-2, CC-BY-SA-3.0 by song"),
    Author("Alf42red", "train", "CC-BY-SA-3.0"),
    Author("Skiessi", "train", "CC-BY-SA-4.0"),
    *(Author(name, "train", "GPL-2+") for name in ("DirtyLove", "Shovon", "StrictProduction")),
)


def build(work: Path) -> None:
    """Fetch, render and admit the whole corpus; what is there already is left as it is.

    Args:
        work: Folder for the intermediate files and for ``clean/``. Takes 7 GB.
    """
    for package in PACKAGES:
        for recording in fetch(package, work):
            bitrate_bps = round(recording.stat().st_size * 8 / soundfile.info(recording).duration)
            if bitrate_bps >= package.min_bitrate_bps:
                _admit(recording, work / "clean", package.name, package.split, package.licence, bitrate_bps)
    for author in AUTHORS:
        for mix in render(author, work / "rendered"):
            _admit(mix, work / "clean", f"lmms-{author.name}", author.split, author.licence, 0)


def adopt(music: Path, clean: Path, valid_share: float = 0.05) -> None:
    """Admit a folder of somebody's own music; each folder of files is one group.

    Args:
        music: Looked through with all that is below it. Files that aren't audio are passed over.
        clean: Folder of clean music.
        valid_share: Share of the groups that becomes validation, 0 to 1, chosen by name.
    """
    endings = {f".{name.lower()}" for name in soundfile.available_formats()} | {".aif"}
    for file in sorted(file for file in music.rglob("*") if file.suffix.lower() in endings):
        group = _plain("-".join(file.relative_to(music).parent.parts)) or "music"
        split: Split = "valid" if zlib.crc32(group.encode()) < valid_share * 2**32 else "train"
        _admit(file, clean, group, split, "unknown", 0)


def tracks(clean: Path) -> list[Track]:
    """The tracks admitted so far, in the order in which they came."""
    listing = clean / "tracks.jsonl"
    if not listing.exists():
        return []
    return [Track(**json.loads(line)) for line in listing.read_text().splitlines()]


def fetch(package: Package, work: Path) -> list[Path]:
    """Download and unpack one package without installing it.

    Args:
        package: Which one.
        work: ``deb/`` and ``raw/`` are made in it.

    Returns:
        Its music files, sorted.
    """
    root = work / "raw" / package.name
    if not root.exists():
        downloads = work / "deb"
        downloads.mkdir(parents=True, exist_ok=True)
        if not any(downloads.glob(f"{package.name}_*.deb")):
            _command(["apt-get", "download", package.name], cwd=downloads)
        _command(["dpkg", "-x", str(next(downloads.glob(f"{package.name}_*.deb"))), str(root)])
    if package.archive:
        with zipfile.ZipFile(next(root.glob(package.archive))) as archive:
            wanted = [name for name in archive.namelist() if Path(name).match(package.music)]
            root = root / "unzipped"
            archive.extractall(root, [name for name in wanted if not (root / name).exists()])
    return sorted(root.glob(package.music))


def render(author: Author, rendered: Path) -> Iterator[Path]:
    """Render every LMMS demo song of one author; a song that fails is reported and left out.

    Args:
        author: Whose songs.
        rendered: Folder for the WAV files.

    Yields:
        The rendered files.
    """
    songs = [*DEMOS.glob("demos/**/*.mmp*"), *DEMOS.glob("shorties/**/*.mmp*")]
    for song in sorted(song for song in songs if _author_of(song) == author.name):
        wav = rendered / f"{_plain(song.stem)}.wav"
        if not wav.exists():
            wav.parent.mkdir(parents=True, exist_ok=True)
            try:
                _render_song(song, wav)
            except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
                _LOG.warning("%s: not rendered: %s", song.name, error)
                continue
        yield wav


def load(file: Path) -> Audio:
    """Read any music file as stereo at 44.1 kHz, scaled down where it passes full scale.

    Shape:
        result: ``(samples, 2)``
    """
    audio, rate = soundfile.read(file, dtype="float32", always_2d=True)
    audio = resample(np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio[:, :2], rate, SAMPLE_RATE)
    peak = float(np.abs(audio).max(initial=0.0))
    return audio * np.float32(0.999 / peak) if peak > 1.0 else audio


def _admit(file: Path, clean: Path, group: str, split: Split, licence: str, bitrate_bps: int) -> None:
    """Write one track as FLAC and list it, unless its bandwidth is too small or it is there."""
    name = _plain(file.stem)
    if any((track.group, track.name) == (group, name) for track in tracks(clean)):
        return
    try:
        audio = load(file)
        cut_hz = measure_cut_hz(audio)
    except (soundfile.SoundFileError, ValueError) as error:
        _LOG.warning("%s: not read: %s", file, error)
        return
    if cut_hz < MIN_CUT_HZ:
        _LOG.info("%s/%s: left out, its spectrum ends at %.0f Hz", group, name, cut_hz)
        return
    track = Track(group, name, split, licence, bitrate_bps, round(len(audio) / SAMPLE_RATE, 2), round(cut_hz))
    target = track.path(clean)
    target.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(target.with_suffix(".part"), audio, SAMPLE_RATE, "PCM_16", format="FLAC")
    target.with_suffix(".part").replace(target)
    with (clean / "tracks.jsonl").open("a") as listing:
        listing.write(json.dumps(asdict(track)) + "\n")


def _render_song(song: Path, wav: Path) -> None:
    """Let LMMS write one song. It may crash when it is done, so its last word counts, not its status."""
    part = wav.with_suffix(".part.wav")
    arguments = ["lmms", "--allowroot", "render", str(song), "-f", "wav", "-s", str(SAMPLE_RATE), "-a", "-o", str(part)]
    finished = subprocess.run(  # noqa: S603 (a fixed program, and a path of our own listing)
        arguments,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=RENDER_TIMEOUT_S,
        check=False,
    )
    if not finished.stdout.rstrip().endswith(b"Done"):
        raise RuntimeError(f"lmms ended with status {finished.returncode}")
    part.replace(wav)


def _author_of(song: Path) -> str:
    """The author in a song's file name: ``CapDan-ReggaeTry.mmpz``, ``Crunk(Demo).mmp``."""
    return song.stem.replace("(", "-").split("-")[0]


def _plain(name: str) -> str:
    """A name without characters that a file name could trip over."""
    return "".join(character if character.isalnum() or character in "-_." else "" for character in name)


def _command(arguments: list[str], cwd: Path | None = None) -> None:
    """Run a command that must succeed."""
    subprocess.run(arguments, cwd=cwd, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (arguments from our table)
