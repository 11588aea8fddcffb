"""The joint between devices and the engine, where their clocks or rates differ: everything its callbacks share.

As `line` for the engine: Python holds a named tuple of arrays, the callbacks get the address of a table of them.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import array_from_address, realtime, system_calls
from apollo_rt.live.clock_bridge.clock_model import N_PLACES, reset_base
from apollo_rt.live.clock_bridge.delay_locked_loop import Loop, make_loop
from apollo_rt.live.realtime.ring import CHUNK, Ring, make_ring
from apollo_rt.stream.resample import Resampler, half_length, make_resampler, rewind, seek

(
    ENGINE_CALLBACK,  # address
    ENGINE_USERDATA,
    INPUT_CHANNELS,  # of the device; 0: the engine has a source
    OUTPUT_CHANNELS,  # of the device; 0: the engine has a sink
    HAS_TWO_CLOCKS,  # 1: capture and playback call back by themselves
    N_NOTES,  # how often a capture was noted; the capturing side's, as the next
    N_OVERFLOWS,  # how often the capture device lost samples
    N_OVERFLOWS_SEEN,
    IS_FLOWING,  # 1: the engine gets what is captured; 0: silence, until the ring can be read at its target
    HAS_FLOWED,
    HELD_FLAGS,  # status flags that came when the engine was not called
    ENDED_AT,  # of the stream to the playback device: where the engine's last sample stands; -1 before its end
    RESYNCS,  # how often the ring's reader jumped
    DRY_AT,  # sample of the ring at which it ran dry last: what comes from there on may not follow what was before
    N_PLAYED,  # samples that the playback device has been given
    N_NOTES_SEEN,  # captures that the playing side knows of
    HAS_MOVED,  # 1: a device's time base is another one since the last look
) = range(17)
"""Places in `Joint.control`."""

IN_RATE, OUT_RATE, ENGINE_RATE, TARGET, BLOCK, CORRECTION_PPM, FILL = range(7)
"""Places in `Joint.figures`: Hz of the devices and the engine; samples to hold back in the ring behind a block of the
playback device, and what such a block takes, both as captured; the present correction; how many samples are held back,
smoothed."""

GAIN, TAIL_GAIN, LAST_LEFT, LAST_RIGHT, TAIL_LEFT, TAIL_RIGHT = range(6)
"""Places in `Joint.bridge`: gain of what is captured, gain of the tail, the last sample, the tail's value."""

NOTED_WRITTEN, NOTED_NS = range(2)
NOTES = 64
"""How many captures are remembered until the playing side takes notice of them."""

CAPTURE, PLAYBACK = range(2)
"""Rows of `Joint.bases`."""

LONGEST_PIECE = 4096
"""The most samples of the playback device for which the engine is called at once."""

_RING_S = 1.4
_LONG_AGO = -(2**62)
_SLACK = 2.0**-10
"""In samples; so that rounding, over a year, never asks for one more sample than there is."""


class Joint(NamedTuple):
    """Everything that the callbacks on either side share.

    Attributes:
        ring: what is captured, as captured.
        notes: int64 (NOTES, 2): samples captured until a moment, and the moment in ns; newest at `N_NOTES - 1`.
        bases: float64 (2, `time_base.N_PLACES`): what these moments, and those of playback, tell; the playing side's.
        to_engine: from the capture device's rate to the engine's.
        to_device: from the engine's rate to the playback device's.
        blocks: float32 (2, samples, 2): the engine's input and output.
        pieces: float32 (3, samples, 2): of the capturing side, of the ring's reader, of the playing side.
        bridge: float64, see `GAIN`.
        loop: float64, see `drift`.
        figures: float64, see `IN_RATE`.
        control: int64, see above.
        calls: addresses of clock and sleep.
    """

    ring: Ring
    notes: NDArray[np.int64]
    bases: NDArray[np.float64]
    to_engine: Resampler
    to_device: Resampler
    blocks: NDArray[np.float32]
    pieces: NDArray[np.float32]
    bridge: NDArray[np.float64]
    loop: Loop
    figures: NDArray[np.float64]
    control: NDArray[np.int64]
    calls: NDArray[np.int64]


