"""Mixer: wet and dry, crossfaded per sample by one gain; low cut and gain behind it.

Bypass, mix, a missing hop and its recovery all move the same gain, by at most `1 / FADE_LENGTH` per sample:

    target   what the user asks for, 0 in bypass       gain  ------.             .------
    limit    wet samples left / FADE_LENGTH                         `-._________.-'
                                                       wet   ============|       |=========

The limit reaches 0 with the last wet sample, so a miss never steps. Wet and dry are aligned and correlated: the gains
add up to one in amplitude, not in power. For delta they add up to zero, and what is missing is silence.

In bypass the low cut and the output gain are off as well: it is the input that is heard, at a gain of its own where its
level is matched.
"""

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import atomic_load, realtime
from apollo_rt.control.parameters import BYPASS, DELTA, LOW_CUT_HZ, MIX, OUTPUT_GAIN_DB, PARAMETERS, LiveValues
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.stream.sample_guard import LOUDEST_SAMPLE

(
    TARGET_WET, TARGET_DELTA, TARGET_GAIN, TARGET_LOW_CUT,  # what is wanted; the low cut in Hz, 0 for off
    WET, _DELTA, _GAIN,  # where they have got to
    _LOW_CUT, _LOW_CUT_SHARE,  # the filter's frequency in Hz, and how much of it is heard
    _TARGET_DRY, _DRY,  # gain of the input in bypass, and where it has got to
    _FILTER,  # its state: two numbers for each channel
) = range(12)  # fmt: skip
N_MIXER = _FILTER + 4
"""Length of a mixer, a float64 array: what it is told, and all that it carries from sample to sample."""
Mixer = Annotated[NDArray[np.float64], N_MIXER]

_STEP = 1.0 / FADE_LENGTH
_SLOW_STEP, _CUT_STEP_HZ = 1.0 / 512.0, 1.0
_DRY_STEP = 1.0 / 128.0
_OFF_HZ = PARAMETERS[LOW_CUT_HZ].minimum
_DAMPING = math.sqrt(2.0)  # Butterworth
_NOTHING = 1e-60  # far below any float32: a filter's state that small would only cost the time of denormals


