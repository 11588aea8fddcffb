"""The correction: what damaged and clean music have in common, the gains that are best, and a run that learns them."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.doubles.tiny_nets import SMALL_LEVELS, lively_levels
from training.levels import crops, store
from training.levels.level_losses import correction_error
from training.levels.level_run import Settings, correct
from training.nets import checkpoint
from training.nets.framing import TorchFraming
from training.nets.level_bands import LevelBands, measure, measure_likeness
from training.nets.level_net import LevelNet, LevelNetConfig
from training.nets.level_restorer import LevelRestorer

BANDS = LevelBands()


def noise(n_samples: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((n_samples, 2)) * 0.1).astype(np.float32)


def test_music_is_like_itself_unlike_other_music_and_the_opposite_of_its_negative() -> None:
    one, other = noise(256 * 200, 0), noise(256 * 200, 1)
    level, same = np.moveaxis(measure_likeness(one, one, BANDS)[20:].astype(float), 2, 0)
    np.testing.assert_allclose(level, measure(one, BANDS)["long"][20:, :2].astype(float), atol=0.01)
    assert same.max() < 1e-6
    assert measure_likeness(-one, one, BANDS)[20:, :, 1].min() > 1.999
    assert measure_likeness(other, one, BANDS)[20:, :, 1].astype(float).mean() == pytest.approx(1.0, abs=0.03)
    # Half of the power is another's: the coherence is the root of the share that isn't.
    mixed = measure_likeness(one + other, one, BANDS)[20:, :, 1].astype(float)
    assert mixed.mean() == pytest.approx(1 - 0.5**0.5, abs=0.03)


def levels_of(damaged: np.ndarray, clean: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Levels of the damaged and of the clean music, and their distance."""
    present = torch.from_numpy(measure(damaged, BANDS)["long"][None, 20:, :2].astype(np.float32))
    level, distance = torch.from_numpy(measure_likeness(damaged, clean, BANDS)[None, 20:].astype(np.float32)).unbind(3)
    return present, level, distance


def test_the_error_is_that_of_the_spectra_at_the_best_loudness_and_the_best_gains_have_the_least() -> None:
    """Half of the time the music is under noise of half its amplitude, and all of it is softer than the clean one."""
    clean, added = noise(256 * 400, 0), noise(256 * 400, 1)
    added[256 * 200 :] = 0
    damaged = 0.95 * (clean + 0.5 * added)
    present, wanted, distance = levels_of(damaged, clean)
    framing = TorchFraming(BANDS.framing)
    spectra = [framing.analyse(torch.from_numpy(one.T.copy())[None])[:, 20:, :, :-1] for one in (damaged, clean)]
    found = {}
    for gain in (0.6, 0.8, 1.0):
        gains = torch.ones_like(present)
        gains[:, :180] = gain
        ours = spectra[0].clone()
        ours[:, :180] *= gain
        power, common = (ours.square().sum((1, 3, 4)), (ours * spectra[1]).sum((1, 3, 4)))
        share = 1 - common.square() / power / spectra[1].square().sum((1, 3, 4))
        loudness = torch.log10(power / spectra[0].square().sum((1, 3, 4)))
        found[gain] = float(correction_error(gains, present, wanted, distance))
        assert found[gain] == pytest.approx(float((torch.log10(share) + loudness.square()).mean()), abs=0.02)
    assert found[0.8] < min(found[0.6], found[1.0])  # 1 / (1 + 0.25)


def test_to_make_all_of_it_louder_gains_nothing() -> None:
    present, wanted, distance = levels_of(0.95 * noise(256 * 200, 0) + 0.1 * noise(256 * 200, 1), noise(256 * 200, 0))
    same, louder = (
        float(correction_error(torch.full_like(present, gain), present, wanted, distance)) for gain in (1.0, 1.05)
    )
    assert same < louder


def test_a_silent_channel_has_no_error() -> None:
    clean = noise(256 * 200, 0) * np.float32([1, 0])
    present, wanted, distance = levels_of(clean, clean)
    assert float(correction_error(torch.ones_like(present), present, wanted, distance)) == pytest.approx(-4.5, abs=0.1)


