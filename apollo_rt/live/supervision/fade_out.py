"""The end of what is heard, before a device is closed: a fade, and the time that it needs to get out of the device."""

import time

from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.endpoints.driver import Driver
from apollo_rt.live.realtime.counters import SAMPLES
from apollo_rt.live.realtime.shared_state import MUTE, OUTPUT_CHANNELS, Line

_LONGEST_S, _POLL_S = 0.5, 0.005


def fade_out(line: Line, driver: Driver) -> None:
    """Have the callback fade to silence; a file that is written is not faded, it ends where it ends.

    Args:
        line: of the callback.
        driver: calls it back, and will be closed.
    """
    if not line.control[OUTPUT_CHANNELS] or not driver.active:
        return
    # What has been faded must leave the device's buffer, too: closing throws away what is still in it.
    tail = FADE_LENGTH + 2 * driver.block_size + round(driver.device_latency_s[1] * driver.sample_rate)
    end, give_up_s = int(line.stats.counters[SAMPLES]) + tail, time.monotonic() + _LONGEST_S
    line.control[MUTE] = 1
    while int(line.stats.counters[SAMPLES]) < end and time.monotonic() < give_up_s:
        time.sleep(_POLL_S)
