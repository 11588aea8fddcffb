"""Device block: turns a device's one or two channels, at an address, into the two of the stream, and back."""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import array_from_address, realtime


@realtime
def read_block(address: int, n_samples: int, channels: int, begin: int, block: NDArray[np.float32]) -> None:
    """Read from a device's block; one channel is doubled.

    Args:
        address: of `(n_samples, channels)` float32.
        n_samples: the device's block size.
        channels: 1 or 2.
        begin: where in the device's block to begin.
        block: filled.

    Shape:
        (samples, 2)
    """
    device = array_from_address(address, (n_samples, channels), np.float32)
    for index in range(block.shape[0]):
        block[index, 0] = device[begin + index, 0]
        block[index, 1] = device[begin + index, channels - 1]


@realtime
def write_block(address: int, n_samples: int, channels: int, begin: int, block: NDArray[np.float32]) -> None:
    """Write into a device's block; a single channel gets the mean. Arguments and shape as of `read_block`."""
    device = array_from_address(address, (n_samples, channels), np.float32)
    for index in range(block.shape[0]):
        if channels == 1:
            device[begin + index, 0] = np.float32(0.5) * (block[index, 0] + block[index, 1])
        else:
            device[begin + index, 0] = block[index, 0]
            device[begin + index, 1] = block[index, 1]
