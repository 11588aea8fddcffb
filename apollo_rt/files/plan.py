"""A plan pairs each source with its target, before anything is written.

```
 apollo-rt restore song.mp3 out.wav       one file to one file
 apollo-rt restore a.mp3 b.ogg -o new/    files into a folder:  new/a.flac  new/b.flac
 apollo-rt restore albums/ new/           a folder, its tree mirrored:  new/1999/track.flac
```

Where two would have one name, both get longer ones (`song.mp3` beside `song.ogg`: `song.mp3.flac`, `song.ogg.flac`).
A name depends on what is restored, never on its order, so that a run that is started again finds what it has written.
"""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from apollo_rt.errors import AudioFileError
from apollo_rt.existing import is_there
from apollo_rt.files.audio_writer import refuse_same_file
from apollo_rt.files.local_playlist import listed
from apollo_rt.files.music_names import MUSIC_SUFFIXES, refuse_address
from apollo_rt.files.output_format import WRITABLE_SUFFIXES, format_of
from apollo_rt.network.address import Address, is_address, place_of
from apollo_rt.standard_streams import STDIN, input_path, is_pipe, output_path


@dataclass(frozen=True)
class Job:
    """One file to restore.

    Attributes:
        source: the file, or the stream, to read.
        target: the file to write.
        makes_folders: folders on the way to the target are made.
    """

    source: Path | Address
    target: Path
    makes_folders: bool = False


@dataclass(frozen=True)
class LeftOut:
    """Something in a folder that is not restored.

    Attributes:
        path: where it is.
        reason: why, in words.
        is_fault: there may be music in it that could not be reached.
    """

    path: Path
    reason: str
    is_fault: bool = False


@dataclass(frozen=True)
class Plan:
    """Sources with their targets, and what was left out.

    Attributes:
        jobs: what is restored.
        left_out: what is not; hidden files aren't counted.
    """

    jobs: tuple[Job, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class _FoundSource:
    """A source, and its place inside the output folder."""

    source: Path
    relative: Path

    @property
    def place(self) -> Path:
        """The source from the root of the file system on; links are not followed."""
        return Path(os.path.abspath(self.source))  # noqa: PTH100  # `resolve` follows them

    @property
    def top(self) -> Path:
        """The folder that the place in the output is counted from."""
        return self.place.parents[len(self.relative.parts) - 1]

    def names(self, root: str, suffix: str) -> tuple[Path, ...]:
        """Names that its target may have, the shortest first; the last is like no other source's."""
        longer = self.relative.with_name(self.relative.name + suffix)
        below_root = self.place.relative_to(root or self.place.anchor)
        return self.relative.with_suffix(suffix), longer, below_root.with_name(below_root.name + suffix)


def plan_jobs(inputs: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str], suffix: str = ".flac") -> Plan:
    """Decide what becomes of what.

    One file goes to the file `output`. Several inputs or a folder go into the folder `output`, and so does one file
    where `output` is a folder or has no suffix. Folders are searched by suffix, hidden files and `output` left out.

    Args:
        inputs: files, folders and playlists, at least one; or `-` alone, which is stdin.
        output: a file, or a folder that need not be there yet; `-` is stdout.
        suffix: format of the files in the folder `output`.

    Raises:
        AudioFileError: no music at all, a folder that is its own output, a target that is a source, a suffix that can't
            be written, or an address to write to.
    """
    refuse_address(output)
    inputs = [name for each in inputs for name in _expanded(each)]
    if any(map(is_address, inputs)):
        return _of_address(inputs, output)
    sources, folder = [input_path(path) for path in inputs], output_path(output)
    if is_pipe(folder) or STDIN in sources:
        plan = Plan((_only_job(sources, folder),))
    elif len(sources) == 1 and not _is_folder(sources[0]) and not _names_folder(output):
        plan = Plan((Job(sources[0], folder),))
    else:
        _refuse_file_as_folder(folder, sources)
        plan = _into_folder(sources, folder, suffix)
    if not is_pipe(folder):
        _refuse_sources_as_targets(plan.jobs)
    return plan


def _expanded(name: str | os.PathLike[str]) -> list[str | os.PathLike[str]]:
    """Inputs that a playlist lists, in its place."""
    places = listed(name)
    return [name] if places is None else [each.url if isinstance(each, Address) else each for each in places]


def _of_address(inputs: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str]) -> Plan:
    """A stream goes into one file, which is named: what comes has no name of its own."""
    target, address = output_path(output), next(place_of(name) for name in inputs if is_address(name))
    if len(inputs) > 1:
        raise AudioFileError(f"{address}: a stream is restored alone, from one input to one output")
    if not is_pipe(target):
        if _names_folder(output):
            raise AudioFileError(f"{target}: is a folder; name a file for what comes from {address}")
        format_of(target)
    return Plan((Job(address, target),))


