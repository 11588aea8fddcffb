"""Windows, frames and the carrier, against plain NumPy."""

import numpy as np
import pytest

from apollo_rt.config import Framing
from apollo_rt.stream.stft import (
    analyse,
    asymmetric_windows,
    carrier_frames,
    fill_carrier,
    new_analysis,
    new_synthesis,
    synthesise,
)
from tests.doubles.sounds import gaussian_noise

FRAMINGS = [
    Framing(),
    Framing(hop_length=64, analysis_length=256),
    Framing(hop_length=16, analysis_length=32),
    Framing(hop_length=100, analysis_length=1022),
]


def run(framing: Framing, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames of whole hops, and what synthesis makes of them."""
    analysis, synthesis = new_analysis(framing), new_synthesis(framing)
    H = framing.hop_length
    frames = np.zeros((len(samples) // H, 2, framing.n_bins), np.complex64)
    out = np.zeros_like(samples)
    for k, frame in enumerate(frames):
        analyse(analysis, samples[k * H : (k + 1) * H], frame)
        synthesise(synthesis, frame, out[k * H : (k + 1) * H])
    return frames, out


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_the_windows_product_overlap_adds_to_one(framing):
    analysis, synthesis = asymmetric_windows(framing)
    H = framing.hop_length
    product = analysis[-2 * H :] * synthesis
    assert analysis.shape == (framing.analysis_length,)
    assert synthesis.shape == (framing.synthesis_length,)
    np.testing.assert_allclose(product[:H] + product[H:], 1, atol=1e-6)


def test_the_analysis_window_rises_over_the_past_and_falls_over_the_newest_hop():
    analysis, _ = asymmetric_windows(Framing())
    assert np.all(np.diff(analysis[: 2048 - 256]) > 0)
    assert np.all(np.diff(analysis[2048 - 256 :]) < 0)


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_analysis_and_synthesis_give_the_signal_back_one_hop_later(framing):
    samples = gaussian_noise(40 * framing.hop_length, 0.3)
    _, out = run(framing, samples)
    assert np.abs(out[framing.hop_length :] - samples[: -framing.hop_length]).max() < 1e-6
    assert np.all(out[: framing.hop_length // 2] == pytest.approx(0, abs=1e-6))


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_a_frame_is_the_fft_of_the_newest_samples_times_the_window(framing):
    samples = gaussian_noise(20 * framing.hop_length, 0.3)
    frames, _ = run(framing, samples)
    N, H = framing.analysis_length, framing.hop_length
    padded = np.concatenate([np.zeros((N, 2)), samples]).T
    for k in (0, 1, 19):
        end = N + (k + 1) * H
        expected = np.fft.rfft(padded[:, end - N : end] * asymmetric_windows(framing)[0])
        np.testing.assert_allclose(frames[k], expected, atol=2e-6 * N)


def test_a_frame_knows_nothing_of_later_samples():
    samples = gaussian_noise(20 * 256, 0.3)
    changed = samples.copy()
    changed[10 * 256 :] = 0
    assert np.array_equal(run(Framing(), samples)[0][:10], run(Framing(), changed)[0][:10])
    assert not np.array_equal(run(Framing(), samples)[0][10], run(Framing(), changed)[0][10])


def test_one_channel_never_leaks_into_the_other():
    samples = gaussian_noise(10 * 256, 0.3)
    samples[:, 1] = 0
    frames, out = run(Framing(), samples)
    assert not frames[:, 1].any()
    assert not out[:, 1].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2e6, -3e38])
def test_samples_that_are_no_audio_become_zero_and_are_counted(bad):
    framing = FRAMINGS[1]
    clean, broken = gaussian_noise(64, 0.3), gaussian_noise(64, 0.3)
    clean[[3, 40], [0, 1]] = 0
    broken[[3, 40], [0, 1]] = bad
    frames = np.zeros((2, 2, framing.n_bins), np.complex64)
    assert analyse(new_analysis(framing), clean, frames[0]) == 0
    assert analyse(new_analysis(framing), broken, frames[1]) == 2
    assert np.array_equal(frames[0], frames[1])


def reference_carrier(seed: int, frame: int, n_bins: int) -> np.ndarray:
    """`hash-uniform-1` once more, in unbounded Python integers."""
    mask, gamma = 2**64 - 1, 0x9E3779B97F4A7C15

    def mixed(z: int) -> int:
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        return z ^ z >> 31

    def signed(bits: int) -> int:
        return bits - 2**32 if bits >= 2**31 else bits

    carrier = np.zeros((2, n_bins), np.complex128)
    for channel in range(2):
        state = mixed(mixed((seed + gamma) & mask) ^ (2 * frame + channel))
        for k in range(n_bins):
            state = (state + gamma) & mask
            bits = mixed(state)
            carrier[channel, k] = complex(signed(bits >> 32), signed(bits & 2**32 - 1)) / 2**31 * 1.5**0.5
    return carrier


@pytest.mark.parametrize(("seed", "frame"), [(0, 0), (0, 1), (7, 123_456), (0, 2**40)])
def test_the_carrier_is_the_documented_hash(seed, frame):
    carrier = np.zeros((2, 33), np.complex64)
    fill_carrier(seed, frame, carrier)
    np.testing.assert_allclose(carrier, reference_carrier(seed, frame, 33), rtol=1e-6, atol=1e-7)


def test_the_carrier_has_unit_variance_per_bin_and_stays_in_its_bounds():
    carrier = carrier_frames(0, 400, 513)
    assert np.mean(np.abs(carrier) ** 2) == pytest.approx(1, abs=0.01)
    assert np.abs(carrier.view(np.float32)).max() <= np.float32(1.5**0.5)


def test_the_carrier_is_uncorrelated_over_frames_channels_bins_and_parts():
    carrier = carrier_frames(0, 400, 513)
    pairs = {
        "frames": np.mean(carrier[1:] * carrier[:-1].conj()),
        "channels": np.mean(carrier[:, 0] * carrier[:, 1].conj()),
        "bins": np.mean(carrier[..., 1:] * carrier[..., :-1].conj()),
        "parts": np.mean(carrier.real * carrier.imag),
        "mean": np.mean(carrier),
    }
    assert {name: value for name, value in pairs.items() if abs(value) > 0.01} == {}


def test_many_frames_of_carrier_are_the_single_frames():
    many = carrier_frames(5, 3, 33)
    single = np.zeros((2, 33), np.complex64)
    fill_carrier(0, 6, single)
    assert np.array_equal(many[1], single)
