"""The supervisor: watches the counters beside the audio path and logs what a user should know."""

import logging
import threading
from collections.abc import Callable

from apollo_rt.live.monitoring.snapshot import Snapshot

_LOG = logging.getLogger("apollo_rt")
POLL_S = 0.1
"""Between two polls."""
_ENDING_S = 15.0
"""How long the end waits for a poll, in which a device may be opened."""
_POLLS_PER_WARNING = 10
_HIGH_LOAD_PERCENT = 80.0

_WORDS = {
    "deadline_misses": "hops weren't restored in time; the input was heard instead",
    "frame_faults": "frames came back from the model unusable; the input was heard instead",
    "model_errors": "steps were refused by ONNX Runtime; the input was heard instead",
    "xruns": "under- or overruns at the device",
    "source_underruns": "blocks for which the file wasn't decoded in time",
    "sink_overruns": "blocks that the file couldn't take in time",
    "faulty_samples": "values that were not finite, replaced by silence",
    "silenced_samples": "samples of silence where nothing was captured",
    "unrecorded_samples": "samples that the file at the output could not take",
}


def warnings_between(before: Snapshot, after: Snapshot) -> list[str]:
    """Warnings of what went wrong between two snapshots, one line each."""
    untold = _untold(before, after)
    increases = {name: getattr(after, name) - getattr(before, name) for name in _WORDS if name not in untold}
    lines = _stall_lines(before, after)
    lines += [f"{increase} {_WORDS[name]}" for name, increase in increases.items() if increase]
    if after.load_percent >= _HIGH_LOAD_PERCENT > before.load_percent:
        lines.append(f"load is at {after.load_percent:.0f} %: close other programs or use a smaller model")
    return lines


def _untold(before: Snapshot, after: Snapshot) -> set[str]:
    """Counters that are no fault of ours where a stream is held back and its reserve isn't there yet, or again."""
    states = [snapshot.radio for snapshot in (before, after) if snapshot.radio]
    if not any(state.reserve_s for state in states):
        return set()
    is_waited_for = any(state.is_waiting for state in states) or len({state.stalls for state in states}) > 1
    # Silence comes later than its reason, by our latency, and has no other.
    return {"silenced_samples"} | ({"source_underruns"} if is_waited_for else set())


def _stall_lines(before: Snapshot, after: Snapshot) -> list[str]:
    """Once where a stream stalls; that it is lost altogether it says itself."""
    if before.radio is None or after.radio is None or after.radio.stalls == before.radio.stalls:
        return []
    if not after.radio.connected:
        return []
    return [f"{after.radio.url}: nothing comes any more; silent until {after.radio.reserve_s:.2f} s of it are there"]


class Supervisor:
    """A thread that mends what it can, ten times a second, and says what it does; it logs warnings once a second.

    Args:
        snapshot: gives the present state.
        poll: sees to devices and worker, and returns what a user should know, one line each.
    """

    def __init__(self, snapshot: Callable[[], Snapshot], poll: Callable[[], list[str]] = list) -> None:
        """Nothing is watched before `start`."""
        self._snapshot = snapshot
        self._poll = poll
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start watching for what comes from now on."""
        self._before = self._snapshot()
        self._thread.start()

    def stop(self) -> None:
        """Have a last poll and end; a poll that hangs is left behind."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_ENDING_S)

    def _run(self) -> None:
        n_polls, is_last = 0, False
        while not is_last:
            is_last = self._stopping.wait(POLL_S)
            n_polls += 1
            if not is_last:
                self.say(self._mend())
            if is_last or n_polls % _POLLS_PER_WARNING == 0:
                after = self._snapshot()
                self.say(warnings_between(self._before, after))
                self._before = after

    def _mend(self) -> list[str]:
        try:
            return self._poll()
        except Exception as error:  # whatever it is: who watches over everything must not die
            return [f"the supervisor met {type(error).__name__}: {error}"]

    @staticmethod
    def say(lines: list[str]) -> None:
        """Log some lines."""
        for line in lines:
            _LOG.warning(line)
