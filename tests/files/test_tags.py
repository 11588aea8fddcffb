"""Tags, covers and chapters of every container that has some, as plain values."""

import base64
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from apollo_rt.files.ape_tag import ApeTag, read_ape_tag
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.files.tags import Chapter, picture_mime
from tests.doubles.encoded_files import ape_tag, encode, joined, noise
from tests.doubles.sound_files import tone, with_cover, write

PICTURE = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
TAGS = {"title": "Äpfel", "artist": "Somebody", "album_artist": "All", "track": "3/9"}


def tags_of(path):
    with AudioReader(path) as reader:
        return reader.tags


@pytest.mark.parametrize(
    ("name", "codec", "names"),
    [
        ("a.mp3", "libmp3lame", TAGS),
        ("a.m4a", "aac", TAGS),
        ("a.flac", "flac", TAGS),
        ("a.opus", "libopus", TAGS),
        ("a.oga", "flac", TAGS),
        ("a.mka", "flac", TAGS),
        ("a.wv", "wavpack", {"title", "artist"}),
        ("a.wav", "pcm_s16le", {"title", "artist"}),
    ],
)
def test_tags_have_one_name_in_every_container(tmp_path, name, codec, names):
    path = encode(tmp_path / name, noise(5000), codec, 48_000, tags=TAGS)
    values = tags_of(path).values
    assert {key: values[key] for key in names} == {key: TAGS[key] for key in names}
    assert not set(values) & {"encoder", "major_brand", "handler_name", "duration", "vendor_id"}


def test_a_file_without_tags_has_none(tmp_path):
    tags = tags_of(write(tmp_path / "a.flac", tone(1000)))
    assert (dict(tags.values), tags.cover, tags.cover_mime, tags.chapters) == ({}, None, "", ())


def flac_picture(picture):
    """METADATA_BLOCK_PICTURE: kind (front cover), mime, description, size, depth, colours, bytes."""
    mime = b"image/jpeg"
    return struct.pack(">II", 3, len(mime)) + mime + struct.pack(">IIIIII", 0, 1, 1, 24, 0, len(picture)) + picture


class TestCovers:
    def test_of_an_mp3_with_id3(self, tmp_path):
        plain = encode(tmp_path / "plain.mp3", noise(20_000), "libmp3lame")
        tags = tags_of(with_cover(tmp_path / "a.mp3", plain, PICTURE))
        assert (tags.cover, tags.cover_mime) == (PICTURE, "image/jpeg")

    def test_of_an_mp3_with_an_ape_tag(self, tmp_path):
        path = encode(tmp_path / "a.mp3", noise(20_000), "libmp3lame")
        items = {
            "Title": "Äpfel".encode(),
            "Year": b"1999",
            "Artist": b"A\0B",
            "Cover Art (Front)": b"x.jpg\0" + PICTURE,
        }
        path.write_bytes(path.read_bytes() + ape_tag(items, ("Cover Art (Front)",)) + b"TAG" + bytes(125))
        tags = tags_of(path)
        assert tags.cover == PICTURE
        assert tags.values["title"] == "Äpfel"
        assert (tags.values["date"], tags.values["artist"]) == ("1999", "A; B")

    def test_of_ogg_and_opus(self, tmp_path):
        block = base64.b64encode(flac_picture(PICTURE)).decode()
        path = encode(
            tmp_path / "a.opus", noise(5000), "libopus", 48_000, tags={"METADATA_BLOCK_PICTURE": block, "title": "x"}
        )
        tags = tags_of(path)
        assert (tags.cover, tags.cover_mime) == (PICTURE, "image/jpeg")
        assert tags.values == {"title": "x"}

    def test_of_flac(self, tmp_path):
        data = write(tmp_path / "a.flac", tone(5000)).read_bytes()
        picture = flac_picture(PICTURE)
        block = bytes([6]) + len(picture).to_bytes(3, "big") + picture
        (tmp_path / "a.flac").write_bytes(data[:42] + block + data[42:])  # behind "fLaC" and STREAMINFO
        assert tags_of(tmp_path / "a.flac").cover == PICTURE
        with AudioReader(tmp_path / "a.flac") as reader:
            assert len(reader.read(10_000)) == 5000

    @pytest.mark.parametrize("name", ["a.mp4", "a.mka"])
    def test_of_mp4_and_matroska(self, tmp_path, name):
        with av.open(tmp_path / name, "w") as container:
            stream = container.add_stream("aac", rate=44_100, layout="stereo")
            if name == "a.mka":
                container.add_attachment("cover.jpg", "image/jpeg", PICTURE)
            else:
                add_picture(container)
            mux(container, stream, noise(5120).T.copy(), "fltp")
        with AudioReader(tmp_path / name) as reader:
            assert (reader.tags.cover, reader.tags.cover_mime) == (PICTURE, "image/jpeg")
            assert len(reader.read(10_000)) >= 5120


