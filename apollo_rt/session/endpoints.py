"""Endpoints of a live run: what it listens to and plays to, files or devices, and with them the engine's driver."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from apollo_rt.devices.device import Device
from apollo_rt.devices.virtual_sink import VirtualSink
from apollo_rt.existing import refuse_existing
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.files.audio_writer import AudioWriter, refuse_same_file
from apollo_rt.files.output_format import format_of
from apollo_rt.files.pipe_writer import PipeWriter
from apollo_rt.files.recording import RecordingWriter, numbered
from apollo_rt.live.endpoints.driver import Driver
from apollo_rt.live.endpoints.file_feed import Source
from apollo_rt.live.endpoints.live_source import LiveSource, TellingSource
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.network.address import is_address, place_of
from apollo_rt.session.endpoint_options import EndpointOptions
from apollo_rt.session.named_files import is_read, output_file
from apollo_rt.session.opened_source import open_source, source_files
from apollo_rt.session.wanted_devices import WantedDevices
from apollo_rt.standard_streams import is_pipe

Writer = AudioWriter | RecordingWriter | PipeWriter


@dataclass
class Endpoints:
    """Endpoints of a live run, both.

    Attributes:
        input_name: for people.
        output_name: for people.
        driver: what calls the engine back.
        reader: the input file, where the input is one; of a stream `source` alone is there.
        source: the same as the engine reads it.
        writer: the output file, where the output is one.
        wanted: the devices that the user named, to be found again.
    """

    input_name: str
    output_name: str
    driver: Driver
    reader: AudioReader | None
    source: Source | LiveSource | None
    writer: Writer | None
    wanted: WantedDevices

    @property
    def has_device(self) -> bool:
        """A device is at one endpoint at least."""
        return self.source is None or self.writer is None

    @property
    def is_endless(self) -> bool:
        """Nobody says when it is over but the user: a device, a radio, or a pipe that a device plays."""
        return self.has_device or isinstance(self.source, LiveSource)

    @property
    def warnings(self) -> list[str]:
        """Warnings of what was wrong with the files without stopping us."""
        return [line for file in (self.reader, self.writer) if file for line in file.warnings]

    def discard(self) -> None:
        """Give up before the engine has taken over: close the input, remove what was begun of the output."""
        self.close()
        if self.writer:
            self.writer.abort()

    def close(self) -> None:
        """Close the input; the output is the engine's to finish."""
        if self.reader:
            self.reader.close()
        if isinstance(self.source, TellingSource):
            self.source.interrupt()

    def __enter__(self) -> Self:
        """Close the input at the end of a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the input."""
        self.close()


def open_endpoints(
    options: EndpointOptions, sample_rate: int, model: str = "", own_sink: VirtualSink | None = None
) -> Endpoints:
    """Open the files and find the devices that the user named.

    Args:
        options: checked by `run_options.completed`.
        sample_rate: Hz, the model's.
        model: what will restore, for the tags.
        own_sink: see `WantedDevices`.

    Raises:
        ApolloError: an endpoint is missing, ambiguous, not usable, both are the same, or the target is there already.
        ValueError: a pace other than a device's own.
    """
    target = output_file(options.target)
    if target:
        _refuse_target(target, options)
    wanted = _wanted_devices(options, sample_rate, own_sink)
    captured, played = wanted.find()
    driver = _driver(wanted, captured, played, options, sample_rate)
    reader, source = open_source(options, sample_rate, played is not None)
    name = str(place_of(options.source)) if is_address(options.source) else options.source
    names = str(captured or name), str(played or options.target)
    endpoints = Endpoints(*names, driver, reader, source, None, wanted)
    try:
        endpoints.writer = _open_writer(target, sample_rate, reader, model, options) if target else None
    except BaseException:
        endpoints.close()
        raise
    return endpoints


def _refuse_target(target: Path, options: EndpointOptions) -> None:
    """Refuse an output that is read too, has no format that we write, or is there already."""
    for path in source_files(options.source):
        refuse_same_file(path, target)
    if not is_pipe(target):
        format_of(target)
        refuse_existing(target, options.overwrite)


def _wanted_devices(options: EndpointOptions, sample_rate: int, own_sink: VirtualSink | None) -> WantedDevices:
    words = None if is_read(options.source) else options.source, None if output_file(options.target) else options.target
    return WantedDevices(*words, sample_rate, options.block_size, options.allow_feedback, own_sink)


def _driver(
    wanted: WantedDevices, captured: Device | None, played: Device | None, options: EndpointOptions, sample_rate: int
) -> Driver:
    """The driver of the devices; from file to file a virtual one."""
    if captured is None and played is None:
        return VirtualDevice(sample_rate, options.block_size, options.pace is not False)
    if options.pace is False:
        raise ValueError("--no-pace is for file to file: a device has a pace of its own")
    return wanted.driver(captured, played)


def _open_writer(
    path: Path, sample_rate: int, reader: AudioReader | None, model: str, options: EndpointOptions
) -> Writer:
    """From file to file a full disk is an error; what a device captures doesn't come again, so it is another matter."""
    if is_pipe(path):
        return PipeWriter(path, sample_rate, reader.source_channels if reader else 2, options.raw[1], quality="HQ")
    if reader:
        channels, overwrite = reader.source_channels, options.overwrite
        return AudioWriter(path, sample_rate, channels, tags=reader.tags, model=model, overwrite=overwrite)
    recording = RecordingWriter(numbered(path), sample_rate, overwrite=options.overwrite)
    recording.begin()
    return recording
