"""Files that appear whole or not at all, whatever fails or is killed on the way.

    target's folder/.song.3f9a1c2e.flac.part     written, flushed to the disk, its length read back
    target's folder/song.flac                    only then: renamed, or linked where nothing may be replaced

Three doors: `AtomicFile` for who writes through a file object, `write_whole` for who has all of it, `whole_path` for
who writes by name (other libraries and programs; folders too). All raise `OSError`, whose `strerror` says why.
"""

import errno
import os
import shutil
import stat
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from apollo_rt.file_names import regular_at, sync, take_name, take_over
from apollo_rt.part_file import lock, part_of, short_stem


class CommittedAtEnd(ABC):
    """Something written in a `with` block: committed at its end, thrown away after an exception."""

    @abstractmethod
    def commit(self) -> None:
        """Everything is written."""

    @abstractmethod
    def abort(self) -> None:
        """Throw away what was written."""

    def __enter__(self) -> Self:
        """Commit at the end of a `with` block, abort if it raises."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Commit, or abort after an exception."""
        if kind is None:
            self.commit()
        else:
            self.abort()


class AtomicFile(CommittedAtEnd):
    """A file object to write to, whose file takes its name in `commit`; what libraries make of errors, it remembers.

    Args:
        target: its name; a link is followed. The mode of a file that is replaced is kept.
        replace: an existing file may be replaced.

    Attributes:
        target: where it will be, links resolved.
        part: where it is until then.
        error: the first write that failed, which every later call raises again.
        is_done: it has its name, or was thrown away.

    Raises:
        OSError: the target exists (`FileExistsError`), is no regular file, or its folder can't be written to.
    """

    def __init__(self, target: str | os.PathLike[str], replace: bool = True) -> None:
        """Create the part, empty."""
        self.target = Path(os.path.realpath(target))
        self.error: OSError | None = None
        self._replace = replace
        self.is_done = False
        self._position = self._end = 0
        before = regular_at(self.target)
        if before and not replace:
            raise FileExistsError(errno.EEXIST, "exists already", os.fspath(target))
        self.part = part_of(self.target)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        self._descriptor: int | None = os.open(self.part, flags, 0o600 if before else 0o666)
        if before:
            take_over(self._descriptor, before)
        lock(self._descriptor)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write all of it at the present position; returns how much that is.

        Raises:
            OSError: it can't be written, or an earlier write failed.
        """
        with self._remembered() as descriptor:
            left = memoryview(data)
            while left:
                n_written = os.write(descriptor, left)
                self._position += n_written
                left = left[n_written:]
        self._end = max(self._end, self._position)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, as files do; returns it."""
        with self._remembered() as descriptor:
            self._position = os.lseek(descriptor, offset, whence)
        return self._position

    def truncate(self, length: int) -> None:
        """Cut off what lies behind so many bytes."""
        with self._remembered() as descriptor:
            os.ftruncate(descriptor, length)
        self._end = length

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def finish(self) -> None:
        """Make sure that all of it has reached the disk, and close the part.

        Raises:
            OSError: a write failed, now or earlier, or the part isn't as long as what was written.
        """
        if self._descriptor is None and self.error is None:
            return
        with self._remembered() as descriptor:
            os.fsync(descriptor)
            found, named = os.fstat(descriptor), self.part.lstat()
            if found.st_size != self._end:
                raise OSError(errno.EIO, f"{self._end} bytes were written, {found.st_size} are there")
            if (found.st_dev, found.st_ino) != (named.st_dev, named.st_ino):
                raise OSError(errno.EIO, f"{self.part.name} was taken away meanwhile")
        self._close()

    def take_name(self, target: str | os.PathLike[str] | None = None) -> None:
        """Give the finished part a name in its folder: its target's, or another's.

        Raises:
            OSError: the name can't be taken; `FileExistsError` where it is another's and nothing may be replaced.
        """
        take_name(self.part, Path(target) if target is not None else self.target, self._replace)
        self.is_done = True

    def give_back_name(self, target: str | os.PathLike[str]) -> None:
        """Undo `take_name`; the part is there again.

        Raises:
            OSError: it can't be renamed.
        """
        Path(target).rename(self.part)
        self.is_done = False

    def commit(self) -> None:
        """Finish the part and take the target's name; a second time does nothing.

        Raises:
            OSError: see `finish` and `take_name`; nothing is left then but what was there before.
        """
        if self.is_done:
            return
        try:
            self.finish()
            self.take_name()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Remove what was written; a file that has the target's name keeps it, untouched."""
        self._close()
        if self.is_done:
            return
        self.is_done = True
        with suppress(OSError):
            self.part.unlink(missing_ok=True)

    @contextmanager
    def _remembered(self) -> Iterator[int]:
        """The descriptor to work on; the first error stays."""
        if self.error:
            raise self.error
        if self._descriptor is None:
            raise ValueError(f"{self.target}: is closed")
        try:
            yield self._descriptor
        except OSError as error:
            self.error = error
            raise

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):  # what could fail has been asked for by fsync
                os.close(descriptor)


def write_whole(target: str | os.PathLike[str], content: bytes | str, replace: bool = True) -> None:
    """Write a file whole or not at all.

    Args:
        target: see `AtomicFile`.
        content: all of it; text is written as UTF-8.
        replace: see `AtomicFile`.

    Raises:
        OSError: it can't be written; what was there before still is.
    """
    with AtomicFile(target, replace) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Lend a name to write a file or a folder under, which becomes the target at the end of the `with` block.

    Args:
        target: an existing file is replaced, and its mode kept; a folder must be new or empty.

    Yields:
        A path with the target's suffix in a hidden folder beside it, which nobody else can enter.

    Raises:
        OSError: it can't be written, or was not; what was there before still is.
    """
    final = Path(os.path.realpath(target))
    before = regular_at(final, folder_allowed=True)
    folder = Path(tempfile.mkdtemp(".part", f".{short_stem(final.stem)}.", final.parent))
    try:
        path = folder / f"whole{final.suffix}"
        yield path
        if before and path.is_file():
            path.chmod(stat.S_IMODE(before.st_mode))
        for written in [path, *path.rglob("*")]:
            if written.is_file():
                sync(written)
        path.replace(final)
        sync(final.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
