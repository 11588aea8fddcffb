"""The service manager that started us, if one did: it is told when we are ready, and that we are still alive.

systemd's protocol (sd_notify(3)): datagrams of `NAME=value` lines to the socket that the environment names. Without
one, as when a user starts the program by hand, nothing is sent.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

_PINGS_PER_PERIOD = 4
"""sd_watchdog_enabled(3) asks for two at least."""


class ServiceManager:
    """Tells the manager how we are.

    Args:
        environment: None: that of the process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        variables = os.environ if environment is None else environment
        address = variables.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        microseconds, number = variables.get("WATCHDOG_USEC", ""), variables.get("WATCHDOG_PID", str(os.getpid()))
        is_meant = microseconds.isdecimal() and number == str(os.getpid())
        self._ping_s = int(microseconds) / 1e6 / _PINGS_PER_PERIOD if is_meant else 0.0
        self._next_ping_s = 0.0
        self._seen_calls = -1

    @property
    def is_there(self) -> bool:
        """A manager started us and wants to be told."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """Tell that all is open and plays, in words too."""
        self._tell(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Tell that the end has begun."""
        self._tell("STOPPING=1")

    def wait_longer(self, seconds: float) -> None:
        """Ask for so much more time to start: something is compiled."""
        self._tell(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def still_alive(self, n_calls: int, is_waiting: bool) -> None:
        """Ping the watchdog when that is due and the audio callback has been called since the last ping.

        Args:
            n_calls: how often the callback was called since the start.
            is_waiting: a device is waited for, so nobody calls: that is no fault.
        """
        now_s = time.monotonic()
        if self._ping_s and now_s >= self._next_ping_s and (n_calls != self._seen_calls or is_waiting):
            self._seen_calls, self._next_ping_s = n_calls, now_s + self._ping_s
            self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        with suppress(OSError, AttributeError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
            teller.sendto(text.encode(), self._address)
