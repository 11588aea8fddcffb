"""HLS from Python's own web server: segments as ffmpeg makes them, and playlists as they should not be."""

import functools
import http.server
import os
import re
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apollo_rt.errors import AudioFileError, NetworkError
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.files.mpeg_audio import adts_length
from apollo_rt.network import hls
from apollo_rt.network.hls_playlist import Resource, best_variant, media_playlist
from apollo_rt.network.http import Answer
from apollo_rt.network.id3 import title_of_tag
from apollo_rt.network.stream import NetworkStream
from apollo_rt.radio.radio_source import RadioSource
from tests.doubles.encoded_files import noise, place_of
from tests.doubles.heard_radio import RATE, heard, station_aac, whole
from tests.doubles.radio_server import RadioServer, said

HEAD = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"
pytestmark = pytest.mark.server


class _Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012  # of this test

    def log_message(self, *_: object) -> None:
        self.asked.append(self.path)


@contextmanager
def served(folder: Path):
    """A folder, by Python's web server; its address, and the paths that were asked for."""
    _Quiet.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", _Quiet.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def segments(folder: Path, name: str, kind: str, seed: int, rate: int = RATE, channels: int = 2) -> list[str]:
    """Six seconds of noise as segments of two; the lines of a playlist, its map first."""
    if not shutil.which("ffmpeg"):
        assert not os.environ.get("CI"), "ffmpeg is missing"
        pytest.skip("needs ffmpeg")
    soundfile.write(folder / f"{name}.wav", 0.3 * noise(6 * rate, channels=channels, seed=seed), rate)
    kinds = {"ts": "mpegts", "mp4": "fmp4"}
    command = ["ffmpeg", "-v", "error", "-y", "-i", f"{name}.wav", "-c:a", "aac", "-b:a", "96k", "-f", "hls"]
    command += ["-hls_time", "2", "-hls_playlist_type", "vod", "-hls_segment_type", kinds[kind]]
    command += ["-hls_fmp4_init_filename", f"{name}-init.mp4", f"{name}.m3u8"]
    subprocess.run(command, cwd=folder, check=True)
    lines = (folder / f"{name}.m3u8").read_text().splitlines()
    return [line for line in lines if line.startswith(("#EXTINF", "#EXT-X-MAP")) or not line.startswith("#")]


def joined_up(folder: Path, name: str, kind: str) -> np.ndarray:
    """The same segments as one file, decoded off line."""
    parts = sorted(folder.glob(f"{name}[0-9]*"), key=lambda path: int(path.stem.removeprefix(name)))
    init = [folder / f"{name}-init.mp4"] if kind == "mp4" else []
    (folder / f"{name}-all.{kind}").write_bytes(b"".join(path.read_bytes() for path in [*init, *parts]))
    return whole(folder / f"{name}-all.{kind}")


