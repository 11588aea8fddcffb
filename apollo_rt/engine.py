"""The live engine: source or device -> callback -> worker -> callback -> device or sink, wired and supervised."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from apollo_rt.audio_file import AudioReader
from apollo_rt.latency import FADE_LENGTH, LatencyReport
from apollo_rt.model import Model
from apollo_rt.parameters import Parameters, parameter
from apollo_rt.stats import Snapshot

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) while something long goes on."""


@dataclass(frozen=True)
class EngineSettings:
    """What the engine needs to know beside model and devices.

    Attributes:
        headroom: samples of pre-fill that cover compute time and jitter, from `FADE_LENGTH` to 44100.
        mix: see `parameters`.
        bypass: see `parameters`.

    Raises:
        ValueError: a value is outside its bounds.
    """

    headroom: int = 256 + FADE_LENGTH
    mix: float = 1.0
    bypass: bool = False

    def __post_init__(self) -> None:
        """Check the bounds."""
        if not FADE_LENGTH <= self.headroom <= 44_100:
            raise ValueError(f"headroom must be from {FADE_LENGTH} to 44100 samples, got {self.headroom}")
        parameter("mix").check(self.mix)


class Driver(Protocol):
    """A clock that calls the compiled callback: PortAudio's stream, or a virtual device.

    Block size and pace are the driver's own settings; the engine reads them.

    Attributes:
        name: for reports.
        sample_rate: Hz; must be the model's.
        block_size: samples per callback; the most where they vary.
        varying_block: every callback may bring another number of samples.
        input_channels: 1 or 2; 0 where the input pointer is NULL: samples then come from the source.
        output_channels: 1 or 2; 0 where the output pointer is NULL: samples then go to the sink.
        device_latency_s: what the device reports for input and output, in seconds; exact once it is started.
        active: it calls back.
        finished: the callback has ended the stream (it returned paComplete) and the device has played everything.
    """

    @property
    def name(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def block_size(self) -> int: ...
    @property
    def varying_block(self) -> bool: ...
    @property
    def input_channels(self) -> int: ...
    @property
    def output_channels(self) -> int: ...
    @property
    def device_latency_s(self) -> tuple[float, float]: ...
    @property
    def active(self) -> bool: ...
    @property
    def finished(self) -> bool: ...

    def start(self, callback_address: int, userdata_address: int) -> None:
        """Open and start; from here on the callback (a `PaStreamCallback`) is called with `userdata_address`."""

    def stop(self) -> None:
        """Stop and close; when this returns no callback runs any more. May be called twice."""


class Sink(Protocol):
    """Where a file's samples go: `audio_file.AudioWriter`."""

    def write(self, samples: "Samples") -> None:
        """Append `(samples, 2)` float32."""

    def close(self) -> None:
        """Everything is written: complete the file."""


class Engine:
    """Live restoration between a driver, and a file on either side of it.

    A file that is written is aligned with the input to the sample and has its length: the constant latency that leads the
    engine's output is cut off, and what is still inside the engine at the input's end is played out.

    Args:
        model: from `model.load`.
        driver: what calls back; `block_size`, channels and latency are read from it.
        settings: frozen.
        source: where samples come from if the driver has no input.
        sink: where samples go if the driver has no output.

    Raises:
        ValueError: driver, source, sink and model don't fit together.
    """

    parameters: Parameters

    def __init__(
        self,
        model: Model,
        driver: Driver,
        settings: EngineSettings,
        source: AudioReader | None = None,
        sink: Sink | None = None,
    ) -> None:
        raise NotImplementedError

    def prepare(self, progress: Progress | None = None) -> None:
        """Compile everything (or read it from the cache) and run the model once; `start` does it where it wasn't done."""
        raise NotImplementedError

    def start(self) -> None:
        """Start file threads, worker and driver."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop all; complete the written file. May be called twice."""
        raise NotImplementedError

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the source's end has been played, tail included.

        Returns:
            Whether it has; False after `timeout_s`.

        Raises:
            ApolloError: a file broke off while it was read or written.
        """
        raise NotImplementedError

    def snapshot(self) -> Snapshot:
        """Counters, meters, times and latency at this moment; cheap enough for 30 times a second."""
        raise NotImplementedError

    @property
    def latency(self) -> LatencyReport:
        """The latency in named terms; the device's are exact after `start`."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()
