"""Decoded sound between the thread that decodes and the one that feeds the engine; bounded, and cut from its front."""

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from apollo_rt.files.sound import Samples
from apollo_rt.latency import FADE_LENGTH

_RAMP = np.linspace(1.0, 0.0, FADE_LENGTH + 1, dtype=np.float32)[1:, np.newaxis]


@dataclass(frozen=True)
class StreamBlock:
    """Decoded sound.

    Attributes:
        samples: `(samples, 2)`.
        titles: (place in it, title).
        joins: it follows the block before; else there is a seam.
    """

    samples: Samples
    titles: tuple[tuple[int, str], ...] = ()
    joins: bool = True


class SoundBuffer:
    """Blocks in a row.

    Args:
        most: samples that it holds; who brings more waits.

    Attributes:
        most: the same; may be changed.
        n_in: samples that were ever brought.
        n_out: samples that were ever taken or dropped.
        n_dropped: samples that were dropped.
    """

    def __init__(self, most: int) -> None:
        self.n_in = self.n_out = self.n_dropped = 0
        self.most = most
        self._blocks: deque[Samples] = deque()
        self._titles: deque[tuple[int, str]] = deque(maxlen=64)
        self._changed = threading.Condition()
        self._is_closed = self._has_waited = False

    def __len__(self) -> int:
        """Samples that are there."""
        return self.n_in - self.n_out

    def put(self, block: StreamBlock) -> None:
        """Append a block; where it doesn't join the last, both fade. Waits while there is no room."""
        samples = block.samples
        with self._changed:
            while len(self) >= self.most and not self._is_closed:
                self._has_waited = True
                self._changed.wait(0.5)
            if not block.joins:
                self._fade_end()
                samples = samples.copy()
                samples[:FADE_LENGTH] *= _RAMP[::-1][: len(samples)]
            self._titles += [(self.n_in + place, title) for place, title in block.titles]
            self._blocks.append(samples)
            self.n_in += len(samples)
            self._changed.notify_all()

    def take(self, n_samples: int) -> Samples:
        """The next samples, as many as there are.

        Shape:
            `(samples, 2)`
        """
        with self._changed:
            parts = []
            while n_samples and self._blocks:
                first = self._blocks.popleft()
                parts.append(first[:n_samples])
                if len(first) > n_samples:
                    self._blocks.appendleft(first[n_samples:])
                n_samples -= len(parts[-1])
            self.n_out += sum(map(len, parts))
            self._changed.notify_all()
            return np.concatenate(parts) if parts else np.empty((0, 2), np.float32)

    def keep(self, n_samples: int) -> int:
        """Drop the oldest but so many samples; what is kept fades in. Returns how many were dropped."""
        with self._changed:
            n_dropped = max(len(self) - n_samples, 0)
            n_left = n_dropped
            while n_left:
                first = self._blocks.popleft()
                if len(first) > n_left:
                    self._blocks.appendleft(first[n_left:].copy())
                n_left -= min(len(first), n_left)
            self.n_out += n_dropped
            self.n_dropped += n_dropped
            if n_dropped and self._blocks:
                self._blocks[0] = faded_in(self._blocks[0])
            self._changed.notify_all()
            return n_dropped

    def take_titles(self) -> list[tuple[int, str]]:
        """Titles that begin before the sample to be taken next, with their samples as `n_in` counts them; told once.

        Of those that were dropped with their sound the last counts: it is what plays.
        """
        with self._changed:
            found = []
            while self._titles and self._titles[0][0] < self.n_out:
                found.append(self._titles.popleft())
            return found

    def take_waited(self) -> bool:
        """Whether somebody waited for room since the last call."""
        with self._changed:
            has_waited, self._has_waited = self._has_waited, False
            return has_waited

    def close(self) -> None:
        """Let who waits to bring go on."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _fade_end(self) -> None:
        if self._blocks:
            last = self._blocks[-1].copy()
            last[-FADE_LENGTH:] *= _RAMP[-len(last) :]
            self._blocks[-1] = last


def faded_in(samples: Samples) -> Samples:
    """Samples, `(samples, 2)`, that begin from silence."""
    faded = samples.copy()
    faded[:FADE_LENGTH] *= _RAMP[::-1][: len(faded)]
    return faded
