"""Two devices that exist only as clocks: an hour of them in seconds, driving the very callbacks of a clock bridge.

The capture device hears a sine as long as the world lasts; either device calls back a little late each time. What the
bridge can't see, the true clocks, is what it is judged by.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from apollo_rt.compiled.native import array_from_address, compiled
from apollo_rt.live.clock_bridge.bridge_state import ClockBridge, make_clock_bridge
from apollo_rt.live.clock_bridge.callbacks import captured, played
from apollo_rt.live.clock_bridge.reader import read_step
from apollo_rt.live.realtime.callback import stream_callback
from apollo_rt.stream.resample import HELD_TO, position_of

ENGINE_RATE = 44_100
SINE_HZ = 997.0

_CALLS, _FLAGGED, _SAMPLES = range(3)
_RARELY = 0.05


def _echo_body(
    input_address: int, output_address: int, block_size: int, time_info: int, flags: int, userdata: int
) -> int:
    """An engine that gives back what it gets."""
    counts = array_from_address(userdata, 3, np.int64)
    counts[_CALLS] += 1
    counts[_FLAGGED] += flags & 15 != 0
    counts[_SAMPLES] += np.int64(block_size)
    source = array_from_address(input_address, np.int64(2 * block_size), np.float32)
    target = array_from_address(output_address, np.int64(2 * block_size), np.float32)
    for index in range(2 * np.int64(block_size)):
        target[index] = source[index]
    return 0


@cache
def echo() -> Any:
    return stream_callback(_echo_body)


@dataclass(frozen=True)
class Clock:
    """A device.

    Attributes:
        rate: Hz, as it says.
        ppm: how much faster it is.
        wander_ppm: how far that swings, as a sine.
        wander_s: in which time.
        block: samples per callback.
        late_s: by how much it calls back late at most; all amounts are equally likely.
        burst: so many calls come at once, when the last of them is due.
        rarely_late_s: by how much one burst in twenty comes late at most.
    """

    rate: int = 44_100
    ppm: float = 0.0
    wander_ppm: float = 0.0
    wander_s: float = 600.0
    block: int = 256
    late_s: float = 0.0001
    burst: int = 1
    rarely_late_s: float = 0.0

    @property
    def figures(self) -> tuple[float, ...]:
        return (
            self.rate, self.ppm * 1e-6, self.wander_ppm * 1e-6, self.wander_s, self.block, self.late_s, self.burst,
            self.rarely_late_s,
        )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        lock_s: the last moment at which the latency was more than a sample period from its target.
        worst_error: samples that it was from it at most, after the time to settle.
        flagged: engine calls with an xrun, after the time to settle.
        resyncs: jumps of the ring's reader.
        roughness: largest second difference of the output over that of the pure sine, after the time to settle.
        corrections_ppm: the least and the largest correction, after the time to settle.
        least_left: samples that were left in the ring at least.
    """

    lock_s: float
    worst_error: float
    flagged: int
    resyncs: int
    roughness: float
    corrections_ppm: tuple[float, float]
    least_left: float
    trace: np.ndarray


def bridge_between(capture: Clock, playback: Clock, target: float) -> tuple[ClockBridge, np.ndarray]:
    """A clock bridge with an echo for an engine, and the echo's counts."""
    counts = np.zeros(3, np.int64)
    bridge = make_clock_bridge(capture.rate, playback.rate, ENGINE_RATE, (2, 2), target, 441, playback.block)
    bridge.control.engine_callback, bridge.control.engine_userdata = echo().address, counts.ctypes.data
    return bridge, counts


