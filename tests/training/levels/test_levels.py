"""Levels: what is measured, what a level net makes of it, and a store and a run from music to a net that exports."""

import dataclasses
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from tests.doubles.sounds import gaussian_noise
from tests.doubles.tiny_nets import SMALL_LEVELS, lively_levels
from training.__main__ import main
from training.levels import crops, store
from training.levels.level_losses import evidence_error, image_error, level_error, movement, reached
from training.nets import checkpoint
from training.nets.framing import TorchFraming
from training.nets.level_bands import FLOOR, LevelBands, measure, running_mean
from training.nets.level_net import HOLD_S, LevelNet, LevelNetConfig, Predicted, generated, reference
from training.nets.level_restorer import LOW_HZ, LevelRestorer

BANDS = LevelBands()


def frames_of(audio: np.ndarray, framing: TorchFraming) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Spectrum, carrier, newest samples."""
    samples = torch.from_numpy(np.ascontiguousarray(audio.T))[None]
    spectrum = framing.analyse(samples)
    carrier = (torch.rand(spectrum.shape, generator=torch.Generator().manual_seed(1)) - 0.5) * 6**0.5
    return spectrum, carrier, framing.newest(samples)


# --- what is measured ---


@pytest.mark.parametrize("part", ["long", "short", "fast", "slow"])
def test_the_levels_of_white_noise_add_up_to_its_power(part: str) -> None:
    levels = measure(gaussian_noise(256 * 400), BANDS)[part].astype(float)[20:]
    signals = np.moveaxis(levels, 2 if part == "slow" else 1, 0)
    for signal in signals:  # both channels, and mid and side, which have half of both each
        power = (10**signal).sum(-1).mean()
        assert 10 * np.log10(power) == pytest.approx(-20.0, abs=0.3)


@pytest.mark.parametrize("hertz", [700.0, 5000.0, 15_000.0])
@pytest.mark.parametrize("part", ["long", "short", "fast"])
def test_a_sine_is_in_its_band(part: str, hertz: float) -> None:
    centres = BANDS.centres_hz(part)
    hertz = float(centres[np.argmin(np.abs(centres - hertz))])
    sine = 0.5 * np.sin(2 * np.pi * hertz * np.arange(256 * 40) / 44_100)
    level = measure(np.stack([sine, 0 * sine], 1).astype(np.float32), BANDS)[part][30].astype(float)
    left = level[0, 0] if part == "fast" else level[0]
    assert np.argmax(left) == np.argmin(np.abs(centres - hertz))
    # A narrow band has a part of the main lobe, its neighbours the rest.
    assert 10 * np.log10((10**left).sum()) == pytest.approx(10 * np.log10(0.125), abs=0.2)
    assert np.all(level[1] == pytest.approx(np.log10(FLOOR), abs=0.01))


def test_a_running_mean_begins_with_its_first_value() -> None:
    values = np.array([[4.0], [4.0], [8.0]], np.float32)
    assert running_mean(values, 1e9)[:, 0] == pytest.approx([4, 4, 16 / 3], abs=1e-3)
    assert running_mean(np.full((50, 1), 3.0, np.float32), 5.0) == pytest.approx(3.0, abs=1e-5)


def test_what_the_net_measures_itself_is_what_it_was_trained_on() -> None:
    audio = gaussian_noise(256 * 60) * np.float32([1.0, 0.3])
    net = LevelRestorer(LevelNetConfig(width=8, hidden=8, dilations=(1,), exits=(1,)))
    spectrum, _, recent = frames_of(audio, TorchFraming(BANDS.framing))
    ours, _ = net.measure(spectrum, recent, net.initial_state())
    for part, wanted in measure(audio, BANDS).items():
        np.testing.assert_allclose(ours[part][0].numpy(), wanted.astype(np.float32), atol=0.006, err_msg=part)


# --- what is made of it ---


def test_noise_is_heard_at_the_level_and_with_the_coherence_that_were_asked_for() -> None:
    net, framing = (
        LevelRestorer(LevelNetConfig(width=8, hidden=8, dilations=(1,), exits=(1,))),
        TorchFraming(BANDS.framing),
    )
    spectrum, carrier, _ = frames_of(gaussian_noise(256 * 300, 0.0), framing)
    wanted = torch.full((1, 300, 2, BANDS.n_short), -4.0)
    wanted[:, :, 1] = -6.0
    made = spectrum + net._gains(wanted)[..., None] * net._placed(carrier, torch.full((1, 300, BANDS.n_short), 0.5))
    audio = framing.synthesise(made)[0].T.numpy()
    power = (10 ** measure(audio.astype(np.float32), BANDS)["short"][20:].astype(float)).mean(0)
    off_db = 10 * np.log10(power[:2]) - np.array([[-40.0], [-60.0]])
    assert np.abs(off_db).max() < 1.5  # a narrow band's noise varies
    assert np.abs(off_db.mean(1)).max() < 0.2
    left, right = audio.T
    assert np.corrcoef(left, right)[0, 1] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_a_silent_channel_stays_silent_and_silence_is_left_alone(seed: int) -> None:
    net, framing = lively_levels(seed), TorchFraming(SMALL_LEVELS.framing)
    audio = gaussian_noise(64 * 200) * np.float32([1.0, 0.0])
    with torch.no_grad():
        for music in (audio, 0 * audio):
            made, _ = net(*frames_of(music, framing), net.initial_state())
            out = framing.synthesise(made)[0]
            assert 10 * np.log10(float(out[1].square().mean()) + 1e-20) < -90
            assert float(
                (made[:, :, 0] - framing.analyse(torch.from_numpy(music.T.copy())[None])[:, :, 0]).abs().max()
            ) > (1e-3 if music is audio else -1)


def test_what_is_there_already_gets_nothing_and_a_hole_gets_all() -> None:
    missing = torch.tensor([-4.0, -4.0, -6.0])
    present = torch.tensor([-12.0, -4.0, -4.0])
    sure = torch.full((3,), 4.0)
    for evidence, less_db in ((sure, 0.0), (0 * sure + 1, 3.01), (0 * sure, 13.2), (-sure, 65.1)):
        made = generated(Predicted(missing, missing, evidence), present)
        assert 10 * (made - missing) + less_db == pytest.approx([0.0, -1.94, -28.3], abs=0.1)


def test_evidence_is_held_and_is_asked_for_where_a_band_lost_something() -> None:
    net = lively_levels().levels
    hop_s = SMALL_LEVELS.framing.hop_period_s
    n_before, n_after = round(1 / hop_s), round(6 / hop_s)
    said = torch.full((1, n_before + n_after, 6), -9.0)
    said[:, n_before:] = 9.0
    whole = net._held(said, torch.ones(1, n_before + n_after, 1), torch.zeros(1, 7))[0][0, :, 0]
    assert float(whole[:n_before].max()) < 0
    opens = int((whole[n_before:] > 0).nonzero()[0, 0]) * hop_s
    assert opens == pytest.approx(HOLD_S * np.log(2 - np.exp(-1 / HOLD_S)), abs=2 * hop_s)
    assert float(whole[-1]) == pytest.approx(4.0, abs=0.3)  # one frame can't say more
    assert float(whole[0].abs()) < 1 < float(whole[n_before // 4].abs()), (
        "at first little is believed, soon what all say"
    )

    silent_before = (torch.arange(n_before + n_after) >= n_before).float()[None, :, None]
    afresh = net._held(said, silent_before, torch.zeros(1, 7))[0][0, :, 0]
    assert float(afresh[:n_before].abs().max()) == 0, "silence says nothing"
    assert float(afresh[n_before + n_before // 4]) > 1, "and what follows is judged by itself"

    known = torch.tensor([[1.0, 1.0, 0.0]])
    wanted = torch.full((1, 50, 4, 3), -4.0)
    short = torch.stack((wanted[..., 0] - 1, wanted[..., 1], wanted[..., 2] - 1), -1)
    right = torch.tensor([4.0, -4.0, 0.0]).expand(1, 50, 2, 3)
    assert float(evidence_error(right, short, wanted, known)) < 0.05
    assert float(evidence_error(-right, short, wanted, known)) > 3


def test_an_image_that_is_right_has_no_error_and_a_centre_has_that_of_the_hat() -> None:
    wanted = torch.full((1, 20, 4, 2), -4.0)
    wanted[:, :, 1] = -6.0
    short, known = torch.full_like(wanted, -11.0), torch.ones(1, 2)
    assert float(image_error(wanted[:, :, :2], short, wanted, known)) == pytest.approx(0.0, abs=1e-3)
    assert float(image_error(wanted[:, :, [0, 0]], short, wanted, known)) == pytest.approx(1.5, abs=0.05)


def test_frames_one_by_one_give_what_all_at_once_give_and_nothing_looks_ahead() -> None:
    net, frames = lively_levels(), frames_of(gaussian_noise(64 * 40), TorchFraming(SMALL_LEVELS.framing))
    for tier in range(2):
        with torch.no_grad():
            whole, last = net(*frames, net.initial_state(1, tier), tier)
            state, ours = net.initial_state(1, tier), []
            for k in range(40):
                out, state = net(*(part[:, k : k + 1] for part in frames), state, tier)
                ours.append(out)
        torch.testing.assert_close(torch.cat(ours, 1), whole, atol=1e-4, rtol=1e-4)
        for one, other in zip(state, last, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_all_tiers_at_once_are_the_tiers_one_by_one() -> None:
    net = lively_levels()
    spectrum, _, recent = frames_of(gaussian_noise(64 * 30), TorchFraming(SMALL_LEVELS.framing))
    levels, _ = net.measure(spectrum, recent, net.initial_state())
    for tier, found in enumerate(net.levels.of_all_tiers(levels)):
        alone, _ = net.levels(levels, net.levels.initial_state(1, tier), tier)
        for one, other in zip(found[:3], alone[:3], strict=True):
            torch.testing.assert_close(one, other)


def test_exits_must_rise_to_the_last_layer() -> None:
    with pytest.raises(ValueError, match=r"exits must rise from 1 to the 2 layers, got \(2, 1\)"):
        dataclasses.replace(SMALL_LEVELS, exits=(2, 1))


def test_a_net_is_turned_by_decibels_and_by_shares() -> None:
    frames = frames_of(gaussian_noise(64 * 40), TorchFraming(SMALL_LEVELS.framing))
    levels, _ = lively_levels().measure(frames[0], frames[2], lively_levels().initial_state())
    before, _ = lively_levels().levels(levels, lively_levels().levels.initial_state())
    net = lively_levels()
    net.turn(correction=0.5, carrier_db=-6.0, evidence=0.7)
    after, _ = net.levels(levels, net.levels.initial_state())
    softer = before.missing < before.missing.amax() - 1  # what is as loud as its channel stays there
    torch.testing.assert_close((after.missing - before.missing)[softer], torch.full_like(before.missing[softer], -0.6))
    assert float((after.evidence[:, -1] - before.evidence[:, -1]).mean()) > 0.05
    net = lively_levels()
    net.turn(low_carrier_db=-3.0)
    low, _ = net.levels(levels, net.levels.initial_state())
    is_low = torch.from_numpy(SMALL_LEVELS.bands.centres_hz("short") < LOW_HZ)
    assert 0 < int(is_low.sum()) < len(is_low)
    moved = (low.missing - before.missing)[softer & is_low]
    torch.testing.assert_close(moved, torch.full_like(moved, -0.3))
    torch.testing.assert_close(low.missing[..., ~is_low], before.missing[..., ~is_low])
    net = lively_levels()
    net.turn(correction=0.5)
    corrected, _ = net.levels(levels, net.levels.initial_state())
    inside = (before.gains > 0.01) & (before.gains < 1.99)
    torch.testing.assert_close((corrected.gains - 1)[inside], (0.5 * (before.gains - 1))[inside], atol=1e-5, rtol=1e-4)


# --- how far off it is ---


def predicted(missing: torch.Tensor, coherence: torch.Tensor) -> Predicted:
    """With all evidence."""
    return Predicted(missing, coherence, torch.full_like(missing, 4.0))


def test_the_right_levels_have_no_error_and_wrong_ones_theirs() -> None:
    torch.manual_seed(0)
    short, known = torch.full((1, 50, 4, 6), -9.0), torch.ones(1, 6)
    missing = torch.rand(1, 50, 2, 6) - 4
    coherence = torch.full((1, 50, 6), 0.3)
    wanted, loud = reached(short, predicted(missing, coherence)), torch.full((1, 50), -3.0)
    assert float(level_error(wanted, wanted, known, loud)) == 0
    assert float(level_error(wanted + 0.5, wanted, known, loud)) == pytest.approx(0.25, abs=0.01)
    known[:, 3:] = 0
    off = wanted.clone()
    off[..., 3:] += 1
    assert float(level_error(off, wanted, known, loud)) == 0


def test_equal_and_opposite_noise_has_no_mid_and_equal_noise_no_side() -> None:
    short, missing = torch.full((1, 1, 4, 1), -12.0), torch.full((1, 1, 2, 1), -3.0)
    alike = reached(short, predicted(missing, torch.ones(1, 1, 1)))[0, 0, :, 0]
    opposite = reached(short, predicted(missing, -torch.ones(1, 1, 1)))[0, 0, :, 0]
    assert alike.tolist() == pytest.approx([-3, -3, -2.7, -11.7], abs=0.05)
    assert opposite.tolist() == pytest.approx([-3, -3, -11.7, -2.7], abs=0.05)


def test_movement_tells_a_constant_error_from_one_that_moves() -> None:
    torch.manual_seed(0)
    wanted = torch.rand(400, 4, 5) - 4
    damaged, known = torch.full((400, 4, 5), -11.0), torch.ones(5)
    same, louder = movement(wanted, wanted, damaged, known), movement(wanted + 0.3, wanted, damaged, known)
    flat = movement(
        wanted.mean(0, keepdim=True).expand_as(wanted) + 1e-3 * torch.rand(400, 4, 5), wanted, damaged, known
    )
    assert same is not None
    assert louder is not None
    assert flat is not None
    assert (same.error_db, same.correlation) == pytest.approx((0, 1), abs=1e-4)
    assert (louder.clip_db, louder.frame_db, louder.correlation) == pytest.approx((3, 0, 1), abs=0.1)
    assert abs(flat.correlation) < 0.1
    assert flat.frame_db > 2
    assert movement(wanted, wanted, wanted, known) is None


# --- crops ---


def of_audio(audio: np.ndarray) -> tuple[crops.Levels, np.ndarray]:
    levels = {name: part.astype(np.float32) for name, part in measure(audio, BANDS).items()}
    return levels, levels["short"]


@pytest.mark.parametrize("gains", [(1.0, 0.1), (0.0, 1.0)])
def test_another_balance_in_levels_is_another_balance_of_samples(gains: tuple[float, float]) -> None:
    audio = gaussian_noise(256 * 30) + 0.5 * gaussian_noise(256 * 30, seed=1)[:, :1]
    (levels, _), (wanted, _) = of_audio(audio), of_audio(audio * np.float32(gains))
    for name, part, axis in crops._with_signals(levels):
        ours = crops._weighted(part, np.float32(gains), axis)
        np.testing.assert_allclose(ours, wanted[name], atol=0.05, err_msg=name)


@pytest.mark.parametrize(("order", "matrix"), [(crops._SWAPPED, [[0, 1], [1, 0]]), (crops._TURNED, [[1, 0], [0, -1]])])
def test_signals_rearranged_in_levels_are_those_of_samples(order: list[int], matrix: list[list[int]]) -> None:
    audio = gaussian_noise(256 * 30) * np.float32([1.0, 0.2])
    rearranged = crops._rearranged(of_audio(audio)[0], order)
    wanted, _ = of_audio(audio @ np.float32(matrix))
    for name, part in rearranged.items():
        np.testing.assert_allclose(part, wanted[name], atol=0.01, err_msg=name)


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 2])
def test_an_instrument_that_joins_in_adds_what_it_adds_to_samples(angle: float) -> None:
    audio, other = gaussian_noise(256 * 400), gaussian_noise(256 * 400, seed=1)[:, :1].repeat(2, axis=1)
    left, right = np.cos(angle), np.sin(angle)
    places = np.float32([left**2, right**2, (left + right) ** 2 / 2, (left - right) ** 2 / 2])
    (ours, _), (its, _), (wanted, _) = map(of_audio, (audio, other, audio + other * np.float32([left, right])))
    for name, part, axis in [*crops._with_signals(ours), ("fast", ours["fast"], 1)]:
        summed = crops._summed(part, its[name][crops._LEFT[name]], places, axis)
        ends = tuple(place for place in range(part.ndim) if place != axis)
        np.testing.assert_allclose(*((10**one).mean(ends) for one in (summed, wanted[name])), rtol=0.02, err_msg=name)


def test_what_joins_in_is_on_one_side_or_elsewhere(levels_folder: Path) -> None:
    settings = crops.LevelCropSettings(200, 0.0, 0.0, 0.0, joined_share=1.0, turned_share=0.0, mixed_share=0.0)
    drawn = crops.LevelCrops(levels_folder / "train", settings)
    differences = []
    for number in range(12):
        levels, wanted, _ = drawn[number]
        assert all(bool(torch.isfinite(part).all()) for part in levels.values())
        left, right = (10 ** wanted[:, :2, -10:]).mean((0, 2))
        differences.append(abs(float(torch.log10(left / right))))
    assert max(differences) > 0.3, "on one side, 3 dB or more"
    assert min(differences) < 0.3, "and elsewhere"


def test_of_two_pieces_at_once_the_powers_add(levels_folder: Path) -> None:
    plain = crops.LevelCropSettings(200, 0.0, 0.0, 0.0, 0.0, turned_share=0.0, mixed_share=0.0)
    folder, mixed = levels_folder / "train", dataclasses.replace(plain, mixed_share=1.0)
    alone, both = crops.LevelCrops(folder, plain), crops.LevelCrops(folder, mixed)
    for number in range(8):
        item, begin, random = both._drawn(number)
        levels, wanted = store.read(folder, item, begin, 200, both.bands)
        summed, summed_wanted, cut_hz = both._mixed(levels, wanted, item, random)
        assert cut_hz <= item.cut_hz
        for name, part in [*levels.items(), ("wanted", wanted)]:
            more = summed_wanted if name == "wanted" else summed[name]
            assert (more >= part - 1e-3).all(), name
            assert np.isfinite(more).all()
        added = np.log10((10 ** summed_wanted[:, :2]).mean() / (10 ** wanted[:, :2]).mean())
        assert 0.01 < added < 0.6, "from 15 dB below the music to 3 dB above it"
        parts, its_wanted, _ = both[number]
        assert all(parts[name].shape == part.shape for name, part in alone[number][0].items())
        assert torch.isfinite(its_wanted).all()


def test_a_voice_over_a_bed_is_undamaged_and_its_highs_are_the_beds(levels_folder: Path) -> None:
    settings = crops.LevelCropSettings(200, 0.0, 0.0, 0.0, 0.0, turned_share=0.0, bed_share=1.0, mixed_share=0.0)
    drawn = crops.LevelCrops(levels_folder / "train", settings)
    drawn.items = [dataclasses.replace(drawn.items[0], damage=store.UNDAMAGED)]
    drawn._alike, drawn._chances = {store.UNDAMAGED: drawn.items}, np.ones(1)
    falls = []
    for number in range(8):
        levels, wanted, _ = drawn[number]
        assert all(bool(torch.isfinite(part).all()) for part in levels.values())
        torch.testing.assert_close(levels["short"], wanted)
        means = torch.log10((10 ** levels["short"][:, :2]).mean((0, 1)))
        falls.append(float(means[2] - means[-1]))
    assert min(falls) > 1.0, "15 to 45 dB below what is over it, less what white noise has more bins for"
    assert max(falls) < 5.0, "never emptied"


# --- from music to a net ---


def write_music(folder: Path) -> Path:
    """Two authors' noise with a moving loudness, one of them for validation."""
    rows = ["file\tauthor\tlicence\tsplit"]
    for number, split in enumerate(("train", "train", "valid")):
        moving = 0.2 + 0.8 * np.abs(np.sin(np.arange(44_100 * 6) / 9000))[:, None]
        soundfile.write(folder / f"{number}.wav", gaussian_noise(44_100 * 6, 0.05, number) * moving, 44_100)
        rows.append(f"{number}.wav\t{split} author\tCC0\t{split}")
    (folder / "LICENCES.tsv").write_text("\n".join(rows))
    return folder


