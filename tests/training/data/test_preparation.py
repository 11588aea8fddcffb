"""From collections to stores: complete, resumable, without test songs, copies of them, or broken files."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from tests.doubles.small_music import song, write_musdb
from training.data import layouts, preparation, stores
from training.data.audio import SAMPLE_RATE
from training.data.degrade import Damage, degrade
from training.data.fingerprint import agreement, fingerprint, is_same
from training.data.preparation import PreparationSettings, Report
from training.prepare import prepare as command

HERE = PreparationSettings(workers=1)


def prepare(source: Path, out: Path, settings: PreparationSettings = HERE) -> Report:
    return preparation.prepare(layouts.find(source), out, settings)


def songs_in(out: Path, split: str) -> set[str]:
    return {store.recording for store in stores.load_manifest(out, split)}


@pytest.fixture(scope="module")
def musdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One song to train on, one to validate on, one to test on."""
    folder = tmp_path_factory.mktemp("musdb18hq")
    write_musdb(folder, "train", "A - One", 1)
    write_musdb(folder, "train", "Leaf - Summerghost", 2)
    write_musdb(folder, "test", "B - Two", 3)
    return folder


def test_every_source_is_stored_with_where_it_came_from_and_no_test_song(musdb: Path, tmp_path: Path) -> None:
    report = prepare(musdb, tmp_path)
    assert report.written == 10
    assert report.left_out == {"musdb18hq/test/B/B---Two": "belongs to a test split"}
    assert (songs_in(tmp_path, "train"), songs_in(tmp_path, "valid")) == ({"A---One"}, {"Leaf---Summerghost"})
    assert not songs_in(tmp_path, "test")
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert {line["source"] for line in lines} == {"mixture", "drums", "bass", "other", "vocals"}
    assert all("educational" in line["licence"] and line["layout"] == "musdb18hq" for line in lines)
    drums = next(line for line in lines if (line["source"], line["split"]) == ("drums", "train"))
    assert json.loads(drums["files"]) == [str(musdb / "train" / "A - One" / "drums.wav")]
    store = next(store for store in stores.load_manifest(tmp_path, "train") if store.source == "drums")
    original, _ = soundfile.read(musdb / "train" / "A - One" / "drums.wav", dtype="float32")
    np.testing.assert_allclose(store.read(0, 6 * SAMPLE_RATE), original[: 6 * SAMPLE_RATE], atol=1 / 32767)


