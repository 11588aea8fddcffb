"""Playlists on this machine stand for what they list."""

from pathlib import Path

import pytest

from apollo_rt.errors import AudioFileError
from apollo_rt.files.local_playlist import ListedFile, listed, one_of, several_of
from apollo_rt.files.plan import plan_jobs
from apollo_rt.network.address import Address


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_files_are_those_beside_it_wherever_it_is_named_from(tmp_path):
    path = written(tmp_path / "album.m3u8", "#EXTM3U\n#EXTINF:3,One\n1.mp3\nmore/2.ogg\n/music/3.flac\n")
    assert listed(path) == [tmp_path / "1.mp3", tmp_path / "more/2.ogg", Path("/music/3.flac")]
    path = written(
        tmp_path / "album.xspf",
        "<playlist><trackList><track><location>file:///music/a%20b.mp3</location></track></trackList></playlist>",
    )
    assert listed(path) == [Path("/music/a b.mp3")]


def test_what_is_no_playlist_by_its_name_is_none(tmp_path):
    assert listed(written(tmp_path / "a.mp3", "#EXTM3U\n1.mp3\n")) is None
    assert listed(tmp_path / "missing.m3u") is None
    assert listed("http://host/live.m3u") is None


def test_restore_takes_all_that_is_listed(tmp_path):
    path = written(tmp_path / "album.m3u", "1.mp3\n2.ogg\n")
    jobs = plan_jobs([path], tmp_path / "out").jobs
    assert [(job.source.name, job.target.name) for job in jobs] == [("1.mp3", "1.flac"), ("2.ogg", "2.flac")]
    station = written(tmp_path / "radio.pls", "[playlist]\nFile1=http://host/live\n")
    assert plan_jobs([station], tmp_path / "out.flac").jobs[0].source == Address("http://host/live")


def test_live_plays_the_station_the_only_file_or_several_in_a_row(tmp_path):
    assert one_of("Loopback") == "Loopback"
    assert one_of(str(written(tmp_path / "a.m3u", "x.mp3\nhttp://host/live\n"))) == "http://host/live"
    assert one_of(str(written(tmp_path / "b.m3u", "x.mp3\n"))) == str(tmp_path / "x.mp3")
    several = str(written(tmp_path / "c.m3u", "#EXTINF:1,Me - It\nx.mp3\ny.mp3\n"))
    assert one_of(several) == several
    assert several_of(several) == [ListedFile(tmp_path / "x.mp3", "Me - It"), ListedFile(tmp_path / "y.mp3")]
    assert several_of("Loopback") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "lists nothing"), ("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\na.ts\n", "name its address")],
)
def test_one_that_leads_nowhere_is_refused_with_the_reason(tmp_path, text, reason):
    with pytest.raises(AudioFileError, match=reason):
        listed(written(tmp_path / "a.m3u8", text))
