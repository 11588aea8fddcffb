"""The processor's state goes from hop to hop; each frame passes these functions before the model and behind it."""

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import realtime, realtime_sum
from apollo_rt.config import Framing
from apollo_rt.inference.model import Buffers
from apollo_rt.stream.edges import analyse_to_edges
from apollo_rt.stream.shaping import Shaping, new_shaping, shape
from apollo_rt.stream.stft import (
    CARRIER_SEED,
    Analysis,
    Frame,
    Samples,
    Synthesis,
    analyse,
    copy_recent,
    fill_carrier,
    new_analysis,
    new_synthesis,
    synthesise,
)

# What stands where in the counters.
FRAME, FRAME_FAULTS, SAMPLE_FAULTS, DRY_FRAMES_LEFT, N_HOPS, _N_COUNTERS = range(6)
# A restored frame may have 1000 times (30 dB) the energy of what came in, or of noise at -60 dBFS where that is more:
# the model fills in what a codec took, which is never more than a few dB.
_PLAUSIBLE_RATIO = np.float32(1000)
_QUIET_RMS = 1e-3


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
    counters: Annotated[NDArray[np.int64], _N_COUNTERS]
    addresses: Annotated[NDArray[np.int64], "addresses"]


def new_state(framing: Framing, buffers: Buffers, addresses: NDArray[np.int64]) -> ProcessorState:
    """A fresh state."""
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
        counters=np.zeros(_N_COUNTERS, np.int64),
        addresses=addresses,
    )


@realtime
def take_frame(
    state: ProcessorState,
    frame: int,
    hop: Samples,
    spectrum: Frame,
    recent: Samples,
    carrier: Frame,
    present: NDArray[np.float32],
) -> int:
    """Write all that the model gets of one frame; returns the samples that were no audio and became zero."""
    if present.shape[0] == 0:
        n_zeroed = analyse(state.analysis, hop, spectrum)
    else:
        n_zeroed = analyse_to_edges(state.analysis, hop, spectrum, present, frame, state.counters[N_HOPS])
    copy_recent(state.analysis, recent)
    fill_carrier(CARRIER_SEED, frame, carrier)
    return n_zeroed


@realtime
def keep_dry(state: ProcessorState, spectrum: Frame) -> int:
    """Keep the newest spectrum; returns where in the ring that one stands that is as old as the model's output."""
    frames, frame = state.frames, state.counters[FRAME]
    newest = frame % frames.shape[0]
    for channel in range(spectrum.shape[0]):
        for k in range(spectrum.shape[1]):
            frames[newest, channel, k] = spectrum[channel, k]
    return (frame + 1) % frames.shape[0]  # type: ignore[no-any-return]


@realtime
def give_frame(state: ProcessorState, restored: Frame, dry: int, hop_out: Samples) -> None:
    """Shape a restored frame and write the hop that it completes; the next frame is the newest then."""
    counters, frames = state.counters, state.frames
    if counters[DRY_FRAMES_LEFT] > 0:
        counters[DRY_FRAMES_LEFT] -= 1
        for channel in range(restored.shape[0]):
            for k in range(restored.shape[1]):
                restored[channel, k] = frames[dry, channel, k]
    else:
        shape(state.shaping, frames[dry], restored, counters[FRAME] == 0)
    synthesise(state.synthesis, restored, hop_out)
    if state.buffers.present.shape[0] != 0 and counters[FRAME] < frames.shape[0]:
        hop_out[:] = 0  # before the stream's first sample there is only its reflection
    counters[FRAME] += 1


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
