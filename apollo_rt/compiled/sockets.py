"""Messages to another process for compiled code: whole ones, through a socket, with the system's own `send` and `recv`.

The socket is made and kept in Python; compiled code knows its number. How long it waits at most is the socket's own
setting, see `set_patience`.
"""

import ctypes
import socket
import struct
import sys

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import call_address, realtime

_SEND, _RECEIVE, _WAIT_FOR_ALL = range(3)
_TRIES = 3
"""A signal that the thread happens to get interrupts a wait: so often it waits again."""


def socket_calls() -> NDArray[np.int64]:
    """`send` and `recv` as addresses, and the flag by which `recv` waits for all."""
    library = ctypes.CDLL("ws2_32" if sys.platform == "win32" else None)  # 64-bit Windows has one calling convention
    addresses = [ctypes.cast(function, ctypes.c_void_p).value for function in (library.send, library.recv)]
    return np.array([*addresses, socket.MSG_WAITALL], np.int64)


def set_patience(connection: socket.socket, duration_s: float) -> None:
    """Set how long sending and receiving may wait before they fail.

    Args:
        connection: in blocking mode.
        duration_s: rounded to milliseconds, at least one.
    """
    millis = max(round(duration_s * 1e3), 1)
    value = struct.pack("I", millis) if sys.platform == "win32" else struct.pack("ll", *divmod(millis * 1000, 10**6))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, value)


@realtime
def send_message(calls: NDArray[np.int64], connection: int, message: NDArray[np.int64]) -> bool:
    """Send all of an array; False where the other side is gone or doesn't take it.

    Shape:
        calls (3,), see `socket_calls`; message (words,)
    """
    n_bytes = message.shape[0] * 8
    return bool(call_address(calls[_SEND], (connection, message.ctypes.data, n_bytes, 0)) & 0xFFFFFFFF == n_bytes)


@realtime
def receive_message(calls: NDArray[np.int64], connection: int, message: NDArray[np.int64]) -> bool:
    """Wait for all of an array; False where the other side is gone, or silent for too long.

    Shape:
        calls (3,), see `socket_calls`; message (words,)
    """
    n_bytes = message.shape[0] * 8
    done = tries = 0
    while done < n_bytes and tries < _TRIES:
        arguments = (connection, message.ctypes.data + done, n_bytes - done, calls[_WAIT_FOR_ALL])
        got = call_address(calls[_RECEIVE], arguments) & 0xFFFFFFFF
        if got == 0:
            return False
        if got > n_bytes:  # -1: the time is up, or a signal came
            tries += 1
        else:
            done += got
    return bool(done == n_bytes)
