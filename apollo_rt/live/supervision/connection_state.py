"""States of the connection to the devices, as interfaces show them."""

from enum import Enum


class ConnectionState(Enum):
    """States of the connection to the devices."""

    CLOSED = "closed"
    PLAYING = "playing"
    WAITING = "waiting for the device"
    RESTING = "resting: nothing plays"
    OVER = "over"
    FAILED = "failed"
