"""JACK's period: how many samples its server hands over at once, whatever a client asks for.

PortAudio cuts a longer period into the blocks that it was asked for and calls back for all of them in one burst: with a
period of 1024 and blocks of 256, 737 of 1050 hops were missed (JACK 1.9.21), which looks as if the model were slow.
"""

import ctypes
import os

from apollo_rt.devices.opening_environment import library_messages_hidden

JACK = "JACK Audio Connection Kit"
"""PortAudio's name of it."""

_LIBRARY = {"nt": "libjack64.dll", "posix": "libjack.so.0"}
_NO_START = 1
"""`JackNoStartServer` (jack/types.h)."""


def jack_period() -> int:
    """Number of samples in a period of the JACK server that is running; 0 where it can't be asked."""
    try:
        jack = ctypes.CDLL(_LIBRARY[os.name])
    except OSError:
        return 0
    jack.jack_client_open.restype = ctypes.c_void_p
    jack.jack_get_buffer_size.argtypes = jack.jack_client_close.argtypes = [ctypes.c_void_p]
    with library_messages_hidden():
        client = jack.jack_client_open(b"apollo-rt-period", _NO_START, ctypes.byref(ctypes.c_int()))
        if not client:
            return 0
        try:
            return int(jack.jack_get_buffer_size(client))
        finally:
            jack.jack_client_close(client)
