"""When a device really takes or gives its samples, told from calls that come late: in pairs, in bursts, by tens of ms.

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

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import realtime

TimeBase = NDArray[np.float64]
"""The line and what it is fitted from, see the places below."""

(
    _RATE,  # Hz, as the device says
    _SKEW,  # relative: by how much longer its samples take
    _AT_S,  # a point of the line: time
    _AT_SAMPLE,  # and sample
    _N_FITTED,  # windows that tell where the line lies
    _N_TIMED,  # and windows that tell how steep it is
    _WINDOW_S,  # when the present window began
    _LEAST_LATE_S,  # call of it
    _LAST_S,  # when the last call came
    _LATE_WINDOWS,  # how many windows in a row were late as a whole
    _LATE_BY_S,  # the last of them
    _IS_KNOWN,  # 1: there is a line
    _SCATTER_S,  # how far windows lie from the line, on average
    _LAST_SAMPLE,  # of the last call
    _N_CALLS,  # in the present window
) = range(15)

N_PLACES = _N_CALLS + 1

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


def reset_base(base: TimeBase, rate: float) -> None:
    """Begin with nothing known.

    Args:
        base: float64 (N_PLACES,).
        rate: Hz, as the device says.
    """
    base[:] = 0.0
    base[_RATE] = rate


@realtime
def time_of(base: TimeBase, sample: float) -> float:
    """When the device takes or gives a sample, in s."""
    return float(base[_AT_S] + (sample - base[_AT_SAMPLE]) / base[_RATE] * (1.0 + base[_SKEW]))


@realtime
def sample_at(base: TimeBase, time_s: float) -> float:
    """Which sample the device takes or gives at a moment."""
    return float(base[_AT_SAMPLE] + (time_s - base[_AT_S]) * base[_RATE] / (1.0 + base[_SKEW]))


@realtime
def find_anew(base: TimeBase) -> None:
    """The stream has broken: forget where the line lies, not how fast the clock is."""
    base[_IS_KNOWN] = base[_N_FITTED] = 0.0


@realtime
def is_found(base: TimeBase) -> bool:
    """Whether a whole window has been seen of the line; before that it lies somewhere about."""
    return bool(base[_N_FITTED] > 0.0)


@realtime
def scatter_s(base: TimeBase) -> float:
    """How far windows lie from the line, on average: so far it may be off itself for a while."""
    return float(base[_SCATTER_S])


@realtime
def note_call(base: TimeBase, sample: float, time_s: float) -> bool:
    """Take notice of one call.

    Args:
        base: moves on.
        sample: how many samples had gone through the device by this call, those that it asks for not included.
        time_s: when it came.

    Returns:
        True where the line is another one from now on, not only a better one.
    """
    gap_s = time_s - base[_LAST_S] - (sample - base[_LAST_SAMPLE]) / base[_RATE]
    base[_LAST_S], base[_LAST_SAMPLE] = time_s, sample
    if base[_IS_KNOWN] == 0.0 or gap_s > _GAP_S:
        find_anew(base)
        base[_IS_KNOWN] = 1.0
        base[_AT_S], base[_AT_SAMPLE] = time_s, sample
        _open_window(base, time_s)
        return False
    late_s = time_s - time_of(base, sample)
    has_moved = False
    if late_s < -_EARLY_S or (base[_N_FITTED] == 0.0 and late_s < 0.0):
        has_moved = base[_N_FITTED] > 0.0 and late_s < -STEP_S
        base[_AT_S] += late_s
        base[_LEAST_LATE_S] -= late_s
        late_s = 0.0
    length_s = time_s - base[_WINDOW_S]
    if length_s >= WINDOW_LENGTH_S and base[_N_CALLS] >= WINDOW_CALLS:
        has_moved |= _close_window(base, sample, length_s)
        late_s = time_s - time_of(base, sample)
        _open_window(base, time_s)
    base[_LEAST_LATE_S] = min(base[_LEAST_LATE_S], late_s)
    base[_N_CALLS] += 1.0
    return bool(has_moved)


@realtime
def _open_window(base: TimeBase, time_s: float) -> None:
    base[_WINDOW_S], base[_LEAST_LATE_S], base[_N_CALLS] = time_s, 1e9, 0.0


@realtime
def _close_window(base: TimeBase, sample: float, length_s: float) -> bool:
    """Fit the line to what the window told; says whether it is another line."""
    late_s = base[_LEAST_LATE_S]
    is_first = base[_N_FITTED] == 0.0
    if late_s > STEP_S and not is_first:
        is_same = base[_LATE_WINDOWS] > 0.0 and abs(late_s - base[_LATE_BY_S]) < _SAME_S
        base[_LATE_WINDOWS], base[_LATE_BY_S] = base[_LATE_WINDOWS] + 1.0, late_s
        if is_same:
            base[_AT_S] += late_s
            base[_LATE_WINDOWS] = 0.0
        return bool(is_same)
    base[_LATE_WINDOWS] = 0.0
    base[_N_FITTED] = min(base[_N_FITTED] + 1.0, float(_MEMORY))
    if not is_first:
        base[_SCATTER_S] += _SCATTER_SHARE * (abs(late_s) - base[_SCATTER_S])
    n = base[_N_FITTED]
    at_s = time_of(base, sample) + 2.0 * (2.0 * n - 1.0) / (n * (n + 1.0)) * late_s
    if not is_first:
        base[_N_TIMED] = min(base[_N_TIMED] + 1.0, float(_MEMORY))
        n = base[_N_TIMED] + 1.0 + _PRIOR
        skew = base[_SKEW] + 6.0 / (n * (n + 1.0)) * late_s / length_s
        base[_SKEW] = min(max(skew, -_MAX_SKEW), _MAX_SKEW)
    base[_AT_S], base[_AT_SAMPLE] = at_s, sample
    return bool(is_first)
