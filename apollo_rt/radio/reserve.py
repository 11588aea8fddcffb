"""The reserve of a radio: so much decoded sound is held back as its server is uneven, and no more.

    sender's clock -> [ what was decoded, what is queued for the engine ] -> device's clock
                       <-------------- the reserve ------------------>

A server's burst is cut to it; what the two clocks are apart is worked off by how fast it is read. The loop is of second
order, as that of two devices (`live.clock_bridge`), but goes by the least that was there over ten seconds and more: a
network is uneven by a thousand times what devices are, and the least of long windows hardly is.
"""

from collections import deque

_LEAST_S = 0.25
"""Twice the longest silence of MP3 and ADTS at 64 kbit/s (measured: 0.13 s)."""

_SPARE_S = 0.1
_LUMP_SHARE = 1.25
_GROWTH = 1.5
MOST_S = 30.0
_PERIOD_S = 0.1
_FAR_S = 0.5
_BURST_RATIO = 2.0
_POLL_S = 0.05
_WINDOW_S, _WINDOW_LUMPS = 10.0, 6.0
"""Over which the least is taken: what a network is uneven by shows in it, and nothing of when a packet came."""

_ANGULAR = 0.1
"""Angular frequency of the loop by the windows' length: a window late is a tenth of a radian."""

_DAMPING = 0.75
_FASTEST, _FARTHEST = 300e-6, 1000e-6
"""Most that an error is worked off by (half a cent), and most that clocks are apart."""


class Reserve:
    """Length of what is held back, and how fast it is read.

    Args:
        wanted_s: seconds; None: as the stream asks for.
        sample_rate: Hz.

    Attributes:
        correction: relative: by how much faster than its rate the stream is read.
        n_jumps: how often so much was dropped or waited for that it is where it should be.
    """

    def __init__(self, wanted_s: float | None, sample_rate: int) -> None:
        self.correction, self.n_jumps = 0.0, 0
        self._wanted_s, self._rate = wanted_s, sample_rate
        self._grown_s = 0.0
        self._lump_s = 0.0
        self._levels: deque[tuple[float, int]] = deque()
        self._next_s = 0.0
        self._learnt = 0.0
        self._polled: tuple[float, int] | None = None

    @property
    def duration_s(self) -> float:
        """Seconds that are held back."""
        if self._wanted_s is not None:
            return self._wanted_s
        return min(max(_LEAST_S, _LUMP_SHARE * self._lump_s + _SPARE_S, self._grown_s), MOST_S)

    @property
    def n_samples(self) -> int:
        """The same in samples."""
        return round(self.duration_s * self._rate)

    def note_lump(self, lump_s: float) -> None:
        """So much sound came at once; it is the stream's own, and asks for as much."""
        self._lump_s = max(self._lump_s, lump_s)

    def begin(self) -> None:
        """Begin to hold it anew."""
        self._levels.clear()
        self._polled = None
        self._next_s = 0.0
        self.correction = self._learnt  # how far the clocks are apart is still known

    def ran_dry(self) -> None:
        """It was too little: where the user leaves it to us, it grows."""
        self._grown_s = _GROWTH * self.duration_s

    def is_burst_over(self, n_in: int, now_s: float) -> bool:
        """Whether sound comes as fast as it plays, so that nothing more is to be cut.

        Args:
            n_in: samples that ever came.
            now_s: by a clock.
        """
        if self._polled is None:
            self._polled = (now_s, n_in)
            return False
        begin_s, n_before = self._polled
        if now_s - begin_s < _POLL_S:
            return False
        self._polled = (now_s, n_in)
        return (n_in - n_before) / self._rate < _BURST_RATIO * (now_s - begin_s) + self._lump_s

    def rest(self) -> None:
        """Steer nothing: the sender waits for us, so that there is one clock."""
        self._learnt = 0.0
        self.begin()

    def note_level(self, n_there: int, now_s: float, may_drop: bool = True) -> int:
        """Steer by what is there now.

        Args:
            n_there: samples, decoded and queued.
            now_s: by a clock.
            may_drop: what is too much may be dropped; else all of it is worked off.

        Returns:
            Samples to be dropped, which are too many to be worked off; 0 nearly always.
        """
        window_s = max(_WINDOW_S, _WINDOW_LUMPS * self._lump_s)
        while self._levels and self._levels[-1][1] >= n_there:
            self._levels.pop()
        self._levels.append((now_s, n_there))
        while self._levels[0][0] < now_s - window_s:
            self._levels.popleft()
        if not self._next_s:
            self._next_s = now_s + window_s
        if now_s < self._next_s:
            return 0
        period_s = _PERIOD_S + now_s - self._next_s
        self._next_s = now_s + _PERIOD_S
        # The least is there right before the next sound comes: a lump less than what is held back.
        error = self._levels[0][1] - max(self.n_samples - self._lump_s * self._rate, 0.0)
        error_s = error / self._rate
        if may_drop and error_s > max(_FAR_S, self._lump_s):
            self.n_jumps += 1
            self.begin()
            return round(error)
        angular = _ANGULAR / window_s
        self._learnt = _clamped(self._learnt + angular * angular * error_s * period_s, _FARTHEST)
        self.correction = self._learnt + _clamped(2.0 * _DAMPING * angular * error_s, _FASTEST)
        return 0


def _clamped(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)
