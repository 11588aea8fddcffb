"""A stream that begins anew on the way (HLS, at a discontinuity) is one file after another to who decodes it."""

from collections.abc import Callable, Iterator
from typing import Any

from apollo_rt.errors import AudioFileError, NetworkError
from apollo_rt.files.sound import Sound, SoundSource
from apollo_rt.files.source_file import SourceFile


class RunSounds:
    """A `sound.SoundSource` of all runs of a stream.

    Args:
        file: its first run, at the beginning.
        open_source: makes a source of a run.

    Attributes:
        is_endless: a station, of which more comes for ever.

    Raises:
        AudioFileError: the first is no sound.
    """

    def __init__(self, file: SourceFile, open_source: Callable[[SourceFile], SoundSource]) -> None:
        """Read what the first says of itself."""
        self._file, self._open = file, open_source
        self._source = open_source(file)
        self.n_faults = 0
        self.codec, self.tags = self._source.codec, self._source.tags
        self.sample_rate, self.channels = self._source.sample_rate, self._source.channels
        self.n_announced = self._source.n_announced
        self._stream: Any = file.stream
        self.is_endless = bool(getattr(file.stream, "is_endless", False))

    def sounds(self) -> Iterator[Sound]:
        """Decode one run after another; one of which nothing can be decoded is a fault."""
        yield from self._run(self._source)
        while not self._file.is_interrupted and getattr(self._stream, "has_run", False):
            self._stream.begin_run()
            try:
                file = SourceFile(self._file.path, self._stream)
                source = self._open(file)
            except NetworkError:
                raise
            except AudioFileError:
                self.n_faults += 1
                continue
            self._file, self._source = file, source  # the one before isn't closed: the stream is the same
            yield from self._run(source)

    def _run(self, source: SoundSource) -> Iterator[Sound]:
        n_before = self.n_faults
        for sound in source.sounds():
            self.n_faults = n_before + source.n_faults
            yield sound
        self.n_faults = n_before + source.n_faults

    def end_warnings(self, n_decoded: int) -> list[str]:
        """Warnings of what is missing at the end, or was not to be had."""
        n_gone = getattr(self._stream, "n_gone", 0)
        lines = [f"{n_gone} of its segments could not be had, and {'are' if n_gone > 1 else 'is'} left out"]
        return lines[: n_gone > 0] + self._source.end_warnings(n_decoded)

    def interrupt(self) -> None:
        """Let a read that waits end now, from another thread."""
        self._file.interrupt()

    def close(self) -> None:
        """Close the stream."""
        self._source.close()
