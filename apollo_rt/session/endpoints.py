"""Endpoints that the user named become devices or files, and with them the engine's driver."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from apollo_rt.devices import pulse
from apollo_rt.devices.device import DEFAULT, LOOPBACK, SPEAKERS, Device, find_device, refuse_feedback
from apollo_rt.devices.loopback import leads_to_server
from apollo_rt.devices.pulse_connection import n_events
from apollo_rt.devices.virtual_sink import VirtualSink
from apollo_rt.errors import DeviceError
from apollo_rt.existing import refuse_existing
from apollo_rt.files.audio_reader import AudioReader, Samples
from apollo_rt.files.audio_writer import AudioWriter, refuse_same_file
from apollo_rt.files.local_playlist import ListedFile, several_of
from apollo_rt.files.music_names import MUSIC_SUFFIXES, refuse_address
from apollo_rt.files.output_format import format_of
from apollo_rt.files.pipe_writer import PipeWriter
from apollo_rt.files.raw_format import RawFormat
from apollo_rt.files.recording import RecordingWriter, numbered
from apollo_rt.live.endpoints.driver import Driver
from apollo_rt.live.endpoints.file_feed import Source, WaitingSource
from apollo_rt.live.endpoints.live_source import LiveSource, TellingSource
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.network.address import is_address, place_of
from apollo_rt.standard_streams import DASH, STDIN, STDOUT, is_fed_by_others, is_pipe

if TYPE_CHECKING:
    from apollo_rt.radio.playlist_source import PlaylistSource

DEMO = "demo"
DEMO_FILE = Path(__file__).parents[1] / "data" / "demo.mp3"

_WORDS = (DEFAULT, LOOPBACK, SPEAKERS)


@dataclass
class Endpoints:
    """Both ends of a live run.

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
    writer: AudioWriter | RecordingWriter | PipeWriter | None
    wanted: "WantedDevices"

    @property
    def has_device(self) -> bool:
        """A device is at one end at least."""
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


class WantedDevices:
    """Devices by the words that a user named them with, which may lead to others by now.

    Args:
        source: captures; None where the input is a file.
        target: plays; None where the output is a file.
        sample_rate: Hz, the model's.
        block_size: samples per callback.
        allow_feedback: accept an input that hears the output.
        own_sink: what is captured, where that is a sink of ours; it is made again where somebody removed it.

    Attributes:
        words: of source and target.
        found: the devices that these led to last.
    """

    def __init__(
        self,
        source: str | None,
        target: str | None,
        sample_rate: int,
        block_size: int,
        allow_feedback: bool,
        own_sink: VirtualSink | None = None,
    ) -> None:
        self.words = (source, target)
        self._settings = (sample_rate, block_size, allow_feedback, own_sink)
        self.found: tuple[Device | None, Device | None] = (None, None)
        self._seen_events = -1

    def others(self, source: str | None, target: str | None) -> "WantedDevices":
        """The same with another word for one end or both, where that is given.

        Raises:
            DeviceError: that end is a file.
        """
        for word, before, end in ((source, self.words[0], "input"), (target, self.words[1], "output")):
            if word is not None and before is None:
                raise DeviceError(
                    f"{end} {word!r}: the {end} of this run is a file and stays one; start anew to change that"
                )
        return WantedDevices(source or self.words[0], target or self.words[1], *self._settings)

    def find(self) -> tuple[Device | None, Device | None]:
        """The devices, as far as PortAudio knows of them.

        Raises:
            DeviceError: one is missing or ambiguous, or they are a loop.
        """
        captured, played = self.found = self._find()
        if captured and played and not self._settings[2]:
            refuse_feedback(captured, played)
        return captured, played

    def _find(self) -> tuple[Device | None, Device | None]:
        """As the words say; but where the server's default is our own sink, what was it before is played to."""
        source, target = self.words
        captured, played = _find_devices(source, target)
        own_sink = self._settings[3]
        if own_sink and played and leads_to_server(played):
            is_default = "PULSE_SINK" not in dict(played.environment)
            if is_default and (default := own_sink.real_default()):
                return _find_devices(source, default)
        return captured, played

    def reopen(self) -> Driver:
        """Poll for the devices anew, those that came since the last poll included.

        Raises:
            DeviceError: as above.
        """
        from apollo_rt.devices.portaudio import rescan

        if own_sink := self._settings[3]:
            own_sink.make()
        rescan()
        return self.driver(*self.find())

    def driver(self, captured: Device | None, played: Device | None) -> Driver:
        """Driver of the endpoints; nothing is opened yet."""
        sample_rate, block_size, allow_feedback, _ = self._settings
        from apollo_rt.devices.clocks import open_driver

        return open_driver(captured, played, sample_rate, block_size, allow_feedback)

    def trouble(self) -> str:
        """Reason why the open devices can't go on: where a sink vanishes, a sound server moves what played or captured.

        Asked of a server only, whenever something has changed there; elsewhere a device that vanishes is lost.
        """
        captured, played = self.found
        n_now = n_events()
        if not (captured and captured.host_api in ("ALSA", "PulseAudio")) or n_now == self._seen_events:
            return ""
        self._seen_events = n_now
        routes = pulse.routes(os.getpid())
        if routes.feedback_sink and played and not self._settings[2]:
            return f"the sound server moved the output to {routes.feedback_sink!r}, which is what is captured"
        opened = dict(captured.environment).get("PULSE_SOURCE", pulse.DEFAULT_MONITOR)
        if opened != pulse.DEFAULT_MONITOR and routes.captured and opened not in routes.captured:
            return f"the sound server captures {routes.captured[0]!r} instead of {opened!r}"
        return ""

    def has_moved(self) -> bool:
        """Whether the words lead to other devices than when they were found last."""
        before = self.found
        try:
            return [_place(device) for device in self._find()] != [_place(device) for device in before]
        except DeviceError:
            return False


