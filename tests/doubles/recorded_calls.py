"""Calls of two devices as a real sound server made them, played again to the callbacks of a clock bridge.

`tests/data/pulse_calls.npz` comes from `python -m benchmarks.programs.call_times`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from apollo_rt.compiled.native import compiled
from apollo_rt.live.clock_bridge.callbacks import captured, played
from apollo_rt.live.clock_bridge.reader import read_step
from apollo_rt.stream.resample import HELD_TO, position_of
from tests import DATA
from tests.doubles.virtual_clocks import Clock, bridge_between

FILE = DATA / "pulse_calls.npz"
_SETTLE_S = 4.0
_AROUND_S = 0.5


@dataclass(frozen=True)
class Steering:
    """What came of it, 4 s after the start.

    Attributes:
        least_ppm: of the correction; so `largest_ppm`.
        typical_error: median of how many samples the ring was off, by the least late calls before and behind.
        resyncs: jumps of the ring's reader.
    """

    least_ppm: float
    largest_ppm: float
    typical_error: float
    resyncs: int


@dataclass(frozen=True)
class Recording:
    """Calls of two devices.

    Attributes:
        capture: int64 (calls, 3): time in ns, samples, status flags.
        playback: the same.
        rates: Hz.
    """

    capture: np.ndarray
    playback: np.ndarray
    rates: tuple[int, int]

    @classmethod
    def load(cls, path: Path = FILE) -> Self:
        with np.load(path) as file:
            calls = [
                np.stack([1000 * np.cumsum(file[f"{name}_us"].astype(np.int64)), file[f"{name}_samples"],
                          file[f"{name}_flags"]], axis=1)
                for name in ("capture", "playback")
            ]  # fmt: skip
            return cls(calls[0], calls[1], (int(file["rates"][0]), int(file["rates"][1])))

    def save(self, path: Path = FILE) -> None:
        begin_us = min(self.capture[0, 0], self.playback[0, 0]) // 1000 - 1_000_000
        arrays = {"rates": np.array(self.rates)}
        for name, calls in (("capture", self.capture), ("playback", self.playback)):
            arrays[f"{name}_us"] = np.diff(calls[:, 0] // 1000 - begin_us, prepend=0).astype(np.uint32)
            arrays[f"{name}_samples"] = calls[:, 1].astype(np.uint16)
            arrays[f"{name}_flags"] = calls[:, 2].astype(np.uint8)
        np.savez_compressed(path, **arrays)

    def replay(self, target: float) -> Steering:
        """Let a clock bridge that holds back so many samples be called just so."""
        block = int(self.playback[:, 1].max())
        bridge, _ = bridge_between(Clock(rate=self.rates[0]), Clock(rate=self.rates[1], block=block), target)
        seen = np.zeros((len(self.playback), 3))
        n = _drive(bridge, self.capture, self.playback, seen, np.zeros((8192, 2), np.float32))
        time_s, seen, late_s = self.playback[:n, 0] * 1e-9, seen[:n], self.lateness_s(1)[:n]
        given = np.cumsum(self.playback[:n, 1])
        # When the next sample was really due, and what was captured by then.
        due_s = given / self.rates[1] + _least_around(time_s, late_s)
        capture_s = self.capture[:, 0] * 1e-9
        least = np.interp(due_s, capture_s, _least_around(capture_s, self.lateness_s(0)))
        error = (due_s - least) * self.rates[0] - seen[:, 1] - target - block * self.rates[0] / self.rates[1]
        part = (time_s > time_s[0] + _SETTLE_S) & (seen[:, 2] == 1)
        correction, error = seen[part, 0], np.abs(error[part])
        return Steering(correction.min(), correction.max(), float(np.median(error)), int(bridge.control.resyncs))

    def lateness_s(self, side: int) -> np.ndarray:
        """How much later each call of a device came than its samples take, but for a constant."""
        calls = (self.capture, self.playback)[side]
        n_samples = np.cumsum(calls[:, 1]) - (calls[:, 1] if side else 0)
        return calls[:, 0] * 1e-9 - n_samples / self.rates[side]


def _least_around(time_s: np.ndarray, late_s: np.ndarray) -> np.ndarray:
    begins, ends = (np.searchsorted(time_s, time_s + offset) for offset in (-_AROUND_S, _AROUND_S))
    return np.array([late_s[begin:end].min() for begin, end in zip(begins, ends, strict=True)])


@compiled
def _drive(bridge, capture, playback, seen, silence):  # type: ignore[no-untyped-def]  # compiled
    n_captured = n_played = 0
    while n_captured < len(capture) and n_played < len(playback):
        if capture[n_captured, 0] <= playback[n_played, 0]:
            time_ns, n_samples, flags = capture[n_captured]
            captured(bridge, silence.ctypes.data, n_samples, flags, time_ns)
            n_captured += 1
            continue
        time_ns, n_samples, flags = playback[n_played]
        played(bridge, silence.ctypes.data, n_samples, flags, time_ns)
        to_device = bridge.to_device
        ahead = to_device.places[HELD_TO] - to_device.kernel.shape[1] // 2 - position_of(to_device)
        seen[n_played, 0] = 1e6 * bridge.loop.correction
        seen[n_played, 1] = position_of(bridge.to_engine) - ahead * read_step(bridge)
        seen[n_played, 2] = bridge.control.is_flowing
        n_played += 1
    return n_played
