"""The supervisor: watches the counters beside the audio path and logs what a user should know."""

import logging
import threading
from collections.abc import Callable

from apollo_rt.live.snapshot import Snapshot

_LOG = logging.getLogger("apollo_rt")
_PERIOD_S = 1.0
_HIGH_LOAD_PERCENT = 80.0

_WORDS = {
    "deadline_misses": "hops weren't restored in time; the input was heard instead",
    "frame_faults": "frames came back from the model unusable; the input was heard instead",
    "model_errors": "steps were refused by ONNX Runtime; the input was heard instead",
    "xruns": "under- or overruns at the device",
    "source_underruns": "blocks for which the file wasn't decoded in time",
    "sink_overruns": "blocks that the file couldn't take in time",
    "faulty_samples": "values that were not finite, replaced by silence",
}


def warnings_between(before: Snapshot, after: Snapshot) -> list[str]:
    """What went wrong between two snapshots, one line each."""
    increases = {name: getattr(after, name) - getattr(before, name) for name in _WORDS}
    lines = [f"{increase} {_WORDS[name]}" for name, increase in increases.items() if increase]
    if after.load_percent >= _HIGH_LOAD_PERCENT > before.load_percent:
        lines.append(f"load is at {after.load_percent:.0f} %: close other programs or use a smaller model")
    return lines


class Supervisor:
    """A thread that logs warnings once a second.

    Args:
        snapshot: gives the present state.
    """

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        """Nothing is watched before `start`."""
        self._snapshot = snapshot
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start watching for what comes from now on."""
        self._before = self._snapshot()
        self._thread.start()

    def stop(self) -> None:
        """Have a last look and end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopping.wait(_PERIOD_S)
            after = self._snapshot()
            for line in warnings_between(self._before, after):
                _LOG.warning(line)
            self._before = after
