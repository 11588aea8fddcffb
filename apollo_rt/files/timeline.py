"""Runs of sound in a row, in one layout and at one rate from beginning to end, with silence where something is missing.

```
 runs      | 44.1 kHz stereo | 48 kHz mono |   2 s missing   | 44.1 kHz stereo |
 blocks    | 44.1 kHz stereo   44.1 kHz stereo     silence     44.1 kHz stereo |
```
"""

from collections.abc import Iterator

import numpy as np

from apollo_rt.files.channel_layout import mixing
from apollo_rt.files.sound import Samples, Sound
from apollo_rt.stream.rate_converter import RateConverter

_LEAST_SAID_S = 0.1
"""A beginning that is later than this is said; between a film's tracks some hundredths are usual."""

_MOST_SAID = 4
"""Places that are named in one line; the others are counted."""

_BLOCK_LENGTH = 65_536


class Timeline:
    """Puts runs in a row.

    Args:
        sample_rate: of all that comes out, in Hz.
        channels: names of the channels that come out.

    Attributes:
        n_samples: that came out so far.
    """

    def __init__(self, sample_rate: int, channels: tuple[str, ...]) -> None:
        """Nothing has come yet."""
        self.sample_rate = sample_rate
        self.channels = channels
        self.n_samples = 0
        self._layout = (channels, sample_rate)
        self._changes: list[str] = []
        self._late_s = 0.0
        self._gaps: list[tuple[float, float]] = []  # where and how long, in seconds
        self._converter = RateConverter(sample_rate, sample_rate, len(channels))

    def blocks(self, sounds: Iterator[Sound]) -> Iterator[Samples]:
        """Give all runs as blocks of any length.

        Shape:
            `(samples, channels)`
        """
        for sound in sounds:
            if (sound.channels, sound.sample_rate) != self._layout:
                yield from self._changed(sound)
            yield from self._silence(sound)
            is_same = sound.channels == self.channels
            yield from self._out(sound.samples if is_same else sound.samples @ mixing(sound.channels, self.channels))
        yield from self._flushed()

    def warnings(self) -> list[str]:
        """One line for each kind of thing that was not as it should be."""
        lines = []
        if self._changes:
            lines.append(f"changes on the way and goes on as it began: {_listed(self._changes)}")
        if self._late_s > _LEAST_SAID_S:
            lines.append(f"its sound begins {self._late_s:.2f} s late; silence keeps that place")
        if self._gaps:
            places = [f"{length_s:.3g} s at {clock(at_s)}" for at_s, length_s in self._gaps]
            lines.append(f"something is missing and silence keeps its place: {_listed(places)}")
        return lines

    def _changed(self, sound: Sound) -> Iterator[Samples]:
        channels, sample_rate = sound.channels, sound.sample_rate
        if sample_rate != self._layout[1]:
            yield from self._flushed()
            self._converter = RateConverter(sample_rate, self.sample_rate, len(self.channels))
        self._layout = (channels, sample_rate)
        if self.n_samples:
            plural = "" if len(channels) == 1 else "s"
            at_s = self.n_samples / self.sample_rate
            self._changes.append(f"{len(channels)} channel{plural} at {sample_rate} Hz from {clock(at_s)} on")

    def _silence(self, sound: Sound) -> Iterator[Samples]:
        if not sound.n_missing:
            return
        length_s = sound.n_missing / sound.sample_rate
        if self.n_samples:
            self._gaps.append((self.n_samples / self.sample_rate, length_s))
        else:
            self._late_s = length_s
        for start in range(0, sound.n_missing, _BLOCK_LENGTH):
            length = min(sound.n_missing - start, _BLOCK_LENGTH)
            yield from self._out(np.zeros((length, len(self.channels)), np.float32))

    def _out(self, samples: Samples, last: bool = False) -> Iterator[Samples]:
        converted = self._converter.convert(samples, last)
        self.n_samples += len(converted)
        if len(converted):
            yield converted

    def _flushed(self) -> Iterator[Samples]:
        """Samples that are still inside the converter, which ends with them."""
        yield from self._out(np.empty((0, len(self.channels)), np.float32), last=True)


def clock(seconds: float) -> str:
    """Write a place in a file as people read it: 1:02:03.4, 2:03.4."""
    minutes, rest_s = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest_s:04.1f}" if hours else f"{minutes}:{rest_s:04.1f}"


def _listed(places: list[str]) -> str:
    n_more = len(places) - _MOST_SAID
    return ", ".join(places[:_MOST_SAID]) + (f" and {n_more} more" if n_more > 0 else "")
