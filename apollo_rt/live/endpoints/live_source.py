"""A live source has a pace of its own: it gives what it has when it is asked, and tells how it comes."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RadioState:
    """State of a radio at one moment: what is heard of it, and how it comes.

    Attributes:
        url: where it comes from; without name, password and query.
        station: its name; empty where none is told.
        title: of the music that is heard now; empty where none is told.
        codec: FFmpeg's name of it.
        sample_rate: Hz, as sent.
        channels: as sent.
        connected: sound comes; else it is being looked for.
        reserve_s: seconds of sound that are held back; 0 where a file or a pipe takes all of it.
        buffered_s: seconds of sound that are there.
        correction_ppm: by how much faster than its rate the stream is read, so that the reserve stays.
        reconnections: how often it was found again.
        stalls: how often nothing was there to be heard.
        jumps: how often the reserve was brought back by a leap.
        dropped_s: seconds of sound that came too early (a burst) and were left out.
        faults: places in it that could not be decoded.
        is_waiting: it is silent until its reserve is there: at the beginning, and after a stall.
    """

    url: str
    station: str
    title: str
    codec: str
    sample_rate: int
    channels: int
    connected: bool = True
    reserve_s: float = 0.0
    buffered_s: float = 0.0
    correction_ppm: float = 0.0
    reconnections: int = 0
    stalls: int = 0
    jumps: int = 0
    dropped_s: float = 0.0
    faults: int = 0
    is_waiting: bool = False

    @property
    def heading(self) -> str:
        """Title and station, as far as they are told; the address where neither is."""
        return " · ".join(filter(None, (self.title, self.station))) or self.url

    def __str__(self) -> str:
        """In one line."""
        what = self.heading
        held = f", reserve {self.reserve_s:.2f} s, {self.correction_ppm:+.0f} ppm" if self.reserve_s else ""
        lost = "" if self.connected else ", connection lost"
        again = (
            f", {self.stalls} stalls, {self.reconnections} reconnections" if self.stalls or self.reconnections else ""
        )
        return f"{what}{held}{lost}{again}"


@runtime_checkable
class TellingSource(Protocol):
    """A source that tells what is heard of it, such as a playlist."""

    def interrupt(self) -> None:
        """End; from another thread."""

    def state(self, n_heard: int) -> RadioState:
        """State of the source.

        Args:
            n_heard: samples of what `take` gave that are heard by now.
        """

    def take_titles(self, n_taken: int) -> list[tuple[int, str]]:
        """Titles with the number of their first sample, of what the engine has taken; told once.

        Args:
            n_taken: samples of what `take` gave that the engine has taken.
        """

    def take_messages(self) -> list[str]:
        """Messages for the user since the last call, one line each."""


@runtime_checkable
class LiveSource(TellingSource, Protocol):
    """A source that nobody waits for, such as a radio."""

    def start(self) -> None:
        """Begin to listen."""

    def take(self, n_queued: int) -> NDArray[np.float32] | None:
        """Samples for the engine now, `(samples, 2)`; none where there is nothing yet, None at the end.

        Args:
            n_queued: samples that the engine has not taken yet.
        """
