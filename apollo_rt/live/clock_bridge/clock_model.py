"""Clock model of a device: tells when it really takes or gives its samples, from calls that come late.

A device may call late, but never early. Of a quarter of a second, or of 32 calls, only the one that is least late
counts, and through these a straight line is fitted:

    time        x  x                              x  calls
      |      x     |  x  x     x                  o  the least late one of a window
      |   x     x  o     |  x  |  x  x            -  the line: time = origin + samples / rate * (1 + skew)
      |   o------------- o ----o---------- o --
      +---------------------------------------- samples

The fit is a least-squares line of growing memory, then of fading memory (the alpha-beta filter with the gains of an
expanding polynomial: Morrison, "Introduction to Sequential Smoothing and Prediction", 1969, ch. 9 and 13). Where a
stream breaks (an underrun that the device makes up for by silence, a stall, a suspended machine) the line is found
anew: every call of two windows is late by the same then, or none came for longer than a busy machine explains.
"""

from apollo_rt.compiled.native import realtime
from apollo_rt.compiled.records import Record, new_record

WINDOW_LENGTH_S, WINDOW_CALLS = 0.25, 32
"""A window has at least so many calls, too: those of long blocks that a server passes on in short ones are late by an
amount that beats slowly (measured: 3 ms, over 0.75 s, with blocks of 46 ms and a listener that wants 10)."""
STEP_S = 0.001
"""A line that moves by more is another line. Measured behind PulseAudio 16 on a busy machine: windows lie within 0.1 ms
of the line, and an underrun moves it by a period, 4 ms and more."""

_EARLY_S = 0.0005
_SAME_S = 0.0005
"""Two late windows that are as late tell of another line; two that are not, of a busy machine."""
_GAP_S = 0.2
"""A call that comes so much later than its samples take ends the stream that was."""
_MEMORY = 16
"""Windows in the fit at most: 4 s."""
_PRIOR = 1
"""Windows for which a clock counts as right before anything is known of it."""
_MAX_SKEW = 0.005
_SCATTER_SHARE = 0.1


class ClockModel(Record):
    """Holds the line of one device, and what it is fitted from; the playing side's.

    Attributes:
        rate: Hz, as the device says.
        skew: relative: by how much longer its samples take.
        at_s: a point of the line: time.
        at_sample: and sample.
        n_fitted: windows that tell where the line lies.
        n_timed: and windows that tell how steep it is.
        window_s: when the present window began.
        least_late_s: call of it.
        last_s: when the last call came.
        late_windows: how many windows in a row were late as a whole.
        late_by_s: the last of them.
        is_known: 1: there is a line.
        scatter_s: how far windows lie from the line, on average.
        last_sample: of the last call.
        n_calls: in the present window.
    """

    rate: float
    skew: float
    at_s: float
    at_sample: float
    n_fitted: float
    n_timed: float
    window_s: float
    least_late_s: float
    last_s: float
    late_windows: float
    late_by_s: float
    is_known: float
    scatter_s: float
    last_sample: float
    n_calls: float


def make_clock_model(rate: float) -> ClockModel:
    """Allocate a model of which nothing is known.

    Args:
        rate: Hz, as the device says.
    """
    clock = new_record(ClockModel)
    clock.rate = rate
    return clock


@realtime
def time_of(clock: ClockModel, sample: float) -> float:
    """Tell when the device takes or gives a sample, in s."""
    return float(clock.at_s + (sample - clock.at_sample) / clock.rate * (1.0 + clock.skew))


@realtime
def sample_at(clock: ClockModel, time_s: float) -> float:
    """Tell which sample the device takes or gives at a moment."""
    return float(clock.at_sample + (time_s - clock.at_s) * clock.rate / (1.0 + clock.skew))


@realtime
def find_anew(clock: ClockModel) -> None:
    """Forget where the line lies, not how fast the clock is: the stream has broken."""
    clock.is_known = clock.n_fitted = 0.0


@realtime
def is_found(clock: ClockModel) -> bool:
    """Tell whether a whole window has been seen of the line; before that it lies somewhere about."""
    return bool(clock.n_fitted > 0.0)


@realtime
def scatter_s(clock: ClockModel) -> float:
    """Give how far windows lie from the line, in s, on average: so far it may be off itself for a while."""
    return float(clock.scatter_s)


@realtime
def note_call(clock: ClockModel, sample: float, time_s: float) -> bool:
    """Take notice of one call.

    Args:
        clock: moves on.
        sample: how many samples had gone through the device by this call, those that it asks for not included.
        time_s: when it came.

    Returns:
        True where the line is another one from now on, not only a better one.
    """
    gap_s = time_s - clock.last_s - (sample - clock.last_sample) / clock.rate
    clock.last_s, clock.last_sample = time_s, sample
    if clock.is_known == 0.0 or gap_s > _GAP_S:
        find_anew(clock)
        clock.is_known = 1.0
        clock.at_s, clock.at_sample = time_s, sample
        _open_window(clock, time_s)
        return False
    late_s = time_s - time_of(clock, sample)
    has_moved = False
    if late_s < -_EARLY_S or (clock.n_fitted == 0.0 and late_s < 0.0):
        has_moved = clock.n_fitted > 0.0 and late_s < -STEP_S
        clock.at_s += late_s
        clock.least_late_s -= late_s
        late_s = 0.0
    length_s = time_s - clock.window_s
    if length_s >= WINDOW_LENGTH_S and clock.n_calls >= WINDOW_CALLS:
        has_moved |= _close_window(clock, sample, length_s)
        late_s = time_s - time_of(clock, sample)
        _open_window(clock, time_s)
    clock.least_late_s = min(clock.least_late_s, late_s)
    clock.n_calls += 1.0
    return bool(has_moved)


@realtime
def _open_window(clock: ClockModel, time_s: float) -> None:
    clock.window_s, clock.least_late_s, clock.n_calls = time_s, 1e9, 0.0


@realtime
def _close_window(clock: ClockModel, sample: float, length_s: float) -> bool:
    """Fit the line to what the window told; says whether it is another line."""
    late_s = clock.least_late_s
    is_first = clock.n_fitted == 0.0
    if late_s > STEP_S and not is_first:
        is_same = clock.late_windows > 0.0 and abs(late_s - clock.late_by_s) < _SAME_S
        clock.late_windows, clock.late_by_s = clock.late_windows + 1.0, late_s
        if is_same:
            clock.at_s += late_s
            clock.late_windows = 0.0
        return bool(is_same)
    clock.late_windows = 0.0
    clock.n_fitted = min(clock.n_fitted + 1.0, float(_MEMORY))
    if not is_first:
        clock.scatter_s += _SCATTER_SHARE * (abs(late_s) - clock.scatter_s)
    n = clock.n_fitted
    at_s = time_of(clock, sample) + 2.0 * (2.0 * n - 1.0) / (n * (n + 1.0)) * late_s
    if not is_first:
        clock.n_timed = min(clock.n_timed + 1.0, float(_MEMORY))
        n = clock.n_timed + 1.0 + _PRIOR
        skew = clock.skew + 6.0 / (n * (n + 1.0)) * late_s / length_s
        clock.skew = min(max(skew, -_MAX_SKEW), _MAX_SKEW)
    clock.at_s, clock.at_sample = at_s, sample
    return bool(is_first)
