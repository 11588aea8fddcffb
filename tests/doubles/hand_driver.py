"""A driver whose callbacks a test makes itself."""

import time

import numpy as np

from tests.doubles.sounds import RATE
from tests.doubles.stepped import PA_CALLBACK


class HandDriver:
    """A driver with two channels each way that a test calls itself."""

    name, sample_rate, block_size, varying_block = "hand driver", RATE, 256, False
    input_channels = output_channels = 2
    device_latency_s = (0.003, 0.004)
    active = finished = False

    def start(self, callback_address, userdata_address):
        self.callback, self.userdata, self.active = PA_CALLBACK(callback_address), userdata_address, True

    def stop(self):
        self.active = False

    def play(self, samples):
        out = np.empty_like(samples)
        for source, target in zip(np.split(samples, len(samples) // 256), np.split(out, len(out) // 256), strict=True):
            self.callback(source.ctypes.data, target.ctypes.data, 256, None, 0, self.userdata)
            time.sleep(0.002)
        return out
