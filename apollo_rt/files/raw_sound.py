"""Raw samples from a pipe or a file as a source of sound: each run as it comes, so that nothing waits for more."""

from collections.abc import Iterator

from apollo_rt.files.channel_layout import channel_names
from apollo_rt.files.pcm import decode
from apollo_rt.files.raw_format import RawFormat
from apollo_rt.files.sound import Sound
from apollo_rt.files.source_file import SourceFile
from apollo_rt.files.tags import Tags

_READ_LENGTH = 65_536


class RawSound:
    """Samples without a header.

    Args:
        file: at its beginning; closed with this.
        form: what its bytes are.
    """

    def __init__(self, file: SourceFile, form: RawFormat) -> None:
        """Nothing is read yet."""
        self._file, self._form = file, form
        self.sample_rate = form.sample_rate
        self.channels = channel_names([""] * form.channels)
        self.codec = form.sample_format
        self.n_announced = file.size // form.sample_bytes if file.is_seekable else None
        self.tags = Tags()
        self.n_faults = 0
        self._n_left_over = 0

    def sounds(self) -> Iterator[Sound]:
        """Decode what comes, to the end."""
        rest = b""
        while data := self._file.read(_READ_LENGTH):
            data = rest + data
            n_whole = len(data) - len(data) % self._form.sample_bytes
            data, rest = data[:n_whole], data[n_whole:]
            if data:
                yield Sound(decode(self._form, data), self.sample_rate, self.channels)
        self._n_left_over = len(rest)

    def end_warnings(self, n_decoded: int) -> list[str]:
        """A last sample that is not whole: another form, or a program that was stopped."""
        if not self._n_left_over:
            return []
        return [f"ends inside a sample of {self._form}: {self._n_left_over} bytes are left out"]

    def interrupt(self) -> None:
        """Let a read that waits end now, from another thread."""
        self._file.interrupt()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
