"""What goes in and what comes out: what the user named becomes devices or files, and with them the engine's driver."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from apollo_rt.devices.device import DEFAULT, LOOPBACK, SPEAKERS, Device, find_device, refuse_feedback
from apollo_rt.files.audio_file import AudioReader, AudioWriter, Samples, encoding_of, refuse_same_file
from apollo_rt.files.jobs import MUSIC_SUFFIXES
from apollo_rt.live.driver import Driver
from apollo_rt.live.file_feed import Source
from apollo_rt.live.virtual_device import VirtualDevice

DEMO = "demo"
_DEMO_FILE = Path(__file__).parents[1] / "data" / "demo.mp3"

_WORDS = (DEFAULT, LOOPBACK, SPEAKERS)


@dataclass
class Ends:
    """Both ends of a live run.

    Attributes:
        input_name: for people.
        output_name: for people.
        driver: what calls the engine back.
        reader: the input file, where the input is one.
        source: the same as the engine reads it.
        writer: the output file, where the output is one.
    """

    input_name: str
    output_name: str
    driver: Driver
    reader: AudioReader | None
    source: Source | None
    writer: AudioWriter | None

    @property
    def has_device(self) -> bool:
        """A device is at one end at least."""
        return self.reader is None or self.writer is None

    @property
    def warnings(self) -> list[str]:
        """What was wrong with the files without stopping us."""
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

    def __enter__(self) -> Self:
        """Close the input at the end of a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the input."""
        self.close()


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
        """The next samples, `(samples, 2)`; fewer than asked for only at the end, then none."""
        part = self._source.read(min(n_samples, self._n_left))
        self._n_left -= len(part)
        return part


def open_ends(
    source: str,
    target: str,
    sample_rate: int,
    block_size: int,
    pace: bool = True,
    allow_feedback: bool = False,
    duration_s: float | None = None,
) -> Ends:
    """Open the files and find the devices that the user named.

    Args:
        source: `demo`, a file, or what `device.find_device` understands.
        target: a file, or what `device.find_device` understands.
        sample_rate: Hz, the model's.
        block_size: samples per callback.
        pace: from file to file, run in real time.
        allow_feedback: accept an input that hears the output.
        duration_s: read no more than this of a file.

    Raises:
        ApolloError: an end is missing, ambiguous, not usable, or both are the same.
        ValueError: a pace other than a device's own.
    """
    source_path, target_path = input_file(source), output_file(target)
    if source_path and target_path:
        refuse_same_file(source_path, target_path)
    if target_path:
        encoding_of(target_path)
    captured, played = _find_devices(None if source_path else source, None if target_path else target)
    if not pace and (captured or played):
        raise ValueError("--no-pace is for file to file: a device has a pace of its own")
    if captured and played and not allow_feedback:
        refuse_feedback(captured, played)
    driver = _driver(captured, played, sample_rate, block_size, pace, allow_feedback)
    reader = AudioReader(source_path, sample_rate) if source_path else None
    try:
        writer = AudioWriter(target_path, sample_rate, reader.source_channels if reader else 2) if target_path else None
    except BaseException:
        if reader:
            reader.close()
        raise
    part = FirstPart(reader, round(duration_s * sample_rate)) if reader and duration_s is not None else reader
    return Ends(str(captured or source), str(played or target), driver, reader, part, writer)


def input_file(wanted: str) -> Path | None:
    """The file that an input is, None if it is a device."""
    if wanted.casefold() == DEMO:
        return _DEMO_FILE
    return _file(wanted)


def output_file(wanted: str) -> Path | None:
    """The file that an output is, None if it is a device."""
    return _file(wanted)


def _file(wanted: str) -> Path | None:
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


def _driver(
    captured: Device | None, played: Device | None, sample_rate: int, block_size: int, pace: bool, allow_feedback: bool
) -> Driver:
    if captured is None and played is None:
        return VirtualDevice(sample_rate, block_size, pace)
    from apollo_rt.devices.clocks import open_driver

    return open_driver(captured, played, sample_rate, block_size, allow_feedback)
