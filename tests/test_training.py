"""The net and its training: causal, one path for all, silent on silence, learning, resumable."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from apollo_rt.config import Framing
from apollo_rt.stream.processor import Processor
from training.data.dataset import CropSettings, CropStream
from training.evaluation.metrics import log_spectral_distance, si_sdr_db
from training.fitting import checkpoint
from training.fitting.fit import Fit, FitSettings
from training.fitting.losses import LossWeights, RestorationLoss, snr_db
from training.nets.framing import TorchFraming
from training.nets.model import ModelConfig, Restorer

SMALL = ModelConfig(
    framing=Framing(hop_length=64, analysis_length=256), band_groups=((8, 8), (4, 16)), width=16, dilations=(1, 2)
)


def lively(config: ModelConfig = SMALL, seed: int = 0) -> Restorer:
    """A net whose output differs from its input, as after training."""
    torch.manual_seed(seed)
    net = Restorer(config)
    for weight in net.heads[-1].weights:
        torch.nn.init.normal_(weight, std=0.1)
    return net.eval()


def frames(n_frames: int, config: ModelConfig = SMALL, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shape = (batch, n_frames, 2, config.framing.n_bins, 2)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


def test_an_untrained_net_passes_its_input_but_for_an_inaudible_carrier() -> None:
    spectrum, carrier = frames(20)
    net = Restorer(SMALL)
    with torch.no_grad():
        restored, _ = net(spectrum, carrier, net.initial_state(2))
    change_db = 10 * torch.log10((restored - spectrum).square().sum() / spectrum.square().sum())
    assert change_db < -60


@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_frames_in_pieces_give_what_all_at_once_gives(size: int) -> None:
    net, (spectrum, carrier) = lively(), frames(20)
    with torch.no_grad():
        whole, last = net(spectrum, carrier, net.initial_state(2))
        state, pieces = net.initial_state(2), []
        for part, noise in zip(spectrum.split(size, 1), carrier.split(size, 1), strict=True):
            restored, state = net(part, noise, state)
            pieces.append(restored)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=1e-4, atol=1e-4)
    for ours, wanted in zip(state, last, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-4)


def test_no_output_frame_depends_on_a_later_one() -> None:
    net, (spectrum, carrier) = lively(), frames(20)
    spectrum.requires_grad_()
    restored, _ = net(spectrum, carrier, net.initial_state(2))
    restored[:, 11].square().sum().backward()
    assert spectrum.grad is not None
    assert spectrum.grad[:, 12:].abs().max() == 0
    assert spectrum.grad[:, 8].abs().max() > 0


def test_correction_and_carrier_can_be_turned_down_apart() -> None:
    (spectrum, carrier), net, turned = frames(5), lively(), lively()
    turned.turn(correction=0.5, carrier_db=-20.0)

    def restored(part: Restorer, noise: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return part(spectrum, noise, net.initial_state(2))[0]

    corrected, less_corrected = (restored(part, torch.zeros_like(carrier)) for part in (net, turned))
    generated, less_generated = (restored(net, carrier) - corrected, restored(turned, carrier) - less_corrected)
    torch.testing.assert_close(less_corrected - spectrum, 0.5 * (corrected - spectrum), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(less_generated, 0.1 * generated, rtol=1e-3, atol=1e-5)


def test_silence_stays_silent() -> None:
    net, (_, carrier) = lively(), frames(20)
    with torch.no_grad():
        restored, _ = net(torch.zeros_like(carrier), carrier, net.initial_state(2))
    assert restored.abs().max() < 1e-9


def test_loudness_hardly_matters() -> None:
    net, (spectrum, carrier) = lively(), frames(20)
    with torch.no_grad():
        loud, _ = net(spectrum * 10, carrier, net.initial_state(2))
        soft, _ = net(spectrum * 0.1, carrier, net.initial_state(2))
    torch.testing.assert_close(loud / 100, soft, rtol=1e-3, atol=1e-4)


def test_framing_gives_the_signal_back_one_hop_later() -> None:
    framing = TorchFraming(Framing())
    audio = torch.randn(1, 2, 256 * 30, generator=torch.Generator().manual_seed(0))
    back = framing.synthesise(framing.analyse(audio))
    torch.testing.assert_close(back[..., 256:], audio[..., :-256], rtol=0, atol=3e-6)


def test_bands_that_do_not_cover_the_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="must cover 128 bins, they cover 64"):
        ModelConfig(framing=Framing(hop_length=64, analysis_length=256), band_groups=((8, 8),))


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="n_heads must divide width 64"):
        ModelConfig(n_heads=5)


def test_a_checkpoint_gives_the_same_sizes_back() -> None:
    assert checkpoint.config_from_dict(checkpoint.config_to_dict(SMALL)) == SMALL


def test_snr_and_loss_prefer_the_better_clip() -> None:
    generator = torch.Generator().manual_seed(1)
    target, noise = (torch.randn(2, 2, 8192, generator=generator) * 0.1 for _ in range(2))
    near, far = target + 0.01 * noise, target + 0.5 * noise
    assert snr_db(near, target).min() > snr_db(far, target).max() + 20
    loss = RestorationLoss(LossWeights(), 44_100)
    (best, _), (good, _), (bad, parts) = (loss(clip, target, 0) for clip in (target, near, far))
    assert best < good < bad
    assert set(parts) == {"snr", "band", "bin", "magnitude"}


def test_si_sdr_ignores_gain_and_lsd_counts_decades() -> None:
    target = torch.randn(2, 44_100, generator=torch.Generator().manual_seed(2)) * 0.1
    noise = torch.randn(2, 44_100, generator=torch.Generator().manual_seed(5)) * 0.1
    assert si_sdr_db(3 * (target + 0.1 * noise), target) == pytest.approx(20, abs=0.2)
    assert log_spectral_distance(target * math.sqrt(10), target) == pytest.approx(1, abs=1e-3)


def write_pairs(folder: Path) -> None:
    """Music-like noise whose highs were cut by a moving average."""
    random = np.random.default_rng(0)
    for split in ("train", "valid"):
        (folder / split).mkdir(parents=True)
        clean = np.cumsum(random.standard_normal((60_000, 2)), 0)
        clean = np.diff(clean, axis=0, prepend=0) * 3000
        damaged = np.stack([np.convolve(side, np.ones(8) / 8, "same") for side in clean.T], 1)
        np.save(folder / split / "song.npy", np.stack([clean, damaged]).clip(-32_768, 32_767).astype(np.int16))


def settings(tmp_path: Path, minutes: float) -> FitSettings:
    crops = CropSettings(64 * 100, batch=2, clean_share=0, quietest_db=0, silent_share=0, equalised_share=0)
    return FitSettings(
        tmp_path / "pairs", tmp_path / "run", minutes, compile=False, warmup_steps=5, learning_rate=5e-3, crops=crops
    )


def test_crops_are_repeatable_and_some_are_undamaged(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    draws = [CropStream(tmp_path / "train", CropSettings(samples=6400, batch=4), seed=4) for _ in range(2)]
    undamaged = 0
    for _, (ours, theirs) in zip(range(30), zip(*draws, strict=True), strict=False):
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)
        undamaged += sum(bool(torch.equal(d, c)) for d, c in zip(*ours, strict=True))
    assert 3 <= undamaged <= 40


def test_an_empty_folder_of_pairs_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must hold pairs"):
        CropStream(tmp_path, CropSettings(), seed=0)


def test_training_lowers_the_loss_and_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    fit = Fit(settings(tmp_path, minutes=1.0), SMALL)
    crops = iter(CropStream(tmp_path / "pairs" / "train", fit.settings.crops, 0))
    (tmp_path / "run").mkdir()
    losses = [fit._train_step(fit.net, *next(crops))["loss"] for _ in range(40)]
    assert np.mean(losses[-6:]) < 0.9 * np.mean(losses[:6])
    fit.validate()
    again = Fit(settings(tmp_path, minutes=1.0), ModelConfig())
    assert (again.step, again.config) == (40, SMALL)
    batch = next(crops)
    fit.random.manual_seed(0)
    again.random.manual_seed(0)
    again.trained_s = fit.trained_s
    assert again._train_step(again.net, *batch)["loss"] == pytest.approx(fit._train_step(fit.net, *batch)["loss"])
    assert "valid" in (tmp_path / "run" / "log.csv").read_text()


def test_a_pruned_checkpoint_begins_a_new_run(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    fit = Fit(settings(tmp_path, minutes=1.0), SMALL)
    (tmp_path / "run").mkdir()
    fit._train_step(fit.net, *next(iter(CropStream(tmp_path / "pairs" / "train", fit.settings.crops, 0))))
    fit.save()
    checkpoint.prune(fit.path, fit.path)
    again = Fit(settings(tmp_path, minutes=1.0), ModelConfig())
    assert (again.step, again.trained_s, again.config) == (1, 0.0, SMALL)
    for ours, wanted in zip(again.net.parameters(), fit.averaged.module.parameters(), strict=True):
        torch.testing.assert_close(ours, wanted, rtol=0, atol=0)


def test_a_wild_net_is_still_finite() -> None:
    net, (spectrum, carrier) = lively(), frames(5)
    for bias in net.heads[-1].biases:
        bias.data.fill_(1e4)
    with torch.no_grad():
        restored, _ = net(spectrum, carrier, net.initial_state(2))
    assert torch.isfinite(restored).all()


def test_the_engine_hears_what_training_hears() -> None:
    """The framing of training and the bundled model's are the same numbers."""
    from apollo_rt.inference.model import load

    model = load()
    assert Processor(model).framing == model.card.framing
    assert TorchFraming(model.framing).analysis_window.shape == (model.framing.analysis_length,)
