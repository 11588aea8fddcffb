r"""Frames: windows, analysis, carrier and synthesis, on buffers that are allocated once.

```
        hop (H, 2) -> past (2, N) -> x window -> FFT  -> spectrum (2, bins)      analyse
 frame number (int64) -> hash -> noise of unit variance -> carrier (2, bins)     fill_carrier
  spectrum (2, bins) -> inverse FFT -> last 2H x window -> + tail -> hop (H, 2)  synthesise
```

The states are named tuples of arrays, which compiled code takes as they are.
"""

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import realtime
from apollo_rt.compiled.primitives import primitive_of
from apollo_rt.config import Framing
from apollo_rt.stream.sample_guard import LOUDEST_SAMPLE

Samples = NDArray[np.float32]
"""`(samples, 2)`, full scale 1.0."""

Frame = NDArray[np.complex64]
"""`(2, n_bins)`."""

Hop = Annotated[Samples, "hop_length", 2]
"""Samples of one hop."""

CARRIER_SEED = 0  # the one that `hash-uniform-1` means
# SplitMix64: Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 17.
_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _SHIFT_3, _HALF = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)
# A 32-bit integer to a uniform number in +-sqrt(1.5), whose variance is 1/2: a complex bin has 1.
_PART_SCALE = np.float32(1.5**0.5 / 2**31)


def asymmetric_windows(framing: Framing) -> tuple[Samples, Samples]:
    r"""A long analysis window that ends with a short fall, and a synthesis window two hops long.

    Their product over the last two hops is sin^2, so that overlap-add of the frames gives the signal back; the length
    of the synthesis window alone is the latency.

    ```
     analysis   . . -- ~~ ^^^^^^^^\     N samples: slow rise over the past, fall over the newest hop
     synthesis                 /^^\     the last 2H of them
    ```

    Returns:
        analysis window and synthesis window.

    Shape:
        (analysis_length,), (synthesis_length,)

    Source: the idea is Mauler & Martin, "A low delay, variable resolution, perfect reconstruction spectral
    analysis-synthesis system", EUSIPCO 2007; the formula is that of the project's design.
    """
    N, H = framing.analysis_length, framing.hop_length
    past = np.arange(N - H) + 0.5
    newest = np.arange(H) + 0.5
    analysis = np.concatenate([np.sin(np.pi / 2 * past / (N - H)), np.cos(np.pi / 2 * newest / H)])
    product = np.sin(np.pi * (np.arange(2 * H) + 0.5) / (2 * H)) ** 2
    return analysis.astype(np.float32), (product / analysis[-2 * H :]).astype(np.float32)


def hann_windows(framing: Framing) -> tuple[Samples, Samples]:
    """The periodic Hann window, and what makes the signal of the frames again: itself over the sum of its squares.

    Returns:
        analysis window and synthesis window.

    Shape:
        (two hops,) both

    Source: Griffin & Lim, "Signal estimation from modified short-time Fourier transform", IEEE Trans. ASSP 32, 1984,
    equation 6; it is what `torch.istft` does.
    """
    analysis = np.sin(np.pi * np.arange(framing.analysis_length) / framing.analysis_length) ** 2
    squares = analysis**2 + np.roll(analysis, framing.hop_length) ** 2
    return analysis.astype(np.float32), (analysis / squares).astype(np.float32)


def windows_of(framing: Framing) -> tuple[Samples, Samples]:
    """Analysis and synthesis window of a framing. Shape: (analysis_length,), (synthesis_length,)."""
    return hann_windows(framing) if framing.window == "hann" else asymmetric_windows(framing)


@primitive_of("rocket_fft")
def r2c(samples: Samples, spectrum: Frame, axes: NDArray[np.int64], forward: bool, factor: float, threads: int) -> None:
    """Transform real samples into bins; in compiled code, where that package comes in."""
    raise NotImplementedError


@primitive_of("rocket_fft")
def c2r(spectrum: Frame, samples: Samples, axes: NDArray[np.int64], forward: bool, factor: float, threads: int) -> None:
    """Transform bins into real samples; in compiled code, where that package comes in."""
    raise NotImplementedError


# --- analysis --------------------------------------------------------------------------------------------------------


class Analysis(NamedTuple):
    """State of the analysis, carried from hop to hop (`past`), and its buffers."""

    window: Annotated[Samples, "analysis_length"]
    past: Annotated[Samples, 2, "analysis_length"]
    windowed: Annotated[Samples, 2, "analysis_length"]
    axis: Annotated[NDArray[np.int64], 1]


def new_analysis(framing: Framing) -> Analysis:
    """A fresh state: silence before the first hop."""
    shape = (2, framing.analysis_length)
    axis = np.ones(1, np.int64)
    return Analysis(windows_of(framing)[0], np.zeros(shape, np.float32), np.zeros(shape, np.float32), axis)


@realtime
def analyse(analysis: Analysis, hop: Samples, spectrum: Frame) -> int:
    """Take one hop in and write the spectrum of the newest `analysis_length` samples, without normalisation.

    Samples that are not finite, or beyond +-1e6, become zero.

    Returns:
        the number of samples that became zero.

    Shape:
        hop (hop_length, 2), spectrum (2, n_bins)
    """
    n_zeroed = take_in(analysis.past, hop)
    transform(analysis, spectrum)
    return n_zeroed


