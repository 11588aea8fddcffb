"""A run of Pedalboard's own plugins (built-in, VST3, AU): one real `pedalboard.Pedalboard`, at a constant latency.

A native plugin with a latency cuts it off: what comes out lies on what went in, but comes late and in bursts. So the
run is fed in pieces of one size, and a queue that begins with as much silence as is ever held back makes it constant.

```
 any block -> pieces of 512 -> Pedalboard -> queue -> as many samples        plugins that hold something back
 any block -> Pedalboard -> as many samples                                  all others
```

Measured with Pedalboard 0.9.26, and minded here: it takes a first block of two stereo samples or fewer for something
else than two channels, and forgets what it has heard when a block is longer than the first one was.
"""

from collections.abc import Iterator, Sequence
from threading import Lock, RLock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from apollo_rt.effects.effect import Samples
from apollo_rt.plugins.held_back import most_held_back
from apollo_rt.plugins.pedalboard_plugins import make_board

_PIECE = 512
_LONGEST_BUFFER = 8192
_SHORTEST_FIRST_BLOCK, _PRIMING = 16, 64
_LONGEST_LATENCY_S = 30.0
_SPARE = 64
"""What plugins that convert sample rates hold back wanders by a few samples (measured: 5)."""

_locks: "WeakKeyDictionary[Any, RLock]" = WeakKeyDictionary()
_locks_lock = Lock()


def lock_of(plugin: Any) -> RLock:
    """Lock that keeps two boards from playing through a shared plugin at once; Pedalboard minds a single call."""
    with _locks_lock:
        return _locks.setdefault(plugin, RLock())


class NativeRun:
    """Plugins one after the other.

    Args:
        plugins: Pedalboard's own; no other run may use them.

    Attributes:
        board: the real one.
        latency: samples, since the last `start`.
    """

    def __init__(self, plugins: Sequence[Any]) -> None:
        """Make the board."""
        self.board = make_board(plugins)
        self.latency = 0

    def start(self, sample_rate: float, n_channels: int) -> int:
        """Begin a stream; what the plugins hold back is found out with silence. Returns the latency in samples.

        Raises:
            ValueError: 30 s of sound are held back.
        """
        self._sample_rate = sample_rate
        self._buffer_size = _PIECE
        self.board.reset()
        most, _ = most_held_back(self._through, (n_channels, _PIECE), sample_rate, _LONGEST_LATENCY_S)
        self.board.reset()
        self._waiting = np.zeros((n_channels, 0), np.float32)
        self._is_late = most > 0
        self.latency = most + _SPARE + _PIECE - 1 if most else 0
        self._queue = np.zeros((n_channels, self.latency), np.float32)
        self._is_fresh = True
        return self.latency

    def push(self, block: Samples) -> Samples:
        """As many samples out as in, `latency` later.

        Raises:
            RuntimeError: the plugins hold more back than when the stream began.
        """
        if not self._is_late:
            return self._at_once(block)
        n_samples = block.shape[1]
        ready = np.concatenate([self._queue, *map(self._through, self._pieces(block))], axis=1)
        if ready.shape[1] < n_samples:
            raise RuntimeError(
                f"{self.board} holds back more samples than when the stream began; "
                "call reset() after changing what its latency depends on"
            )
        self._queue = ready[:, n_samples:]
        return ready[:, :n_samples]

    def whole(self, audio: Samples, sample_rate: float, buffer_size: int) -> Samples:
        """All of a sound in one call, which Pedalboard aligns.

        Raises:
            RuntimeError: what comes out isn't as long.
        """
        n_samples = audio.shape[1]
        padded = np.pad(audio, ((0, 0), (0, max(_PRIMING - n_samples, 0))))
        out: Samples = self.board.process(padded, sample_rate, buffer_size, reset=True)
        self.board.reset()
        if out.shape != padded.shape:
            raise RuntimeError(f"{self.board} gave {out.shape[-1]} samples for {padded.shape[1]}")
        return out[:, :n_samples]

    def forget(self) -> None:
        """End the stream."""
        self.board.reset()

    def _at_once(self, block: Samples) -> Samples:
        if block.shape[1] == 0:
            return block
        if self._is_fresh:
            self._is_fresh = False
            self._buffer_size = min(block.shape[1], _LONGEST_BUFFER)
            if self._buffer_size < _SHORTEST_FIRST_BLOCK:
                self._buffer_size = _PRIMING
                self._through(np.zeros((len(block), _PRIMING), np.float32))
        out = self._through(block)
        if out.shape != block.shape:
            raise RuntimeError(
                f"{self.board} gave {out.shape[1]} samples for {block.shape[1]} and held nothing back before; "
                "call reset() after changing what its latency depends on"
            )
        return out

    def _through(self, block: Samples) -> Samples:
        out: Samples = self.board.process(block, self._sample_rate, self._buffer_size, reset=False)
        return out.reshape(len(block), -1)

    def _pieces(self, block: Samples) -> Iterator[Samples]:
        waiting = np.concatenate((self._waiting, block), axis=1)
        end = waiting.shape[1] // _PIECE * _PIECE
        self._waiting = waiting[:, end:]
        for begin in range(0, end, _PIECE):
            yield waiting[:, begin : begin + _PIECE]
