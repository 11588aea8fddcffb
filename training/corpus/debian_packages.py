"""Debian packages, downloaded and unpacked without being installed."""

from __future__ import annotations

import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

from apollo_rt.atomic_file import whole_path
from training.data.recordings import Split


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
        in_parts: The files of one folder are the stems of one song, of which one must have that bit rate.
    """

    name: str
    split: Split
    licence: str
    archive: str
    music: str
    min_bitrate_bps: int = 150_000
    in_parts: bool = False


PACKAGES: tuple[Package, ...] = (
    Package("wesnoth-1.16-music", "train", "GPL-2+", "", "**/core/music/*.ogg"),
    Package("supertuxkart-data", "train", "CC-BY-SA, CC-BY, CC0, GPL by song", "", "**/data/music/*.ogg"),
    Package("nexuiz-music", "valid", "GPL-2+", "**/music.pk3", "sound/cdtracks/*.ogg"),
    Package("hyperrogue-music", "test", "CC-BY-SA-3.0", "", "**/hyperrogue/music/*.ogg", 300_000),
    Package("ufoai-music", "train", "GPL-2, CC-BY-3.0, CC-BY-SA-3.0 by song", "**/0music.pk3", "music/*.ogg"),
    Package("0ad-data", "train", "CC-BY-SA-3.0", "**/public.zip", "audio/music/*.ogg"),
    Package("naev-data", "train", "GPL-3, CC-BY-3.0, CC-BY-SA-3.0, public domain by song", "", "**/snd/music/*.ogg"),
    Package("unknown-horizons", "train", "GPL-2+, CC-BY-SA-3.0 by song", "", "**/content/audio/music/**/*.ogg"),
    Package("starfighter-data", "train", "CC-BY, CC-BY-SA, GPL by song", "", "**/starfighter/music/*.ogg"),
    Package("freecol", "train", "CC-BY-4.0", "", "**/resources/music/default/*.ogg"),
    Package("fretsonfire-songs-sectoid", "train", "MIT", "", "**/sectoid/*/*.ogg", in_parts=True),
    Package("fretsonfire-songs-muldjord", "train", "CC-BY-SA-3.0", "", "**/muldjord/*/*.ogg", in_parts=True),
    Package("warmux-data", "train", "GPL-2+", "", "**/warmux/music/**/*.ogg"),
    Package("openclonk-data", "train", "CC-BY-3.0, CC0, ISC by song", "", "**/Music.ocg/*.ogg"),
    Package("plee-the-bear-data", "train", "CC-BY-SA-3.0", "", "**/plee-the-bear/music/**/*.ogg"),
    Package("torus-trooper-data", "train", "BSD-2-Clause", "", "**/*.ogg"),
    Package("mu-cade-data", "train", "BSD-2-Clause", "", "**/*.ogg"),
    Package("gunroar-data", "train", "BSD-2-Clause", "", "**/*.ogg"),
    Package("titanion-data", "train", "BSD-2-Clause", "", "**/*.ogg"),
    Package("val-and-rick-data", "train", "BSD-2-Clause", "", "**/*.ogg"),
    Package("miceamaze", "train", "CC-BY-3.0", "", "**/miceamaze/music/*.ogg"),
    Package("pathological", "train", "GPL-2+", "", "**/pathological/music/*.ogg"),
    Package("glob2-data", "train", "GPL-3+", "", "**/glob2/data/zik/*.ogg"),
)


def fetch(name: str, work: Path) -> Path:
    """Download and unpack one package; what is there already is left as it is.

    Args:
        name: Of the package.
        work: ``deb/`` and ``raw/`` are made in it.

    Returns:
        The folder it is unpacked in.

    Raises:
        RuntimeError: This is no Debian, or it has no such package.
    """
    root = work / "raw" / name
    if root.exists():
        return root
    downloads = work / "deb"
    downloads.mkdir(parents=True, exist_ok=True)
    if not any(downloads.glob(f"{name}_*.deb")):
        _command(["apt-get", "download", name], downloads)
    root.parent.mkdir(parents=True, exist_ok=True)
    with whole_path(root) as whole:
        _command(["dpkg", "-x", str(next(downloads.glob(f"{name}_*.deb"))), str(whole)], work)
    return root


def music_of(package: Package, work: Path) -> list[Path]:
    """Fetch a package and list its music files, taken out of its archive if they are in one."""
    root = fetch(package.name, work)
    if package.archive:
        with zipfile.ZipFile(next(root.glob(package.archive))) as archive:
            wanted = [name for name in archive.namelist() if Path(name).match(package.music)]
            root = root / "unzipped"
            archive.extractall(root, [name for name in wanted if not (root / name).exists()])
    return sorted(root.glob(package.music))


def _command(arguments: list[str], folder: Path) -> None:
    """Run a command that must succeed."""
    try:
        subprocess.run(arguments, cwd=folder, check=True, capture_output=True, text=True)  # noqa: S603 (our own table)
    except FileNotFoundError as error:
        raise RuntimeError(f"the open corpus needs Debian or Ubuntu: there is no {arguments[0]}") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"`{' '.join(arguments)}` failed: {last}; try `apt-get update`") from error
