"""Centred frames at the ends of a stream: what `torch.stft` makes of a whole file, hop by hop."""

import numpy as np
import pytest
import torch

from apollo_rt.config import Framing
from apollo_rt.stream.edges import analyse_to_edges
from apollo_rt.stream.stft import hann_windows, new_analysis, new_synthesis, synthesise, windows_of
from tests.doubles.sounds import gaussian_noise

CENTRED = Framing(hop_length=441, analysis_length=882, window="hann", edges="reflected")


@pytest.mark.parametrize("n_hops", [2, 3, 8])
def test_frames_of_a_whole_stream_are_those_of_a_centred_stft_with_reflected_edges(n_hops):
    samples = gaussian_noise(n_hops * 441)
    window = torch.hann_window(882)
    wanted = torch.stft(torch.from_numpy(samples.T.copy()), 882, 441, window=window, return_complex=True).numpy()
    analysis, present = new_analysis(CENTRED), np.zeros(1, np.float32)
    frames, there = np.zeros((n_hops + 3, 2, 442), np.complex64), []
    behind = np.full((3 * 441, 2), 0.7, np.float32)  # whatever comes behind the end
    for frame, hop in enumerate(np.concatenate((samples, behind)).reshape(-1, 441, 2)):
        assert analyse_to_edges(analysis, hop, frames[frame], present, frame, n_hops) == 0
        there.append(present[0])
    np.testing.assert_allclose(frames[: n_hops + 1].transpose(1, 2, 0), wanted, atol=2e-4)
    assert there == [1] * (n_hops + 1) + [0, 0]


def test_a_stream_without_a_known_end_has_frames_for_ever():
    analysis, present, spectrum = new_analysis(CENTRED), np.zeros(1, np.float32), np.zeros((2, 442), np.complex64)
    for frame in range(5):
        analyse_to_edges(analysis, gaussian_noise(441, seed=frame), spectrum, present, frame, 0)
        assert present[0] == 1


def test_samples_that_are_no_audio_become_zero_in_the_reflection_too():
    analysis, present, spectrum = new_analysis(CENTRED), np.zeros(1, np.float32), np.zeros((2, 442), np.complex64)
    hop = gaussian_noise(441)
    hop[7, 0] = np.nan
    assert analyse_to_edges(analysis, hop, spectrum, present, 0, 0) == 1
    assert np.isfinite(spectrum).all()


def test_hann_frames_add_up_to_the_signal():
    samples = gaussian_noise(6 * 441)
    analysis, synthesis = new_analysis(CENTRED), new_synthesis(CENTRED)
    present, spectrum, out = (
        np.zeros(1, np.float32),
        np.zeros((2, 442), np.complex64),
        np.zeros((7, 441, 2), np.float32),
    )
    for frame in range(7):
        hop = samples[frame * 441 : (frame + 1) * 441] if frame < 6 else np.zeros((441, 2), np.float32)
        analyse_to_edges(analysis, hop, spectrum, present, frame, 6)
        synthesise(synthesis, spectrum, out[frame])
    np.testing.assert_allclose(out[1:].reshape(-1, 2), samples, atol=1e-6)


def test_each_framing_has_the_pair_of_windows_that_it_names():
    analysis, synthesis = windows_of(CENTRED)
    np.testing.assert_allclose(analysis, torch.hann_window(882), atol=1e-6)
    squares = analysis[:441] * synthesis[:441] + analysis[441:] * synthesis[441:]
    np.testing.assert_allclose(squares, 1, atol=1e-6)
    assert len(windows_of(Framing())[0]) == 2048
    np.testing.assert_array_equal(hann_windows(CENTRED)[0], analysis)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window": "kaiser"}, "window must be asymmetric-sine or hann, got 'kaiser'"),
        ({"edges": "round"}, "edges must be silent or reflected, got 'round'"),
        ({"window": "hann"}, r"analysis_length must be 512 \(two hops\) with the window hann"),
        ({"edges": "reflected"}, r"must be 512 \(two hops\) with the window asymmetric-sine and reflected edges"),
    ],
)
def test_a_framing_that_can_not_be_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Framing(**values)