def _place(device: Device | None) -> tuple[object, ...]:
    """Place that tells a device from another; a sound server's default is one device that may be in two places."""
    return (device.name, device.host_api, device.environment, device.captures, device.feeds) if device else ()


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


def open_endpoints(
    source: str,
    target: str,
    sample_rate: int,
    block_size: int,
    pace: bool = True,
    allow_feedback: bool = False,
    duration_s: float | None = None,
    overwrite: bool = False,
    model: str = "",
    raw: tuple[RawFormat | None, RawFormat | None] = (None, None),
    reserve_s: float | None = None,
    give_up_s: float = 300.0,
    own_sink: VirtualSink | None = None,
) -> Endpoints:
    """Open the files and find the devices that the user named.

    Args:
        source: `demo`, a file, a playlist, `-` for stdin, or what `device.find_device` understands.
        target: a file, `-` for stdout, or what `device.find_device` understands.
        sample_rate: Hz, the model's.
        block_size: samples per callback.
        pace: from file to file, run in real time.
        allow_feedback: accept an input that hears the output.
        duration_s: read no more than this of a file.
        overwrite: a target that is there already is replaced.
        model: what will restore, for the tags.
        reserve_s: seconds of a stream or pipe that are held back where a device plays it; None: as it asks for.
        give_up_s: for how long a stream that is lost is looked for.
        raw: what the input is where it has no header, and what an output that is a pipe gets; None: a wav.
        own_sink: see `WantedDevices`.

    Raises:
        ApolloError: an end is missing, ambiguous, not usable, both are the same, or the target is there already.
        ValueError: a pace other than a device's own.
    """
    source_path, target_path = input_file(source), output_file(target)
    files = several_of(source) if source_path else []
    for path in [file.path for file in files] or ([source_path] if source_path else []):
        if target_path:
            refuse_same_file(path, target_path)
    if target_path and not is_pipe(target_path):
        format_of(target_path)
        refuse_existing(target_path, overwrite)
    is_stream = is_address(source)
    words = None if source_path or is_stream else source, None if target_path else target
    wanted = WantedDevices(*words, sample_rate, block_size, allow_feedback, own_sink)
    captured, played = wanted.find()
    if not pace and (captured or played):
        raise ValueError("--no-pace is for file to file: a device has a pace of its own")
    has_device = captured is not None or played is not None
    driver = wanted.driver(captured, played) if has_device else VirtualDevice(sample_rate, block_size, pace)
    reader = AudioReader(source_path, sample_rate, raw=raw[0]) if source_path and not files else None
    radio = _open_radio(source, sample_rate, played is not None, reserve_s, give_up_s) if is_stream else None
    playlist = _open_playlist(source, files, sample_rate, duration_s) if files else None
    try:
        writer = _open_writer(target_path, sample_rate, reader, model, overwrite, raw[1]) if target_path else None
    except BaseException:
        for end in (reader, radio, playlist):
            if end:
                end.interrupt()
        if reader:
            reader.close()
        raise
    read: Source | LiveSource | None = AsItComes(reader) if reader else None
    if reader and played and source_path and is_fed_by_others(source_path):
        read = _held_pipe(reader, sample_rate, reserve_s)
    if isinstance(read, AsItComes) and duration_s is not None:
        read = FirstPart(read, round(duration_s * sample_rate))
    name = str(place_of(source)) if is_stream else source
    return Endpoints(
        str(captured or name), str(played or target), driver, reader, read or radio or playlist, writer, wanted
    )


