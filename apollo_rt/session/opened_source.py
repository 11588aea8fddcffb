"""The source of a run, where a file, a pipe, a playlist or a stream stands for the input device."""

from pathlib import Path

from apollo_rt.files.audio_reader import AudioReader, Samples
from apollo_rt.files.local_playlist import ListedFile, several_of
from apollo_rt.live.endpoints.file_feed import Source, WaitingSource
from apollo_rt.live.endpoints.live_source import LiveSource
from apollo_rt.network.address import is_address
from apollo_rt.session.endpoint_options import EndpointOptions
from apollo_rt.session.named_files import input_file
from apollo_rt.standard_streams import is_fed_by_others


class AsItComes:
    """A file or pipe as a `file_feed.Source`: what it has brought is handed on, and not kept until there is more.

    Args:
        reader: closed by the caller.
    """

    def __init__(self, reader: AudioReader) -> None:
        self.read, self.interrupt = reader.read_some, reader.interrupt


class FirstPart:
    """The beginning of a source: a `file_feed.Source`.

    Args:
        source: read as far as needed.
        n_samples: length of the part.
    """

    def __init__(self, source: Source, n_samples: int) -> None:
        self._source = source
        self._n_left = n_samples

    def read(self, n_samples: int) -> Samples:
        """The next samples, `(samples, 2)`; none only at the end."""
        part = self._source.read(min(n_samples, self._n_left))
        self._n_left -= len(part)
        return part

    def interrupt(self) -> None:
        """Let a read that waits end now, from another thread."""
        if isinstance(self._source, WaitingSource):
            self._source.interrupt()


OpenedSource = tuple[AudioReader | None, Source | LiveSource | None]
"""The reader of a file or pipe, which its opener closes, and what the engine reads; of a device neither."""


def source_files(name: str) -> list[Path]:
    """Files that are read where an input is named so; none of a device or a stream.

    Raises:
        AudioFileError: it is a playlist that can't be read, or lists nothing.
    """
    path = input_file(name)
    return [file.path for file in several_of(name)] or [path] if path else []


def open_source(options: EndpointOptions, sample_rate: int, is_played: bool) -> OpenedSource:
    """Open what is read.

    Args:
        options: of both endpoints.
        sample_rate: Hz, the model's.
        is_played: by a device, so that a stream is held back at its reserve.

    Raises:
        AudioFileError: it can't be read.
    """
    if is_address(options.source):
        return None, _open_radio(options, sample_rate, is_played)
    path = input_file(options.source)
    if path is None:
        return None, None
    n_most = None if options.duration_s is None else round(options.duration_s * sample_rate)
    if files := several_of(options.source):
        return None, _open_playlist(options.source, files, sample_rate, n_most)
    reader = AudioReader(path, sample_rate, raw=options.raw[0])
    if is_played and is_fed_by_others(path):
        return reader, _held_pipe(reader, sample_rate, options.reserve_s)
    read = AsItComes(reader)
    return reader, read if n_most is None else FirstPart(read, n_most)


# Late imports: nothing of the network is there before it is named, and few runs have a playlist or a pipe.


def _open_radio(options: EndpointOptions, sample_rate: int, is_played: bool) -> LiveSource:
    from apollo_rt.radio.radio_source import RadioSource

    give_up_s = options.give_up_s if options.reconnect else 0.0
    return RadioSource(options.source, sample_rate, is_played, options.reserve_s, give_up_s)


def _open_playlist(name: str, files: list[ListedFile], sample_rate: int, n_most: int | None) -> Source:
    from apollo_rt.radio.playlist_source import PlaylistSource

    return PlaylistSource(name, files, sample_rate, n_most)


def _held_pipe(reader: AudioReader, sample_rate: int, reserve_s: float | None) -> LiveSource:
    from apollo_rt.radio.held_pipe import HeldPipe

    return HeldPipe(reader, sample_rate, reserve_s)
