"""Stores keep music as it was, peaks above full scale included, and give any part of a run back."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from training.data import stores
from training.data.recordings import Recording
from training.data.stores import Format, Run

FACTS = {
    "source": "mixture",
    "group": "g",
    "recording": "r",
    "split": "train",
    "licence": "CC0",
    "layout": "folder",
}


def store(folder: Path, audio: np.ndarray, starts: list[int], sample_format: Format = "int16") -> stores.Store:
    path = folder / "train" / "mixture" / "g__r.h5"
    stores.write(path, audio, starts, 100, sample_format, FACTS)
    stores.write_manifest(folder)
    return stores.load_manifest(folder, "train")[0]


def loud(samples: int = 400) -> np.ndarray:
    return np.random.default_rng(0).uniform(-2.5, 2.5, (samples, 2)).astype(np.float32)


@pytest.mark.parametrize(("sample_format", "error"), [("int16", 2.5 / 32767), ("float32", 0.0)])
def test_a_peak_above_full_scale_is_kept(tmp_path: Path, sample_format: Format, error: float) -> None:
    audio = loud()
    kept = store(tmp_path, audio, [0, 50, 100], sample_format)
    np.testing.assert_allclose(kept.read(0, 200), audio[:200], atol=error)
    with h5py.File(kept.path) as file:
        assert file["data"].dtype == sample_format
        assert file["data"].shape == (3, 2, 100)
        assert file["data"].chunks == (1, 2, 100)
        assert file.attrs["peak"] == pytest.approx(np.abs(audio).max())
        assert file.attrs["licence"] == "CC0"


def test_overlapping_segments_are_read_as_the_signal_they_were_cut_from(tmp_path: Path) -> None:
    audio = loud()
    kept = store(tmp_path, audio, [0, 50, 100, 250, 300], "float32")
    assert kept.runs == (Run(0, 200), Run(250, 400))
    for begin, end in [(0, 200), (13, 187), (49, 51), (99, 151), (260, 400)]:
        np.testing.assert_array_equal(kept.read(begin, end), audio[begin:end])


def test_music_across_a_gap_is_refused(tmp_path: Path) -> None:
    kept = store(tmp_path, loud(), [0, 250])
    with pytest.raises(ValueError, match="no run from sample 50 to 260"):
        kept.read(50, 260)


def test_a_source_that_is_never_active_is_listed_but_gives_no_music(tmp_path: Path) -> None:
    stores.write(tmp_path / "train" / "drums" / "g__r.h5", np.zeros((400, 2), np.float32), [], 100, "int16", FACTS)
    assert [line["segments"] for line in stores.write_manifest(tmp_path)] == [0]
    assert stores.load_manifest(tmp_path, "train") == []


def test_a_store_that_was_cut_off_does_not_count_as_done(tmp_path: Path) -> None:
    kept = store(tmp_path, loud(), [0])
    assert stores.has_facts(kept.path, dict(FACTS))
    assert not stores.has_facts(kept.path, {**FACTS, "licence": "other"})
    kept.path.write_bytes(kept.path.read_bytes()[:100])
    assert not stores.has_facts(kept.path, dict(FACTS))


def test_a_folder_without_a_manifest_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="python -m training prepare"):
        stores.load_manifest(tmp_path, "train")


def test_stores_lie_by_split_and_source() -> None:
    recording = Recording("folder", "Artist", "Song", "valid", "CC0", (Path("a.wav"),))
    assert stores.store_path(Path("x"), recording, "bass") == Path("x/valid/bass/Artist__Song.h5")
