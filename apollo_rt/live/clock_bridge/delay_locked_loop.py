"""Delay-locked loop: holds two clocks together by how fast a ring is read, from how full it is.

A loop of three states after PipeWire (`spa/utils/dll.h`) and Adriaensen ("Controlling adaptive resampling", LAC 2012):

    error --- * w1 --- low-pass z1 --- low-pass z2 -+------------------ + --- correction
                                                    '-- integrator z3 --'

z3 learns how far the clocks are apart, z2 holds the ring at its target. Of second order and damped by 0.75 below the
two low-passes at 20 times the bandwidth, which keep out how unevenly devices call back. The bandwidth is wide at first
and narrows while nothing but noise is left; an error that is more than noise widens it again.
"""

import math

from apollo_rt.compiled.native import realtime
from apollo_rt.compiled.records import Record, new_record

MAX_CORRECTION = 0.005
"""0.5 %: fifty times what quartz clocks are apart, and a ninth of a semitone."""

_WIDEST_HZ, _NARROWEST_HZ = 0.128, 0.02
"""Bounds of the bandwidth: as PipeWire's, but for a lower end that still follows a clock that warms up."""

_FASTEST = 0.001
"""By how much more than what clocks are apart an error is worked off, at the widest bandwidth: 1.7 cents. It never
takes long, for what is farther off than `clock_model.STEP_S` is mended by a jump where it comes at once."""

_CUT_RATIO = 20.0
_DAMPING = 1.5
"""Twice the damping of the second-order loop."""

_OUTLIER = 4.0
"""An error so many times larger than a far one is a callback that came late, and does not steer."""

_WINDOW_LENGTH_S = 1.0
_NARROWING = 0.85
"""Of the bandwidth per window; from the widest to the narrowest in 12 s."""
_HZ_PER_SAMPLE = 0.02
_NOISE_SHARE = 3.0
"""A window's mean error counts as real where it is that many standard errors away from zero."""


class DelayLockedLoop(Record):
    """Holds the state of the loop; the playing side's.

    Attributes:
        correction: relative: by how much faster the ring is read than its nominal rate.
        z1: see above.
        z2: see above.
        z3: see above.
        bandwidth_hz: of the loop, at present.
        far_error: samples; a mean error beyond it is no matter of clocks.
        window_s: duration of the present window.
        window_count: updates in it.
        window_sum: of the error in it.
        window_squares: of the error in it, their sum.
    """

    correction: float
    z1: float
    z2: float
    z3: float
    bandwidth_hz: float
    far_error: float
    window_s: float
    window_count: float
    window_sum: float
    window_squares: float


def make_loop(far_error: float) -> DelayLockedLoop:
    """Allocate a loop that has learnt nothing yet.

    Args:
        far_error: samples; what is farther from the target for a second is mended by a jump, not by a correction.
    """
    loop = new_record(DelayLockedLoop)
    loop.far_error = far_error
    relock(loop)
    return loop


@realtime
def relock(loop: DelayLockedLoop) -> None:
    """Begin again after a jump; how far the clocks are apart is still known."""
    loop.z1 = loop.z2 = 0.0
    loop.correction = loop.z3
    loop.bandwidth_hz = _WIDEST_HZ
    _open_window(loop)


@realtime
def steer(loop: DelayLockedLoop, error: float, period_s: float, sample_rate: float, doubt: float = 0.0) -> bool:
    """Take the ring's error once more, and set `correction`.

    Args:
        loop: moves on.
        error: samples in the ring above its target.
        period_s: time since the last call.
        sample_rate: Hz, of the samples in the ring.
        doubt: samples by which the error itself may be wrong for longer than a second.

    Returns:
        False where the mean error of a second is far: the reader should jump, and the loop `relock`.
    """
    is_near = _observe(loop, error, period_s, doubt)
    if abs(error) > _OUTLIER * loop.far_error:
        return is_near
    angular = 2.0 * math.pi * loop.bandwidth_hz
    cut = 1.0 - math.exp(-_CUT_RATIO * angular * period_s)
    fastest = _FASTEST * loop.bandwidth_hz / _WIDEST_HZ
    loop.z1 += cut * (_DAMPING * angular / sample_rate * error - loop.z1)
    loop.z1 = min(max(loop.z1, -fastest), fastest)
    loop.z2 += cut * (loop.z1 - loop.z2)
    loop.z3 = _clamped(loop.z3 + angular * period_s / _DAMPING * loop.z2)
    loop.correction = _clamped(loop.z2 + loop.z3)
    return is_near


@realtime
def _observe(loop: DelayLockedLoop, error: float, period_s: float, doubt: float) -> bool:
    """Choose the bandwidth by what is left of a second's mean error without noise; False where that mean is far."""
    loop.window_s += period_s
    loop.window_count += 1.0
    loop.window_sum += error
    loop.window_squares += error * error
    if loop.window_s < _WINDOW_LENGTH_S:
        return True
    mean = loop.window_sum / loop.window_count
    variance = max(loop.window_squares / loop.window_count - mean * mean, 0.0)
    real = max(abs(mean) - _NOISE_SHARE * math.sqrt(variance / loop.window_count) - doubt, 0.0)
    wanted = max(real * _HZ_PER_SAMPLE, _NARROWING * loop.bandwidth_hz)
    loop.bandwidth_hz = min(max(wanted, _NARROWEST_HZ), _WIDEST_HZ)
    _open_window(loop)
    return bool(abs(mean) <= loop.far_error)


@realtime
def _open_window(loop: DelayLockedLoop) -> None:
    loop.window_s = loop.window_count = loop.window_sum = loop.window_squares = 0.0


@realtime
def _clamped(correction: float) -> float:
    return min(max(correction, -MAX_CORRECTION), MAX_CORRECTION)
