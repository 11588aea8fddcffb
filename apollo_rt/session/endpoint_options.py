"""Options of a run's endpoints: what it listens to and plays to, and how."""

from dataclasses import dataclass

from apollo_rt.files.raw_format import RawFormat


@dataclass(frozen=True)
class EndpointOptions:
    """Wishes of the user for what a run listens to and plays to.

    Attributes:
        source: `demo`, a file, a playlist, an address, `-` for stdin, or what `device.find_device` understands.
        target: a file, `-` for stdout, or what `device.find_device` understands.
        block_size: samples per callback.
        pace: from file to file in real time; None: unless the output is a pipe, which has the pace of who reads it.
        allow_feedback: accept an input that hears the output.
        duration_s: read no more than this of a file.
        overwrite: replace the output's file and the figures' where they are there already.
        raw: what the input is where it has no header, and what an output that is a pipe gets; None: a wav.
        reserve_s: seconds of a stream or pipe that are held back where a device plays it; None: as it asks for.
        reconnect: come back to a device or stream that is lost; else that ends the run with an error.
        give_up_s: for how long to try that.
    """

    source: str
    target: str
    block_size: int = 256
    pace: bool | None = None
    allow_feedback: bool = False
    duration_s: float | None = None
    overwrite: bool = False
    raw: tuple[RawFormat | None, RawFormat | None] = (None, None)
    reserve_s: float | None = None
    reconnect: bool = True
    give_up_s: float = 300.0
