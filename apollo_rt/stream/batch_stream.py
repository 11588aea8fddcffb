"""The stream for files: as `RestorationStream`, but the model takes many frames at once, and threads may share them.

```
 hops -> analyse -> spectra (frames, 2, bins) -> batch graph -> restored -> all plausible? -> synthesise -> hops
                                                                    no: back to where the batch began, hop by hop
```

What comes out equals the stream's to -80 dB: the same weights, with sums in another order.
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import flush_to_zero, realtime
from apollo_rt.config import Framing
from apollo_rt.control.parameters import Parameters
from apollo_rt.inference.model import Batch, Buffers, Model
from apollo_rt.stream.processor import Processor
from apollo_rt.stream.processor_state import (
    FRAME,
    SAMPLE_FAULTS,
    ProcessorState,
    give_frame,
    is_plausible,
    keep_dry,
    take_frame,
)
from apollo_rt.stream.restoration_stream import exchange
from apollo_rt.stream.shaping import read_targets
from apollo_rt.stream.stft import Samples

_Samples = Annotated[Samples, "samples", 2]
_Frames = Annotated[NDArray[np.complex64], "frames", 2, "n_bins"]


class BatchStream:
    """Push samples in, get as many restored ones out, a whole batch of frames later.

    Args:
        model: its tier must have a batch graph.
        batch: from `model.new_batch`; this stream alone uses it.
        parameters: see `RestorationStream`; read once per batch.
    """

    def __init__(self, model: Model, batch: Batch, parameters: Parameters | None = None) -> None:
        """Make a fresh stream; compiles and runs the model once."""
        self.processor = Processor(model)
        self._parameters = parameters or Parameters()
        self._batch = batch
        shape = (batch.n_frames * model.framing.hop_length, 2)
        self._waiting, self._ready = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._position = np.zeros(1, np.int64)
        self._parity = 0

    @property
    def framing(self) -> Framing:
        """Framing of the stream."""
        return self.processor.framing

    @property
    def latency_samples(self) -> int:
        """Samples by which the output lags behind the input."""
        return self.framing.algorithmic_latency + (self._batch.n_frames - 1) * self.framing.hop_length

    def process(self, samples: Samples) -> Samples:
        """Restore the next samples of the stream, any number of them.

        Returns:
            a new array with the stream `latency_samples` earlier, restored; zeros come before its start.

        Shape:
            (samples, 2)
        """
        block, done = np.require(samples, np.float32, ["C", "W"]), 0
        out = np.empty_like(block)
        while done < len(block):
            done = exchange(self._waiting, self._ready, self._position, block, out, done)
            if self._position[0] == 0:
                self._restore_batch()
        return out

    def finish(self) -> Samples:
        """End the stream: give what is still inside it, `latency_samples` of them. Only `reset` may follow."""
        self.processor.end_behind(int(self._position[0]))
        return self.process(np.zeros((self.latency_samples, 2), np.float32))

    def reset(self) -> None:
        """Forget everything: equals a new stream."""
        self.processor.reset()
        self._batch.buffers.states[:] = 0
        self._position[0] = self._parity = 0
        self._ready[:] = 0

    def _restore_batch(self) -> None:
        """`waiting` to `ready`."""
        state, buffers = self.processor.compiled, self._batch.buffers
        past = state.analysis.past.copy()
        read_targets(state.shaping, self._parameters.values)
        was_flushing = flush_to_zero(True)
        try:
            frames = (buffers.spectrum, buffers.recent, buffers.carrier, buffers.present)
            n_faults = _analyse_batch(state, *frames, self._waiting)
            status = self._batch.bound.run(self._parity)
            if status == 0 and _is_batch_plausible(state, buffers.restored, buffers.spectrum):
                _synthesise_batch(state, buffers.restored, buffers.spectrum, self._ready)
                state.counters[SAMPLE_FAULTS] += n_faults
                self._parity = 1 - self._parity
                return
        finally:
            flush_to_zero(was_flushing)
        state.analysis.past[:] = past
        self._restore_by_hops(state, buffers)

    def _restore_by_hops(self, state: ProcessorState, buffers: Buffers) -> None:
        """As the stream does, which replaces the frames that the model spoilt; the states go there and back."""
        hop_length = self.framing.hop_length
        state.buffers.states[state.counters[FRAME] & 1] = buffers.states[self._parity]
        for begin in range(0, len(self._waiting), hop_length):
            hop = slice(begin, begin + hop_length)
            self.processor.process(self._waiting[hop], self._ready[hop])
        buffers.states[self._parity] = state.buffers.states[state.counters[FRAME] & 1]


def open_batch_stream(model: Model, threads: int = 1, parameters: Parameters | None = None) -> BatchStream | None:
    """The fast stream where the model has what it needs, else None."""
    batch = model.new_batch(threads)
    return None if batch is None else BatchStream(model, batch, parameters)


@entry
@realtime
def _analyse_batch(
    state: ProcessorState,
    spectra: _Frames,
    recent: Annotated[NDArray[np.float32], "frames", 2, "n_recent"],
    carriers: _Frames,
    present: Annotated[NDArray[np.float32], "frames", "n_present"],
    samples: _Samples,
) -> int:
    n_faults, hop_length = 0, samples.shape[0] // spectra.shape[0]
    for place in range(spectra.shape[0]):
        hop, frame = samples[place * hop_length : (place + 1) * hop_length], state.counters[FRAME] + place
        n_faults += take_frame(state, frame, hop, spectra[place], recent[place], carriers[place], present[place])
    return n_faults


@entry
@realtime
def _is_batch_plausible(state: ProcessorState, restored: _Frames, spectra: _Frames) -> bool:
    """Whether the stream would take every frame: each is compared with its own spectrum, a lookahead before."""
    n_kept = state.frames.shape[0]
    for frame in range(restored.shape[0]):
        own, quiet = frame + 1 - n_kept, state.quiet_energy[0]
        if own >= 0:
            is_right = is_plausible(restored[frame], spectra, own, quiet)
        else:
            is_right = is_plausible(restored[frame], state.frames, (state.counters[FRAME] + frame + 1) % n_kept, quiet)
        if not is_right:
            return False
    return True


@entry
@realtime
def _synthesise_batch(state: ProcessorState, restored: _Frames, spectra: _Frames, samples: _Samples) -> None:
    hop_length = samples.shape[0] // restored.shape[0]
    for frame in range(restored.shape[0]):
        dry = keep_dry(state, spectra[frame])
        give_frame(state, restored[frame], dry, samples[frame * hop_length : (frame + 1) * hop_length])
