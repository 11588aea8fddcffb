"""Analysis and synthesis of one stereo hop: ours, numpy.fft, scipy's ShortTimeFFT, torch.stft."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.signal import ShortTimeFFT

from apollo_rt.compiled.native import realtime
from apollo_rt.config import Framing
from apollo_rt.inference.model import Model
from apollo_rt.stream.stft import (
    Analysis,
    Samples,
    Synthesis,
    analyse,
    asymmetric_windows,
    new_analysis,
    new_synthesis,
    synthesise,
)
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.note import note

N_CHECKED = 16
"""Hops that are compared before one is timed: more than a window holds."""

Transform = Callable[[np.ndarray], np.ndarray]


def compiled_analysis(framing: Framing) -> Transform:
    state, spectrum = new_analysis(framing), np.zeros((2, framing.n_bins), np.complex64)

    def transform(hop: np.ndarray) -> np.ndarray:
        analyse(state, hop, spectrum)
        return spectrum

    return transform


def numpy_analysis(framing: Framing) -> Transform:
    window = asymmetric_windows(framing)[0][:, None]
    past = np.zeros((framing.analysis_length, 2), np.float32)

    def transform(hop: np.ndarray) -> np.ndarray:
        nonlocal past
        past = np.concatenate((past[len(hop) :], hop))
        return np.fft.rfft(past * window, axis=0).T

    return transform


def scipy_analysis(framing: Framing) -> Transform:
    transformer, middle = short_time_fft(framing), framing.analysis_length // 2
    past, place = np.zeros((2, framing.analysis_length), np.float32), middle // framing.hop_length

    def transform(hop: np.ndarray) -> np.ndarray:
        nonlocal past
        past = np.concatenate((past[:, len(hop) :], hop.T), axis=1)
        spectrum: np.ndarray = transformer.stft(past, place, place + 1)[..., 0]
        return spectrum

    return transform


def torch_analysis(framing: Framing) -> Transform:
    window = torch.from_numpy(asymmetric_windows(framing)[0])
    past, length = torch.zeros((2, framing.analysis_length)), framing.analysis_length

    def transform(hop: np.ndarray) -> np.ndarray:
        nonlocal past
        past = torch.cat((past[:, len(hop) :], torch.from_numpy(hop).T), dim=1)
        frames = torch.stft(past, length, framing.hop_length, length, window, center=False, return_complex=True)
        return frames[..., 0].numpy()

    return transform


def compiled_synthesis(framing: Framing) -> Transform:
    state, hop = new_synthesis(framing), np.zeros((framing.hop_length, 2), np.float32)

    def transform(spectrum: np.ndarray) -> np.ndarray:
        synthesise(state, spectrum, hop)
        return hop

    return transform


def numpy_synthesis(framing: Framing) -> Transform:
    window, hop_length = asymmetric_windows(framing)[1], framing.hop_length
    tail: np.ndarray = np.zeros((2, hop_length), np.float32)

    def transform(spectrum: np.ndarray) -> np.ndarray:
        nonlocal tail
        frame = np.fft.irfft(spectrum)[:, -2 * hop_length :] * window
        out, tail = tail + frame[:, :hop_length], frame[:, hop_length:]
        return out.T

    return transform


def torch_synthesis(framing: Framing) -> Transform:
    window, hop_length = torch.from_numpy(asymmetric_windows(framing)[1]), framing.hop_length
    tail = torch.zeros((2, hop_length))

    def transform(spectrum: np.ndarray) -> np.ndarray:
        nonlocal tail
        frame = torch.fft.irfft(torch.from_numpy(spectrum))[:, -2 * hop_length :] * window
        out, tail = tail + frame[:, :hop_length], frame[:, hop_length:]
        hop: np.ndarray = out.T.numpy()
        return hop

    return transform


def short_time_fft(framing: Framing) -> ShortTimeFFT:
    """With our windows: the synthesis window is zero but for its last two hops."""
    analysis, synthesis = (window.astype(float) for window in asymmetric_windows(framing))
    whole = np.pad(synthesis, (framing.analysis_length - len(synthesis), 0))
    return ShortTimeFFT(analysis, framing.hop_length, framing.sample_rate, dual_win=whole, phase_shift=None)


@realtime
def _there_and_back(
    analysis: Analysis, synthesis: Synthesis, samples: np.ndarray, spectrum: np.ndarray, out: np.ndarray
) -> None:
    hop_length = synthesis.tail.shape[1]
    for start in range(0, samples.shape[0], hop_length):
        analyse(analysis, samples[start : start + hop_length], spectrum)
        synthesise(synthesis, spectrum, out[start : start + hop_length])


def compiled_stream(framing: Framing) -> Transform:
    spectrum = np.zeros((2, framing.n_bins), np.complex64)

    def transform(samples: np.ndarray) -> np.ndarray:
        out = np.empty_like(samples)
        _there_and_back(new_analysis(framing), new_synthesis(framing), samples, spectrum, out)
        return out[framing.hop_length :]

    return transform


def scipy_stream(framing: Framing) -> Transform:
    transformer = short_time_fft(framing)

    def transform(samples: np.ndarray) -> np.ndarray:
        back: np.ndarray = transformer.istft(transformer.stft(samples.T), k1=len(samples) - framing.hop_length).T
        return back

    return transform


ANALYSES = {
    "ours, compiled": compiled_analysis,
    "numpy.fft": numpy_analysis,
    "scipy ShortTimeFFT": scipy_analysis,
    "torch.stft": torch_analysis,
}
SYNTHESES = {"ours, compiled": compiled_synthesis, "numpy.fft": numpy_synthesis, "torch.fft": torch_synthesis}
STREAMS = {"ours, compiled": compiled_stream, "scipy ShortTimeFFT": scipy_stream}


@pytest.mark.benchmark(group="analysis of a stereo hop")
@pytest.mark.parametrize("name", ANALYSES)
def test_analysis(benchmark: BenchmarkFixture, plan: Extent, model: Model, music: Samples, name: str) -> None:
    framing, hops = model.framing, hops_of(music, model.framing)
    ours, theirs = compiled_analysis(framing), ANALYSES[name](framing)
    for hop in hops[:N_CHECKED]:
        np.testing.assert_allclose(theirs(hop), ours(hop), atol=1e-3)
    timed = benchmark.pedantic(theirs, (hops[0],), rounds=plan.micro_rounds, warmup_rounds=5)
    np.testing.assert_allclose(timed, steady(ours, hops[0]), atol=1e-3)
    note(benchmark, "micro", name, deadline_s=framing.hop_period_s)


@pytest.mark.benchmark(group="synthesis of a stereo hop")
@pytest.mark.parametrize("name", SYNTHESES)
def test_synthesis(benchmark: BenchmarkFixture, plan: Extent, model: Model, music: Samples, name: str) -> None:
    framing, analysis = model.framing, compiled_analysis(model.framing)
    ours, theirs = compiled_synthesis(framing), SYNTHESES[name](framing)
    for hop in hops_of(music, framing)[:N_CHECKED]:
        spectrum = analysis(hop).copy()
        np.testing.assert_allclose(theirs(spectrum), ours(spectrum), atol=1e-5)
    timed = benchmark.pedantic(theirs, (spectrum,), rounds=plan.micro_rounds, warmup_rounds=5)
    np.testing.assert_allclose(timed, steady(ours, spectrum), atol=1e-5)
    note(benchmark, "micro", name, deadline_s=framing.hop_period_s)


@pytest.mark.benchmark(group="analysis and synthesis of a second of stereo")
@pytest.mark.parametrize("name", STREAMS)
def test_a_second_there_and_back(
    benchmark: BenchmarkFixture, plan: Extent, model: Model, music: Samples, name: str
) -> None:
    framing = model.framing
    second = music[: framing.sample_rate // framing.hop_length * framing.hop_length]
    transform = STREAMS[name](framing)
    back = benchmark.pedantic(transform, (second,), rounds=max(plan.micro_rounds // 40, 3), warmup_rounds=1)
    np.testing.assert_allclose(back, second[: -framing.hop_length], atol=1e-5)
    note(benchmark, "micro", name)


def steady(transform: Transform, same: np.ndarray) -> np.ndarray:
    """Output after so much of the same that nothing else is left inside."""
    return [transform(same) for _ in range(N_CHECKED)][-1]


def hops_of(samples: np.ndarray, framing: Framing) -> np.ndarray:
    """Shape: (hops, hop_length, 2)."""
    n_hops = len(samples) // framing.hop_length
    return samples[: n_hops * framing.hop_length].reshape(n_hops, framing.hop_length, 2)
