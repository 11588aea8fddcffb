"""A device in memory that keeps time as a sound card does, and notes when it called back and how long that took.

Input and output are two channels of a signal in memory; the callback is any `PaStreamCallback`, compiled or Python.
"""

import threading

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import (
    atomic_load,
    atomic_store,
    call_address,
    compiled,
    now_ns,
    sleep_until,
    system_calls,
)
from apollo_rt.stream.stft import Samples

_STOP, _DONE = 0, 8
_NS_PER_S = 1_000_000_000
_OUTPUT_UNDERFLOW = 4
_LATE_BLOCKS = 4
"""As the virtual device: a sound card with so many blocks of buffer runs dry when it isn't served for as long."""


class RecordingDevice:
    """A `driver.Driver`, and a stream for callbacks of other makes.

    Args:
        source: what is captured; calls go on with silence behind its end.
        block_size: samples per callback.
        sample_rate: Hz.

    Attributes:
        played: what the callback gave for it.
        late_ns: by how much each call came later than it was due.
        spent_ns: how long each took.
        n_dry: how often a sound card would have run dry.

    Shape:
        source, played: (samples, 2), whole blocks of them
    """

    name = "recording device"
    input_channels = output_channels = 2
    device_latency_s = (0.0, 0.0)
    varying_block = False

    def __init__(self, source: Samples, block_size: int, sample_rate: int) -> None:
        self.block_size, self.sample_rate = block_size, sample_rate
        n_calls = len(source) // block_size
        self._source = np.ascontiguousarray(source[: n_calls * block_size])
        self.played = np.zeros_like(self._source)
        self.late_ns, self.spent_ns = np.zeros((2, n_calls), np.int64)
        self._control = np.zeros(_DONE + 1, np.int64)
        self._dry = np.zeros(1, np.int64)
        self._spare = np.zeros((2, block_size, 2), np.float32)
        self._thread: threading.Thread | None = None

    @property
    def n_dry(self) -> int:
        return int(self._dry[0])

    @property
    def active(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def finished(self) -> bool:
        """It never ends by itself."""
        return False

    @property
    def is_done(self) -> bool:
        """All of the source has been captured."""
        return bool(self._control[_DONE])

    def start(self, callback_address: int, userdata_address: int) -> None:
        self._control[:] = 0
        memory = (self._source, self.played, self.late_ns, self.spent_ns, self._spare, self._dry, self._control)
        arguments = (callback_address, userdata_address, self.sample_rate, *memory, system_calls())
        self._thread = threading.Thread(target=_run, args=arguments, name="recording device", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._control[_STOP] = 1
        if self._thread is not None:
            self._thread.join()


@compiled
def _run(
    callback: int,
    userdata: int,
    sample_rate: int,
    source: Samples,
    played: Samples,
    late_ns: NDArray[np.int64],
    spent_ns: NDArray[np.int64],
    spare: NDArray[np.float32],
    dry: NDArray[np.int64],
    control: NDArray[np.int64],
    calls: NDArray[np.int64],
) -> None:
    n_samples, n_bytes, number = spare.shape[1], 8 * spare.shape[1], 0
    start_ns = now_ns(calls)
    while atomic_load(control, _STOP) == 0:
        due_ns = start_ns + (number + 1) * n_samples * _NS_PER_S // sample_rate
        late = sleep_until(calls, due_ns)
        flags = 0
        is_recorded = number < len(late_ns)
        if late > _LATE_BLOCKS * n_samples * _NS_PER_S // sample_rate:
            start_ns += late
            flags = _OUTPUT_UNDERFLOW
            dry[0] += 1 if is_recorded else 0
        begin_ns = now_ns(calls)
        if is_recorded:
            offset = number * n_bytes
            call_address(
                callback, (source.ctypes.data + offset, played.ctypes.data + offset, n_samples, 0, flags, userdata)
            )
            late_ns[number] = late
            spent_ns[number] = now_ns(calls) - begin_ns
        else:
            atomic_store(control, _DONE, 1)
            call_address(callback, (spare[0].ctypes.data, spare[1].ctypes.data, n_samples, 0, flags, userdata))
        number += 1