def prepare(music: Path, out: Path) -> str:
    arguments = ["levels", "prepare", str(music), "--out", str(out), "--variants", "2", "--workers", "1"]
    made = CliRunner().invoke(main, arguments)
    assert made.exit_code == 0, made.output
    return made.output


@pytest.fixture(scope="module")
def levels_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "music").mkdir()
    prepare(write_music(folder / "music"), folder / "levels")
    return folder / "levels"


def test_preparing_makes_items_of_every_stretch_and_again_makes_none(levels_folder: Path) -> None:
    found = store.items_of(levels_folder / "train")
    assert len(found) == 4
    assert len(store.items_of(levels_folder / "valid")) == 2
    assert {item.group for item in found} == {"train-author"}
    before = {file: file.stat().st_mtime_ns for file in levels_folder.rglob("*")}
    assert "6 items, 0 left out" in prepare(levels_folder.parent / "music", levels_folder)
    assert before == {file: file.stat().st_mtime_ns for file in levels_folder.rglob("*")}


def test_a_stretch_of_a_store_is_what_was_measured_there(levels_folder: Path) -> None:
    item = store.items_of(levels_folder / "train")[0]
    whole, wanted = store.read(levels_folder / "train", item, 0, item.frames, BANDS)
    part, wanted_part = store.read(levels_folder / "train", item, 101, 50, BANDS)
    for name, shape in BANDS.widths.items():
        assert whole[name].shape == (item.frames, *shape)
        np.testing.assert_array_equal(part[name], whole[name][101:151])
    np.testing.assert_array_equal(wanted_part, wanted[101:151])


