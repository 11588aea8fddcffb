"""The process in which a MIDI port lives: started with WANTED by `host_process`.

JACK's library frees what its own threads still read when a port is closed while connections change, and when its server
dies; what crashes then is this process and not the one that plays.

It says on its standard output, a line each: first `{"name": ...}`, or `{"error": ...}` and no more; then each message
that arrives, as hexadecimal digits; and every two seconds `{"ports": [...]}`. A line on its standard input is a message
to send, in the same form. It ends when the device is gone, or when nobody holds its standard input any more; and
where JACK's library hangs, which it can for ever and with Python's lock, an alarm of the system's ends it.
"""

import json
import os
import signal
import sys
import threading
import time
from binascii import hexlify, unhexlify
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO

from apollo_rt.control.midi import port as midi_port
from apollo_rt.errors import ControlError

REPORT_S = 2.0
"""From one question whether the device is there to the next: it makes a client at the sound server."""

_FETCH_S = 0.002
_MOST_FETCHED = 1024
_HANGING_S = 20
"""Whole seconds without a report after which the process is taken for hung; a closing server needs some of them."""


class MidiHost:
    """A MIDI port's process: passes messages between the port and a pipe.

    Args:
        port: open.
        orders: where messages to send come from.
        answers: where lines go.
        watch: called with every report.
    """

    def __init__(
        self, port: midi_port.Port, orders: BinaryIO, answers: BinaryIO, watch: Callable[[], None] = lambda: None
    ) -> None:
        self._port, self._orders, self._answers, self._watch = port, orders, answers, watch
        self._is_over = threading.Event()

    def run(self) -> None:
        """Pass messages on until the device is gone, or nobody wants them any more."""
        threading.Thread(target=self._follow, daemon=True).start()
        reported_s = -REPORT_S
        while not self._is_over.wait(_FETCH_S):
            messages = islice(iter(self._port.fetch, None), _MOST_FETCHED)
            lines = b"".join(map(to_line, messages))
            if time.monotonic() - reported_s >= REPORT_S:
                ports = self._port.ports()
                if ports is None:
                    return
                reported_s = time.monotonic()
                self._watch()
                lines += _report(ports=ports)
            if lines:
                self._answers.write(lines)
                self._answers.flush()

    def _follow(self) -> None:
        """Send what is ordered until nobody orders any more."""
        for line in self._orders:
            self._port.send(from_line(line.rstrip()))
        self._is_over.set()


def to_line(message: list[int]) -> bytes:
    """A message as a line of hexadecimal digits."""
    return hexlify(bytes(message)) + b"\n"


def from_line(line: bytes) -> list[int]:
    """The message that a line holds, without its end."""
    return list(unhexlify(line))


def _report(**what: Any) -> bytes:
    return json.dumps(what).encode() + b"\n"


def _watch() -> None:
    """Let the system end this process unless it is called again in time."""
    if hasattr(signal, "alarm"):  # where there is none, there is no JACK either
        signal.alarm(_HANGING_S)


def serve(opener: Callable[[], midi_port.Port]) -> None:
    """Be the process in which a port lives."""
    _watch()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what JACK prints goes to standard error; the lines on standard output are ours alone
    try:
        port = opener()
    except ControlError as error:
        answers.write(_report(error=str(error)))
        answers.flush()
        return
    with suppress(BrokenPipeError):  # who plays has ended
        answers.write(_report(name=port.name))
        answers.flush()
        MidiHost(port, sys.stdin.buffer, answers, _watch).run()
    port.close()


if __name__ == "__main__":
    serve(lambda: midi_port.open_port(sys.argv[1]))
    os._exit(0)  # JACK's threads may still run, and crash in the interpreter's last moments
