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

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import flush_to_zero, realtime, realtime_sum
from apollo_rt.config import Framing
from apollo_rt.errors import ModelFileError
from apollo_rt.inference.model import Buffers, Model
from apollo_rt.inference.onnx_session import KEEPS_CADENCE, run_step
from apollo_rt.stream.shaping import Shaping, new_shaping, reset_shaping, shape
from apollo_rt.stream.stft import (
    CARRIER_SEED,
    Analysis,
    Hop,
    Samples,
    Synthesis,
    analyse,
    copy_recent,
    fill_carrier,
    new_analysis,
    new_synthesis,
    synthesise,
)

FRAME_OK, FRAME_REPLACED, STEP_FAILED = 0, 1, -1

# What stands where in the counters.
FRAME, _FRAME_FAULTS, SAMPLE_FAULTS, _DRY_FRAMES_LEFT = range(4)
# A restored frame may have 1000 times (30 dB) the energy of what came in, or of noise at -60 dBFS where that is more:
# the model fills in what a codec took, which is never more than a few dB.
_PLAUSIBLE_RATIO = np.float32(1000)
_QUIET_RMS = 1e-3
_SETTLED, _SETTLED_TO_NOTHING = np.float32(1e-6), np.float32(1e-9)


class ProcessorState(NamedTuple):
    """Everything a processor carries from hop to hop, as compiled code takes it.

    `frames` is a ring of the newest lookahead + 1 spectra: the dry frames, as old as the model's output. What `shaping`
    aims at is its user's to set, by `shaping.read_targets` before a hop.
    """

    analysis: Analysis
    synthesis: Synthesis
    buffers: Buffers
    shaping: Shaping
    frames: Annotated[NDArray[np.complex64], "frames", 2, "n_bins"]
    quiet_energy: Annotated[NDArray[np.float32], 1]
    counters: Annotated[NDArray[np.int64], 4]
    addresses: Annotated[NDArray[np.int64], "addresses"]


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
    """All that comes before the step: spectrum, newest samples, carrier, and the spectrum kept as the dry frame."""
    counters, spectrum, frames = state.counters, state.buffers.spectrum, state.frames
    counters[SAMPLE_FAULTS] += analyse(state.analysis, hop_in, spectrum)
    copy_recent(state.analysis, state.buffers.recent)
    fill_carrier(CARRIER_SEED, counters[FRAME], state.buffers.carrier)
    newest = counters[FRAME] % frames.shape[0]
    for channel in range(spectrum.shape[0]):
        for k in range(spectrum.shape[1]):
            frames[newest, channel, k] = spectrum[channel, k]


@realtime
def _end(state: ProcessorState, status: int, hop_out: Samples) -> int:
    """All that comes after the step: guard, shaping, synthesis, the next frame's number."""
    counters, restored, frames = state.counters, state.buffers.restored, state.frames
    code = FRAME_OK
    dry = (counters[FRAME] + 1) % frames.shape[0]
    if status != 0 or not is_plausible(restored, frames, dry, state.quiet_energy[0]):
        code = STEP_FAILED if status != 0 else FRAME_REPLACED
        counters[_FRAME_FAULTS] += 1
        state.buffers.states[:] = 0
        counters[_DRY_FRAMES_LEFT] = frames.shape[0]  # what follows from fresh states lacks the lookahead, too
    if counters[_DRY_FRAMES_LEFT] > 0:
        counters[_DRY_FRAMES_LEFT] -= 1
        for channel in range(restored.shape[0]):
            for k in range(restored.shape[1]):
                restored[channel, k] = frames[dry, channel, k]
    else:
        shape(state.shaping, frames[dry], restored, counters[FRAME] == 0)
    synthesise(state.synthesis, restored, hop_out)
    counters[FRAME] += 1
    return code


@realtime_sum
def is_plausible(restored: NDArray[np.complex64], frames: NDArray[np.complex64], dry: int, quiet: np.float32) -> bool:
    """Tell whether a frame is finite, and no louder than a restored one can be; NaN fails the comparison.

    Shape:
        restored: (2, n_bins); frames: (frames, 2, n_bins)
    """
    energy_in = energy_out = np.float32(0)
    for channel in range(restored.shape[0]):
        for k in range(restored.shape[1]):
            before, after = frames[dry, channel, k], restored[channel, k]
            energy_in += before.real * before.real + before.imag * before.imag
            energy_out += after.real * after.real + after.imag * after.imag
    return bool(energy_out <= _PLAUSIBLE_RATIO * max(energy_in, quiet))


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
        self._state = _new_state(model.framing, self._step.buffers, self._step.bound.addresses)
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
        return int(self._state.counters[_FRAME_FAULTS])

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

    def reset(self) -> None:
        """Forget everything: equals a new processor."""
        reset_processor(self._state)


def _new_state(framing: Framing, buffers: Buffers, addresses: NDArray[np.int64]) -> ProcessorState:
    analysis = new_analysis(framing)
    # Of white noise, each bin has the variance times the window's energy (Parseval); two channels.
    quiet = 2 * framing.n_bins * _QUIET_RMS**2 * float(np.sum(analysis.window**2))
    return ProcessorState(
        analysis=analysis,
        synthesis=new_synthesis(framing),
        buffers=buffers,
        shaping=new_shaping(framing),
        frames=np.zeros((framing.lookahead_frames + 1, 2, framing.n_bins), np.complex64),
        quiet_energy=np.array([quiet], np.float32),
        counters=np.zeros(4, np.int64),
        addresses=addresses,
    )
