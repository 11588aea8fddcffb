"""Playlists on this machine stand for what they list."""

import os
from pathlib import Path

import pytest

from apollo_rt.errors import AudioFileError, NetworkError
from apollo_rt.files.local_playlist import ListedFile, _entries, left_out_of, listed, one_of, several_of
from apollo_rt.files.plan import plan_jobs
from apollo_rt.network.address import Address
from apollo_rt.radio.playlist_source import PlaylistSource
from tests.doubles.encoded_files import encode, noise
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


def xspf(track: str, attributes: str = "", encoding: str = "UTF-8") -> bytes:
    head = (
        f'<?xml version="1.0" encoding="{encoding}"?><playlist version="1" xmlns="http://xspf.org/ns/0/"{attributes}>'
    )
    return f"{head}<trackList><track>{track}</track></trackList></playlist>".encode(encoding)


@pytest.mark.parametrize(
    ("suffix", "text", "title"),
    [
        ("m3u", "\ufeffmore/My é #1.mp3\r\n".encode(), ""),
        ("m3u", b"more/My \xe9 #1.mp3\r\n", ""),
        ("m3u", "more/My é #1.mp3\r\n".encode("utf-16"), ""),
        ("m3u", b"more\\My \xe9 #1.mp3\r", ""),
        ("m3u", b"more/My%20%C3%A9%20%231.mp3\n", ""),
        ("m3u", b"#EXTINF:5,Stop\x85 \x85 \x93now\x94\nmore/My \xe9 #1.mp3", "Stop… … “now”"),
        ("m3u8", "file://localhost{folder}/more/My é #1.mp3".encode(), ""),
        ("m3u8", b"FILE:{folder}/more/My%20%C3%A9%20%231.mp3", ""),
        ("pls", "[playlist]\nFile1=more/My é #1.mp3\nTitle1=Me\x0b You\u2028\n".encode(), "Me\x0b You"),
        ("xspf", xspf("<location>more/My%20%C3%A9%20%231.mp3</location>"), ""),
        ("xspf", xspf("<location>more/My é #1.mp3</location><title>é</title>", encoding="ISO-8859-1"), "é"),
        ("xspf", xspf("<location>more/My é #1.mp3</location><title>“</title>", encoding="windows-1252"), "“"),
        ("xspf", xspf("<location>more/My é #1.mp3</location><title>“</title>").decode().encode("cp1252"), "“"),
        ("xspf", xspf("<creator>Me</creator><location>My%20%C3%A9%20%231.mp3</location><title>T</title>",
                      ' xml:base="more/"'), "Me - T"),
    ],
)  # fmt: skip
def test_a_name_is_found_in_whichever_way_players_write_it(tmp_path, suffix, text, title):
    """Spaces, letters beyond ASCII, and a # that begins no comment; in Windows' words, and as a URI."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more/My é #1.mp3").write_bytes(b"")
    path = tmp_path / f"list.{suffix}"
    path.write_bytes(text.replace(b"{folder}", os.fsencode(tmp_path)))
    assert _entries(path) == [(tmp_path / "more/My é #1.mp3", title)]


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names are no bytes there")
def test_a_name_that_is_no_utf_8_on_the_disk_either_is_found(tmp_path):
    name = os.fsdecode(b"\xe9.mp3")
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "a.m3u").write_bytes(b"\xe9.mp3\n")
    assert listed(tmp_path / "a.m3u") == [tmp_path / name]


@pytest.mark.parametrize("line", ["//[x.mp3", "file://[x/y.mp3", "http://[x/y.mp3", "a\0b.mp3", "a" * 5000, "file:"])
def test_a_line_that_is_no_name_is_passed_over_and_not_a_fault_of_ours(tmp_path, line):
    song = encode(tmp_path / "song.wav", 0.1 * noise(1000), "pcm_s16le")
    path = written(tmp_path / "a.m3u", f"{line}\n{song}\n")
    if files := several_of(str(path)):
        source = PlaylistSource(str(path), files, 44_100)
        assert len(source.read(10_000)) == 1000
        assert "passed over" in source.take_messages()[0]
        source.interrupt()
    else:
        with pytest.raises(NetworkError, match="is no address"):
            one_of(str(written(path, f"{line}\n{line}\n")))