def run(capture: Clock, playback: Clock, duration_s: float, target: float, settle_s: float = 15.0) -> Outcome:
    """Let both run."""
    bridge, counts = bridge_between(capture, playback, target)
    n_trace = int(duration_s * 4) + 1
    trace, found = np.zeros((n_trace, 3)), np.zeros(8)
    found[4], found[5], found[6] = 1e9, -1e9, 1e9
    n_flagged = _run(
        bridge, counts, np.array([capture.figures, playback.figures]), duration_s, settle_s, found, trace,
        np.zeros((2, 16_384, 2), np.float32),
    )  # fmt: skip
    w = 2 * math.pi * SINE_HZ / playback.rate
    return Outcome(
        found[0], found[1], n_flagged, int(bridge.control.resyncs), found[3] / (2 - 2 * math.cos(w)),
        (found[4], found[5]), found[6], trace,
    )  # fmt: skip


@compiled
def _speed(clock, time_s):
    return clock[0] * (1.0 + clock[1] + clock[2] * math.sin(2.0 * math.pi * time_s / clock[3]))


@compiled
def _random(seed):
    """From 0 to 1 (xorshift64: Marsaglia, 2003)."""
    seed[0] ^= seed[0] << np.uint64(13)
    seed[0] ^= seed[0] >> np.uint64(7)
    seed[0] ^= seed[0] << np.uint64(17)
    return (seed[0] >> np.uint64(11)) / 9007199254740992.0


@compiled
def _sound(block, begin_s, end_s):
    """A sine, evenly sampled between two moments."""
    n = block.shape[0]
    turn = 2.0 * math.pi * SINE_HZ
    real, imag = math.cos(turn * begin_s), math.sin(turn * begin_s)
    c, s = math.cos(turn * (end_s - begin_s) / n), math.sin(turn * (end_s - begin_s) / n)
    for index in range(n):
        block[index, 0] = np.float32(imag)
        block[index, 1] = np.float32(real)
        real, imag = real * c - imag * s, imag * c + real * s


@compiled
def _run(bridge, counts, clocks, duration_s, settle_s, found, trace, blocks):
    """Call whichever device is due, until the time is over."""
    seed = np.full(1, 88172645463325252, np.uint64)
    due_s = np.zeros(2)
    called_s, n_calls = np.zeros(2), np.zeros(2, np.int64)
    n_captured, n_flagged_before, n_traced = 0, 0, 0
    capture_s, last, before_last = 0.0, 0.0, 0.0
    for side in range(2):
        due_s[side] = 0.1 + clocks[side, 4] / _speed(clocks[side], 0.0) + 0.001 * side
        called_s[side] = due_s[side]
    while True:
        side = 0 if called_s[0] <= called_s[1] else 1
        now_s, clock = due_s[side], clocks[side]
        n = int(clock[4])
        if now_s > duration_s:
            break
        time_ns = 1_000_000_000 + int(called_s[side] * 1e9)
        if side == 0:
            _sound(blocks[0, :n], now_s - n / _speed(clock, now_s), now_s)
            captured(bridge, blocks[0].ctypes.data, n, 0, time_ns)
            n_captured, capture_s = n_captured + n, now_s
        else:
            played(bridge, blocks[1].ctypes.data, n, 0, time_ns)
            true_captured = n_captured + (now_s - capture_s) * _speed(clocks[0], now_s)
            to_device = bridge.to_device
            ahead = to_device.places[HELD_TO] - to_device.kernel.shape[1] // 2 - position_of(to_device)
            error = true_captured + ahead * read_step(bridge) - position_of(bridge.to_engine) - bridge.figures.target
            if abs(error) > 1.0:
                found[0] = now_s
            if now_s >= settle_s:
                found[1] = max(found[1], abs(error))
                found[4] = min(found[4], bridge.loop.correction * 1e6)
                found[5] = max(found[5], bridge.loop.correction * 1e6)
                found[6] = min(found[6], n_captured - bridge.to_engine.places[HELD_TO])
                for index in range(n):
                    value = blocks[1, index, 0]
                    found[3] = max(found[3], abs(value - 2.0 * last + before_last))
                    before_last, last = last, value
            else:
                n_flagged_before = counts[_FLAGGED]
                before_last, last = blocks[1, n - 2, 0], blocks[1, n - 1, 0]
            if now_s * 4 >= n_traced and n_traced < len(trace):
                trace[n_traced, 0], trace[n_traced, 1], trace[n_traced, 2] = now_s, error, bridge.loop.correction * 1e6
                n_traced += 1
        due_s[side] += n / _speed(clock, now_s)
        n_calls[side] += 1
        n_waiting = int(clock[6]) - 1 - n_calls[side] % int(clock[6])
        late_s = clock[5] * _random(seed)
        if n_calls[side] % int(clock[6]) == 0 and _random(seed) < _RARELY:
            late_s += clock[7] * _random(seed)
        called_s[side] = max(due_s[side] + n_waiting * n / _speed(clock, now_s) + late_s, called_s[side])
    return counts[_FLAGGED] - n_flagged_before