def _open_radio(url: str, sample_rate: int, is_played: bool, reserve_s: float | None, give_up_s: float) -> LiveSource:
    from apollo_rt.radio.radio_source import RadioSource  # late: nothing of the network is there before it is named

    return RadioSource(url, sample_rate, is_played, reserve_s, give_up_s)


def _open_playlist(name: str, files: list[ListedFile], sample_rate: int, duration_s: float | None) -> "PlaylistSource":
    from apollo_rt.radio.playlist_source import PlaylistSource  # late: few runs have one

    return PlaylistSource(name, files, sample_rate, None if duration_s is None else round(duration_s * sample_rate))


def _held_pipe(reader: AudioReader, sample_rate: int, reserve_s: float | None) -> LiveSource:
    from apollo_rt.radio.held_pipe import HeldPipe  # late: few runs have one

    return HeldPipe(reader, sample_rate, reserve_s)


def _open_writer(
    path: Path,
    sample_rate: int,
    reader: AudioReader | None,
    model: str,
    overwrite: bool,
    raw: RawFormat | None,
) -> AudioWriter | RecordingWriter | PipeWriter:
    """From file to file a full disk is an error; what a device captures doesn't come again, so it is another matter."""
    if is_pipe(path):
        return PipeWriter(path, sample_rate, reader.source_channels if reader else 2, raw, quality="HQ")
    if reader:
        return AudioWriter(
            path, sample_rate, reader.source_channels, tags=reader.tags, model=model, overwrite=overwrite
        )
    recording = RecordingWriter(numbered(path), sample_rate, overwrite=overwrite)
    recording.begin()
    return recording


def input_file(wanted: str) -> Path | None:
    """The file that an input is, None if it is a device."""
    if wanted.casefold() == DEMO:
        return DEMO_FILE
    return STDIN if wanted == DASH else _file(wanted)


def output_file(wanted: str) -> Path | None:
    """The file that an output is, None if it is a device."""
    refuse_address(wanted)
    return STDOUT if wanted == DASH else _file(wanted)


def _file(wanted: str) -> Path | None:
    if is_address(wanted):
        return None
    path = Path(wanted)
    if path.suffix.lower() in MUSIC_SUFFIXES or (len(path.parts) > 1 and path.parent.is_dir()):
        return path
    is_device = wanted.isdecimal() or wanted.casefold() in _WORDS
    return path if not is_device and path.exists() else None


def _find_devices(source: str | None, target: str | None) -> tuple[Device | None, Device | None]:
    """The devices at either end; each prefers the host API of the other, if that was the plainer one to find."""
    if source is None and target is None:
        return None, None
    from apollo_rt.devices.portaudio import list_devices

    devices = list_devices()
    captured = find_device(devices, source, "input") if source is not None else None
    host_api = captured.host_api if captured else ""
    played = find_device(devices, target, "output", host_api) if target is not None else None
    if source is not None and played and played.host_api != host_api and source.casefold() in _WORDS:
        captured = find_device(devices, source, "input", played.host_api)
    return captured, played
