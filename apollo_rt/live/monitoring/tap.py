"""A tap reads the output, and the input that it is made of, beside the audio path, which never waits for it.

The callback keeps its input (`history`, also the dry signal's delay line) and what it handed out (`output`) in rings
with one absolute sample index. Output sample t is made of input sample t - D, so that both are read aligned to the
sample, whatever the latency is: for spectra, meters, recordings. 1.3 s can be looked back.
"""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import realtime
from apollo_rt.compiled.records import load
from apollo_rt.live.realtime.counters import Counters
from apollo_rt.live.realtime.ring import Block, Ring, fetch
from apollo_rt.live.realtime.shared_state import SharedState


class Tap:
    """Reads input and output of the same moment; any thread may ask, each with buffers of its own.

    Args:
        shared: may be running.
    """

    def __init__(self, shared: SharedState) -> None:
        self._history = shared.history
        self._output = shared.output
        self._counters, self._control = shared.stats.counters, shared.control

    @property
    def end(self) -> int:
        """Absolute index behind the last sample that was handed out: so many there were since the start."""
        return int(_end(self._counters))

    def read(self, begin: int, before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
        """Fetch a stretch of the output, and of the input that it is made of.

        Args:
            begin: absolute index of the first sample of output; silence lies before the start.
            before: is filled with the input of D samples earlier.
            after: is filled with the output.

        Returns:
            Whether that is what was asked for: False where some of it has been overwritten meanwhile (the reader fell
            more than a second behind), or is still to come.

        Shape:
            before, after (samples, 2), C-contiguous, of equal length
        """
        delay = int(self._control.delay)
        return bool(_read(self._history, self._output, self._counters, begin, begin - delay, before, after))


@entry
@realtime
def _end(counters: Counters) -> int:
    return load(counters, "samples")  # type: ignore[no-any-return]  # numba ships no type hints


@entry
@realtime
def _read(
    history: Ring,
    output: Ring,
    counters: Counters,
    begin: int,
    input_begin: int,
    before: Block,
    after: Block,
) -> bool:
    """The callback counts a sample when it has written it to both rings."""
    is_there = begin + after.shape[0] <= load(counters, "samples")
    return bool(fetch(history, input_begin, before) and fetch(output, begin, after) and is_there)
