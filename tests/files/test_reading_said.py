"""What is lost is said, and what is whole is left in peace: second files behind the first, flipped bits, tags, cuts."""

import contextlib
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apollo_rt.errors import AudioFileError
from apollo_rt.files.audio_decoder import AudioDecoder
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.files.ogg_pages import checksum
from apollo_rt.files.tags import Tags
from tests.doubles.encoded_files import ape_tag, encode, joined, noise, ogg_pages, place_of, vorbis

N_SAMPLES = 60_000
ID3V1 = b"TAG" + bytes(125)


def stored(folder: Path, name: str, codec: str) -> Path:
    """Some noise in a file of its own."""
    if codec.startswith("PCM"):
        soundfile.write(folder / name, noise(N_SAMPLES), 44_100, subtype=codec)
        return folder / name
    return encode(folder / name, noise(N_SAMPLES), codec)


def decoded(path: Path):
    """All samples, and the warnings without the file's name."""
    decoder = AudioDecoder(path)
    samples = np.concatenate(list(decoder.blocks()))
    decoder.close()
    return samples, [line.removeprefix(f"{path}: ") for line in decoder.warnings]


@pytest.mark.parametrize(
    ("name", "codec", "between"),
    [
        *(("a.wav", "PCM_16", b""), ("a.w64", "PCM_16", b""), ("a.aiff", "PCM_16", b""), ("a.rf64", "PCM_16", b"")),
        *(("a.m4a", "aac", b""), ("a.wv", "wavpack", b""), ("a.wv", "wavpack", ID3V1)),
    ],
)
def test_another_file_behind_a_container_is_not_left_out_without_a_word(tmp_path, name, codec, between):
    path = stored(tmp_path, name, codec)
    part = path.read_bytes()
    path.write_bytes(part + between + part)
    samples, (line,) = decoded(path)
    assert len(samples) == N_SAMPLES
    assert "another file stands behind it" in line


@pytest.mark.parametrize(("name", "codec"), [("a.mp3", "libmp3lame"), ("a.flac", "flac"), ("a.mka", "flac")])
def test_joined_files_that_are_read_to_the_end_have_no_such_line(tmp_path, name, codec):
    path = stored(tmp_path, name, codec)
    samples, lines = decoded(joined(tmp_path / f"both{path.suffix}", [path, path]))
    assert len(samples) >= 2 * N_SAMPLES
    assert lines == []


class TestFlacBegunInTheMiddle:
    def test_without_its_header_it_has_no_holes(self, tmp_path):
        data = stored(tmp_path, "a.flac", "flac").read_bytes()
        path = tmp_path / "tail.flac"
        path.write_bytes(data[len(data) // 2 :])
        samples, lines = decoded(path)
        assert N_SAMPLES / 2 - 10_000 < len(samples) < N_SAMPLES / 2 + 5000
        assert place_of(noise(N_SAMPLES)[-20_000:-10_000, 0], samples[:, 0]) == len(samples) - 20_000
        assert not any("silence" in line for line in lines)

    def test_with_the_whole_songs_header_nothing_is_missing_at_its_end(self, tmp_path):
        """As `ffmpeg -ss 1 -c copy` writes it."""
        data = stored(tmp_path, "a.flac", "flac").read_bytes()
        frame = data[(first := data.index(b"\xff\xf8")) : first + 4]
        third = data.index(frame + b"\x02", first)
        path = tmp_path / "cut.flac"
        path.write_bytes(data[:first] + data[third:])
        samples, lines = decoded(path)
        assert 0 < len(samples) < N_SAMPLES
        assert lines == []


@pytest.mark.parametrize(
    ("name", "codec", "kind"), [("a.tta", "tta", None), ("a.flac", "flac", None), ("a.mka", "flac", "matroska")]
)
def test_a_flipped_bit_is_silence_and_a_line_and_never_a_burst_of_noise(tmp_path, name, codec, kind):
    path = encode(tmp_path / name, noise(200_000), codec, kind=kind)
    whole, _ = decoded(path)
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 5] ^= 16
    path.write_bytes(data)
    samples, lines = decoded(path)
    assert len(samples) == len(whole)
    changed = np.flatnonzero((samples != whole).any(axis=1))
    assert not samples[changed[0] : changed[-1] + 1].any()
    assert any("silence keeps its place" in line for line in lines)


@pytest.mark.parametrize(("name", "codec"), [("a.wv", "wavpack"), ("a.mp3", "libmp3lame"), ("a.flac", "flac")])
@pytest.mark.parametrize("behind", [ID3V1, ape_tag({"Title": b"x"}), ape_tag({"Title": b"x"}) + ID3V1, bytes(3000)])
def test_what_stands_behind_the_music_is_no_damage(tmp_path, name, codec, behind):
    path = stored(tmp_path, name, codec)
    path.write_bytes(path.read_bytes() + behind)
    samples, lines = decoded(path)
    assert (len(samples), lines) == (N_SAMPLES, [])


def test_half_a_wma_is_called_cut_off(tmp_path):
    path = stored(tmp_path, "a.wma", "wmav2")
    whole, lines = decoded(path)
    assert lines == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    samples, lines = decoded(path)
    assert len(samples) < len(whole)
    assert any("cut off: about" in line for line in lines)


def test_an_index_of_which_the_end_is_missing_is_called_that(tmp_path):
    path = stored(tmp_path, "a.m4a", "aac")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") + 150])
    with pytest.raises(AudioFileError, match="cut off or damaged: the index"):
        AudioDecoder(path)


def test_an_mp4_whose_index_comes_last_is_refused_from_a_pipe_with_the_reason(tmp_path):
    data, pipe = stored(tmp_path, "a.m4a", "aac").read_bytes(), tmp_path / "pipe.m4a"
    os.mkfifo(pipe)

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError):
            pipe.write_bytes(data)

    writer = threading.Thread(target=feed)
    writer.start()
    with pytest.raises(AudioFileError, match="index stands behind the music, which can't be read from a pipe"):
        AudioDecoder(pipe)
    writer.join()


