"""A device for the soak: its clock may run fast, what it captures can be spoilt, and it listens for clicks."""

import threading

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import (
    atomic_load,
    atomic_store,
    call_address,
    compiled,
    now_ns,
    sleep_ns,
    system_calls,
)
from apollo_rt.errors import DeviceError

RATE, BLOCK = 44_100, 256
LEVEL = 0.3
TONES_HZ = (97.3, 443.1, 611.7)
KEPT = 1 << 16
"""Samples of input and output that are kept, to measure the latency."""

SINES, SILENCE, SQUARE, NOT_A_NUMBER, INFINITE, DENORMAL = range(6)
STOP, VANISH, FINISHED, KIND, FLAGS, STALL_NS = range(6)
IS_VARYING, N_CALLS, N_SAMPLES, LONGEST_NS, N_CLICKS, UNCHECKED = range(6, 12)
_LONGEST_BLOCK = 2 * BLOCK
_GLIDE = 1.0 / 2048
_SETTLE = 16_384
"""Samples after a square wave in which steps are no clicks: its own, as late as they may come out."""
# The steepest that three tones can be, what a fade of 64 samples adds to that, and a change of the source's own level.
BOUND = LEVEL * (2 * np.pi * sum(TONES_HZ) / RATE / 3 + 1 / 64 + _GLIDE) * 1.02


class SoakDevice:
    """A driver with two channels each way.

    Args:
        memory: control words, input and output by sample index; shared by all devices of a soak, which take turns.
        speed: how much faster than real time.
        hangs: it never lets go of its stream.
    """

    name, sample_rate, block_size, varying_block = "soak device", RATE, _LONGEST_BLOCK, True
    input_channels = output_channels = 2
    device_latency_s = (0.0, 0.0)

    def __init__(self, memory: "Memory", speed: float, hangs: bool = False) -> None:
        self._memory, self._speed, self._hangs = memory, speed, hangs
        self._thread: threading.Thread | None = None

    @property
    def active(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def finished(self) -> bool:
        return bool(self._memory.control[FINISHED])

    def start(self, callback_address: int, userdata_address: int) -> None:
        control = self._memory.control
        control[STOP] = control[VANISH] = control[FINISHED] = control[STALL_NS] = 0
        arguments = (callback_address, userdata_address, *self._memory.arrays, self._speed, system_calls())
        self._thread = threading.Thread(target=_run, args=arguments, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let go.

        Raises:
            DeviceError: it was told to hang.
        """
        self._memory.control[STOP] = 1
        if self._thread:
            self._thread.join()
        if self._hangs:
            raise DeviceError(f"{self.name}: does not let go")


class Memory:
    """Memory that device and soak share.

    Attributes:
        control: int64, see the places above.
        worst: float64: the largest step of the output that had to be free of clicks, and the source's level.
        heard: float32 (2, KEPT): input and output, by sample index.
    """

    def __init__(self) -> None:
        self.control = np.zeros(UNCHECKED + 1, np.int64)
        self.worst = np.zeros(3)
        self.heard = np.zeros((2, KEPT), np.float32)
        self._blocks = np.zeros((2, _LONGEST_BLOCK, 2), np.float32)

    @property
    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
        return self.control, self.worst, self.heard, self._blocks


def compile_clock(memory: Memory) -> None:
    """Before the first device starts, which would count as lost meanwhile."""
    memory.control[STOP] = 1
    _run(0, 0, *memory.arrays, 1.0, system_calls())


@compiled
def _run(
    callback: int,
    userdata: int,
    control: NDArray[np.int64],
    worst: NDArray[np.float64],
    heard: NDArray[np.float32],
    blocks: NDArray[np.float32],
    speed: float,
    calls: NDArray[np.int64],
) -> None:
    start_ns, n_since = now_ns(calls), 0
    worst[2] = 0.0
    while atomic_load(control, STOP) == 0 and atomic_load(control, VANISH) == 0:
        stall_ns = atomic_load(control, STALL_NS)
        if stall_ns > 0:
            sleep_ns(calls, stall_ns)
            atomic_store(control, STALL_NS, 0)
            start_ns, n_since = now_ns(calls), 0
        n_calls, first = control[N_CALLS], control[N_SAMPLES]
        n = 1 + (n_calls * 7919) % _LONGEST_BLOCK if control[IS_VARYING] else BLOCK
        _capture(control, worst, heard, blocks[0, :n], first)
        flags = control[FLAGS]
        control[FLAGS] = 0
        begin_ns = now_ns(calls)
        call_address(callback, (blocks[0].ctypes.data, blocks[1].ctypes.data, n, 0, flags, userdata))
        took_ns = now_ns(calls) - begin_ns
        control[LONGEST_NS] = max(control[LONGEST_NS], took_ns)
        _listen(control, worst, heard, blocks[1, :n], first)
        atomic_store(control, N_SAMPLES, first + n)
        atomic_store(control, N_CALLS, n_calls + 1)
        n_since += n
        late_ns = now_ns(calls) - (start_ns + int(n_since * 1e9 / RATE / speed))
        if late_ns < 0:
            sleep_ns(calls, -late_ns)
        elif late_ns > 50_000_000:
            start_ns, n_since = now_ns(calls), 0
    atomic_store(control, FINISHED, 1)


@compiled
def _capture(
    control: NDArray[np.int64],
    worst: NDArray[np.float64],
    heard: NDArray[np.float32],
    block: NDArray[np.float32],
    first: int,
) -> None:
    """Tones whose level glides; spoilt as `KIND` says."""
    kind = control[KIND]
    target = LEVEL if kind in (SINES, NOT_A_NUMBER, INFINITE) else 0.0
    for index in range(block.shape[0]):
        worst[1] += min(max(target - worst[1], -_GLIDE * LEVEL), _GLIDE * LEVEL)
        t = (first + index) / RATE
        value = 0.0
        for hz in TONES_HZ:
            value += np.sin(2 * np.pi * hz * t)
        value *= worst[1] / 3
        heard[0, (first + index) % KEPT] = value
        if kind == SQUARE:
            value = 1.0 if (first + index) // 220 % 2 else -1.0
            control[UNCHECKED] = first + index + _SETTLE
        elif kind == DENORMAL and worst[1] == 0.0:
            value = 1e-41
        elif kind == NOT_A_NUMBER and index == 100:
            value = np.nan
        elif kind == INFINITE and index == 50:
            value = np.inf
        block[index, 0] = block[index, 1] = value


@compiled
def _listen(
    control: NDArray[np.int64],
    worst: NDArray[np.float64],
    heard: NDArray[np.float32],
    block: NDArray[np.float32],
    first: int,
) -> None:
    """Count what steps further than it may; `worst[2]` is the sample before, silence where a device begins."""
    for index in range(block.shape[0]):
        value = float(block[index, 0])
        heard[1, (first + index) % KEPT] = value
        step = abs(value - worst[2])
        worst[2] = value
        if first + index > control[UNCHECKED]:
            worst[0] = max(worst[0], step)
            control[N_CLICKS] += not step <= BOUND
