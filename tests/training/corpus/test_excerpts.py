"""Excerpts for evaluation come from test recordings alone, where something is playing, and stay as they are."""

from pathlib import Path

import numpy as np
import soundfile

from tests.doubles.small_music import song
from training.corpus import excerpts
from training.data.audio import SAMPLE_RATE
from training.data.recordings import Recording


def test_excerpts_are_taken_where_something_is_playing() -> None:
    audio = np.tile(song(0, 6.0), (10, 1))
    audio[: 15 * SAMPLE_RATE] = 0.0
    starts = [start // SAMPLE_RATE for start in excerpts.find_lively(audio, 2)]
    assert 15 <= starts[0] <= 20
    assert 30 <= starts[1] <= 50


def test_excerpts_are_cut_from_test_recordings_once(tmp_path: Path) -> None:
    recordings = []
    for name, group, split in (("a", "lmms-x", "test"), ("b", "game", "test"), ("c", "lmms-y", "train")):
        soundfile.write(tmp_path / f"{name}.wav", np.tile(song(1, 6.0), (6, 1)), SAMPLE_RATE)
        recordings.append(Recording("open", group, name, split, "CC0", (tmp_path / f"{name}.wav",)))
    written = excerpts.write(recordings, tmp_path / "eval", 19_500.0)
    assert [path.name.split("__")[0] for path in written] == ["a", "a", "a", "b"]
    assert {soundfile.info(path).frames for path in written} == {10 * SAMPLE_RATE}
    assert {path.suffix for path in written} == {".flac"}
    assert excerpts.write(recordings, tmp_path / "eval", 19_500.0) == []