def new_mixer(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """A mixer that stands where the parameters want it.

    Shape:
        (parameters,), as in `Parameters.values` -> (N_MIXER,)
    """
    mixer = np.zeros(N_MIXER)
    read_mixer_targets(mixer, parameters)
    mixer[WET : _GAIN + 1] = mixer[TARGET_WET : TARGET_GAIN + 1]
    mixer[_DRY] = mixer[_TARGET_DRY]
    mixer[_LOW_CUT], mixer[_LOW_CUT_SHARE] = mixer[TARGET_LOW_CUT] or _OFF_HZ, mixer[TARGET_LOW_CUT] > 0
    return mixer


@entry
@realtime
def read_mixer_targets(mixer: Mixer, parameters: LiveValues) -> None:
    """Take what the user wants, once per block; `parameters` are the live values of `Parameters`.

    Shape:
        mixer (N_MIXER,), parameters (parameters,)
    """
    aim_mixer(mixer, parameters, is_bypassed(parameters), 1.0)


@realtime
def is_bypassed(parameters: NDArray[np.float64]) -> bool:
    """Tell whether the user wants to hear the input.

    Shape:
        (parameters,), as in `Parameters.values`
    """
    return bool(atomic_load(parameters, BYPASS) != 0.0)


@realtime
def aim_mixer(mixer: NDArray[np.float64], parameters: NDArray[np.float64], bypass: bool, dry_gain: float) -> None:
    """Take what the user wants, with or without bypass, whatever its switch says.

    Args:
        mixer: see above.
        parameters: live values.
        bypass: the input is heard.
        dry_gain: of the input in bypass; 1 leaves it as it is.

    Shape:
        mixer (N_MIXER,), parameters (parameters,)
    """
    mixer[TARGET_WET] = 0.0 if bypass else atomic_load(parameters, MIX)
    mixer[TARGET_DELTA] = 0.0 if bypass else atomic_load(parameters, DELTA)
    gain_db, low_cut = atomic_load(parameters, OUTPUT_GAIN_DB), atomic_load(parameters, LOW_CUT_HZ)
    mixer[TARGET_GAIN] = 10.0 ** (gain_db / 20.0) if not bypass and gain_db != 0.0 else 1.0
    mixer[TARGET_LOW_CUT] = low_cut if not bypass and low_cut > _OFF_HZ else 0.0
    mixer[_TARGET_DRY] = dry_gain if bypass else 1.0


@realtime
def crossfade(
    dry: NDArray[np.float32], wet: NDArray[np.float32], n_wet: int, mixer: NDArray[np.float64], out: NDArray[np.float32]
) -> int:
    """Mix one stretch of samples; at a gain of exactly 0 or 1 a signal passes bit for bit.

    Args:
        dry: the delayed input.
        wet: the restored signal, aligned with it; read only where it counts.
        n_wet: how many wet samples are there from the beginning of this stretch on, those behind it included; 0 if its
            first is missing (then none of the stretch may be there).
        mixer: see above.
        out: the mixture.

    Returns:
        In how many samples the target was out of reach because wet samples were missing.

    Shape:
        all `(samples, 2)`
    """
    n_covered, gain, delta, level = 0, mixer[WET], mixer[_DELTA], mixer[_DRY]
    target, target_delta = mixer[TARGET_WET], mixer[TARGET_DELTA]
    for index in range(out.shape[0]):
        limit = max(n_wet - index, 0) * _STEP
        gain = min(_approached(gain, target, _STEP), limit)
        delta = _approached(delta, target_delta, _STEP)
        level = _approached(level, mixer[_TARGET_DRY], _DRY_STEP)
        n_covered += limit < target
        dry_gain = level * ((1.0 - delta) - gain)
        for channel in range(2):
            if dry_gain == 1.0 and gain == 0.0:
                out[index, channel] = dry[index, channel]
            elif gain == 0.0:
                out[index, channel] = np.float32(dry_gain * dry[index, channel])
            else:
                out[index, channel] = np.float32(gain * wet[index, channel] + dry_gain * dry[index, channel])
    mixer[WET], mixer[_DELTA], mixer[_DRY] = gain, delta, level
    return n_covered


@realtime
def _approached(value: float, target: float, step: float) -> float:
    return max(min(target, value + step), value - step)


@realtime
def finish(mixer: NDArray[np.float64], block: NDArray[np.float32], sample_rate: float) -> None:
    """Low cut and output gain, in place; touches nothing where both are off.

    Samples that are no audio are left to the guard. Every value moves per sample, so that the sizes of blocks don't
    show: the gain and the filter's share by at most 1/512, its frequency by 1 Hz.

    Shape:
        (samples, 2)

    Source of the filter: a state-variable filter of second order, integrated by the trapezoidal rule, which stays
    stable while its frequency moves. Simper, "Solving the continuous SVF equations using trapezoidal integration and
    equivalent currents", Cytomic, 2013.
    """
    wanted, target = mixer[TARGET_LOW_CUT], mixer[TARGET_GAIN]
    if wanted == 0.0 and mixer[_LOW_CUT_SHARE] == 0.0 and target == 1.0 and mixer[_GAIN] == 1.0:
        return
    gain, share, cut = mixer[_GAIN], mixer[_LOW_CUT_SHARE], mixer[_LOW_CUT]
    if share == 0.0 and wanted > 0.0:
        cut = wanted
    warped = math.tan(math.pi * cut / sample_rate)
    for index in range(block.shape[0]):
        gain = _approached(gain, target, _SLOW_STEP)
        share = _approached(share, 1.0 if wanted > 0.0 else 0.0, _SLOW_STEP)
        if wanted > 0.0 and cut != wanted:
            cut = _approached(cut, wanted, _CUT_STEP_HZ)
            warped = math.tan(math.pi * cut / sample_rate)
        for channel in range(2):
            sample = block[index, channel]
            if abs(sample) <= LOUDEST_SAMPLE:
                high = _high_passed(mixer, _FILTER + 2 * channel, warped, sample) if share > 0.0 else 0.0
                block[index, channel] = np.float32(gain * (sample + share * (high - sample)))
    mixer[_GAIN], mixer[_LOW_CUT_SHARE], mixer[_LOW_CUT] = gain, share, cut
    for place in range(_FILTER, N_MIXER):
        if share == 0.0 or abs(mixer[place]) < _NOTHING:
            mixer[place] = 0.0


@realtime
def _high_passed(mixer: NDArray[np.float64], place: int, warped: float, sample: float) -> float:
    """One sample through the filter whose two numbers lie at `place`."""
    inner, outer = mixer[place], mixer[place + 1]
    scale = 1.0 / (1.0 + warped * (warped + _DAMPING))
    band = scale * (inner + warped * (sample - outer))
    low = outer + warped * band
    mixer[place], mixer[place + 1] = 2.0 * band - inner, 2.0 * low - outer
    return float(sample - _DAMPING * band - low)