def add_picture(container):
    """A picture as FFmpeg attaches it: a video track of one packet."""
    track = container.add_stream("mjpeg")
    track.width, track.height, track.pix_fmt = 1, 1, "yuvj420p"
    track.disposition = Disposition.attached_pic
    container.start_encoding()
    packet = av.Packet(PICTURE)
    packet.stream, packet.pts, packet.dts, packet.time_base = track, 0, 0, track.time_base
    container.mux(packet)


def mux(container, stream, values, kind):
    """Encode and store all of some samples."""
    frame = av.AudioFrame.from_ndarray(values, format=kind, layout=stream.layout.name)
    frame.sample_rate, frame.pts = stream.rate, 0
    for packet in [*stream.encode(frame), *stream.encode(None)]:
        container.mux(packet)


def test_chapters_have_beginning_end_and_title(tmp_path):
    path, unit = tmp_path / "a.mka", Fraction(1, 1000)
    with av.open(path, "w") as container:
        stream = container.add_stream("flac", rate=44_100, layout="mono")
        container.set_chapters(
            [
                {"id": 1, "start": 0, "end": 500, "time_base": unit, "metadata": {"title": "One"}},
                {"id": 2, "start": 500, "end": 1000, "time_base": unit, "metadata": {}},
            ]
        )
        mux(container, stream, (noise(44_100, 1) * 32767).astype(np.int16).T.copy(), "s16")
    assert tags_of(path).chapters == (Chapter(0.0, 0.5, "One"), Chapter(0.5, 1.0, ""))


def test_the_first_links_tags_are_a_chained_files(tmp_path):
    paths = [encode(tmp_path / f"{n}.opus", noise(9000), "libopus", 48_000, tags={"title": n}) for n in ("one", "two")]
    assert tags_of(joined(tmp_path / "all.opus", paths)).values["title"] == "one"


class TestDamagedApeTags:
    def test_any_length_that_cannot_be_is_no_tag(self):
        whole = b"music" * 100 + ape_tag({"Title": b"x"})
        assert read_ape_tag(lambda at, n: whole[at : at + n] if at >= 0 else b"", len(whole)).values == {"title": "x"}
        for length in (0, 31, 2**31, 2**32 - 1):
            damaged = bytearray(whole)
            damaged[-20:-16] = length.to_bytes(4, "little")
            data = bytes(damaged)
            assert read_ape_tag(lambda at, n, d=data: d[at : at + n] if at >= 0 else b"", len(data)) == ApeTag()

    @pytest.mark.parametrize("seed", range(20))
    def test_noise_in_it_raises_nothing(self, seed):
        rng = np.random.default_rng(seed)
        data = bytearray(ape_tag({"Title": b"x", "Artist": b"y" * 300}))
        for _ in range(10):
            data[rng.integers(len(data))] = rng.integers(256)
        read_ape_tag(lambda at, n: bytes(data[at : at + n]) if at >= 0 else b"", len(data))


@pytest.mark.parametrize(
    ("first", "mime"), [(b"\x89PNG\r\n", "image/png"), (b"GIF89a", "image/gif"), (b"text", ""), (b"", "")]
)
def test_a_pictures_kind_is_told_by_its_first_bytes(first, mime):
    assert picture_mime(first) == mime
