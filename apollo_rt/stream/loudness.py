"""Loudness of the input and of what is made of it, by ITU-R BS.1770-4: K-weighted power, gated.

Compiled code adds up the weighted power of both, in parts of 100 ms; whoever wants a loudness makes it of the newest
parts with `integrated_lufs`, beside the audio path:

    input ----------------------> K-weighting -> power -> parts of 100 ms
    restored -> mix, cut, gain -> K-weighting -> power -> parts of 100 ms
"""

import math
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import realtime
from apollo_rt.compiled.records import Record, new_record, store
from apollo_rt.control.parameters import BYPASS
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.stream.mixer import N_MIXER, aim_mixer, crossfade, finish, new_mixer
from apollo_rt.stream.sample_guard import LOUDEST_SAMPLE

N_PARTS = 256
"""Parts that are kept, 25.6 s; who reads keeps away from the oldest."""
PART_S = 0.1
"""A quarter of a gating block, which overlap by 75 %: BS.1770-4, annex 1."""
PARTS_PER_BLOCK = 4

_OFFSET_LUFS = -0.691
_ABSOLUTE_GATE_LUFS, _RELATIVE_GATE_LU = -70.0, -10.0

# The two filters of BS.1770-4 as they would be in analogue, so that they can be had at any rate: De Man, "Evaluation of
# implementations of the EBU R128 loudness measurement", AES 145 (2018). At 48 kHz they give the tables of annex 1.
_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_CUT_HZ, _CUT_Q = 38.13547087602444, 0.5003270373238773
_SHELF_BAND = 0.4996667741545416


class LoudnessProgress(Record):
    """Tells how far the measure has got; the worker's.

    Attributes:
        is_wanted: somebody compares by ear; else nothing is measured.
        n_parts: since the start.
        n_samples: of the part that isn't complete.
        part_length: in samples.
        sample_rate: Hz.
        dry: weighted energy of the input in that part.
        restored: the same of what is made of it.
    """

    is_wanted: int
    n_parts: int
    n_samples: int
    part_length: int
    sample_rate: int
    dry: float
    restored: float


class LoudnessMeter(NamedTuple):
    """Measures two signals of the same moments.

    Attributes:
        weighting: coefficients of both filters: b0, b1, b2, a1, a2.
        filters: their states: signal, channel and filter, in that order.
        mixer: makes what is heard without bypass.
        scratch: input, and what is made of it.
        parts: mean weighted power of both, the channels' sum; part n lies at n modulo `N_PARTS`.
        progress: see above.
    """

    weighting: Annotated[NDArray[np.float64], 2, 5]
    filters: Annotated[NDArray[np.float64], 8, 2]
    mixer: Annotated[NDArray[np.float64], N_MIXER]
    scratch: Annotated[NDArray[np.float32], 2, "hop_length", 2]
    parts: Annotated[NDArray[np.float64], N_PARTS, 2]
    progress: LoudnessProgress


def make_loudness_meter(hop_length: int, sample_rate: int, parameters: NDArray[np.float64]) -> LoudnessMeter:
    """Allocate a meter that has heard nothing.

    Shape:
        parameters (parameters,), as in `Parameters.values`
    """
    progress = new_record(LoudnessProgress)
    progress.part_length, progress.sample_rate = round(PART_S * sample_rate), sample_rate
    return LoudnessMeter(
        weighting=k_weighting(sample_rate),
        filters=np.zeros((8, 2)),
        mixer=new_mixer(parameters),
        scratch=np.zeros((2, hop_length, 2), np.float32),
        parts=np.zeros((N_PARTS, 2)),
        progress=progress,
    )