def test_ogg_cut_inside_a_page_without_its_beginning_is_no_audio_in_plain_words(tmp_path):
    path = vorbis(tmp_path / "a.ogg", noise(N_SAMPLES))
    pages = ogg_pages(path)
    path.write_bytes(b"".join(page for page, _ in pages)[len(pages[0][0]) + 10 :])
    with pytest.raises(AudioFileError) as caught:
        AudioDecoder(path)
    assert "End of file" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".flac"])
def test_vorbis_comments_have_the_names_that_players_look_for(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    tags = Tags({"album_artist": "All", "track": "3/9", "disc": "1/2"})
    with AudioWriter(path, 48_000, 2, tags=tags) as writer:
        writer.write(noise(5000))
    head = path.read_bytes()[:4096].upper()
    assert all(comment in head for comment in (b"ALBUMARTIST=ALL", b"TRACKNUMBER=3/9", b"DISCNUMBER=1/2"))


@pytest.mark.parametrize(
    ("suffix", "bpm", "isrc"),
    [
        *((".mp3", b"TBPM", b"TSRC"), (".aiff", b"TBPM", b"TSRC"), (".wav", b"TBPM", b"TSRC")),
        *((".m4a", b"tmpo", None), (".flac", b"bpm=120", b"isrc=US1"), (".ogg", b"BPM=120", b"ISRC=US1")),
    ],
)
def test_tempo_and_recording_code_have_each_formats_own_name_and_come_back_by_one(tmp_path, suffix, bpm, isrc):
    path = tmp_path / f"a{suffix}"
    with AudioWriter(path, 48_000, 2, tags=Tags({"bpm": "120", "isrc": "US1"})) as writer:
        writer.write(noise(5000))
    data = path.read_bytes()
    assert bpm in data
    assert isrc is None or isrc in data
    decoder = AudioDecoder(path)
    # FFmpeg writes an MP4's tempo, but reads none.
    expected = {} if isrc is None else {"bpm": "120", "isrc": "US1"}
    assert expected.items() <= decoder.tags.values.items()
    decoder.close()


def ogg_page(number: int, granule: int, packets: list[bytes], flags: int = 0) -> bytes:
    """A page of short packets (RFC 3533, section 6)."""
    head = b"OggS" + struct.pack("<BBqIII", 0, flags, granule, 7, number, 0) + bytes([len(packets)])
    page = head + bytes(map(len, packets)) + b"".join(packets)
    return page[:22] + checksum(page) + page[26:]


def speex_pages(n_pages: int) -> list[bytes]:
    """Narrow band as the Speex manual's "Ogg file format" has it: mode 0, silence, 10 packets of 160 samples a page."""
    fields = struct.pack("<13I", 1, 80, 8000, 0, 4, 1, 0xFFFFFFFF, 160, 0, 1, 0, 0, 0)
    head = b"Speex   " + b"1.2".ljust(20, b"\0") + fields
    sound = [
        ogg_page(number + 2, 1600 * (number + 1), [bytes([0x03, 0xC0])] * 10, 4 * (number == n_pages - 1))
        for number in range(n_pages)
    ]
    return [ogg_page(0, 0, [head], 2), ogg_page(1, 0, [bytes(8)]), *sound]


def test_a_lost_page_of_speex_is_silence_with_a_line(tmp_path):
    path, pages = tmp_path / "a.spx", speex_pages(6)
    path.write_bytes(b"".join(pages))
    samples, lines = decoded(path)
    assert (len(samples), lines) == (9600, [])
    path.write_bytes(b"".join(pages[:4] + pages[5:]))
    samples, (line,) = decoded(path)
    assert len(samples) == 9600
    assert "0.2 s at 0:00.4" in line


def test_links_of_speex_follow_each_other_to_the_sample(tmp_path):
    path = tmp_path / "a.spx"
    path.write_bytes(b"".join(speex_pages(3) + speex_pages(2)))
    samples, lines = decoded(path)
    assert (len(samples), lines) == (8000, [])