def test_a_run_that_was_stopped_goes_on_where_it_was(
    musdb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(musdb, tmp_path / "unbroken")
    whole, written = stores.write, []

    def write(path: Path, *rest: object) -> None:
        if len(written) == 4:
            left = path.parent / f".{path.stem}.killed.part"  # as a run that is killed leaves it
            left.mkdir(parents=True)
            (left / "whole.h5").write_bytes(b"half")
            raise KeyboardInterrupt
        whole(path, *rest)  # type: ignore[arg-type]
        written.append(path.name)

    monkeypatch.setattr(stores, "write", write)
    with pytest.raises(KeyboardInterrupt):
        prepare(musdb, tmp_path / "stopped")
    monkeypatch.setattr(stores, "write", lambda *rest: (written.append("again"), whole(*rest))[1])
    prepare(musdb, tmp_path / "stopped")
    assert written.count("again") == 6
    manifests = [(tmp_path / out / "manifest.jsonl").read_text() for out in ("unbroken", "stopped")]
    assert manifests[0] == manifests[1]


def test_several_processes_write_what_one_writes(musdb: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        prepare(musdb, tmp_path / str(workers), PreparationSettings(workers=workers))
    manifests = [(tmp_path / workers / "manifest.jsonl").read_text() for workers in ("1", "2")]
    assert manifests[0] == manifests[1]


def test_files_that_cannot_be_read_are_skipped_and_reported(tmp_path: Path) -> None:
    album = tmp_path / "music" / "album"
    album.mkdir(parents=True)
    soundfile.write(album / "good.wav", song(1), SAMPLE_RATE)
    (album / "broken.flac").write_bytes(b"no music at all")
    (album / "empty.wav").touch()
    soundfile.write(album / "dull.flac", degrade(song(2), Damage("mp3", 64_000)), SAMPLE_RATE)
    soundfile.write(album / "silent.flac", np.zeros((SAMPLE_RATE, 2)), SAMPLE_RATE)
    report = prepare(tmp_path / "music", tmp_path / "out")
    assert {name.split("/")[-1] for name in report.left_out} == {"broken", "empty", "dull", "silent"}
    assert "ends at 11" in report.left_out["folder/train/album/dull"]
    assert songs_in(tmp_path / "out", "train") == {"good"}


def test_one_broken_stem_costs_that_stem_alone(tmp_path: Path) -> None:
    (write_musdb(tmp_path / "music", "train", "A - One", 1) / "bass.wav").write_bytes(b"RIFF")
    report = prepare(tmp_path / "music", tmp_path / "out")
    assert [name.split("/")[-1] for name in report.left_out] == ["bass"]
    assert {store.source for store in stores.load_manifest(tmp_path / "out", "train")} == {
        *("mixture", "drums", "other", "vocals")
    }


@pytest.mark.parametrize("damage", [Damage("mp3", 48_000), Damage("opus", 48_000, encode_rate=48_000)])
def test_a_fingerprint_survives_a_codec_another_level_and_a_cut(damage: Damage) -> None:
    ours = fingerprint(song(1))
    copy = fingerprint(np.float32(0.2) * degrade(song(1), damage)[SAMPLE_RATE + 777 :])
    assert is_same(ours, copy)
    assert not is_same(ours, fingerprint(song(2)))
    assert agreement(ours, ours) == 1.0


def test_silence_is_not_the_same_recording_as_silence() -> None:
    nothing = fingerprint(np.zeros((8 * SAMPLE_RATE, 2), np.float32))
    assert not is_same(nothing, nothing)


def test_a_copy_of_a_test_song_is_refused_whatever_its_name(musdb: Path, tmp_path: Path) -> None:
    copy, _ = soundfile.read(musdb / "test" / "B - Two" / "mixture.wav", dtype="float32")
    album = tmp_path / "music" / "innocent"
    album.mkdir(parents=True)
    soundfile.write(album / "new.ogg", 0.3 * copy, SAMPLE_RATE)
    soundfile.write(album / "other.wav", song(99), SAMPLE_RATE)
    both = [*layouts.find(musdb), *layouts.find(tmp_path / "music")]
    loose = PreparationSettings(workers=1, min_cut_hz=0.0)
    report = preparation.prepare(both, tmp_path / "out", loose)
    assert "same recording as musdb18hq/test/B/B---Two" in report.left_out["folder/train/innocent/new"]
    assert "other" in songs_in(tmp_path / "out", "train")


def test_a_copy_that_was_stored_by_an_earlier_run_is_taken_back(musdb: Path, tmp_path: Path) -> None:
    copy, _ = soundfile.read(musdb / "test" / "B - Two" / "mixture.wav", dtype="float32")
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "music" / "copy.wav", copy, SAMPLE_RATE)
    prepare(tmp_path / "music", tmp_path / "out")
    assert "copy" in songs_in(tmp_path / "out", "train")
    report = prepare(musdb, tmp_path / "out")
    assert songs_in(tmp_path / "out", "train") == {"A---One"}
    assert "folder/train/music/copy" in report.left_out


def test_the_command_says_what_it_did_and_what_it_left_out(musdb: Path, tmp_path: Path) -> None:
    arguments = [str(musdb), "--out", str(tmp_path), "--workers", "1", "--pairs", "0.002"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "left out: musdb18hq/test/B/B---Two: belongs to a test split" in result.output
    assert "10 stores, 1 left out" in result.output
    assert len(list((tmp_path / "pairs" / "train").glob("*.npy"))) >= 1


def test_a_wrong_source_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source, message in (
        ("nowhere", "must be a folder of music or `open`"),
        ("empty", "holds no music in the layout"),
    ):
        result = CliRunner().invoke(command, [str(tmp_path / source), "--out", str(tmp_path / "out")])
        assert result.exit_code == 1
        assert message in result.output
        assert "Traceback" not in result.output
        assert not (tmp_path / "out").exists()


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="int16 or float32"):
        PreparationSettings(sample_format="int8")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        PreparationSettings(workers=0)
