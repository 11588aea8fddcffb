"""A playlist's files as one program, to the sample and with their titles."""

import numpy as np
import pytest

from apollo_rt.errors import AudioFileError
from apollo_rt.files.local_playlist import ListedFile
from apollo_rt.radio.playlist_source import PlaylistSource
from tests.doubles.encoded_files import encode, noise, vorbis
from tests.doubles.heard_radio import RATE, whole


def played(source: PlaylistSource) -> np.ndarray:
    parts = []
    while len(part := source.read(4096)):
        parts.append(part)
    return np.concatenate(parts)


def test_files_follow_one_another_without_a_gap_each_with_its_title_and_what_is_missing_is_said(tmp_path):
    """One piece of music, cut in two, is whole again."""
    music = 0.3 * noise(3 * RATE)
    first = encode(tmp_path / "1.flac", music[:RATE], "flac", tags={"artist": "Me", "title": "One"})
    second = encode(tmp_path / "2.flac", music[RATE:], "flac")
    other = vorbis(tmp_path / "3.ogg", 0.3 * noise(48_000, channels=1, seed=1), 48_000)
    (tmp_path / "4.mp3").write_bytes(b"This is no music. " * 100)
    names = [first, tmp_path / "missing.mp3", second, tmp_path / "4.mp3", other]
    source = PlaylistSource("list.m3u", [ListedFile(path, f"listed {path.stem}") for path in names], RATE)
    samples = played(source)
    np.testing.assert_allclose(samples[: 3 * RATE], music, atol=1e-4)
    np.testing.assert_array_equal(samples[3 * RATE :], whole(other))
    places = {0: "Me - One", RATE: "listed 2", 3 * RATE: "listed 3"}
    for place, title in places.items():
        if place:
            assert source.state(place - 1).title != title
        assert source.state(place).title == title
    assert source.take_titles(RATE + 1) == [(0, "Me - One"), (RATE, "listed 2")]
    assert source.take_titles(10**9) == [(3 * RATE, "listed 3")]
    missing, broken = source.take_messages()
    assert missing == f"{tmp_path}/missing.mp3: no such file; passed over"
    assert broken.startswith(f"{tmp_path}/4.mp3: not an audio file")
    assert broken.endswith("; passed over")


def test_no_more_is_read_than_is_wanted_and_nothing_after_an_end_from_outside(tmp_path):
    paths = [encode(tmp_path / f"{number}.flac", noise(RATE, seed=number), "flac") for number in (1, 2)]
    files = [ListedFile(path) for path in paths]
    assert len(played(PlaylistSource("list.m3u", files, RATE, n_most=RATE + 500))) == RATE + 500
    source = PlaylistSource("list.m3u", files, RATE)
    assert len(source.read(100)) == 100
    source.interrupt()
    assert len(source.read(100)) == 0


def test_a_list_of_which_nothing_can_be_read_is_refused_with_the_reason(tmp_path):
    with pytest.raises(AudioFileError, match=r"list.m3u: none of the 2 files .*b.mp3: no such file"):
        PlaylistSource("list.m3u", [ListedFile(tmp_path / "a.mp3"), ListedFile(tmp_path / "b.mp3")], RATE)