def k_weighting(sample_rate: float) -> NDArray[np.float64]:
    """Coefficients of K-weighting: b0, b1, b2, a1, a2 of the shelf, then of the cut.

    Args:
        sample_rate: Hz.

    Shape:
        (2, 5)
    """
    warped, gain = math.tan(math.pi * _SHELF_HZ / sample_rate), 10.0 ** (_SHELF_DB / 20.0)
    band, square, damping = gain**_SHELF_BAND, warped * warped, warped / _SHELF_Q
    shelf = [gain + band * damping + square, 2.0 * (square - gain), gain - band * damping + square]
    scale = 1.0 + damping + square
    poles = [2.0 * (square - 1.0), 1.0 - damping + square]
    warped = math.tan(math.pi * _CUT_HZ / sample_rate)
    square, damping = warped * warped, warped / _CUT_Q
    cut_poles = [2.0 * (square - 1.0), 1.0 - damping + square]
    return np.array(
        [
            [value / scale for value in (*shelf, *poles)],
            [1.0, -2.0, 1.0, *(value / (1.0 + damping + square) for value in cut_poles)],
        ]
    )


def sounding_values(parameters: NDArray[np.float64]) -> list[float]:
    """Values that change what is made of the input: all but the switch that asks for the input itself.

    Shape:
        (parameters,), as in `Parameters.values`
    """
    return [float(value) for index, value in enumerate(parameters) if index != BYPASS]


def lufs(power: float) -> float:
    """Loudness of a weighted power; minus infinity for silence."""
    return _OFFSET_LUFS + 10.0 * math.log10(power) if power > 0.0 else -math.inf


def integrated_lufs(parts: NDArray[np.float64]) -> float:
    """Gate and integrate the loudness of one signal; minus infinity where nothing passes, or for lack of parts.

    Args:
        parts: mean weighted power of each 100 ms, without a gap.

    Shape:
        (parts,)

    Source: ITU-R BS.1770-4, annex 1, equations 5 to 7.
    """
    if len(parts) < PARTS_PER_BLOCK:
        return -math.inf
    blocks = np.convolve(parts, np.full(PARTS_PER_BLOCK, 1.0 / PARTS_PER_BLOCK), "valid")
    loud = blocks[blocks > _power(_ABSOLUTE_GATE_LUFS)]
    if not len(loud):
        return -math.inf
    gate = loud.mean() * 10.0 ** (_RELATIVE_GATE_LU / 10.0)
    return lufs(float(loud[loud > gate].mean()))


def _power(loudness_lufs: float) -> float:
    return float(10.0 ** ((loudness_lufs - _OFFSET_LUFS) / 10.0))


@realtime
def measure(
    meter: LoudnessMeter, dry: NDArray[np.float32], wet: NDArray[np.float32], parameters: NDArray[np.float64]
) -> None:
    """Measure the input, and what is heard of the restoration without bypass.

    Args:
        meter: see above.
        dry: input.
        wet: restored, aligned with it.
        parameters: live values.

    Shape:
        dry, wet (hop_length, 2), parameters (parameters,)
    """
    progress, restored = meter.progress, meter.scratch[1]
    aim_mixer(meter.mixer, parameters, False, 1.0)
    crossfade(dry, wet, wet.shape[0] + FADE_LENGTH, meter.mixer, restored)
    finish(meter.mixer, restored, progress.sample_rate)
    for index in range(dry.shape[0]):
        for channel in range(2):
            progress.dry += _weighted(meter, 2 * channel, dry[index, channel]) ** 2
            progress.restored += _weighted(meter, 4 + 2 * channel, restored[index, channel]) ** 2
        progress.n_samples += 1
        if progress.n_samples >= progress.part_length:
            _end_part(meter)


@realtime
def _end_part(meter: LoudnessMeter) -> None:
    progress = meter.progress
    part = meter.parts[progress.n_parts % N_PARTS]
    part[0], part[1] = progress.dry / progress.part_length, progress.restored / progress.part_length
    progress.dry, progress.restored, progress.n_samples = 0.0, 0.0, 0
    store(progress, "n_parts", progress.n_parts + 1)


@realtime
def _weighted(meter: LoudnessMeter, place: int, value: float) -> float:
    """One sample through both filters, whose states lie from `place` on; what is no audio counts as silence."""
    sample = float(value) if abs(value) <= LOUDEST_SAMPLE else 0.0
    for stage in range(2):
        state, taps = meter.filters[place + stage], meter.weighting[stage]
        out = taps[0] * sample + state[0]
        state[0] = taps[1] * sample - taps[3] * out + state[1]
        state[1] = taps[2] * sample - taps[4] * out
        sample = out
    return sample
