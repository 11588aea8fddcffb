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
from apollo_rt.stream.processor import FRAME, SAMPLE_FAULTS, Processor, ProcessorState, is_plausible
from apollo_rt.stream.restoration_stream import exchange
from apollo_rt.stream.shaping import read_targets, shape
from apollo_rt.stream.stft import CARRIER_SEED, Samples, analyse, copy_recent, fill_carrier, synthesise

_Samples = Annotated[Samples, "samples", 2]
_Frames = Annotated[NDArray[np.complex64], "frames", 2, "n_bins"]


class BatchStream:
    """Push samples in, get as many restored ones out, a whole batch of frames later.

    Args:
        model: its tier must have a batch graph, and look no frame ahead.
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

    @staticmethod
    def fits(model: Model) -> bool:
        """Whether the model can be run in batches; one that looks ahead goes hop by hop."""
        return model.framing.lookahead_frames == 0

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

    def _restore_batch(self) -> None:
        """`waiting` to `ready`."""
        state, buffers = self.processor.compiled, self._batch.buffers
        past = state.analysis.past.copy()
        read_targets(state.shaping, self._parameters.values)
        was_flushing = flush_to_zero(True)
        try:
            n_faults = _analyse_batch(state, buffers.spectrum, buffers.carrier, buffers.recent, self._waiting)
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
    batch = model.new_batch(threads) if BatchStream.fits(model) else None
    return None if batch is None else BatchStream(model, batch, parameters)


@entry
@realtime
def _analyse_batch(
    state: ProcessorState,
    spectra: _Frames,
    carriers: _Frames,
    recent: Annotated[NDArray[np.float32], "frames", 2, "n_recent"],
    samples: _Samples,
) -> int:
    n_faults, hop_length = 0, samples.shape[0] // spectra.shape[0]
    for frame in range(spectra.shape[0]):
        n_faults += analyse(state.analysis, samples[frame * hop_length : (frame + 1) * hop_length], spectra[frame])
        copy_recent(state.analysis, recent[frame])
        fill_carrier(CARRIER_SEED, state.counters[FRAME] + frame, carriers[frame])
    return n_faults


@entry
@realtime
def _is_batch_plausible(state: ProcessorState, restored: _Frames, spectra: _Frames) -> bool:
    """Whether the stream would take every frame, which without a lookahead is compared with its own spectrum."""
    for frame in range(spectra.shape[0]):
        if not is_plausible(restored[frame], spectra, frame, state.quiet_energy[0]):
            return False
    return True


@entry
@realtime
def _synthesise_batch(state: ProcessorState, restored: _Frames, spectra: _Frames, samples: _Samples) -> None:
    hop_length = samples.shape[0] // restored.shape[0]
    for frame in range(restored.shape[0]):
        shape(state.shaping, spectra[frame], restored[frame], state.counters[FRAME] == 0)
        synthesise(state.synthesis, restored[frame], samples[frame * hop_length : (frame + 1) * hop_length])
        state.counters[FRAME] += 1
