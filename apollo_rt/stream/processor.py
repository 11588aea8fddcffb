"""The heart: one hop in, one hop out. No threads, no devices, no clock.

```
 hop -> analyse -> spectrum -> model step -> restored -> guard -> synthesise -> hop
                      '-> frames (dry, as old as restored) --^ shape
```

`process_hop` is the whole chain as compiled code, for a thread that never needs the interpreter. Where the model's
back end needs it, `Processor.process` runs the same pieces around a step from Python.

All memory is allocated once. What the FFT (23 small `malloc`s a hop, rocket-fft 0.4.1) and ONNX Runtime do inside
themselves is out of our hands, which is why a hop is processed in a worker and never in the audio callback.
"""

import numpy as np

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import flush_to_zero, realtime
from apollo_rt.config import Framing
from apollo_rt.errors import ModelFileError
from apollo_rt.inference.model import Model
from apollo_rt.inference.onnx_session import KEEPS_CADENCE, run_step
from apollo_rt.stream.edges import FEWEST_HOPS
from apollo_rt.stream.processor_state import (
    DRY_FRAMES_LEFT,
    FRAME,
    FRAME_FAULTS,
    N_HOPS,
    SAMPLE_FAULTS,
    ProcessorState,
    give_frame,
    is_plausible,
    keep_dry,
    new_state,
    take_frame,
)
from apollo_rt.stream.shaping import reset_shaping
from apollo_rt.stream.stft import Hop, Samples

FRAME_OK, FRAME_REPLACED, STEP_FAILED = 0, 1, -1
_SETTLED, _SETTLED_TO_NOTHING = np.float32(1e-6), np.float32(1e-9)


@entry
@realtime
def process_hop(state: ProcessorState, hop_in: Hop, hop_out: Hop) -> int:
    """Restore one hop; needs no interpreter.

    Args:
        state: `Processor.compiled`; no other thread may use it meanwhile.
        hop_in: samples; those that are no audio (not finite, beyond +-1e6) become zero and are counted.
        hop_out: what the newest frame completed, `Framing.hop_delay` samples after `hop_in`.

    Returns:
        FRAME_OK; FRAME_REPLACED where the model's frame was not finite or absurdly loud and the dry one was taken;
        STEP_FAILED where ONNX Runtime refused, with the dry frame too.

    Shape:
        (hop_length, 2), float32
    """
    was_flushing = flush_to_zero(True)
    _begin(state, hop_in)
    status = run_step(state.addresses, state.counters[FRAME] & 1)
    code = _end(state, status, hop_out)
    flush_to_zero(was_flushing)
    return code


@entry
@realtime
def reset_processor(state: ProcessorState) -> None:
    """Forget everything: the next hop is the first again. Needs no interpreter."""
    state.analysis.past[:] = 0
    state.synthesis.tail[:] = 0
    state.buffers.states[:] = 0
    state.frames[:] = 0
    state.counters[:] = 0
    reset_shaping(state.shaping)


@realtime
def has_settled(state: ProcessorState) -> bool:
    """Whether the last step changed none of the model's states by more than a millionth: more of the same changes none.

    For hops of silence, of which hours may come: half the states are the last step's, the other half those before it.
    Never on an accelerator: one that is left alone lowers its clocks, and the first hop of music would come too late.
    """
    if state.addresses[KEEPS_CADENCE] != 0:
        return False
    states = state.buffers.states
    for index in range(states.shape[1]):
        if not abs(states[0, index] - states[1, index]) <= _SETTLED * abs(states[0, index]) + _SETTLED_TO_NOTHING:
            return False
    return True


@realtime
def rest_processor(state: ProcessorState) -> None:
    """Let a hop of silence pass that would change nothing; only where `has_settled`."""
    state.counters[FRAME] += 1


@realtime
def _begin(state: ProcessorState, hop_in: Samples) -> None:
    """All that comes before the step."""
    buffers, frame = state.buffers, state.counters[FRAME]
    state.counters[SAMPLE_FAULTS] += take_frame(
        state, frame, hop_in, buffers.spectrum, buffers.recent, buffers.carrier, buffers.present
    )