def test_gains_change_each_channel_alone() -> None:
    net, framing = lively_levels(), TorchFraming(SMALL_LEVELS.framing)
    spectrum = framing.analyse(torch.from_numpy(noise(64 * 20, 0).T.copy())[None])
    gains = torch.ones(1, 20, 2, SMALL_LEVELS.bands.n_long)
    gains[:, :, 0] = 0.5
    made = net._corrected(spectrum, gains)
    torch.testing.assert_close(made[:, :, 1], spectrum[:, :, 1])
    torch.testing.assert_close(made[:, :, 0, :-1], 0.5 * spectrum[:, :, 0, :-1])
    torch.testing.assert_close(made[:, :, 0, -1], spectrum[:, :, 0, -1])  # Nyquist


def test_music_that_lost_nothing_is_not_corrected() -> None:
    correction = lively_levels().levels.correction
    assert correction is not None
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 12, correction.encode.in_features, generator=generator)
    trunk = torch.randn(1, 12, correction.listen.in_features, generator=generator)
    state = [torch.zeros(1, layer.n_past_frames, 8) for layer in correction.layers]
    lost = torch.zeros(1, 12, 2, 5)
    lost[:, :, 1, 3] = 1.0
    gains, _ = correction(features, trunk, lost, state)
    assert float((gains[:, :, 0] - 1).abs().max()) == 0
    assert float((gains[:, :, 1] - 1).abs().mean()) > 0.01


def write_store(folder: Path) -> Path:
    """Music with as much of other music added above 8 kHz: the best gain there is half of that below."""
    for split, n_items in (("train", 2), ("valid", 1)):
        for number in range(n_items):
            clean = noise(256 * 200, number)
            spectrum = np.fft.rfft(noise(256 * 200, 10 + number), axis=0)
            spectrum[: round(8000 / 44_100 * 256 * 200)] = 0
            damaged = clean + np.fft.irfft(spectrum, axis=0).astype(np.float32)
            item = store.LevelItem(f"{number}__0", "somebody", "noise", 22_050.0, 200)
            likeness = measure_likeness(damaged, clean, BANDS)
            store.write(folder / split, item, measure(damaged, BANDS), measure(clean, BANDS), likeness)
    return folder


CONFIG = LevelNetConfig(width=16, hidden=16, dilations=(1, 2), exits=(1, 2))
REST = {"learning_rate": 0.02, "threads": 1, "precision": "32-true", "seed": 0, "fuse": False, "decay_from": 1.0}


def test_a_run_learns_the_gains_and_leaves_the_levels_as_they_are(tmp_path: Path) -> None:
    torch.manual_seed(0)
    levels = LevelNet(CONFIG)
    with torch.no_grad():  # evidence enough, or nothing would be corrected
        levels.decoders[0].bias[2 * BANDS.n_short :] = 4.0
    checkpoint.save_levels(tmp_path / "start.pt", levels, step=5, trained_s=1.0, heard_s=2.0)
    make = partial(Settings, write_store(tmp_path / "store"), tmp_path / "run", ends=None, batch=2, frames=64, **REST)
    correct(make(steps=60, validate_every=30, start=tmp_path / "start.pt"), width=8)
    net, facts = checkpoint.load_restorer(tmp_path / "run" / "levels.pt")
    assert isinstance(net, LevelRestorer)
    assert (facts["step"], facts["heard_s"], facts["correction_step"]) == (5, 2.0, 60)
    for name, weight in levels.half().float().state_dict().items():
        torch.testing.assert_close(net.levels.state_dict()[name], weight, msg=name)
    parts, _ = store.read(tmp_path / "store" / "valid", store.items_of(tmp_path / "store" / "valid")[0], 0, 200, BANDS)
    with torch.no_grad():
        gains = net.levels.gains({name: torch.from_numpy(part)[None] for name, part in parts.items()})
    centres_hz = torch.from_numpy(BANDS.centres_hz("long"))
    lower, upper = gains[:, 40:, :, centres_hz < 6000].mean(), gains[:, 40:, :, centres_hz > 10_000].mean()
    assert float(upper / lower) == pytest.approx(0.5, abs=0.15)


def test_what_cant_be_corrected_is_refused(tmp_path: Path) -> None:
    folder = write_store(tmp_path / "store")
    make = partial(Settings, folder, tmp_path / "run", ends=None, batch=2, frames=64, steps=1, validate_every=1, **REST)
    with pytest.raises(ValueError, match="--start must name the level net that is to be corrected"):
        correct(make(start=None), width=8)
    for file in folder.glob("train/*.like.npy"):
        file.unlink()
    assert crops.LevelCrops(folder / "train", crops.LevelCropSettings(64)).items
    with pytest.raises(ValueError, match="measured with its likeness"):
        crops.LikenessCrops(folder / "train", crops.LevelCropSettings(64))
