"""A collection is recognised by looking, its stems are found, and test recordings are kept out by name."""

import json
from pathlib import Path

import pytest

from training.data import layouts
from training.data.held_out import is_held_out
from training.data.recordings import plain, split_by_name


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


STEMS = ("drums.wav", "bass.wav", "other.wav", "vocals.wav", "mixture.wav")


def test_musdb18hq_is_recognised_with_its_splits(tmp_path: Path) -> None:
    for song in ("train/A - One", "train/Leaf - Summerghost", "test/B - Two"):
        touch(tmp_path / song, *STEMS)
    found = {one.name: one for one in layouts.find(tmp_path)}
    assert {name: one.split for name, one in found.items()} == {
        "A---One": "train",
        "Leaf---Summerghost": "valid",
        "B---Two": "test",
    }
    one = found["A---One"]
    assert (one.layout, one.group) == ("musdb18hq", "A")
    assert set(one.sources()) == {"drums", "bass", "other", "vocals", "mixture"}


def test_moisesdb_stems_are_sums_of_tracks_and_the_mixture_is_the_sum_of_all(tmp_path: Path) -> None:
    song = tmp_path / "moisesdb_v0.1" / "0f1e2d3c"
    touch(song, "drums/kick.wav", "drums/snare.wav", "vocals/lead.wav")
    (song / "data.json").write_text(json.dumps({"artist": "Somebody", "song": "Something", "stems": []}))
    (one,) = layouts.find(tmp_path)
    assert (one.layout, one.group, one.split) == ("moisesdb", "Somebody", "train")
    assert {stem: len(files) for stem, files in one.sources().items()} == {"mixture": 3, "drums": 2, "vocals": 1}
    assert "non-commercial" in one.licence


def test_a_tree_of_files_is_a_folder_of_albums_and_a_mixture_makes_a_song_with_stems(tmp_path: Path) -> None:
    touch(tmp_path, "Album/1.flac", "Album/2.mp3", "Album/cover.jpg", "Album/.hidden.wav", "Live/Song/mixture.wav")
    touch(tmp_path, "Live/Song/guitar.wav")
    found = {one.key: one for one in layouts.find(tmp_path, licence="CC0")}
    assert set(found) == {"Album/1", "Album/2", "Live/Song"}
    assert set(found["Live/Song"].stems) == {"guitar"}
    assert {one.licence for one in found.values()} == {"CC0"}


def test_a_layout_that_is_given_is_not_guessed(tmp_path: Path) -> None:
    touch(tmp_path / "train" / "A - One", *STEMS)
    assert layouts.find(tmp_path)[0].layout == "musdb18hq"
    assert layouts.find(tmp_path, "folder")[0].layout == "folder"
    with pytest.raises(ValueError, match="no music in the layout moisesdb"):
        layouts.find(tmp_path, "moisesdb")


@pytest.mark.parametrize("folder", ["test", "Eval", "held-out"])
def test_a_folder_that_is_called_a_test_split_is_kept_out(tmp_path: Path, folder: str) -> None:
    touch(tmp_path, f"{folder}/a/1.wav", "b/2.wav")
    assert {one.name: one.split for one in layouts.find(tmp_path)}["1"] == "test"


def test_a_test_song_is_kept_out_by_name_wherever_it_is(tmp_path: Path) -> None:
    touch(tmp_path, "Copies/PR - Oh No.flac", "Al James/Schoolboy Facination.flac", "Copies/Else.flac")
    touch(tmp_path, "Copies/saber_finalstep.ogg")
    splits = {one.name: one.split for one in layouts.find(tmp_path)}
    assert [name for name, split in splits.items() if split == "test"] == [
        "Schoolboy-Facination",
        "PR---Oh-No",
        "saber_finalstep",
    ]
    assert not is_held_out("Oh")


def test_one_artist_alone_is_music_to_train_on_but_a_marked_folder_stays_validation(tmp_path: Path) -> None:
    unlucky = next(name for name in map(str, range(1000)) if split_by_name(name) == "valid")
    touch(tmp_path, f"{unlucky}/1.wav", "valid/2.wav")
    assert {one.name: one.split for one in layouts.find(tmp_path)} == {"1": "train", "2": "valid"}


def test_a_source_that_is_no_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="folder of music or `open`"):
        layouts.find(tmp_path / "nowhere")


def test_names_are_safe_for_files_and_lists() -> None:
    assert plain("AC/DC: Live__at 3 a.m.") == "ACDC-Live_at-3-a.m"
    assert plain("???") == "unnamed"


def test_about_one_group_in_twenty_is_for_validation_always_the_same() -> None:
    splits = [split_by_name(str(number)) for number in range(2000)]
    assert splits == [split_by_name(str(number)) for number in range(2000)]
    assert 0.03 < splits.count("valid") / 2000 < 0.07


def test_a_listed_folder_says_whose_each_file_is_and_where_it_may_be_used(tmp_path: Path) -> None:
    touch(tmp_path, "a/one.ogg", "b/two.ogg", "unlisted.ogg")
    rows = ["file\tauthor\tlicence\tsplit", "a/one.ogg\tAn Author\tCC0\ttrain", "b/two.ogg\tAnother\tGPL-2\tvalid"]
    (tmp_path / "LICENCES.tsv").write_text("\n".join(rows) + "\n")
    found = layouts.find(tmp_path)
    assert [(one.layout, one.group, one.name, one.split, one.licence) for one in found] == [
        ("listed", "An-Author", "one", "train", "CC0"),
        ("listed", "Another", "two", "valid", "GPL-2"),
    ]