@pytest.mark.parametrize("kind", ["ts", "mp4"])
def test_all_of_two_parts_is_heard_over_a_discontinuity_that_changes_rate_and_channels(tmp_path, kind):
    lines = [*segments(tmp_path, "a", kind, 1), "#EXT-X-DISCONTINUITY", *segments(tmp_path, "b", kind, 2, 48_000, 1)]
    (tmp_path / "live.m3u8").write_text(HEAD + "\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    with served(tmp_path) as (url, _):
        samples = heard(RadioSource(f"{url}/live.m3u8", RATE, is_held=False))
    first, second = joined_up(tmp_path, "a", kind), joined_up(tmp_path, "b", kind)
    assert len(samples) == pytest.approx(len(first) + len(second), abs=2048)  # fMP4's end is for who has a file
    np.testing.assert_allclose(samples[64 : len(first) - 2048], first[64:-2048], atol=1e-5)
    at = place_of(second[RATE : 2 * RATE, 0], samples[:, 0])
    assert at == pytest.approx(len(samples) - len(second) + RATE, abs=2048)
    np.testing.assert_allclose(samples[at : at + RATE], second[RATE : 2 * RATE], atol=1e-4)
    with served(tmp_path) as (url, _), AudioReader(f"{url}/live.m3u8", RATE) as reader:
        np.testing.assert_allclose(reader.read(10**9), samples, atol=1e-4)


def test_the_best_variant_alone_is_fetched(tmp_path):
    for name, seed in (("low", 1), ("high", 2)):
        lines = segments(tmp_path, name, "ts", seed)
        (tmp_path / f"{name}-list.m3u8").write_text(HEAD + "\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    master = "#EXTM3U\n" + "".join(
        f'#EXT-X-STREAM-INF:BANDWIDTH={rate},CODECS="mp4a.40.2"\n{name}-list.m3u8\n'
        for name, rate in (("low", 32_000), ("high", 96_000))
    )
    (tmp_path / "master.m3u8").write_text(master)
    with served(tmp_path) as (url, asked):
        heard(RadioSource(f"{url}/master.m3u8", RATE, is_held=False))
        assert any("high0" in path for path in asked)
        assert not any("low" in path for path in asked)
        with AudioReader(f"{url}/master.m3u8", RATE) as reader:
            assert len(reader.read(10**9)) > 5 * RATE


def test_a_live_playlist_is_followed_from_its_end_with_the_titles_of_its_segments(tmp_path):
    lines = segments(tmp_path, "a", "ts", 1) + segments(tmp_path, "b", "ts", 2)
    places = [line for line in lines if not line.startswith("#")]
    playlist = tmp_path / "live.m3u8"

    def publish(n_there: int, has_ended: bool = False) -> None:
        body = "".join(f"#EXTINF:2.0,Title {number}\n{place}\n" for number, place in enumerate(places[:n_there]))
        text = HEAD.replace("DURATION:2", "DURATION:1") + body + ("#EXT-X-ENDLIST\n" if has_ended else "")
        playlist.with_suffix(".new").write_text(text)
        playlist.with_suffix(".new").replace(playlist)

    publish(3)
    with served(tmp_path) as (url, asked):
        source = RadioSource(f"{url}/live.m3u8", RATE, is_held=False)
        source.start()
        n_samples, has_grown = 0, False
        while (part := source.take(0)) is not None:
            n_samples += len(part)
            if n_samples > RATE and not has_grown:
                publish(5)
                publish(len(places), has_ended=True)
                has_grown = True
            time.sleep(0.002)
        source.interrupt()
        assert not any(places[0] in path for path in asked)  # it begins at the newest
        assert [path.strip("/") for path in asked if path.endswith(".ts")] == places[2:]
        assert source.state(10**12).title == f"Title {len(places) - 1}"
    assert n_samples > 7.5 * RATE  # two of a, three of b, the rest is short


def test_a_segment_that_is_gone_is_passed_over(tmp_path):
    lines = segments(tmp_path, "a", "ts", 1)
    (tmp_path / "live.m3u8").write_text(HEAD + "\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    (tmp_path / "a1.ts").unlink()
    with served(tmp_path) as (url, _):
        samples = heard(RadioSource(f"{url}/live.m3u8", RATE, is_held=False))
        with AudioReader(f"{url}/live.m3u8", RATE) as reader:
            assert len(reader.read(10**9)) == len(samples)
            assert reader.warnings == [f"{url}/live.m3u8: 1 of its segments could not be had, and is left out"]
    assert 3.5 * RATE < len(samples) < 4.5 * RATE


@pytest.mark.parametrize("end", ["#EXT-X-ENDLIST", "#"])
def test_segments_that_are_all_refused_end_it_with_the_reason(end, monkeypatch):
    """Of a station after a while: its newest may be there soon."""
    monkeypatch.setattr(hls, "_PATIENCE", 1.0)
    begin_s = time.monotonic()

    def playlist(connection, _):
        number = int(time.monotonic() - begin_s)
        lines = [f"#EXTINF:1,\n{number + more}.ts" for more in range(2)]
        text = [f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{number}", *lines, end, ""]
        said("\n".join(text).encode())(connection, "")

    def read_all(stream: NetworkStream) -> None:
        while stream.read(1000) or stream.has_run:
            stream.begin_run()

    with RadioServer(live_m3u8=playlist) as server:
        stream = NetworkStream(server.url("live.m3u8"))
        with pytest.raises(NetworkError, match=r"\.ts: the server answers 404"):
            read_all(stream)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('#EXT-X-KEY:METHOD=AES-128,URI="key"\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n', "is encrypted"),
        (
            "#EXT-X-BYTERANGE:1OO@0\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n",
            "range of bytes that can't be understood: '1OO@0'",
        ),
        ("#EXT-X-BYTERANGE:100\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n", "range of bytes without its beginning: '100'"),
        ("#EXTINF:2,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "leads to what can't be read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(text, reason):
    with RadioServer(live_m3u8=said((HEAD + text).encode())) as server, pytest.raises(NetworkError, match=reason):
        NetworkStream(server.url("live.m3u8"))


def test_a_list_that_holds_nothing_ends_in_one_line():
    with RadioServer(live_m3u8=said((HEAD + "#EXT-X-ENDLIST\n").encode())) as server:
        source = RadioSource(server.url("live.m3u8"), RATE, is_held=False)
        with pytest.raises(AudioFileError, match="empty"):
            heard(source)


def test_playlists_are_read_with_all_that_matters():
    text = HEAD + (
        '#EXT-X-MAP:URI="i.mp4"\n#EXTINF:1.5,One\na\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="j.mp4"\n#EXTINF:x\nb\n'
    )
    found = media_playlist(text, "http://host/x/live.m3u8")
    assert [(each.number, each.resource.url, each.map_resource.url, each.joins) for each in found.segments] == [
        (0, "http://host/x/a", "http://host/x/i.mp4", True),
        (1, "http://host/x/b", "http://host/x/j.mp4", False),
    ]
    assert (found.segments[0].title, found.segments[0].duration_s, found.has_ended) == ("One", 1.5, False)
    master = '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",DEFAULT=YES,URI="sound.m3u8"\n'
    master += '#EXT-X-STREAM-INF:BANDWIDTH=9,AUDIO="a"\nfilm.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=5\nsmall.m3u8\n'
    assert best_variant(master, "http://host/m.m3u8") == "http://host/sound.m3u8"
    assert best_variant(HEAD, "http://host/m.m3u8") is None


def test_ranges_of_bytes_follow_one_another_where_they_do_not_say_where_they_begin():
    text = HEAD + (
        '#EXT-X-MAP:URI="all.mp4",BYTERANGE="700@0"\n#EXTINF:2,\n#EXT-X-BYTERANGE:1000@700\nall.mp4\n'
        "#EXT-X-BYTERANGE:500\n#EXTINF:2,\nall.mp4\n#EXTINF:2,\nother.mp4\n"
    )
    found = media_playlist(text, "http://host/live.m3u8")
    assert [each.resource.byte_range for each in found.segments] == [(700, 1000), (1700, 500), None]
    assert found.segments[0].map_resource == Resource("http://host/all.mp4", (0, 700))


@pytest.mark.parametrize("kind", ["ts", "mp4"])
@pytest.mark.parametrize("takes_ranges", [True, False])
def test_segments_that_are_ranges_of_one_file_are_read_wherever_the_server_takes_them_from(
    tmp_path, kind, takes_ranges
):
    names = [line for line in segments(tmp_path, "a", kind, 1) if not line.startswith("#")]
    init = [tmp_path / "a-init.mp4"] if kind == "mp4" else []
    expected = joined_up(tmp_path, "a", kind)
    data = (tmp_path / f"a-all.{kind}").read_bytes()
    at = sum(path.stat().st_size for path in init)
    lines = [f'#EXT-X-MAP:URI="all",BYTERANGE="{at}@0"' for _ in init]
    for name in names:
        length = (tmp_path / name).stat().st_size
        lines += [f"#EXT-X-BYTERANGE:{length}@{at}", "#EXTINF:2,", "all"]
        at += length

    def ranged(connection, request: str) -> None:
        found = re.search(r"Range: bytes=(\d+)-(\d+)", request)
        if not takes_ranges:
            return said(data, Content_Length=len(data))(connection, request)
        begin, last = int(found[1]), int(found[2])
        part, place = data[begin : last + 1], f"bytes {begin}-{last}/{len(data)}"
        return said(part, "206 Partial Content", Content_Length=len(part), Content_Range=place)(connection, request)

    playlist = (HEAD + "\n".join([*lines, "#EXT-X-ENDLIST", ""])).encode()
    with RadioServer(live_m3u8=said(playlist, Content_Length=len(playlist)), all=ranged) as server:
        samples = heard(RadioSource(server.url("live.m3u8"), RATE, is_held=False))
    assert len(samples) == pytest.approx(len(expected), abs=2048)
    np.testing.assert_allclose(samples[64 : len(expected) - 2048], expected[64:-2048], atol=1e-5)


def test_another_part_than_was_asked_for_is_refused():
    wrong = said(b"x" * 10, "206 Partial Content", Content_Length=10, Content_Range="bytes 0-9/100")
    with RadioServer(a=wrong) as server, pytest.raises(NetworkError, match="the server answers 206"):
        Answer(server.url("a"), byte_range=(50, 10))


def test_packed_aac_is_heard_to_the_sample_and_its_id3_titles_with_their_segments(tmp_path):
    """As radio encoders send it: ADTS, with a tag in front of each segment that tells its time, sometimes a title."""
    data = station_aac(tmp_path / "a.aac", 6.0).read_bytes()
    frames, at = [], 0
    while at < len(data):
        frames.append(data[at : at + adts_length(data[at : at + 7])])
        at += len(frames[-1])
    n_each, titles = -(-len(frames) // 3), ("Me - Größe", "", "You - Two")
    segments = [b"".join(frames[number * n_each : (number + 1) * n_each]) for number in range(3)]
    tagged = [id3_tag(*title.split(" - ")) if title else id3_tag() for title in titles]
    listed = (HEAD + "".join(f"#EXTINF:2,\n{name}.aac\n" for name in "abc") + "#EXT-X-ENDLIST\n").encode()
    answers = {f"{name}_aac": said(tag + part) for name, tag, part in zip("abc", tagged, segments, strict=True)}
    with RadioServer(live_m3u8=said(listed, Content_Length=len(listed)), **answers) as server:
        source = RadioSource(server.url("live.m3u8"), RATE, is_held=False)
        samples = heard(source)
    expected = whole(tmp_path / "a.aac")
    assert abs(len(samples) - len(expected)) <= 1024
    n_same = min(len(samples), len(expected))
    np.testing.assert_allclose(samples[64:n_same], expected[64:n_same], atol=1e-6)
    assert [title for _, title in source._titles.unheard] == ["Me - Größe", "You - Two"]
    for (place, _), number in zip(source._titles.unheard, (0, 2), strict=True):
        assert place == pytest.approx(number * n_each * 1024, abs=1024)


def id3_tag(artist: str = "", title: str = "") -> bytes:
    """A tag of a segment: its time, a text of the encoder's own, and artist and title where they are told."""
    frames = [(b"PRIV", b"com.apple.streaming.transportStreamTimestamp\0" + bytes(8))]
    frames += [(b"TXXX", b"\x03encoder\0" + b"ours"), (b"TPE1", b"\x03" + artist.encode())] if title else []
    frames += [(b"TIT2", b"\x03" + title.encode())] if title else []
    body = b"".join(name + bytes([0, 0, 0, len(data)]) + b"\0\0" + data for name, data in frames)
    return b"ID3\x04\0\0" + bytes([0, 0, len(body) >> 7, len(body) & 127]) + body


def test_an_id3_tag_tells_artist_and_title():
    frames = b"".join(
        name + len(text).to_bytes(4, "big") + b"\0\0" + text
        for name, text in ((b"TPE1", b"\x03Me"), (b"TIT2", b"\x01" + "Größe".encode("utf-16")))
    )
    tag = b"ID3\x04\0\0" + bytes([0, 0, 0, len(frames)]) + frames
    assert title_of_tag(tag) == "Me - Größe"
    assert title_of_tag(tag[:-3]) == ""
