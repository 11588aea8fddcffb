"""Shaping: how much of what the model changed is taken, bin by bin, between the dry frame and the restored one.

    frame = dry + weight * (restored - dry)
    weight = above the crossover * (share * strength + (1 - share) * air)

The share of a bin is how much of its restored power was there before, averaged over about 16 hops (93 ms): 1 where the
model corrects what the codec left, 0 where it generates what the codec took. At the defaults nothing is touched.

Each value moves by a bounded step per hop, and overlap-add fades every step over one hop: nothing clicks.
"""

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_load, realtime
from apollo_rt.config import Framing
from apollo_rt.control.parameters import AIR_DB, CROSSOVER_HZ, PARAMETERS, STRENGTH
from apollo_rt.stream.stft import Frame

N_TARGETS = 3
"""Values that a shaping is told, which are what decides: strength, air as a factor, crossover in Hz."""
(
    _STRENGTH, _AIR, _CROSSOVER,  # what is wanted
    _NOW_STRENGTH, _NOW_AIR, _NOW_CROSSOVER,  # where it has got to
    _BIN_HZ,  # from one bin to the next
) = range(7)  # fmt: skip

_OFF_HZ, _NO_AIR_DB = PARAMETERS[CROSSOVER_HZ].minimum, PARAMETERS[AIR_DB].minimum
# A hop's longest steps: the whole range takes 12, 16 and 20 hops.
_STRENGTH_STEP, _AIR_STEP, _CROSSOVER_STEP = 1 / 8, 1 / 4, 2**0.5
# The crossover rises over a quarter of its frequency, but over two bins at least: about what the windows resolve.
_SLOPE, _LEAST_SLOPE_BINS = 0.25, 2.0
_FORGETTING = np.float32(1 / 16)
_TINY = np.float32(1e-20)


class Shaping(NamedTuple):
    """State of the shaping, carried from hop to hop.

    Attributes:
        values: see above.
        powers: averages of the dry and of the restored power of both channels.
    """

    values: Annotated[NDArray[np.float64], _BIN_HZ + 1]
    powers: Annotated[NDArray[np.float32], 2, "n_bins"]


def new_shaping(framing: Framing) -> Shaping:
    """A fresh state, which changes nothing."""
    values = np.array([1, 1, _OFF_HZ, 1, 1, _OFF_HZ, framing.sample_rate / framing.analysis_length], np.float64)
    return Shaping(values, np.zeros((2, framing.n_bins), np.float32))


@realtime
def read_targets(shaping: Shaping, parameters: NDArray[np.float64]) -> None:
    """Take what the user wants, between two hops; `parameters` are the live values, `(parameters,)`."""
    air_db = atomic_load(parameters, AIR_DB)
    shaping.values[_STRENGTH] = atomic_load(parameters, STRENGTH)
    shaping.values[_AIR] = 10.0 ** (air_db / 20.0) if air_db > _NO_AIR_DB else 0.0
    shaping.values[_CROSSOVER] = atomic_load(parameters, CROSSOVER_HZ)


@realtime
def reset_shaping(shaping: Shaping) -> None:
    """Forget what was; what is wanted stays, and holds from the first hop on."""
    shaping.powers[:] = 0


@realtime
def shape(shaping: Shaping, dry: Frame, restored: Frame, is_first: bool) -> None:
    """Weigh one frame, in place.

    Args:
        shaping: its state.
        dry: the input, as old as the restored frame.
        restored: the model's.
        is_first: nothing was heard before, so that no value needs to be led to its target.

    Shape:
        both (2, n_bins)
    """
    values, powers = shaping.values, shaping.powers
    was_neutral = _is_neutral(values)
    _move(values, is_first)
    if _is_neutral(values):
        if not was_neutral:
            powers[:] = 0
        return
    strength, air = np.float32(values[_NOW_STRENGTH]), np.float32(values[_NOW_AIR])
    crossover = values[_NOW_CROSSOVER]
    slope = 1.0 / max(_SLOPE * crossover, _LEAST_SLOPE_BINS * values[_BIN_HZ])
    for k in range(dry.shape[1]):
        power_dry = power_restored = np.float32(0)
        for channel in range(2):
            before, after = dry[channel, k], restored[channel, k]
            power_dry += before.real * before.real + before.imag * before.imag
            power_restored += after.real * after.real + after.imag * after.imag
        powers[0, k] += _FORGETTING * (power_dry - powers[0, k])
        powers[1, k] += _FORGETTING * (power_restored - powers[1, k])
        share = min(powers[0, k] / max(powers[1, k], _TINY), np.float32(1))
        weight = share * strength + (np.float32(1) - share) * air
        if crossover > _OFF_HZ:
            weight *= np.float32(min(max((k * values[_BIN_HZ] - crossover) * slope, 0.0), 1.0))
        for channel in range(2):
            restored[channel, k] = dry[channel, k] + weight * (restored[channel, k] - dry[channel, k])


@realtime
def _is_neutral(values: NDArray[np.float64]) -> bool:
    return values[_NOW_STRENGTH] == 1.0 and values[_NOW_AIR] == 1.0 and values[_NOW_CROSSOVER] <= _OFF_HZ  # type: ignore[no-any-return]


@realtime
def _move(values: NDArray[np.float64], at_once: bool) -> None:
    """Go a step towards the targets."""
    for place, step in ((_STRENGTH, _STRENGTH_STEP), (_AIR, _AIR_STEP)):
        far = values[place] - values[place + N_TARGETS]
        near = at_once or abs(far) <= step
        values[place + N_TARGETS] = values[place] if near else values[place + N_TARGETS] + (step if far > 0 else -step)
    ratio = values[_CROSSOVER] / values[_NOW_CROSSOVER]
    if at_once or 1 / _CROSSOVER_STEP <= ratio <= _CROSSOVER_STEP:
        values[_NOW_CROSSOVER] = values[_CROSSOVER]
    else:
        values[_NOW_CROSSOVER] *= _CROSSOVER_STEP if ratio > 1 else 1 / _CROSSOVER_STEP