def test_a_crop_has_one_number_and_is_always_the_same(levels_folder: Path) -> None:
    drawn = [crops.LevelCrops(levels_folder / "train", crops.LevelCropSettings(100))[5] for _ in range(2)]
    for one, other in zip(drawn[0][0].values(), drawn[1][0].values(), strict=True):
        torch.testing.assert_close(one, other)
    with pytest.raises(ValueError, match="folder must hold items of 99999 frames or more"):
        crops.LevelCrops(levels_folder / "train", crops.LevelCropSettings(99_999))


def test_a_run_goes_on_where_it_was_and_leaves_a_net_that_restores(levels_folder: Path, tmp_path: Path) -> None:
    from training.levels.level_run import Settings, fit

    config = LevelNetConfig(width=16, hidden=16, dilations=(1, 2), exits=(1, 2))
    make = partial(Settings, levels_folder, tmp_path / "run", ends=None, decay_from=1.0, batch=2, frames=64)
    rest = {"learning_rate": 2e-3, "validate_every": 2, "threads": 1, "precision": "32-true", "seed": 0, "fuse": False}
    fit(make(steps=2, start=None, **rest), config)
    first, facts = checkpoint.load_restorer(tmp_path / "run" / "levels.pt")
    fit(make(steps=4, start=None, **rest), config)
    second, more = checkpoint.load_restorer(tmp_path / "run" / "levels.pt")
    assert (facts["step"], more["step"]) == (2, 4)
    assert more["heard_s"] == pytest.approx(2 * facts["heard_s"])
    assert isinstance(second, LevelRestorer)
    assert any((a != b).any() for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize(("named", "used"), [(None, "of the machine"), ("32-true", "32-true")])
def test_precision_is_what_the_machine_is_made_for_unless_it_is_named(
    levels_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None, used: str
) -> None:
    """In bfloat16 a processor that has no products of it learns a sixtieth as fast."""
    from training.levels import level_run

    asked: list[str] = []

    def make_trainer(*, precision: str, **_: object) -> None:
        asked.append(precision)
        raise KeyboardInterrupt

    monkeypatch.setattr(level_run.torch_settings, "precision", lambda: "of the machine")
    monkeypatch.setattr(level_run, "Trainer", make_trainer)
    config = LevelNetConfig(width=16, hidden=16, dilations=(1, 2), exits=(1, 2))
    rest = {"learning_rate": 2e-3, "validate_every": 2, "threads": 1, "seed": 0, "fuse": False}
    make = partial(level_run.Settings, levels_folder, tmp_path, ends=None, decay_from=1.0, batch=2, frames=64)
    with pytest.raises(KeyboardInterrupt):
        level_run.fit(make(steps=2, start=None, precision=named, **rest), config)
    assert asked == [used]


def test_levels_that_are_learnt_come_closer_than_those_at_the_start(levels_folder: Path) -> None:
    """Net and losses belong together: forty steps on one crop take away most of the error."""
    torch.manual_seed(0)
    drawn = crops.LevelCrops(
        levels_folder / "train", crops.LevelCropSettings(100, 0.0, 0.0, joined_share=0.0, mixed_share=0.0)
    )[1]
    levels, wanted, known = {name: part[None] for name, part in drawn[0].items()}, drawn[1][None], drawn[2][None]
    net = LevelNet(LevelNetConfig(width=16, hidden=16, dilations=(1, 2), exits=(1, 2)))
    optimizer, errors = torch.optim.Adam(net.parameters(), 0.01), []
    for _ in range(40):
        error = level_error(reached(levels["short"], net.of_all_tiers(levels)[-1]), wanted, known, reference(levels))
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.5 * errors[0] or errors[0] < 0.02


def test_a_checkpoint_of_a_level_net_is_refused_where_it_is_broken(tmp_path: Path) -> None:
    net = lively_levels()
    checkpoint.save_levels(tmp_path / "levels.pt", net.levels, step=1, trained_s=2.0, heard_s=3.0)
    again, content = checkpoint.load_restorer(tmp_path / "levels.pt")
    assert again.config == net.config
    assert json.loads(json.dumps({k: content[k] for k in ("step", "heard_s")})) == {"step": 1, "heard_s": 3.0}
    content = torch.load(tmp_path / "levels.pt", weights_only=True)
    del content["averaged"]["encode.bias"]
    torch.save(content, tmp_path / "broken.pt")
    with pytest.raises(ValueError, match="holds no net that this version knows"):
        checkpoint.load_restorer(tmp_path / "broken.pt")
