"""Recovery makes proper files of what killed runs have left, which stays beside them until the user removes it.

.night.3f9a1c2e.wav.part -> night-recovered.wav
"""

import os
import shutil
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from apollo_rt.atomic_file import AtomicFile
from apollo_rt.errors import AudioFileError
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.files.output_format import OutputSettings, format_of
from apollo_rt.part_file import is_part, leftovers

_BLOCK_SIZE = 65_536
_READABLE = ("wav", "flac")
"""Their header isn't final, but the sound can be read, and writing it anew loses nothing."""

_PLAYABLE = ("mp3", "ogg", "opus")
"""Streams: they play as they are, and encoding them anew would lose something."""

_IEEE_FLOAT = 3


def leftover_lines(folders: Iterable[Path]) -> list[str]:
    """Say what killed runs have left in these folders, one line for each file."""
    return [
        f"{path}: left behind by a run that was killed; `apollo-rt recover` makes a file of it, or remove it"
        for folder in sorted({Path(os.path.realpath(folder)) for folder in folders})
        for path in leftovers(folder)
    ]


def recover(part: Path) -> Path:
    """Make a proper file of a part, beside it, under a name that is free; the part stays as it is.

    Args:
        part: by a run that was killed; its name says what kind of file it was to become.

    Returns:
        The file.

    Raises:
        AudioFileError: it is no such file, is still being written, or nothing can be read of it.
    """
    stem, suffix = _name_of(part)
    container = format_of(Path(f"{stem}{suffix}")).container
    if container not in (*_READABLE, *_PLAYABLE):
        raise AudioFileError(
            f"{part}: a {suffix} file can't be read without its end; only wav, flac, mp3, ogg and opus"
        )
    if not part.exists():
        raise AudioFileError(f"{part}: no such file")
    place = Path(os.path.realpath(part))
    if place not in leftovers(place.parent):
        raise AudioFileError(f"{part}: is still being written")
    target = _free_name(part.with_name(f"{stem}-recovered{suffix}"))
    (_decode if container in _READABLE else _copy)(part, target)
    return target


def _name_of(part: Path) -> tuple[str, str]:
    """Stem and suffix of the file that a part was to become."""
    pieces = part.name.removeprefix(".").removesuffix(".part").rsplit(".", 2)
    if not is_part(part.name) or len(pieces) < 3:
        raise AudioFileError(f"{part}: is no `.part` of a sound file, as a run that was killed leaves it")
    return pieces[0] or "unnamed", f".{pieces[2]}"


def _free_name(path: Path) -> Path:
    """A name that is free; whoever takes it first after that is not replaced."""
    names = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    return path if not path.exists() else next(name for name in names if not name.exists())


def _decode(part: Path, target: Path) -> None:
    """Write what can be read of it anew."""
    with AudioReader(part) as reader:
        rate = reader.source_rate
    settings = OutputSettings(float_wav=_holds_floats(part))
    with (
        AudioReader(part, rate) as reader,
        AudioWriter(target, rate, reader.source_channels, settings, reader.tags) as writer,
    ):
        while len(block := reader.read(_BLOCK_SIZE)):
            writer.write(block)
        if not writer.n_samples:
            raise AudioFileError(f"{part}: holds no sound")


def _copy(part: Path, target: Path) -> None:
    try:
        with part.open("rb") as source, AtomicFile(target, replace=False) as file:
            shutil.copyfileobj(source, file)
    except OSError as error:
        raise AudioFileError(f"{target}: can't be written: {error.strerror}") from None


def _holds_floats(part: Path) -> bool:
    """Whether a wav file says so: its format's tag, or that of the extended format (RFC 2361, WAVEFORMATEXTENSIBLE)."""
    with part.open("rb") as file:
        head = file.read(256)
    at = head.find(b"fmt ")
    return at >= 0 and _IEEE_FLOAT in (head[at + 8], head[at + 32])
