"""A device that a test moves by hand: it vanishes, returns, hangs and stalls when the test says so."""

import time

import numpy as np

from apollo_rt.errors import DeviceError
from tests.doubles.stepped import PA_CALLBACK

RATE = 44_100


class HandDevice:
    """A driver with two channels each way."""

    sample_rate, block_size, varying_block = RATE, 256, False
    input_channels = output_channels = 2
    device_latency_s = (0.003, 0.004)

    def __init__(self, name: str = "hand device", hangs: bool = False, refuses: bool = False) -> None:
        self.name, self.hangs, self.refuses = name, hangs, refuses
        self.active = self.finished = False
        self.callback, self.userdata = None, 0

    def start(self, callback_address: int, userdata_address: int) -> None:
        if self.refuses:
            raise DeviceError(f"{self.name}: is gone")
        self.callback, self.userdata, self.active = PA_CALLBACK(callback_address), userdata_address, True

    def stop(self) -> None:
        self.active = False
        if self.hangs:
            raise DeviceError(f"{self.name}: does not let go")

    def vanish(self) -> None:
        self.active, self.finished = False, True

    def play(self, samples: np.ndarray, flags: int = 0, pause_s: float = 0.001) -> np.ndarray:
        """Call back for a signal in blocks; what was played."""
        out = np.full_like(samples, np.nan)
        for start in range(0, len(samples), self.block_size):
            block = np.ascontiguousarray(samples[start : start + self.block_size], np.float32)
            heard = np.empty_like(block)
            self.callback(block.ctypes.data, heard.ctypes.data, len(block), None, flags, self.userdata)
            out[start : start + len(block)] = heard
            time.sleep(pause_s)
        return out
