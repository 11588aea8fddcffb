"""A playlist on this machine names files and stations: M3U, PLS and XSPF, as players write them."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from apollo_rt.errors import AudioFileError, NetworkError
from apollo_rt.network.address import Address, is_address
from apollo_rt.network.playlist import MOST_BYTES, PlaylistEntry, entries_of, is_hls, is_named_playlist
from apollo_rt.network.station_text import text_of
from apollo_rt.regular_file import read_regular


@dataclass(frozen=True)
class ListedFile:
    """A file that a playlist lists.

    Attributes:
        path: where it is.
        title: as the playlist says; empty where it doesn't.
    """

    path: Path
    title: str = ""


def listed(name: str | os.PathLike[str]) -> list[Path | Address] | None:
    """The entries of a playlist, files relative to its folder.

    Args:
        name: of a file; what has no playlist's suffix is none.

    Returns:
        None where it is no playlist.

    Raises:
        AudioFileError: it can't be read, or lists nothing.
    """
    found = _entries(name)
    return None if found is None else [place for place, _ in found]


def _entries(name: str | os.PathLike[str]) -> list[tuple[Path | Address, str]] | None:
    """Places and titles of a playlist; None where it is none."""
    path = Path(name)
    if is_address(name) or not is_named_playlist(path.name) or not path.is_file():
        return None
    try:
        data = read_regular(path, MOST_BYTES)
        if is_hls(text_of(data)):
            raise AudioFileError(f"{path}: is a playlist of HLS, whose segments are its server's; name its address")
        found = [(_place(entry, path.parent), entry.title) for entry in entries_of(data)]
    except OSError as error:
        raise AudioFileError(f"{path}: can't be read: {error.strerror}") from None
    except NetworkError as error:
        raise AudioFileError(f"{path}: {error}") from None
    if not found:
        raise AudioFileError(f"{path}: is a playlist that lists nothing")
    return found


def one_of(name: str) -> str:
    """Input that a live run plays.

    Returns:
        Of a playlist its first station that answers, or its only file; of several files the list itself.

    Raises:
        AudioFileError: it can't be read, lists nothing, or none of its stations answers.
    """
    places = listed(name)
    if places is None:
        return name
    stations = [place.url for place in places if isinstance(place, Address)]
    if len(stations) > 1:
        return _first_that_answers(stations)
    return stations[0] if stations else str(places[0]) if len(places) == 1 else name


def left_out_of(name: str) -> str:
    """Warning of the files that a live run leaves out, of a playlist that lists a station, too; empty if it has none.

    Raises:
        AudioFileError: it can't be read, or lists nothing.
    """
    places = listed(name) or []
    n_files = sum(isinstance(place, Path) for place in places)
    if n_files in (0, len(places)):
        return ""
    return f"{name}: lists a station, which has no end, so that its {n_files} file{'s'[: n_files > 1]} won't be played"


def several_of(name: str) -> list[ListedFile]:
    """Files that a live run plays one after the other; none where the input is no playlist of several.

    Raises:
        AudioFileError: it can't be read, or lists nothing.
    """
    found = _entries(name) or []
    files = [ListedFile(place, title) for place, title in found if isinstance(place, Path)]
    return files if len(files) == len(found) > 1 else []


def _first_that_answers(urls: list[str]) -> str:
    from apollo_rt.network.stream import first_that_answers  # late: nothing is asked before a station is named

    return first_that_answers(urls)


def _place(entry: PlaylistEntry, folder: Path) -> Path | Address:
    """File or address of an entry: of the ways in which players write a name, the first by which there is a file."""
    text = entry.place
    if text[:5].lower() == "file:":
        text = text[5:]
        text = "/" + text[2:].partition("/")[2] if text.startswith("//") else text
        names = [unquote(text), text]
    elif is_address(text):
        return Address(text)
    elif entry.is_quoted:
        names = [unquote(text), text]
    else:
        names = [text, unquote(text)]
    names += [name.replace("\\", "/") for name in names]  # of Windows
    names += [os.fsdecode(text.encode(encoding)) for encoding in ("latin-1", "cp1252") if _fits(text, encoding)]
    return next((folder / name for name in names if _is_there(folder / name)), folder / names[0])


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the name is too long
        return False


def _fits(text: str, encoding: str) -> bool:
    """Whether a file's name may have been written so."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
