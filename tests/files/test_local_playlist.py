"""Playlists on this machine stand for what they list."""

from pathlib import Path

import pytest

from apollo_rt.errors import AudioFileError
from apollo_rt.files.local_playlist import ListedFile, left_out_of, listed, one_of, several_of
from apollo_rt.files.plan import plan_jobs
from apollo_rt.network.address import Address
from tests.doubles.radio_server import RadioServer, said


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


def test_of_several_stations_live_plays_the_first_that_answers(tmp_path):
    with RadioServer(live=said(b"\xff\xfb" + bytes(1000))) as server:
        dead = [server.url(name) for name in ("gone", "away")]
        path = written(tmp_path / "a.m3u", "\n".join([*dead, server.url(), server.url("unasked")]))
        assert one_of(str(path)) == server.url()
        assert not any("unasked" in request for request in server.requests)
        path = written(tmp_path / "b.m3u", "\n".join(dead))
        with pytest.raises(AudioFileError, match=r"gone: the server answers 404.*away: the server answers 404"):
            one_of(str(path))


def test_files_beside_a_station_are_said_to_be_left_out(tmp_path):
    mixed = str(written(tmp_path / "a.m3u", "x.mp3\nhttp://host/live\ny.mp3\n"))
    assert left_out_of(mixed) == f"{mixed}: lists a station, which has no end, so that its 2 files won't be played"
    assert left_out_of(str(written(tmp_path / "b.m3u", "x.mp3\ny.mp3\n"))) == ""
    assert left_out_of(str(written(tmp_path / "c.m3u", "http://host/live\n"))) == ""
    assert left_out_of("Loopback") == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "lists nothing"), ("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\na.ts\n", "name its address")],
)
def test_one_that_leads_nowhere_is_refused_with_the_reason(tmp_path, text, reason):
    with pytest.raises(AudioFileError, match=reason):
        listed(written(tmp_path / "a.m3u8", text))
