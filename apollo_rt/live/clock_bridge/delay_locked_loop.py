"""The delay-locked loop that holds two clocks together: from how full a ring is to how fast it shall be read.

A loop of three states after PipeWire (`spa/utils/dll.h`) and Adriaensen ("Controlling adaptive resampling", LAC 2012):

    error --- * w1 --- low-pass z1 --- low-pass z2 -+------------------ + --- correction
                                                    '-- integrator z3 --'

z3 learns how far the clocks are apart, z2 holds the ring at its target. Of second order and damped by 0.75 below the
two low-passes at 20 times the bandwidth, which keep out how unevenly devices call back. The bandwidth is wide at first
and narrows while nothing but noise is left; an error that is more than noise widens it again.
"""

import math

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import realtime

Loop = NDArray[np.float64]
"""The loop's state, see the places below."""

(
    CORRECTION,  # relative: by how much faster the ring is read than its nominal rate
    _Z1,
    _Z2,
    _Z3,
    _BANDWIDTH_HZ,
    _FAR_ERROR,  # samples; a mean error beyond it is no matter of clocks
    _WINDOW_S,  # of the present window: duration, updates, sum and sum of squares of the error
    _WINDOW_COUNT,
    _WINDOW_SUM,
    _WINDOW_SQUARES,
) = range(10)

MAX_CORRECTION = 0.005
"""0.5 %: fifty times what quartz clocks are apart, and a ninth of a semitone."""

_WIDEST_HZ, _NARROWEST_HZ = 0.128, 0.02
"""Bounds of the bandwidth: as PipeWire's, but for a lower end that still follows a clock that warms up."""

_FASTEST = 0.001
"""By how much more than what clocks are apart an error is worked off, at the widest bandwidth: 1.7 cents. It never
takes long, for what is farther off than `time_base.STEP_S` is mended by a jump where it comes at once."""

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


def make_loop(far_error: float) -> Loop:
    """A loop that has learnt nothing yet.

    Args:
        far_error: samples; what is farther from the target for a second is mended by a jump, not by a correction.
    """
    loop = np.zeros(_WINDOW_SQUARES + 1)
    loop[_FAR_ERROR] = far_error
    relock(loop)
    return loop


@realtime
def relock(loop: Loop) -> None:
    """Begin again after a jump; how far the clocks are apart is still known."""
    loop[_Z1] = loop[_Z2] = 0.0
    loop[CORRECTION] = loop[_Z3]
    loop[_BANDWIDTH_HZ] = _WIDEST_HZ
    _open_window(loop)


@realtime
def steer(loop: Loop, error: float, period_s: float, sample_rate: float, doubt: float = 0.0) -> bool:
    """Take one look at the ring, and set `CORRECTION`.

    Args:
        loop: moves on.
        error: samples in the ring above its target.
        period_s: time since the last look.
        sample_rate: Hz, of the samples in the ring.
        doubt: samples by which the error itself may be wrong for longer than a second.

    Returns:
        False where the mean error of a second is far: the reader should jump, and the loop `relock`.
    """
    is_near = _observe(loop, error, period_s, doubt)
    if abs(error) > _OUTLIER * loop[_FAR_ERROR]:
        return is_near
    angular = 2.0 * math.pi * loop[_BANDWIDTH_HZ]
    cut = 1.0 - math.exp(-_CUT_RATIO * angular * period_s)
    fastest = _FASTEST * loop[_BANDWIDTH_HZ] / _WIDEST_HZ
    loop[_Z1] += cut * (_DAMPING * angular / sample_rate * error - loop[_Z1])
    loop[_Z1] = min(max(loop[_Z1], -fastest), fastest)
    loop[_Z2] += cut * (loop[_Z1] - loop[_Z2])
    loop[_Z3] = _clamped(loop[_Z3] + angular * period_s / _DAMPING * loop[_Z2])
    loop[CORRECTION] = _clamped(loop[_Z2] + loop[_Z3])
    return is_near


@realtime
def _observe(loop: Loop, error: float, period_s: float, doubt: float) -> bool:
    """Choose the bandwidth by what is left of a second's mean error without noise; False where that mean is far."""
    loop[_WINDOW_S] += period_s
    loop[_WINDOW_COUNT] += 1.0
    loop[_WINDOW_SUM] += error
    loop[_WINDOW_SQUARES] += error * error
    if loop[_WINDOW_S] < _WINDOW_LENGTH_S:
        return True
    mean = loop[_WINDOW_SUM] / loop[_WINDOW_COUNT]
    variance = max(loop[_WINDOW_SQUARES] / loop[_WINDOW_COUNT] - mean * mean, 0.0)
    real = max(abs(mean) - _NOISE_SHARE * math.sqrt(variance / loop[_WINDOW_COUNT]) - doubt, 0.0)
    wanted = max(real * _HZ_PER_SAMPLE, _NARROWING * loop[_BANDWIDTH_HZ])
    loop[_BANDWIDTH_HZ] = min(max(wanted, _NARROWEST_HZ), _WIDEST_HZ)
    _open_window(loop)
    return bool(abs(mean) <= loop[_FAR_ERROR])


@realtime
def _open_window(loop: Loop) -> None:
    loop[_WINDOW_S] = loop[_WINDOW_COUNT] = loop[_WINDOW_SUM] = loop[_WINDOW_SQUARES] = 0.0


@realtime
def _clamped(correction: float) -> float:
    return min(max(correction, -MAX_CORRECTION), MAX_CORRECTION)
