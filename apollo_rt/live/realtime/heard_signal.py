"""The signal that is heard: input or restoration, as the user set it or a blind test has it, and how loud.

The input's gain in bypass comes from who measures beside the audio path (`supervision.level_match`). Here it is only
kept from clipping: the input is seen D samples before it is heard, so that the gain is down before a peak arrives.
"""

import math

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import realtime
from apollo_rt.compiled.records import Record, load, new_record
from apollo_rt.live.realtime.ring import CHUNK
from apollo_rt.stream.mixer import aim_mixer, is_bypassed

AS_SET, INPUT, RESTORED = range(3)
"""What `HeardSignal.forced` says: bypass decides; the input is heard whatever it says; the restoration is."""

_FALL_PER_S = math.log(10.0) / 20.0
"""How fast a peak is forgotten, 1 dB per second: a gain that it holds down rises no faster."""


class HeardSignal(Record):
    """Tells what is heard.

    Attributes:
        match_gain: of the input where it is heard in place of the restoration.
        forced: see above.
        loudest: the input's peak, forgotten slowly; the callback's own.
    """

    match_gain: float
    forced: int
    loudest: float


def new_heard_signal() -> HeardSignal:
    """Make one that leaves everything as the user sets it, and the input as it is."""
    made = new_record(HeardSignal)
    made.match_gain = 1.0
    return made


@realtime
def note_loudest(heard: HeardSignal, block: NDArray[np.float32], delay: int, sample_rate: float) -> None:
    """Move the input's peak on by one block, raised by what is forgotten of it until it has been heard.

    Args:
        heard: see above.
        block: input, at most a chunk.
        delay: D in samples.
        sample_rate: Hz.

    Shape:
        (samples, 2)
    """
    peak = 0.0
    for index in range(block.shape[0]):
        peak = max(peak, abs(float(block[index, 0])), abs(float(block[index, 1])))
    kept = heard.loudest * math.exp(-_FALL_PER_S * block.shape[0] / sample_rate)
    heard.loudest = max(peak * math.exp(_FALL_PER_S * (delay + CHUNK) / sample_rate), kept)


@realtime
def aim(mixer: NDArray[np.float64], parameters: NDArray[np.float64], heard: HeardSignal) -> None:
    """Tell the mixer what is to be heard; the input's gain is such that its own peaks don't clip.

    Shape:
        mixer (N_MIXER,), parameters (parameters,)
    """
    forced, gain = load(heard, "forced"), load(heard, "match_gain")
    if gain > 1.0:
        gain = max(1.0, min(gain, 1.0 / max(heard.loudest, 1e-9)))
    bypass = is_bypassed(parameters) if forced == AS_SET else forced == INPUT
    aim_mixer(mixer, parameters, bypass, gain)
