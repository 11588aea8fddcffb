"""The threads of this process as the system counts them, those of C libraries too. Linux; elsewhere there are none."""

import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path


def thread_ids() -> set[int]:
    """The system's numbers of all threads; none where it doesn't tell."""
    with suppress(OSError):
        return {int(folder.name) for folder in Path("/proc/self/task").iterdir()}
    return set()


def begun_since(before: set[int], names: Collection[str] = ()) -> set[int]:
    """Threads that have begun since, without Python's own.

    Args:
        before: `thread_ids` from before.
        names: Python's threads of these names count as well.
    """
    own = {thread.native_id for thread in threading.enumerate() if thread.name not in names}
    return thread_ids() - before - own