def make_joint(
    in_rate: int,
    out_rate: int,
    engine_rate: int,
    channels: tuple[int, int],
    target: float = 0.0,
    far: float = 0.0,
    block_size: int = 0,
) -> Joint:
    """A joint at the start of a stream.

    Args:
        in_rate: Hz of the capture device; the engine's where there is none.
        out_rate: Hz of the playback device; the engine's where there is none.
        engine_rate: Hz.
        channels: of the capture and the playback device, 0 where there is none.
        target: where the devices have a clock each, samples as captured to hold back; 0 where one clock drives all.
        far: how many samples from the target are mended by a jump.
        block_size: of the playback device; the most where blocks vary.
    """
    longest_block = math.ceil(LONGEST_PIECE * engine_rate / out_rate) + 2
    control, figures = np.zeros(HAS_MOVED + 1, np.int64), np.zeros(FILL + 1)
    control[INPUT_CHANNELS], control[OUTPUT_CHANNELS] = channels
    control[HAS_TWO_CLOCKS], control[ENDED_AT] = target > 0.0, -1
    control[IS_FLOWING] = target == 0.0
    control[DRY_AT] = _LONG_AGO
    figures[: BLOCK + 1] = in_rate, out_rate, engine_rate, target, block_size * in_rate / out_rate
    joint = Joint(
        make_ring(int(_RING_S * in_rate)),
        np.zeros((NOTES, 2), np.int64),
        np.zeros((2, N_PLACES)),
        make_resampler(in_rate, engine_rate, math.ceil(1.01 * longest_block * in_rate / engine_rate) + CHUNK),
        make_resampler(engine_rate, out_rate, longest_block, is_steered=False),
        np.zeros((2, longest_block, 2), np.float32),
        np.zeros((3, LONGEST_PIECE, 2), np.float32),
        np.zeros(TAIL_RIGHT + 1),
        make_loop(far),
        figures,
        control,
        system_calls(),
    )
    joint.bridge[GAIN] = float(target == 0.0)
    reset_base(joint.bases[CAPTURE], in_rate)
    reset_base(joint.bases[PLAYBACK], out_rate)
    seek(joint.to_engine, -half_length(in_rate, engine_rate) - _SLACK)
    rewind(joint.to_device, half_length(engine_rate, out_rate, is_steered=False) + _SLACK * (out_rate != engine_rate))
    return joint


_N_ROWS = 19
"""Rows of the address table: address, length and width of every array."""


def address_table(joint: Joint) -> NDArray[np.int64]:
    """What `joint_at` needs. The joint must outlive it."""
    arrays: tuple[NDArray[np.generic], ...] = (
        *joint.ring, joint.notes, joint.bases, *joint.to_engine, *joint.to_device, joint.blocks, joint.pieces,
        joint.bridge, joint.loop, joint.figures, joint.control, joint.calls,
    )  # fmt: skip
    assert all(array.flags.c_contiguous for array in arrays)
    table = [(array.ctypes.data, array.shape[0], array.shape[1] if array.ndim > 1 else 1) for array in arrays]
    assert len(table) == _N_ROWS
    return np.array(table, np.int64)


@realtime
def joint_at(address: int) -> Joint:
    """The joint whose table lies at `address`."""
    table = array_from_address(address, (_N_ROWS, 3), np.int64)
    return Joint(
        Ring(
            array_from_address(table[0, 0], (table[0, 1], 2), np.float32),
            array_from_address(table[1, 0], table[1, 1], np.int64),
        ),
        array_from_address(table[2, 0], (table[2, 1], 2), np.int64),
        array_from_address(table[3, 0], (table[3, 1], table[3, 2]), np.float64),
        _resampler_at(table, 4),
        _resampler_at(table, 8),
        array_from_address(table[12, 0], (table[12, 1], table[12, 2], 2), np.float32),
        array_from_address(table[13, 0], (table[13, 1], table[13, 2], 2), np.float32),
        array_from_address(table[14, 0], table[14, 1], np.float64),
        array_from_address(table[15, 0], table[15, 1], np.float64),
        array_from_address(table[16, 0], table[16, 1], np.float64),
        array_from_address(table[17, 0], table[17, 1], np.int64),
        array_from_address(table[18, 0], table[18, 1], np.int64),
    )


@realtime
def _resampler_at(table: NDArray[np.int64], row: int) -> Resampler:
    return Resampler(
        array_from_address(table[row, 0], (table[row, 1], table[row, 2]), np.float32),
        array_from_address(table[row + 1, 0], (table[row + 1, 1], table[row + 1, 2]), np.float32),
        array_from_address(table[row + 2, 0], table[row + 2, 1], np.int64),
        array_from_address(table[row + 3, 0], table[row + 3, 1], np.float64),
    )
