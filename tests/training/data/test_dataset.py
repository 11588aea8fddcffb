"""Crops: the same for the same number, whoever asks; a run taken up again sees what an unbroken one sees."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from training.data.augmentation import CropSettings
from training.data.dataset import ConsecutiveSampler, Crops, ValidationCrops

SMALL = CropSettings(samples=2048)
UNTOUCHED = CropSettings(2048, 4, 0, 0, 0, 0, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pairs of noise; the damaged half is softer."""
    place = tmp_path_factory.mktemp("pairs")
    random = np.random.default_rng(0)
    for number, damage in enumerate(["mp3-48", "mp3-64", "mp3-48", "aac-48", "mp3-128+opus-24", "mp3-48"]):
        clean = random.integers(-20_000, 20_000, (1, 20_000, 2))
        np.save(
            place / f"group{number % 2}__song{number}__{damage}.npy", np.concatenate([clean, clean // 2]).astype("i2")
        )
    return place


def same(ours: tuple[torch.Tensor, ...], theirs: tuple[torch.Tensor, ...]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_a_crop_depends_on_its_number_and_the_seed_alone(folder: Path) -> None:
    ours, theirs = (Crops(folder, SMALL, seed=3) for _ in range(2))
    wanted = {number: ours[number] for number in range(20)}
    assert all(same(theirs[number], wanted[number]) for number in reversed(range(20)))
    assert not same(Crops(folder, SMALL, seed=4)[0], wanted[0])
    assert wanted[0][0].shape == (2, 2048)
    assert wanted[0][0].dtype == torch.float32


def test_workers_and_a_run_taken_up_again_see_the_same_batches(folder: Path) -> None:
    crops = Crops(folder, SMALL, seed=0, count=40)
    unbroken = list(DataLoader(crops, 4, sampler=ConsecutiveSampler(crops, 4)))
    resumed = list(DataLoader(crops, 4, sampler=ConsecutiveSampler(crops, 4, first_step=6), num_workers=2))
    assert (len(unbroken), len(resumed)) == (10, 4)
    assert all(same(ours, theirs) for ours, theirs in zip(resumed, unbroken[6:], strict=True))


def test_two_processes_share_what_one_sees_with_twice_the_batch() -> None:
    whole = list(ConsecutiveSampler(range(26), 4))
    halves = [list(ConsecutiveSampler(range(26), 2, rank, 2)) for rank in range(2)]
    assert whole == list(range(24))
    assert [index for step in range(6) for half in halves for index in half[2 * step : 2 * step + 2]] == whole
    assert len(ConsecutiveSampler(range(26), 2, 0, 2)) == 12


def test_both_sides_are_changed_alike(folder: Path) -> None:
    settings = CropSettings(2048, clean_share=0, mute_share=0, clipped_share=0)
    for number in range(20):
        damaged, clean = Crops(folder, settings, seed=0)[number]
        torch.testing.assert_close(damaged, clean / 2, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("setting", "holds"),
    [
        ("clean_share", lambda damaged, clean: torch.equal(damaged, clean)),
        ("mono_share", lambda damaged, clean: torch.allclose(clean[0], clean[1], atol=1e-6)),
        ("mute_share", lambda damaged, clean: not damaged.any() and not clean.any()),
        ("clipped_share", lambda damaged, clean: clean.abs().max() == 1.0),
        ("silent_share", lambda damaged, clean: min(clean[:, 0].abs().max(), clean[:, -1].abs().max()) < 1e-6),
        ("rescaled", lambda damaged, clean: max(damaged.abs().max(), clean.abs().max()) == pytest.approx(1.0)),
    ],
)
def test_each_share_gives_its_kind_of_item(folder: Path, setting: str, holds: object) -> None:
    from dataclasses import replace

    crops = Crops(folder, replace(UNTOUCHED, **{setting: 1}), seed=0)
    plain = Crops(folder, UNTOUCHED, seed=0)
    assert all(holds(*crops[number]) for number in range(10))
    assert not all(holds(*plain[number]) for number in range(10))


def test_quiet_items_reach_down_to_the_level_asked_for(folder: Path) -> None:
    from dataclasses import replace

    crops = Crops(folder, replace(UNTOUCHED, quietest_db=-60.0), seed=0)
    peaks = [float(crops[number][1].abs().max()) for number in range(200)]
    assert min(peaks) < 0.005
    assert max(peaks) > 0.5


def test_a_large_source_does_not_drown_a_small_one(tmp_path: Path) -> None:
    pair = np.full((2, 3000, 2), 10_000, np.int16)
    for number in range(9):
        np.save(tmp_path / f"large__{number}__mp3-48.npy", pair)
    np.save(tmp_path / "small__0__mp3-48.npy", pair // 2)
    crops = Crops(tmp_path, UNTOUCHED, seed=0)
    share = np.mean([float(crops[number][1].abs().max()) < 0.2 for number in range(400)])
    assert share == pytest.approx(1 / 4, abs=0.07)  # 1 : sqrt(9)


def test_silence_is_passed_over_and_a_folder_of_it_is_an_error(tmp_path: Path) -> None:
    np.save(tmp_path / "a__silent__mp3-48.npy", np.zeros((2, 5000, 2), np.int16))
    np.save(tmp_path / "a__short__mp3-48.npy", np.ones((2, 100, 2), np.int16))
    with pytest.raises(ValueError, match="all silent, or shorter than 2048"):
        Crops(tmp_path, SMALL, seed=0)[0]
    np.save(tmp_path / "a__loud__mp3-48.npy", np.full((2, 5000, 2), 9000, np.int16))
    assert all(Crops(tmp_path, UNTOUCHED, seed=0)[number][1].any() for number in range(10))


def test_an_empty_folder_says_what_to_run(tmp_path: Path) -> None:
    for make in (lambda: Crops(tmp_path, SMALL, 0), lambda: ValidationCrops(tmp_path, 2048, 4)):
        with pytest.raises(ValueError, match="python -m training prepare"):
            make()


def test_a_number_out_of_range_is_refused(folder: Path) -> None:
    with pytest.raises(IndexError, match="0 to 3"):
        Crops(folder, SMALL, 0, count=4)[4]


def test_the_digest_tells_whether_the_pairs_are_the_same(folder: Path, tmp_path: Path) -> None:
    assert Crops(folder, SMALL, 0).digest == Crops(folder, SMALL, 1).digest
    np.save(tmp_path / "a__b__mp3-48.npy", np.full((2, 5000, 2), 9000, np.int16))
    assert Crops(folder, SMALL, 0).digest != Crops(tmp_path, SMALL, 0).digest


def test_the_fixed_set_spreads_over_kinds_of_damage_and_names_them(folder: Path) -> None:
    fixed = ValidationCrops(folder, 2048, 4)
    kinds = {(crop.codec, crop.bitrate_bps) for crop in fixed}
    assert kinds == {("mp3", 48_000), ("mp3", 64_000), ("aac", 48_000), ("mp3+opus", 24_000)}
    again = ValidationCrops(folder, 2048, 4)
    assert [crop.name for crop in fixed] == [crop.name for crop in again]
    assert torch.equal(fixed[0].damaged, again[0].damaged)
    assert len(ValidationCrops(folder, 2048, 100)) == 6


def test_a_favoured_source_is_drawn_more_often(tmp_path: Path) -> None:
    for level in (5000, 10_000):
        np.save(tmp_path / f"level-{level}__song__mp3-48.npy", np.full((2, 4096, 2), level, np.int16))

    def share_of_loud(favour: dict[str, float]) -> float:
        crops = Crops(tmp_path, UNTOUCHED, seed=5, favour=favour)
        return float(np.mean([float(crops[number][1].abs().max()) > 0.2 for number in range(200)]))

    assert 0.4 < share_of_loud({}) < 0.6
    assert 0.85 < share_of_loud({"level-10": 9.0}) < 0.95
    with pytest.raises(ValueError, match="favour must hold numbers above 0"):
        Crops(tmp_path, UNTOUCHED, seed=5, favour={"level-10": 0.0})
