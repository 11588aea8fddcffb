"""Losses and critics: unchanged where the shipped model was trained with them, right in what they prefer, per item."""

import itertools

import pytest
import torch
from torch import Tensor

from training.fitting.adversarial import AdversarySettings, critic_loss, feature_loss, generator_loss
from training.fitting.generators import carrier_like, item_seeds
from training.fitting.losses import (
    LossWeights,
    RestorationLoss,
    known_bins,
    multi_magnitude_error,
    snr_db,
)
from training.fitting.quality import Quality
from training.fitting.schedule import Cosine, Staircase
from training.fitting.spectral_view import SpectralView
from training.nets.critics import MultiResolutionCritic, SpectrumCritic

EVERYTHING = LossWeights(multi_magnitude=1.0, complex=1.0, waveform=1.0)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Clips are too short to share among threads."""
    torch.set_num_threads(1)


def clips(n_samples: int = 16_384) -> tuple[Tensor, Tensor]:
    """Two estimates, one of them too soft as well, and what they should be."""
    generator = torch.Generator().manual_seed(7)
    target = torch.randn(2, 2, n_samples, generator=generator) * 0.1
    estimate = target + 0.03 * torch.randn(2, 2, n_samples, generator=generator)
    estimate[0] *= 0.5
    return estimate, target


@pytest.mark.parametrize(("other", "loss"), [(0, 0.185544268), (1, 0.187746793), (2, 0.190699920)])
def test_the_default_loss_is_what_the_shipped_model_was_trained_with(other: int, loss: float) -> None:
    total, parts = RestorationLoss(LossWeights(), 44_100)(*clips(), other)
    assert float(total) == pytest.approx(loss, abs=1e-6)
    assert set(parts) == {"snr", "band", "bin", "magnitude"}


@pytest.mark.parametrize("n_fft", [512, 2048])
def test_spectra_and_their_gradients_are_those_of_the_framework_s_own(n_fft: int) -> None:
    view, (clip, _) = SpectralView(n_fft, 44_100, 32), clips(5000)
    ours, framework_s = clip[0].clone().requires_grad_(), clip[0].clone().requires_grad_()
    weights = torch.randn(2, (5000 - n_fft) // (n_fft // 4) + 1, n_fft // 2 + 1, 2)
    spectrum = view.spectrum(ours)
    wanted = torch.stft(framework_s, n_fft, n_fft // 4, window=view.window, center=False, return_complex=True)
    torch.testing.assert_close(spectrum, torch.view_as_real(wanted.transpose(1, 2)), rtol=1e-5, atol=1e-5)
    (spectrum * weights).sum().backward()
    (torch.view_as_real(wanted.transpose(1, 2)) * weights).sum().backward()
    torch.testing.assert_close(ours.grad, framework_s.grad, rtol=1e-5, atol=1e-4)
    assert not ours.grad[:, 4992:].any()  # behind the last whole frame


def test_every_loss_prefers_the_better_clip() -> None:
    generator = torch.Generator().manual_seed(1)
    target, noise = (torch.randn(2, 2, 8192, generator=generator) * 0.1 for _ in range(2))
    loss = RestorationLoss(EVERYTHING, 44_100)
    results = [loss(clip, target, 0)[1] for clip in (target, target + 0.01 * noise, target + 0.5 * noise)]
    assert set(results[0]) == {"snr", "band", "bin", "magnitude", "multi_magnitude", "complex", "waveform"}
    for better, worse in itertools.pairwise(results):
        assert all(better[name] < worse[name] for name in better)
    near, far = (snr_db(target + amount * noise, target) for amount in (0.01, 0.5))
    assert near.min() > far.max() + 20


def _ends_at(cut_hz: float, slope_db: float = 200.0, seed: int = 3) -> Tensor:
    """White noise, (1, 2, samples), that falls from a frequency on by so many dB within the next kHz."""
    spectrum = torch.fft.rfft(torch.randn(1, 2, 44_100, generator=torch.Generator().manual_seed(seed)) * 0.1)
    above_khz = (torch.fft.rfftfreq(44_100, 1 / 44_100) - cut_hz).clamp(min=0) / 1000
    return torch.fft.irfft(spectrum * 10 ** (-slope_db * above_khz.clamp(max=1) / 20), 44_100)


@pytest.mark.parametrize("n_fft", [512, 2048, 4096])
@pytest.mark.parametrize(
    ("clip", "known_to_hz"),
    [
        (_ends_at(16_000), 16_000),  # a codec's low-pass
        (_ends_at(16_000, 15), 22_050),  # a shelf
        (_ends_at(6000), 22_050),  # dark music: no codec ends so low and leaves it at that
        (_ends_at(16_000) * 1e-7, 22_050),  # silence
    ],
)
def test_what_a_codec_took_from_the_clean_music_teaches_nothing(n_fft: int, clip: Tensor, known_to_hz: float) -> None:
    view = SpectralView(n_fft, 44_100, 48)
    known = known_bins(view.power(view.spectrum(clip[0])), view.bin_hz)
    assert known.shape == (2, 1, n_fft // 2 + 1)
    for end_hz in (known.sum((1, 2)) - 1) * view.bin_hz:
        assert known_to_hz - 1100 <= end_hz <= known_to_hz + 2 * view.bin_hz


def test_highs_above_such_an_end_cost_nothing_and_those_below_do() -> None:
    loss, target = RestorationLoss(LossWeights(snr=0), 44_100), _ends_at(16_000)
    highs, mids = (
        1e-3 * (_ends_at(end, seed=4) - _ends_at(start, seed=4)) for start, end in ((18e3, 21e3), (8e3, 11e3))
    )
    clean = float(loss(target, target, 0)[0])
    assert float(loss(target + highs, target, 0)[0]) == pytest.approx(clean, abs=1e-3)
    assert float(loss(target - 10 * mids, target, 0)[0]) > clean + 1e-3


def test_every_loss_is_a_mean_over_items_so_that_processes_can_share_a_batch() -> None:
    estimate, target = clips()
    loss = RestorationLoss(EVERYTHING, 44_100)
    whole = loss(estimate, target, 1)[1]
    halves = [loss(estimate[i : i + 1], target[i : i + 1], 1)[1] for i in range(2)]
    for name, value in whole.items():
        assert float(value) == pytest.approx(float(sum(half[name] for half in halves)) / 2, rel=1e-5)


def test_no_loss_has_a_wild_gradient_on_silence() -> None:
    estimate = torch.zeros(1, 2, 8192, requires_grad=True)
    RestorationLoss(EVERYTHING, 44_100)(estimate, torch.zeros(1, 2, 8192), 0)[0].backward()
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()


def test_the_complex_loss_hears_phases_and_the_magnitudes_do_not() -> None:
    _, target = clips()
    only = RestorationLoss(LossWeights(snr=0, bin=1.0, complex=1.0), 44_100)
    parts = only(-target, target, 0)[1]
    assert parts["magnitude"] < 1e-6
    assert parts["complex"] > 3
    assert multi_magnitude_error(-target, target) < 1e-6
    assert float(multi_magnitude_error(0.5 * target, target)) == pytest.approx(0.5, abs=1e-3)


def test_the_published_critics_have_as_many_parameters_as_published() -> None:
    assert sum(weights.numel() for weights in MultiResolutionCritic().parameters()) == 2_771_503


def test_a_critic_halves_bins_and_frames_in_every_second_layer_and_hears_no_loudness() -> None:
    critic = MultiResolutionCritic((256,), (4, 4, 4)).eval()
    _, target = clips()
    maps = critic(target)[0]
    assert [tuple(map_.shape[1:]) for map_ in maps] == [(4, 129, 129), (4, 65, 65), (4, 65, 65), (1, 65, 65)]
    torch.testing.assert_close(critic(0.01 * target)[0][-1], maps[-1], rtol=1e-3, atol=1e-4)


def test_no_layer_of_a_critic_is_steeper_than_one() -> None:
    critic = SpectrumCritic(64, (8, 8))
    for _ in range(30):
        critic(torch.randn(1, 2, 512))
    for layer in critic.layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("sizes", [{"window_lengths": ()}, {"window_lengths": (33,)}, {"widths": (0,)}])
def test_sizes_without_sense_are_refused(sizes: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="must be"):
        MultiResolutionCritic(**sizes)


@pytest.mark.parametrize("kind", ["least_squares", "hinge"])
def test_critics_and_generator_want_the_opposite(kind: str) -> None:
    low, high = ([[torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), value)]] for value in (-1.0, 1.0))
    assert critic_loss(kind, high, low) < critic_loss(kind, low, high)
    assert generator_loss(kind, high) < generator_loss(kind, low)


def test_critics_learn_to_tell_damaged_from_clean() -> None:
    torch.manual_seed(0)
    critic = MultiResolutionCritic((256,), (8, 16, 16, 16))
    optimizer = torch.optim.AdamW(critic.parameters(), lr=3e-3, betas=(0.5, 0.99))
    for _ in range(40):
        clean = torch.randn(4, 2, 4096)
        maps = critic(clean), critic(0.5 * (clean + torch.roll(clean, 1, dims=-1)))
        loss = critic_loss("hinge", *maps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    real, fake = (float(of[0][-1].mean().detach()) for of in maps)
    assert real > fake + 0.2


def test_features_match_only_where_clips_do() -> None:
    critic = MultiResolutionCritic((64,), (4, 4)).eval()
    estimate, target = clips(4096)
    assert feature_loss(critic(target), critic(target)) == 0
    assert feature_loss(critic(target), critic(estimate)) > 0.05


def test_the_generator_listens_after_the_critics_warmed_up() -> None:
    settings = AdversarySettings(critics_from_step=10, heard_from_step=20, ramp_steps=3)
    assert [settings.openness(step) for step in (0, 19, 20, 21, 22, 23, 99)] == [0, 0, 0.25, 0.5, 0.75, 1, 1]


def test_learning_rates_rise_fall_and_end_where_they_should() -> None:
    cosine = Cosine(warmup_steps=4, lowest=0.01)
    assert [cosine.factor(step, 0.0) for step in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert cosine.factor(50, 0.5) == pytest.approx(0.5)
    assert cosine.factor(100, 1.0) == 0.01
    assert Staircase(10, 0.5).factor(29, 0.9) == 0.25


def test_carriers_differ_by_item_and_step_and_are_noise_of_unit_variance() -> None:
    frames = torch.empty(2, 20, 2, 129, 2)
    first, again, later = (carrier_like(frames, item_seeds(1, step, range(2))) for step in (0, 0, 1))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, later)
    assert float(first.square().sum(-1).mean()) == pytest.approx(1, abs=0.03)
    shared = carrier_like(frames[1:], item_seeds(1, 0, range(1, 2)))
    torch.testing.assert_close(shared[0], first[1], rtol=0, atol=0)


def test_quality_counts_decibels_of_bands() -> None:
    _, target = clips(44_100)
    assert Quality(44_100)(target[0] * 10 ** (-6 / 20), target[0])["band_db"] == pytest.approx(6, abs=0.01)


def test_quality_asks_for_no_highs_that_a_codec_took_from_the_clean_clip() -> None:
    cut, whole = _ends_at(16_000)[0], _ends_at(22_050)[0]
    quality = Quality(44_100)
    assert quality(whole, cut)["band_db"] < 1.5  # the bands at the edge of the fall
    assert quality(cut, whole)["band_db"] > 5
