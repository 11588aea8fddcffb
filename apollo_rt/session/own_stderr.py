"""Standard error for what we say, not for what C libraries print: PortAudio and ALSA report every trouble there."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from apollo_rt.devices.left_behind import is_any_left


@contextmanager
def stderr_to_ourselves() -> Iterator[None]:
    """Send what is written to file descriptor 2 nowhere, but what Python writes to `sys.stderr` where it went.

    Where a stream of PortAudio hangs at the end it stays so.
    """
    before = sys.stderr
    before.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(os.dup(saved), "w", encoding=getattr(before, "encoding", None), buffering=1)
    try:
        yield
    finally:
        if not is_any_left():  # what hangs may print until the very end
            sys.stderr.close()
            sys.stderr = before
            os.dup2(saved, 2)
        os.close(saved)
