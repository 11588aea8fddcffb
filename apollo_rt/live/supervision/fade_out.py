"""The end of what is heard, before a device is closed: a fade, and the time that it needs to get out of the device."""

import time

from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.endpoints.driver import Driver
from apollo_rt.live.realtime.shared_state import SharedState

_LONGEST_S, _POLL_S = 0.5, 0.005


def fade_out(shared: SharedState, driver: Driver) -> None:
    """Have the callback fade to silence; a file that is written is not faded, it ends where it ends.

    Args:
        shared: of the callback.
        driver: calls it back, and will be closed.
    """
    if not shared.control.output_channels or not driver.active:
        return
    # What has been faded must leave the device's buffer, too: closing throws away what is still in it.
    tail = FADE_LENGTH + 2 * driver.block_size + round(driver.device_latency_s[1] * driver.sample_rate)
    end, give_up_s = int(shared.stats.counters.samples) + tail, time.monotonic() + _LONGEST_S
    shared.control.mute = 1
    while int(shared.stats.counters.samples) < end and time.monotonic() < give_up_s:
        time.sleep(_POLL_S)