@realtime
def take_in(past: Samples, hop: Samples) -> int:
    """Move the newest samples on by a hop; returns how many were no audio and became zero.

    Shape:
        past (2, analysis_length), hop (hop_length, 2)
    """
    n_kept, n_zeroed = past.shape[1] - hop.shape[0], 0
    for channel in range(2):
        for n in range(n_kept):
            past[channel, n] = past[channel, n + hop.shape[0]]
        for n in range(hop.shape[0]):
            sample = hop[n, channel]
            is_audio = abs(sample) <= LOUDEST_SAMPLE
            past[channel, n_kept + n] = sample if is_audio else np.float32(0)
            n_zeroed += not is_audio
    return n_zeroed


@realtime
def transform(analysis: Analysis, spectrum: Frame) -> None:
    """Write the spectrum of what was taken in. Shape: spectrum (2, n_bins)."""
    window, past, windowed = analysis.window, analysis.past, analysis.windowed
    for channel in range(2):
        for n in range(past.shape[1]):
            windowed[channel, n] = past[channel, n] * window[n]
    r2c(windowed, spectrum, analysis.axis, True, 1.0, 1)


@realtime
def copy_recent(analysis: Analysis, recent: NDArray[np.float32]) -> None:
    """Write the newest samples, as many as there is room for, as they came in.

    Shape:
        (2, samples)
    """
    n_samples, n_recent = analysis.past.shape[1], recent.shape[1]
    for channel in range(2):
        for n in range(n_recent):
            recent[channel, n] = analysis.past[channel, n_samples - n_recent + n]


# --- synthesis -------------------------------------------------------------------------------------------------------


class Synthesis(NamedTuple):
    """State of the synthesis, carried from hop to hop (`tail`, the frame before's second half), and its buffers."""

    window: Annotated[Samples, "synthesis_length"]
    tail: Annotated[Samples, 2, "hop_length"]
    samples: Annotated[Samples, 2, "analysis_length"]
    axis: Annotated[NDArray[np.int64], 1]


def new_synthesis(framing: Framing) -> Synthesis:
    """A fresh state: silence before the first frame."""
    tail = np.zeros((2, framing.hop_length), np.float32)
    samples = np.zeros((2, framing.analysis_length), np.float32)
    return Synthesis(windows_of(framing)[1], tail, samples, np.ones(1, np.int64))


@realtime
def synthesise(synthesis: Synthesis, spectrum: Frame, hop: Samples) -> None:
    """Add one frame and write the hop that it completes: the samples before the newest hop of its analysis.

    Shape:
        spectrum (2, n_bins), hop (hop_length, 2)
    """
    window, tail, samples, axis = synthesis.window, synthesis.tail, synthesis.samples, synthesis.axis
    n_samples, n_hop = samples.shape[1], hop.shape[0]
    c2r(spectrum, samples, axis, False, 1.0 / n_samples, 1)
    for channel in range(2):
        for n in range(n_hop):
            older, newer = n_samples - 2 * n_hop + n, n_samples - n_hop + n
            hop[n, channel] = tail[channel, n] + samples[channel, older] * window[n]
            tail[channel, n] = samples[channel, newer] * window[n_hop + n]


# --- carrier ---------------------------------------------------------------------------------------------------------


@realtime
def _mixed(state: np.uint64) -> np.uint64:
    state = (state ^ (state >> _SHIFT_1)) * _MIX_1
    state = (state ^ (state >> _SHIFT_2)) * _MIX_2
    return state ^ (state >> _SHIFT_3)


@realtime
def fill_carrier(seed: int, frame: int, carrier: Frame) -> None:
    """Write the noise of one frame, `hash-uniform-1`: a function of seed, frame number, channel and bin alone.

    Both parts of a bin are uniform in +-sqrt(1.5), so that E|z|^2 = 1. Each frame and channel starts a SplitMix64
    sequence of its own; bin k takes its k-th number, the upper half for the real and the lower for the imaginary part.

    Shape:
        (2, n_bins)
    """
    for channel in range(2):
        stream = np.uint64(frame) * np.uint64(2) + np.uint64(channel)
        state = _mixed(_mixed(np.uint64(seed) + _GOLDEN_GAMMA) ^ stream)
        for k in range(carrier.shape[1]):
            state += _GOLDEN_GAMMA
            bits = _mixed(state)
            re = np.float32(np.int32(bits >> _HALF)) * _PART_SCALE
            im = np.float32(np.int32(bits)) * _PART_SCALE
            carrier[channel, k] = np.complex64(complex(re, im))


def carrier_frames(first_frame: int, n_frames: int, n_bins: int, seed: int = CARRIER_SEED) -> NDArray[np.complex64]:
    """The carrier of many frames, for training and files.

    Shape:
        (n_frames, 2, n_bins)
    """
    frames = np.empty((n_frames, 2, n_bins), np.complex64)
    for index in range(n_frames):
        fill_carrier(seed, first_frame + index, frames[index])
    return frames
