"""A device without hardware: a clock in compiled code that calls the callback as PortAudio would, for files and tests.

Paced, block n is due when its last sample would have been captured: deadlines are absolute, so nothing drifts. Where a
file isn't decoded yet or can't take more, this clock stands still: a file is no live source. Unpaced, it also waits for
the worker, so nothing is ever missed.
"""

import threading
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import (
    SystemCalls,
    call_address,
    compiled,
    now_ns,
    sleep_ns,
    sleep_until,
    system_calls,
)
from apollo_rt.compiled.records import CACHE_LINE, Record, load, new_record, store
from apollo_rt.errors import DeviceError
from apollo_rt.live.realtime.callback import is_ready

_NS_PER_S = 1_000_000_000
_POLL_NS = 50_000
_ENDING_S = 10.0
_OUTPUT_UNDERFLOW = 4
_LATE_BLOCKS = 4
"""How far behind its deadlines a device with so many blocks of buffer would run dry: an underrun, and time is lost."""


class ClockControl(Record, spacing=CACHE_LINE):
    """Tells a device's clock to stop, and that it has ended.

    Attributes:
        stop: 1: the clock shall stop.
        finished: 1: the callback has ended the stream; the clock's.
    """

    stop: int
    finished: int


class VirtualDevice:
    """A `Driver` whose input and output are the engine's source and sink.

    Args:
        sample_rate: Hz.
        block_size: samples per callback, 1 or more.
        pace: call back in real time; otherwise as fast as the worker delivers.
        block_sizes: sizes of successive callbacks instead, over and over.

    Raises:
        ValueError: a block size below 1.
    """

    name = "virtual device"
    input_channels = 0
    output_channels = 0
    device_latency_s = (0.0, 0.0)

    def __init__(
        self, sample_rate: int, block_size: int = 256, pace: bool = True, block_sizes: Sequence[int] = ()
    ) -> None:
        """The clock stands still until `start`."""
        self._sizes = np.array(block_sizes or (block_size,), np.int64)
        if self._sizes.min() < 1:
            raise ValueError(f"block_size must be 1 or more, got {self._sizes.min()}")
        self.sample_rate = sample_rate
        self.pace = pace
        self.block_size = int(self._sizes.max())
        self.varying_block = len(set(self._sizes)) > 1
        self._control = new_record(ClockControl)
        self._thread: threading.Thread | None = None

    @property
    def active(self) -> bool:
        """It calls back."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def finished(self) -> bool:
        """The callback has ended the stream."""
        return bool(self._control.finished)

    def start(self, callback_address: int, userdata_address: int) -> None:
        """Start the clock."""
        self._control.stop = self._control.finished = 0
        arguments = (callback_address, userdata_address, self._sizes, self.sample_rate, self.pace, self._control)
        self._thread = threading.Thread(
            target=_run, args=(*arguments, system_calls()), name="virtual device", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop the clock; when this returns no callback runs any more.

        Raises:
            DeviceError: a callback hangs; what it uses must stay where it is.
        """
        store(self._control, "stop", 1)
        if self._thread is not None:
            self._thread.join(_ENDING_S)
            if self._thread.is_alive():
                raise DeviceError(f"{self.name}: its callback did not return within {_ENDING_S:g} s")


@entry
@compiled
def _run(
    callback: int,
    userdata: int,
    sizes: Annotated[NDArray[np.int64], "sizes"],
    sample_rate: int,
    pace: bool,
    control: ClockControl,
    calls: SystemCalls,
) -> None:
    start_ns, n_delivered, n_calls = now_ns(calls), 0, 0
    while load(control, "stop") == 0:
        n_samples = sizes[n_calls % len(sizes)]
        has_waited = _wait_until_ready(userdata, n_samples, not pace, control, calls)
        flags = 0
        if pace:
            n_delivered += n_samples
            due_ns = (
                start_ns + n_delivered // sample_rate * _NS_PER_S + n_delivered % sample_rate * _NS_PER_S // sample_rate
            )
            late_ns = sleep_until(calls, due_ns)
            limit_ns = _LATE_BLOCKS * n_samples * _NS_PER_S // sample_rate
            if has_waited or late_ns > limit_ns:
                start_ns += max(late_ns, 0)
                flags = 0 if has_waited else _OUTPUT_UNDERFLOW
        n_calls += 1
        if call_address(callback, (0, 0, n_samples, 0, flags, userdata)) & 0xFFFFFFFF:
            store(control, "finished", 1)
            return


@compiled
def _wait_until_ready(
    userdata: int, n_samples: int, with_worker: bool, control: ClockControl, calls: NDArray[np.int64]
) -> bool:
    """Returns whether there was anything to wait for."""
    has_waited = False
    while not is_ready(userdata, n_samples, with_worker) and load(control, "stop") == 0:
        has_waited = True
        sleep_ns(calls, _POLL_NS)
    return has_waited
