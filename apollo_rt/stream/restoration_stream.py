"""The processor for a stream that comes in blocks of any size: as many samples out as in, at a constant latency."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import realtime
from apollo_rt.config import Framing
from apollo_rt.control.parameters import LiveValues, Parameters
from apollo_rt.inference.model import Model
from apollo_rt.stream.processor import Processor, process_hop
from apollo_rt.stream.processor_state import ProcessorState
from apollo_rt.stream.shaping import read_targets
from apollo_rt.stream.stft import Hop, Samples


class RestorationStream:
    """Push samples in, get as many restored ones out.

    Waiting for a whole hop costs one hop, which with the processor's own delay makes `latency_samples`; it depends
    neither on the sizes of the blocks nor on their history.

    Args:
        model: from `load_model`.
        parameters: live values, of which those count here that act on the spectrum: strength, air and crossover. What
            acts on samples (mix, gain ...) is `DryLine`'s.
    """

    def __init__(self, model: Model, parameters: Parameters | None = None) -> None:
        """Make a fresh stream; compiles and runs the model once."""
        self.processor = Processor(model)
        self._parameters = parameters or Parameters()
        shape = (model.framing.hop_length, 2)
        self._waiting, self._ready = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._position = np.zeros(1, np.int64)
        self.process(np.zeros((0, 2), np.float32))

    @property
    def framing(self) -> Framing:
        """Framing of the stream."""
        return self.processor.framing

    @property
    def latency_samples(self) -> int:
        """Samples by which the output lags behind the input."""
        return self.framing.algorithmic_latency

    def process(self, samples: Samples) -> Samples:
        """Restore the next samples of the stream, any number of them.

        Returns:
            a new array with the stream `latency_samples` earlier, restored; zeros come before its start.

        Shape:
            (samples, 2)

        Raises:
            ValueError: the samples have another shape.
        """
        if np.ndim(samples) != 2 or np.shape(samples)[1] != 2:
            raise ValueError(f"samples must have the shape (samples, 2), got {np.shape(samples)}")
        block = np.require(samples, np.float32, ["C", "W"])
        out = np.empty_like(block)
        if self.processor.model.backend == "c_api":
            values = self._parameters.values
            _push(self.processor.compiled, values, self._waiting, self._ready, self._position, block, out)
            return out
        done = 0
        while done < len(block):
            done = exchange(self._waiting, self._ready, self._position, block, out, done)
            if self._position[0] == 0:
                read_targets(self.processor.compiled.shaping, self._parameters.values)
                self.processor.process(self._waiting, self._ready)
        return out

    def finish(self) -> Samples:
        """End the stream: give what is still inside it, `latency_samples` of them. Only `reset` may follow."""
        self.processor.end_behind(int(self._position[0]))
        return self.process(np.zeros((self.latency_samples, 2), np.float32))

    def reset(self) -> None:
        """Forget everything: equals a new stream."""
        self.processor.reset()
        self._position[0] = 0
        self._ready[:] = 0


@entry
@realtime
def _push(
    state: ProcessorState,
    parameters: LiveValues,
    waiting: Hop,
    ready: Hop,
    position: Annotated[NDArray[np.int64], 1],
    block: Annotated[Samples, "samples", 2],
    out: Annotated[Samples, "samples", 2],
) -> None:
    done = 0
    while done < block.shape[0]:
        done = exchange(waiting, ready, position, block, out, done)
        if position[0] == 0:
            read_targets(state.shaping, parameters)
            process_hop(state, waiting, ready)


@entry
@realtime
def exchange(
    waiting: Hop,
    ready: Hop,
    position: Annotated[NDArray[np.int64], 1],
    block: Annotated[Samples, "samples", 2],
    out: Annotated[Samples, "samples", 2],
    done: int,
) -> int:
    """Swap samples until the block ends or a hop is full, which sets `position` to 0; returns how many are done.

    Shape:
        waiting and ready (hop_length, 2); position (1,); block and out (samples, 2)
    """
    n_hop, start = waiting.shape[0], position[0]
    count = min(n_hop - start, block.shape[0] - done)
    for n in range(count):
        for channel in range(2):
            waiting[start + n, channel] = block[done + n, channel]
            out[done + n, channel] = ready[start + n, channel]
    position[0] = (start + count) % n_hop
    return done + count  # type: ignore[no-any-return]
