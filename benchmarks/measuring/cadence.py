"""Music hop by hop as a sound card asks for it, and what is told of how it came."""

import time
from typing import Any

import numpy as np

from benchmarks.measuring.recording_device import RecordingDevice
from benchmarks.measuring.times import Times, jitter_facts


def signal(music: np.ndarray, n_hops: int, hop_length: int) -> np.ndarray:
    """So many hops of music. Shape: (samples, 2)."""
    n_samples = n_hops * hop_length
    return np.tile(music, (-(-n_samples // len(music)), 1))[:n_samples]


def facts_of(device: RecordingDevice) -> dict[str, Any]:
    """By how much the callback came late, how long it took, and how often a sound card would have run dry."""
    body = Times(device.spent_ns / 1e9).percentiles_ms
    seconds = len(device.played) / device.sample_rate
    return jitter_facts(device.late_ns / 1e9) | {"callback_ms": body, "ran_dry": device.n_dry, "seconds": seconds}


def wait_for(device: RecordingDevice) -> None:
    """Wait until all is played."""
    while not device.is_done:
        time.sleep(0.05)
