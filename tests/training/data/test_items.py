"""Items: stems of different songs at the gains drawn, a damage for each, aligned, the same for the same number."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.doubles.small_music import song
from training.data import damages, items, mixing, pairs, stores
from training.data.alignment import AlignmentError, alignment_samples
from training.data.audio import SAMPLE_RATE
from training.data.damage_kinds import Damage, ServerResampler, label
from training.data.items import LEAD, TAIL, Items, ItemSettings, damage_inside, stretches

SHORT = ItemSettings(seconds=4.0)
UNTOUCHED = ItemSettings(seconds=4.0, treated_share=0, tilted_share=0, quiet_share=0, clipped_share=0, faded_share=0)
PLAIN = replace(UNTOUCHED, mixture_share=0.0)
SESSION = 6 * SAMPLE_RATE


def music(folder: Path, songs: int = 3, split: str = "train") -> list[stores.Store]:
    """Songs of 9 seconds with a mixture and two stems each."""
    for number in range(songs):
        parts = {"bass": 0.4 * song(2 * number, 9.0), "drums": 0.4 * song(2 * number + 1, 9.0)}
        for source, audio in {**parts, "mixture": parts["bass"] + parts["drums"]}.items():
            facts = {"source": source, "group": f"artist{number}", "recording": "song", "split": split}
            path = folder / split / source / f"artist{number}__song.h5"
            starts = [0, 3 * SAMPLE_RATE]
            stores.write(path, audio, starts, SESSION, "int16", {**facts, "licence": f"licence {number}"})
    stores.write_manifest(folder)
    return stores.load_manifest(folder, split)


@pytest.fixture(scope="module")
def three_songs(tmp_path_factory: pytest.TempPathFactory) -> list[stores.Store]:
    return music(tmp_path_factory.mktemp("music"))


@pytest.fixture
def undamaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """No codec, where only the mixing is looked at."""
    monkeypatch.setattr(items, "degrade_in_turn", lambda audio, _: audio.copy())


def test_stems_are_added_up_with_whole_decibels_from_minus_to_plus_ten() -> None:
    ones = [np.full((100, 2), 0.1 * (index + 1), np.float32) for index in range(3)]
    mixed, gains_db = mixing.mix([*ones, ones[0][:50]], np.random.default_rng(0))
    wanted = sum(0.1 * (index + 1) * 10 ** (gain_db / 20) for index, gain_db in enumerate(gains_db[:3]))
    np.testing.assert_allclose(mixed[60], wanted, rtol=1e-5)
    np.testing.assert_allclose(mixed[10], wanted + 0.1 * 10 ** (gains_db[3] / 20), rtol=1e-5)
    drawn = [gain for seed in range(60) for gain in mixing.mix(ones * 3, np.random.default_rng(seed))[1]]
    assert set(drawn) == set(range(-10, 11))


def test_a_sum_takes_one_stem_each_of_different_songs(three_songs: list[stores.Store], undamaged: None) -> None:
    source = Items(three_songs, PLAIN, seed=0)
    counts = Counter()
    for number in range(25):
        made = source.make(number)
        songs = [name.rsplit("/", 1)[0] for name in made.sources]
        assert len(set(songs)) == len(songs)
        assert all("mixture" not in name for name in made.sources)
        assert set(made.licences) == {f"licence {name[6]}" for name in songs}
        counts[len(songs)] += 1
    assert set(counts) == {1, 2, 3}


def test_half_of_the_items_are_mixtures_and_each_comes_once_before_any_comes_twice(
    three_songs: list[stores.Store], undamaged: None
) -> None:
    source = Items(three_songs, SHORT, seed=3)
    assert source.one_pass == 12
    names = [source.make(number).name for number in range(source.one_pass)]
    mixtures = ["__".join(name.split("__")[:3]) for name in names if not name.startswith("stems")]
    assert len(mixtures) == len(set(mixtures)) == 6


def test_a_group_of_which_there_is_little_comes_by_the_root_of_its_length(tmp_path: Path, undamaged: None) -> None:
    for group, seconds in (("much", 5.5 + 8 * 4.0), ("little", 5.5)):
        facts = {"source": "mixture", "group": group, "recording": "song", "split": "train", "licence": "any"}
        starts = list(range(0, round((seconds - 5.5) * SAMPLE_RATE) + 1, SAMPLE_RATE * 4))
        stores.write(
            tmp_path / "train" / "mixture" / f"{group}.h5",
            song(1, seconds),
            starts,
            round(5.5 * SAMPLE_RATE),
            "int16",
            facts,
        )
    stores.write_manifest(tmp_path)
    source = Items(stores.load_manifest(tmp_path, "train"), SHORT, seed=3)
    assert source.one_pass == 9 + 3
    names = [source.make(number).name for number in range(source.one_pass)]
    assert len(set(names)) == len(names)
    mixtures = Counter("__".join(name.split("__")[:3]) for name in names)
    assert sorted(mixtures.values()) == [1] * 9 + [3]
    assert mixtures["little__song__0001"] == 3


def test_a_mixture_is_the_recording_itself(three_songs: list[stores.Store], undamaged: None) -> None:
    made = Items(three_songs, replace(UNTOUCHED, mixture_share=1.0), seed=0).make(0)
    store = next(store for store in three_songs if made.sources == (f"{store.group}/song/{store.source}",))
    part = next(part for part in stretches(store, 4.0) if f"__{(part.begin + LEAD) // SAMPLE_RATE:04d}__" in made.name)
    original = part.read()
    wanted = original[LEAD:-TAIL] / max(1.0, float(np.abs(original).max()))
    np.testing.assert_allclose(made.clean, wanted, atol=1e-6)


def test_a_tilt_is_so_many_decibels_per_octave_above_one_kilohertz() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (4 * SAMPLE_RATE + 7, 2)).astype(np.float32)
    bent = mixing.tilt(noise, 6.0)
    assert bent.shape == noise.shape
    assert bent.dtype == np.float32
    for low_hz, wanted_db in ((300, 0.0), (2_000, 6.0), (8_000, 18.0)):
        band = slice(round(low_hz * 0.98 * len(noise) / SAMPLE_RATE), round(low_hz * 1.02 * len(noise) / SAMPLE_RATE))
        before, after = (np.sum(np.abs(np.fft.rfft(side, axis=0)[band]) ** 2) for side in (noise, bent))
        assert 10 * np.log10(after / before) == pytest.approx(wanted_db, abs=0.3)


def test_half_of_the_items_have_another_slope_before_the_codec(
    three_songs: list[stores.Store], undamaged: None
) -> None:
    plain = replace(UNTOUCHED, mixture_share=1.0)
    tilted = replace(plain, tilted_share=ItemSettings().tilted_share, slopes_db=(6.0, 6.0))
    as_recorded, bent = (Items(three_songs, settings, seed=0) for settings in (plain, tilted))
    changed = [
        not np.array_equal(as_recorded.make(number).clean, bent.make(number).clean)
        for number in range(as_recorded.one_pass * 4)
    ]
    assert 0.2 < np.mean(changed) < 0.8
    assert all(np.abs(bent.make(number).clean).max() <= 1.0 for number in range(6))


def test_stretches_fill_a_run_and_overlap_by_what_is_cut_off(three_songs: list[stores.Store]) -> None:
    first, second = stretches(three_songs[0], 4.0)
    assert first.begin == 0
    assert second.end == 9 * SAMPLE_RATE
    assert first.end - second.begin == LEAD + TAIL


def test_an_item_depends_on_its_number_and_the_seed_alone(three_songs: list[stores.Store]) -> None:
    numbers = [5, 2, 7]
    first = {number: Items(three_songs, SHORT, seed=1).make(number) for number in numbers}
    again = {number: Items(three_songs, SHORT, seed=1).make(number) for number in reversed(numbers)}
    for number in numbers:
        assert first[number].name == again[number].name
        np.testing.assert_array_equal(first[number].clean, again[number].clean)
        np.testing.assert_array_equal(first[number].damaged, again[number].damaged)
    assert Items(three_songs, SHORT, seed=2).make(5).name != first[5].name


def test_clean_and_damaged_lie_on_each_other_and_full_scale_is_not_passed_before_the_codec(
    three_songs: list[stores.Store],
) -> None:
    source = Items(three_songs, SHORT, seed=0)
    for number in range(4):
        made = source.make(number)
        assert made.clean.shape == made.damaged.shape
        assert np.abs(made.clean).max() <= 1.0
        assert made.misalignment == pytest.approx(alignment_samples(made.clean, made.damaged))
        assert abs(made.misalignment) < 0.2


def test_a_codec_that_shifts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "degrade_in_turn", lambda audio, _: np.roll(audio, 1, axis=0))
    with pytest.raises(AlignmentError, match=r"1\.00 samples"):
        damage_inside(song(0), [Damage()])


def test_damage_is_drawn_for_each_item_in_published_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damages, "can_encode", lambda damage: True)
    drawn = [damages.draw(np.random.default_rng((0, number))) for number in range(4000)]
    coded = [[stage for stage in chain if isinstance(stage, Damage)] for chain in drawn]
    kinds = Counter(chain[-1].codec for chain in coded)
    assert set(kinds) == {"mp3", "aac", "opus", "vorbis", "mp2", "ac3", "wma", "sbc", "musepack"}
    assert kinds["mp3"] / len(drawn) == pytest.approx(0.75, abs=0.03)
    assert sum(len(chain) == 2 for chain in coded) / len(drawn) == pytest.approx(damages.TWICE_SHARE, abs=0.015)
    served = [chain for chain in drawn if any(isinstance(stage, ServerResampler) for stage in chain)]
    assert len(served) / len(drawn) == pytest.approx(damages.SERVER_SHARE, abs=0.015)
    assert all(isinstance(chain[-1], ServerResampler) for chain in served)
    mp3 = [chain[-1] for chain in coded if chain[-1].codec == "mp3"]
    assert {damage.bitrate_bps for damage in mp3} >= {24_000, 32_000, 48_000, 64_000, 96_000, 128_000}
    assert {damage.mode for damage in mp3} == {"joint", "stereo", "abr", "vbr", "fast", "best"}
    assert {damage.encode_rate for damage in mp3} == {44_100, 32_000, 24_000, 22_050, 16_000, 8_000}
    changes = sum(one[-1] != other[-1] for one, other in pairwise(coded))
    assert changes > 0.8 * len(drawn)


def test_what_this_machine_cant_encode_is_drawn_again_and_nothing_else_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def drawn(has_musepack: bool) -> list[str]:
        monkeypatch.setattr(damages, "can_encode", lambda damage: has_musepack or damage.codec != "musepack")
        return [label(damages.draw(np.random.default_rng((3, number)))) for number in range(2000)]

    everything, less = drawn(True), drawn(False)
    assert any("musepack" in name for name in everything)
    assert not any("musepack" in name for name in less)
    assert all(one == other for one, other in zip(everything, less, strict=True) if "musepack" not in one)
    damages.say_missing()
    assert "musepack-90" in capsys.readouterr().out


def test_a_fade_ends_in_silence_or_begins_with_it() -> None:
    ones = np.ones((SAMPLE_RATE, 2), np.float32)
    for seed in range(10):
        faded = mixing.fade(ones, np.random.default_rng(seed))
        assert sorted([faded[0, 0], faded[-1, 0]]) == pytest.approx([0.0, 1.0], abs=1e-3)


@pytest.mark.parametrize(("width", "wanted"), [(0.0, (0.5, 0.5)), (1.0, (1.0, 0.0)), (2.0, (1.5, -0.5))])
def test_width_scales_the_difference_of_the_channels(width: float, wanted: tuple[float, float]) -> None:
    left = np.array([[1.0, 0.0]], np.float32)
    np.testing.assert_allclose(mixing.widen(left, width)[0], wanted)


def test_effects_and_mastering_keep_the_length_and_full_scale() -> None:
    for seed in range(6):
        random = np.random.default_rng(seed)
        audio = mixing.master(mixing.treat(song(seed, 3.0), random), random)
        assert audio.shape == (3 * SAMPLE_RATE, 2)
        assert 0.01 < np.abs(audio).max() <= 1.0


def test_a_half_over_full_scale_turns_both_halves_down_together() -> None:
    clean, damaged = (np.array([[0.5, -0.5]], np.float32) * gain for gain in (1, 4))
    np.testing.assert_array_equal(pairs.quantise(clean, damaged), [[[8192, -8192]], [[32767, -32767]]])


def test_pairs_are_rendered_once_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "music"
    music(folder, 2)
    three, six = 3 * 4 / 3600, 6 * 4 / 3600
    pairs.render(folder, tmp_path / "pairs", three, SHORT, seed=0, workers=1)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("pairs/train/*.npy")}
    lines, failed = pairs.render(folder, tmp_path / "pairs", six, SHORT, seed=0, workers=1)
    assert not failed
    assert [line["number"] for line in lines] == [0, 1, 2, 3, 4, 5]
    assert {path: path.stat().st_mtime_ns for path in made} == made
    for line in lines:
        pair = np.load(tmp_path / "pairs" / "train" / f"{line['name']}.npy")
        assert (pair.dtype, pair.shape[0], pair.shape[2]) == (np.int16, 2, 2)
        assert pair.shape[1] / SAMPLE_RATE == pytest.approx(line["seconds"], abs=1e-3)


def test_an_item_that_a_codec_shifted_is_left_out_and_the_others_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    music(tmp_path / "music", 2)
    n_made, degrade = [0], items.degrade_in_turn

    def shift_the_second(audio: np.ndarray, chain: tuple[Damage, ...]) -> np.ndarray:
        n_made[0] += 1
        return np.roll(audio, 1, axis=0) if n_made[0] == 2 else degrade(audio, chain)

    monkeypatch.setattr(items, "degrade_in_turn", shift_the_second)
    lines, failed = pairs.render(tmp_path / "music", tmp_path / "pairs", 3 * 4 / 3600, SHORT, seed=0, workers=1)
    assert [line["number"] for line in lines] == [0, 2]
    assert list(failed) == ["train item 1"]
    assert "misaligned by 1.00 samples" in failed["train item 1"]


def test_no_music_and_settings_out_of_range_are_clear_errors(three_songs: list[stores.Store]) -> None:
    with pytest.raises(ValueError, match="no music in this split"):
        Items([], SHORT, 0)
    with pytest.raises(ValueError, match="seconds must be 3 to 600"):
        ItemSettings(seconds=1)
    with pytest.raises(ValueError, match="mixture_share"):
        ItemSettings(mixture_share=2)


def test_stems_alone_and_mixtures_alone_are_enough(three_songs: list[stores.Store], undamaged: None) -> None:
    stems = [store for store in three_songs if store.source != "mixture"]
    mixtures = [store for store in three_songs if store.source == "mixture"]
    assert all(Items(stems, SHORT, 0).make(number).name.startswith("stems") for number in range(3))
    assert not any(Items(mixtures, SHORT, 0).make(number).name.startswith("stems") for number in range(3))