def _only_job(sources: Sequence[Path], target: Path) -> Job:
    """A pipe holds one sound, whichever end it is."""
    if len(sources) > 1 or _is_folder(sources[0]):
        pipe = STDIN if STDIN in sources else target
        raise AudioFileError(f"{pipe}: a pipe is restored alone, from one input to one output")
    if not is_pipe(target) and _names_folder(target):
        raise AudioFileError(f"{target}: is a folder, and what comes from {STDIN} has no name; name a file")
    return Job(sources[0], target)


def _into_folder(sources: Sequence[Path], folder: Path, suffix: str) -> Plan:
    found: dict[Path, _FoundSource] = {}
    left_out: list[LeftOut] = []
    for path in sources:
        for thing in _music(path, folder) if _is_folder(path) else (_FoundSource(path, Path(path.name)),):
            if isinstance(thing, LeftOut):
                left_out.append(thing)
            # What is reached twice is restored once: as a part of the tree that holds most of its path.
            elif thing.place not in found or len(thing.relative.parts) > len(found[thing.place].relative.parts):
                found[thing.place] = thing
    if not found and not any(thing.is_fault for thing in left_out):
        where = ", ".join(map(str, sources))
        raise AudioFileError(f"{where}: no music in this folder (looked for {' '.join(sorted(MUSIC_SUFFIXES))})")
    targets = _targets(list(found.values()), suffix)
    jobs = [Job(thing.source, folder / target, makes_folders=True) for thing, target in targets]
    return Plan(tuple(jobs), tuple(left_out))


def _targets(found: Sequence[_FoundSource], suffix: str) -> list[tuple[_FoundSource, Path]]:
    """A name for each, of which no two are the same where case or the form of an accent doesn't count either."""
    try:
        root = os.path.commonpath([thing.top for thing in found]) if found else ""
    except ValueError:  # on several drives of Windows
        root = ""
    names = [thing.names(root, suffix) for thing in found]
    levels = [0] * len(found)
    while True:
        groups: dict[str, list[int]] = {}
        for i, options in enumerate(names):
            groups.setdefault(_key(options[levels[i]]), []).append(i)
        lengthened = False
        for group in groups.values():
            shortest = min(levels[i] for i in group)
            if len(group) > 1 and shortest < len(names[0]) - 1:
                lengthened = True
                for i in group:
                    levels[i] += levels[i] == shortest
        if not lengthened:
            return [(thing, names[i][levels[i]]) for i, thing in enumerate(found)]


def _key(name: Path) -> str:
    return unicodedata.normalize("NFC", str(name)).casefold()


def _is_folder(path: str | os.PathLike[str]) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  # as in `is_there`: what can't be looked at is its own line later


def _names_folder(output: str | os.PathLike[str]) -> bool:
    text = os.fspath(output)
    return _is_folder(text) or text.endswith(("/", os.sep)) or not Path(text).suffix


def _refuse_file_as_folder(output: Path, sources: Sequence[Path]) -> None:
    if _is_folder(output) or not (is_there(output) or output.suffix.lower() in WRITABLE_SUFFIXES):
        return
    what = f"{sources[0]}: is a folder, which" if len(sources) == 1 else f"{len(sources)} inputs"
    raise AudioFileError(f"{what} can't become the file {output}; name a folder for the output with -o")


def _music(path: Path, output: Path) -> Iterator[_FoundSource | LeftOut]:
    """Music in a folder, in the order of its names; an output inside it is none of it."""
    root, inside = _place(path), _place(output)
    if inside == root:
        raise AudioFileError(
            f"{path}: is searched for music, so nothing can be written there that the next run would find; "
            "choose another folder for the output"
        )
    return _walked(path, inside)


def _walked(root: Path, output: Path) -> Iterator[_FoundSource | LeftOut]:
    unreadable: list[LeftOut] = []

    def note(error: OSError) -> None:
        unreadable.append(LeftOut(Path(error.filename), f"can't be searched: {error.strerror}", is_fault=True))

    for folder, folders, files in os.walk(root, onerror=note):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (LeftOut(here / name, "a link to a folder") for name in folders if (here / name).is_symlink())
        folders[:] = [name for name in folders if _place(here / name) != output]
        for name in sorted(files):
            if not name.startswith("."):
                yield _sorted_out(here / name, root)
    yield from unreadable


def _sorted_out(file: Path, root: Path) -> _FoundSource | LeftOut:
    if file.suffix.lower() not in MUSIC_SUFFIXES:
        return LeftOut(file, "no music by its name")
    if not is_there(file):
        return LeftOut(file, "no regular file")
    return _FoundSource(file, file.relative_to(root))


def _place(path: Path) -> Path:
    """Place that links lead to; `Path.resolve` raises where they go round in a circle, that file's own fault."""
    return Path(os.path.realpath(path))


def _refuse_sources_as_targets(jobs: Sequence[Job]) -> None:
    sources = {_place(job.source) for job in jobs if isinstance(job.source, Path)}
    for job in jobs:
        format_of(job.target)
        with suppress(OSError):  # a source that can't even be looked at is its own line later
            refuse_same_file(str(job.source), job.target)
        if _place(job.target) in sources:
            raise AudioFileError(f"{job.target}: is itself one of the inputs; choose another folder for the output")
