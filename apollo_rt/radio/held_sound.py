"""Sound of another clock, held at its reserve for the device that plays it; silent where nothing comes.

    sender's thread:  put -> SoundBuffer
    feed's thread:                 take: reserve, resampler -> queue of the engine

Where the buffer runs dry the engine's callback fades out; music begins again when the reserve is there again, so that
the latency is the same as before.
"""

import time
from collections import deque

import numpy as np

from apollo_rt.files.sound import Samples
from apollo_rt.radio.reserve import Reserve
from apollo_rt.radio.sound_buffer import SoundBuffer
from apollo_rt.stream.steered_converter import SteeredConverter

_AHEAD_S = 0.1
"""Sound in the engine's own queue, of the reserve: as long as the feed's thread may be late."""

_ROOM_S = 1.0
"""Beyond the reserve, where the sender is made to wait: more than a pipe holds (64 KiB are 0.37 s of 16 bits)."""

PART_LENGTH = 1024
"""Samples that are taken at once."""

_LEAST_REST_S = 0.05
"""Between two lumps; what comes within it came at once."""

_N_LUMPS = 8
_N_FEW_LUMPS = 3
"""As many may all be the server's own; of more, the longest may be a stall that won't come again."""


class HeldSound:
    """Sound that a sender's thread brings, given as a device plays.

    Args:
        buffer: where it comes from.
        reserve: how much is held back.
        sample_rate: Hz.
        waits: the sender is made to wait where too much comes; else what is too much is dropped.

    Attributes:
        n_stalls: how often nothing was there to be heard.
        is_waiting: nothing is given until the reserve is there.
    """

    def __init__(self, buffer: SoundBuffer, reserve: Reserve, sample_rate: int, waits: bool = False) -> None:
        self.n_stalls = 0
        self._buffer, self._reserve, self._rate, self._waits = buffer, reserve, sample_rate, waits
        self._converter = SteeredConverter(sample_rate, sample_rate)
        self.is_waiting = True
        self._arrival = (0.0, 0)  # when the last came, and how many had come by then
        self._lumps: deque[float] = deque(maxlen=_N_LUMPS)  # seconds that came at once, of late
        self._lump = (0.0, 0.0)  # the last one: when it began, and the seconds that nothing had come before
        self._n_lump = (0, 0)  # where it begins and ends
        self._was_lost = False

    def take(
        self, n_queued: int, lump_s: float, has_ended: bool, now_s: float | None = None, is_lost: bool = False
    ) -> Samples:
        """Samples for the engine now, `(samples, 2)`; none where it has enough, or there is nothing yet.

        Args:
            n_queued: samples that the engine has not taken yet.
            lump_s: the longest sound that came at once so far.
            has_ended: nothing more is brought.
            now_s: by a clock; None: the system's.
            is_lost: the sender is away, and no reserve would outlast that.
        """
        now_s = time.monotonic() if now_s is None else now_s
        if self._waits:
            self._buffer.most = self._reserve.n_samples + round(_ROOM_S * self._rate)
        self._note_arrival(now_s, is_lost)
        if self.is_waiting and not self._may_begin(max(lump_s, self._usual_lump_s()), has_ended, now_s):
            return np.empty((0, 2), np.float32)
        self.is_waiting = False
        if not len(self._buffer) and not n_queued and not has_ended:
            self._stall(is_lost)
        if n_queued > _AHEAD_S * self._rate:
            return np.empty((0, 2), np.float32)
        if self._waits and self._buffer.take_waited():
            self._reserve.rest()  # it goes by our clock
        else:
            self._hold(len(self._buffer) + n_queued, now_s)
        return self._converter.convert(self._buffer.take(PART_LENGTH), self._reserve.correction)

    def _note_arrival(self, now_s: float, is_lost: bool) -> None:
        """Tell lumps apart: several pages may come at once, after a rest that the reserve has to outlast."""
        self._was_lost |= is_lost
        (last_s, n_before), n_in = self._arrival, self._buffer.n_in
        if n_in == n_before:
            return
        rest_s = now_s - last_s
        if n_before and rest_s > _LEAST_REST_S:
            self._lumps.append(self._last_lump_s())
            self._lump = (now_s, 0.0 if self._was_lost else rest_s)  # a loss tells nothing of its length
            self._n_lump = (n_before, n_in)
        elif now_s - self._lump[0] <= _LEAST_REST_S:
            self._n_lump = (self._n_lump[0], n_in)
        self._arrival, self._was_lost = (now_s, n_in), is_lost

    def _last_lump_s(self) -> float:
        """Seconds that the last lump was waited for; 0 where it makes up for less than half, as after a pause."""
        begin, end = self._n_lump
        return self._lump[1] if end - begin >= self._lump[1] * self._rate / 2 else 0.0

    def _usual_lump_s(self) -> float:
        """Seconds between the lumps that the server sends."""
        lumps = sorted([*self._lumps, self._last_lump_s()])
        return lumps[-1 if len(lumps) <= _N_FEW_LUMPS else -2]

    def _may_begin(self, lump_s: float, has_ended: bool, now_s: float) -> bool:
        """Whether the reserve is there and no burst comes any more; what is more than the reserve is dropped."""
        self._reserve.note_lump(lump_s)
        n_wanted = self._reserve.n_samples
        # Between two lumps as much is on its way as plays meanwhile: half a lump later half a lump less need be there.
        on_its_way_s = min(now_s - self._arrival[0], lump_s) if len(self._buffer) else 0.0
        if len(self._buffer) + round(on_its_way_s * self._rate) < n_wanted and not has_ended:
            return False
        if not self._waits:
            is_over = self._reserve.is_burst_over(self._buffer.n_in, now_s)
            if not has_ended:
                self._buffer.keep(n_wanted)
            if not (is_over or has_ended):
                return False
        self._reserve.begin()
        return True

    def _hold(self, n_there: int, now_s: float) -> None:
        n_over = self._reserve.note_level(n_there, now_s, may_drop=not self._waits)
        if n_over and n_over < len(self._buffer):
            self._buffer.keep(len(self._buffer) - n_over)

    def _stall(self, is_lost: bool) -> None:
        """The engine has had all there was: wait for the reserve."""
        self.n_stalls += 1
        if not is_lost:
            self._reserve.ran_dry()
        self._reserve.begin()
        self.is_waiting = True


def compile_ahead(sample_rate: int) -> None:
    """Compile what it runs, before a sender waits for us."""
    SteeredConverter(sample_rate, sample_rate).convert(np.zeros((PART_LENGTH, 2), np.float32))