class Pair:
    """The same two devices moved by hand, block by block."""

    def __init__(self, capture: Clock, playback: Clock, target: float) -> None:
        self.clocks = capture, playback
        self.bridge, self.counts = bridge_between(capture, playback, target)
        self.due_s = [0.1 + capture.block / self.speed(0), 0.1 + playback.block / self.speed(1)]
        self.n_captured, self.captured_s = 0, 0.0

    def speed(self, side: int) -> float:
        return self.clocks[side].rate * (1 + self.clocks[side].ppm * 1e-6)

    @property
    def n_flagged(self) -> int:
        return int(self.counts[_FLAGGED])

    @property
    def resyncs(self) -> int:
        return int(self.bridge.control.resyncs)

    def loop_state(self) -> tuple[float, ...]:
        return self.bridge.loop.item()

    def error(self) -> float:
        """Samples by which the ring is fuller than its target, by the true clocks."""
        until = self.n_captured + (self.due_s[1] - self.clocks[1].block / self.speed(1) - self.captured_s) * self.speed(
            0
        )
        to_device = self.bridge.to_device
        ahead = to_device.places[HELD_TO] - to_device.kernel.shape[1] // 2 - position_of(to_device)
        return float(
            until + ahead * read_step(self.bridge) - position_of(self.bridge.to_engine) - self.bridge.figures.target
        )

    def capture(self, flags: int = 0, is_lost: bool = False) -> None:
        """One block of the sine; lost, it was never there."""
        n, end_s = self.clocks[0].block, self.due_s[0]
        self.due_s[0] += n / self.speed(0)
        if is_lost:
            return
        block = np.zeros((n, 2), np.float32)
        _sound(block, end_s - n / self.speed(0), end_s)
        captured(self.bridge, block.ctypes.data, n, flags, int((end_s + 1) * 1e9))
        self.n_captured, self.captured_s = self.n_captured + n, end_s

    def play(self, flags: int = 0, is_lost: bool = False) -> np.ndarray:
        """One block of the output; lost, nobody asked for it."""
        n, now_s = self.clocks[1].block, self.due_s[1]
        self.due_s[1] += n / self.speed(1)
        out = np.zeros((0 if is_lost else n, 2), np.float32)
        if not is_lost:
            played(self.bridge, out.ctypes.data, n, flags, int((now_s + 1) * 1e9))
        return out

    def sleep(self, seconds: float) -> None:
        """The machine is suspended: time passes, the devices stand still."""
        self.due_s = [due_s + seconds for due_s in self.due_s]
        self.captured_s += seconds

    def go_on(self, seconds: float, capture: bool = True, playback: bool = True) -> np.ndarray:
        """Let time pass, with one side standing still or none; what is played meanwhile."""
        end_s, out = max(self.due_s) + seconds, [np.zeros((0, 2), np.float32)]
        while min(self.due_s) < end_s:
            if self.due_s[0] <= self.due_s[1]:
                self.capture(is_lost=not capture)
            else:
                out.append(self.play(is_lost=not playback))
        return np.concatenate(out)