@realtime
def _end(state: ProcessorState, status: int, hop_out: Samples) -> int:
    """All that comes after the step: guard, shaping, synthesis, the next frame's number."""
    counters, restored, frames = state.counters, state.buffers.restored, state.frames
    code = FRAME_OK
    dry = keep_dry(state, state.buffers.spectrum)
    if status != 0 or not is_plausible(restored, frames, dry, state.quiet_energy[0]):
        code = STEP_FAILED if status != 0 else FRAME_REPLACED
        counters[FRAME_FAULTS] += 1
        state.buffers.states[:] = 0
        counters[DRY_FRAMES_LEFT] = frames.shape[0]  # what follows from fresh states lacks the lookahead, too
    give_frame(state, restored, dry, hop_out)
    return code


class Processor:
    """A model with the framing around it: hop in, hop out.

    The constructor allocates, compiles and runs the model once; `process` does none of it.

    Raises:
        ModelFileError: the model fails on silence.
    """

    def __init__(self, model: Model) -> None:
        """Make a fresh state for `model`, which others may use too."""
        self.model = model
        self._step = model.new_step()
        self._state = new_state(model.framing, self._step.buffers, self._step.bound.addresses)
        self._hop_in, self._hop_out = (np.zeros((model.framing.hop_length, 2), np.float32) for _ in range(2))
        if self._run() < 0:
            raise ModelFileError(f"{model.card.path}: the graph can't be run: {self.error}")
        self.reset()

    @property
    def framing(self) -> Framing:
        """Framing of the stream."""
        return self.model.framing

    @property
    def compiled(self) -> ProcessorState:
        """The state, for callers of `process_hop` in compiled code; keep this object while they use it."""
        return self._state

    @property
    def frame_faults(self) -> int:
        """Frames since the last reset that the model spoilt and that were replaced."""
        return int(self._state.counters[FRAME_FAULTS])

    @property
    def sample_faults(self) -> int:
        """Samples since the last reset that were no audio and became zero."""
        return int(self._state.counters[SAMPLE_FAULTS])

    @property
    def error(self) -> str:
        """Error of ONNX Runtime when a step failed for the first time; empty for none."""
        return self._step.bound.error

    def process(self, hop: Samples, out: Samples | None = None) -> Samples:
        """Restore one hop.

        Args:
            hop: the next samples of the stream.
            out: where to write; None makes an array.

        Returns:
            `out`: the stream `Framing.hop_delay` samples earlier, restored.

        Shape:
            (hop_length, 2)

        Raises:
            ValueError: the hop has another shape.
        """
        if np.shape(hop) != self._hop_in.shape:
            raise ValueError(f"hop must have the shape {self._hop_in.shape}, got {np.shape(hop)}")
        self._hop_in[:] = hop
        self._run()
        if out is None:
            return self._hop_out.copy()
        out[:] = self._hop_out
        return out

    def _run(self) -> int:
        if self.model.backend == "c_api":
            return process_hop(self._state, self._hop_in, self._hop_out)
        was_flushing = flush_to_zero(True)
        _begin(self._state, self._hop_in)
        status = self._step.bound.run(int(self._state.counters[FRAME]) & 1)
        code = _end(self._state, status, self._hop_out)
        flush_to_zero(was_flushing)
        return code

    def warm_up(self) -> None:
        """Let an accelerator get ready in the thread that will call `process`; only where that has not begun.

        Raises:
            ProviderError: it can't.
        """
        if self.model.provider.name != "cpu" and self._state.counters[FRAME] == 0:
            self._step.bound.warm_up()
            self.reset()

    def end_behind(self, n_waiting: int) -> None:
        """End the stream behind its last hop and samples that wait for theirs: frames see it as their framing says.

        What follows, silence by its caller, brings out what is still inside; until `reset` it is no part of the stream.

        Args:
            n_waiting: samples that were not processed yet; those that fill their last hop up are silence.
        """
        n_hops = int(self._state.counters[FRAME]) - (-n_waiting // self.framing.hop_length)
        self._state.counters[N_HOPS] = max(n_hops, FEWEST_HOPS)

    def reset(self) -> None:
        """Forget everything: equals a new processor."""
        reset_processor(self._state)
