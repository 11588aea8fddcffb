"""Every format that is written: lengths and places, highs, tags, covers and chapters, beyond 4 GB too."""

import io
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from apollo_rt.atomic_file import AtomicFile
from apollo_rt.errors import AudioFileError
from apollo_rt.files import av_encoder, container_head
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.files.av_encoder import AvEncoder
from apollo_rt.files.output_format import OutputSettings, format_of
from apollo_rt.files.source_file import open_container
from apollo_rt.files.tag_carrying import carry
from apollo_rt.files.tags import Chapter, Tags
from tests.doubles.sound_files import tone
from tests.doubles.sounds import noise

LOSSLESS = [(".wav", {}), (".flac", {}), (".aiff", {}), (".w64", {}), (".m4a", {"quality": "lossless"})]
LOSSY = [".mp3", ".m4a", ".ogg", ".opus"]


def written(path, samples, rate=44_100, channels=2, tags=None, **settings):
    with AudioWriter(path, rate, channels, OutputSettings(**settings), tags, "test-model") as writer:
        for start in range(0, len(samples), 7001):
            writer.write(samples[start : start + 7001])
    return writer


def picture(kind="mjpeg"):
    """A black picture of 32 x 32."""
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as container:
        stream = container.add_stream(kind, rate=1)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p" if kind == "mjpeg" else "rgb24"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


def announced(path):
    """Samples that players play: what is decoded, cut to the container's length where it has an edit list."""
    if path.suffix == ".ogg":
        return soundfile.info(path).frames
    with av.open(path) as container:
        stream = container.streams.audio[0]
        length = round(stream.duration * stream.time_base * stream.rate)
        decoded = sum(frame.samples for frame in container.decode(stream))
    return length if container.format.name.startswith("mov") else decoded


@pytest.mark.parametrize(("suffix", "settings"), LOSSLESS)
@pytest.mark.parametrize("n_samples", [1, 4607, 4609, 50_021])
def test_what_loses_nothing_gives_back_every_sample(tmp_path, suffix, settings, n_samples):
    path, samples = tmp_path / f"out{suffix}", noise(n_samples)
    written(path, samples, **settings)
    with AudioReader(path) as reader:
        found = reader.read(10**6)
    assert found.shape == samples.shape
    assert np.abs(found - samples).max() <= 2**-24


@pytest.mark.parametrize(("suffix", "settings"), LOSSLESS)
def test_full_scale_and_beyond_are_clipped_as_numbers_of_24_bits_end(tmp_path, suffix, settings):
    loud = np.array([[1.0, -1.0], [1.5, -1.5], [0.0, 1 - 2**-23]] * 100, np.float32)
    writer = written(tmp_path / f"out{suffix}", loud, **settings)
    with AudioReader(tmp_path / f"out{suffix}") as reader:
        found = reader.read(1000)
    np.testing.assert_allclose(found, np.clip(loud, -1.0, 1 - 2**-23), atol=2**-25)
    assert "200 samples beyond full scale were clipped" in writer.warnings[-1]


@pytest.mark.parametrize("suffix", LOSSY)
@pytest.mark.parametrize("n_samples", [1105, 1152, 1153, 1198, 1199, 2305, 44_100, 50_021])
def test_what_loses_something_keeps_length_and_place(tmp_path, suffix, n_samples):
    rate = 48_000 if suffix == ".opus" else 44_100
    path, samples = tmp_path / f"out{suffix}", tone(n_samples, rate)
    written(path, samples, rate)
    assert announced(path) == n_samples
    with AudioReader(path, rate) as reader:
        found = reader.read(10**6)[:n_samples]
    middle = slice(n_samples // 4, 3 * n_samples // 4)
    assert np.abs(found - samples)[middle].max() < 0.04


@pytest.mark.parametrize("rate", [32_000, 48_000, 24_000, 11_025])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_of_any_rate_and_length_is_as_long_as_its_source(tmp_path, rate, channels):
    for n_samples in (8 * 1152 + 1, 8 * 1152 + 46, 8 * 1152 + 47, 9 * 1152, 9 * 1152 + 577):
        path = tmp_path / f"{n_samples}.mp3"
        written(path, tone(n_samples, rate), rate, channels)
        assert announced(path) == n_samples


@pytest.mark.parametrize("suffix", LOSSY)
def test_what_was_restored_survives_up_to_20_khz(tmp_path, suffix):
    rate = 48_000 if suffix == ".opus" else 44_100
    samples = noise(2 * rate) * np.float32(0.5)
    written(tmp_path / f"out{suffix}", samples, rate)
    with AudioReader(tmp_path / f"out{suffix}", rate) as reader:
        found = reader.read(2 * rate)[: len(samples)]
    before, after = (np.abs(np.fft.rfft(x[:, 0] * np.hanning(len(x)))) ** 2 for x in (samples, found))
    hz = np.fft.rfftfreq(len(samples), 1 / rate)
    for low in range(1000, 20_000, 1000):
        band = (hz >= low) & (hz < low + 1000)
        assert abs(10 * np.log10(after[band].sum() / before[band].sum())) < 1.5, low


def test_more_bits_sound_better_and_a_bit_rate_is_what_was_asked_for(tmp_path):
    samples = noise(44_100)
    for suffix in LOSSY:
        sizes = []
        for quality in ("standard", "high", "best"):
            written(tmp_path / f"{quality}{suffix}", samples, quality=quality)
            sizes.append((tmp_path / f"{quality}{suffix}").stat().st_size)
        assert sizes == sorted(sizes)
        written(tmp_path / f"rate{suffix}", samples, bitrate_kbps=128)
        assert abs((tmp_path / f"rate{suffix}").stat().st_size * 8 / 1000 - 128) < (40 if suffix == ".ogg" else 20)


def test_opus_has_one_rate_and_is_converted_to_it(tmp_path):
    samples = tone(44_100)
    writer = written(tmp_path / "out.opus", samples)
    assert writer.n_samples == 44_100
    with AudioReader(tmp_path / "out.opus", 44_100) as reader:
        assert reader.source_rate == 48_000
        found = reader.read(10**6)
    assert len(found) == 44_100
    assert np.abs(found - samples)[10_000:-10_000].max() < 0.04


@pytest.mark.parametrize("suffix", [".wav", ".w64"])
def test_floats_are_written_where_they_are_asked_for_and_can_be(tmp_path, suffix):
    loud = noise(1000) * np.float32(5)
    written(tmp_path / f"out{suffix}", loud, float_wav=True)
    assert soundfile.info(tmp_path / f"out{suffix}").subtype == "FLOAT"
    np.testing.assert_array_equal(soundfile.read(tmp_path / f"out{suffix}", dtype="float32")[0], loud)


def test_a_wav_below_4_gb_is_a_plain_riff_and_above_is_rf64_with_all_its_samples(tmp_path, monkeypatch):
    """Packets as the encoder would make them; zeros take no room on a disk that has holes."""
    monkeypatch.setattr(av_encoder, "_BUFFER_BYTES", 2**25)
    path, form = tmp_path / "night.wav", format_of(tmp_path / "night.wav")
    file = HoleyFile(path)
    encoder = AvEncoder(file, form, 48_000, 2, 0, Tags())
    n_packets, n_samples = 260, 2**24 // 6
    block = bytes(6 * n_samples)
    for number in range(n_packets):
        packet = av.Packet(block)
        packet.stream, packet.time_base = encoder._stream, Fraction(1, 48_000)
        packet.pts = packet.dts = number * n_samples
        encoder._container.mux(packet)
    end = noise(48_000)
    encoder._n_samples = n_packets * n_samples
    encoder.write(end)
    encoder.finish()
    file.commit()
    assert path.stat().st_size > 2**32
    with path.open("rb") as written_file:
        assert written_file.read(4) == b"RF64"
    info = soundfile.info(path)
    assert info.frames == n_packets * n_samples + len(end)
    found = soundfile.read(path, start=info.frames - len(end), dtype="float32")[0]
    assert np.abs(found - end).max() <= 2**-24
    with av.open(path) as container:
        assert container.streams.audio[0].duration == info.frames
    written(tmp_path / "short.wav", end)
    assert (tmp_path / "short.wav").read_bytes()[:4] == b"RIFF"


class HoleyFile(AtomicFile):
    """Leaves holes where only zeros are written."""

    def write(self, data):
        if len(data) < 30_000 or any(data[:1024]) or any(data[-1024:]):
            return super().write(data)
        self.seek(len(data) - 1, io.SEEK_CUR)
        super().write(b"\0")
        return len(data)


def test_what_would_not_fit_into_an_aiff_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(AudioFileError, match=r"holds at most \d+ minutes at 192000 Hz, the sound has 120"):
        AudioWriter(tmp_path / "out.aiff", 192_000, n_expected=120 * 60 * 192_000)
    assert list(tmp_path.iterdir()) == []


FULL = Tags(
    {
        "title": "Tïtle ♫",
        "artist": "Ärtist",
        "album": "Album",
        "album_artist": "Many",
        "date": "1999-12-31",
        "track": "3/9",
        "disc": "1/2",
        "genre": "Jazz",
        "comment": "A comment = with signs",
        "composer": "Somebody",
        "replaygain_track_gain": "-7.20 dB",
        "r128_track_gain": "-512",
        "itunnorm": " 00000A",
        "encoded_by": "what made the source",
        "isrc": "DEX123",
    },
    picture(),
    "image/jpeg",
    (Chapter(0.0, 0.5, "One"), Chapter(0.5, 1.0, "Zwei ♫")),
)
KEPT = ("title", "artist", "album", "album_artist", "date", "track", "disc", "genre", "comment", "composer")


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".ogg", ".opus", ".m4a", ".wav", ".aiff"])
@pytest.mark.parametrize("kind", ["mjpeg", "png"])
def test_tags_cover_and_chapters_are_carried_over(tmp_path, suffix, kind):
    tags = Tags(FULL.values, picture(kind), f"image/{'jpeg' if kind == 'mjpeg' else kind}", FULL.chapters)
    samples = tone(44_100)
    writer = written(tmp_path / f"out{suffix}", samples, tags=tags)
    with AudioReader(tmp_path / f"out{suffix}") as reader:
        found = reader.tags
        assert len(reader.read(10**6)) >= 44_100
    assert {name: found.values.get(name) for name in KEPT} == {name: FULL.values[name] for name in KEPT}
    assert (found.cover, found.cover_mime) == (tags.cover, tags.cover_mime)
    assert [(chapter.title, round(chapter.start_s, 2)) for chapter in found.chapters] == [("One", 0), ("Zwei ♫", 0.5)]
    assert not [name for name in found.values if "replaygain" in name or "r128" in name or "itunnorm" in name]
    lines = "\n".join(writer.warnings)
    assert lines.count("no longer fit (replaygain_track_gain, r128_track_gain, itunnorm); left out") == 1
    assert ("isrc" in lines) == (suffix == ".m4a") == ("isrc" not in found.values)
    assert b"test-model" in (tmp_path / f"out{suffix}").read_bytes()


def test_samples_are_the_same_with_and_without_tags(tmp_path):
    samples = tone(30_000)
    for suffix in (".flac", ".wav", ".aiff", ".ogg", ".mp3"):
        for name, tags in (("plain", Tags()), ("tagged", FULL)):
            written(tmp_path / f"{name}{suffix}", samples, tags=tags)
        plain, tagged = (soundfile.read(tmp_path / f"{name}{suffix}")[0] for name in ("plain", "tagged"))
        np.testing.assert_array_equal(plain, tagged)


def test_a_format_without_tags_says_once_what_it_cannot_hold(tmp_path):
    writer = written(tmp_path / "out.w64", tone(100), tags=FULL)
    assert writer.warnings == [f"{tmp_path / 'out.w64'}: Wave64 holds no tags, covers or chapters; left out"]
    assert written(tmp_path / "plain.w64", tone(100)).warnings == []


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".m4a", ".ogg"])
@pytest.mark.parametrize("cover", [b"\xff\xd8\xff" + b"damaged" * 20, b"GIF89a" + bytes(50), b"nothing known"])
def test_a_cover_that_is_damaged_or_strange_stops_nothing(tmp_path, suffix, cover):
    mime = "image/jpeg" if cover[0] == 0xFF else "image/gif" if cover[:3] == b"GIF" else ""
    written(tmp_path / f"out{suffix}", tone(5000), tags=Tags({"title": "T"}, cover, mime))
    with AudioReader(tmp_path / f"out{suffix}") as reader:
        assert reader.tags.values["title"] == "T"
        assert len(reader.read(10**6)) >= 5000


@pytest.mark.parametrize(("magic", "mime", "demuxer"), [
    (b"\xff\xd8\xff\xe0", "image/jpeg", "jpeg_pipe"), (b"\x89PNG\r\n\x1a\n", "image/png", "png_pipe")])  # fmt: skip
def test_a_cover_is_read_as_a_picture_whatever_else_it_could_be(tmp_path, monkeypatch, magic, mime, demuxer):
    stream = b"\nv=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 45678 RTP/AVP 0\n"
    opened = []

    def noted(*arguments):
        container = open_container(*arguments)
        opened.append(container.format.name)
        return container

    monkeypatch.setattr(container_head, "open_container", noted)
    for suffix in (".flac", ".mp3", ".m4a", ".wav", ".aiff"):
        written(tmp_path / f"out{suffix}", tone(500), tags=Tags({"title": "T"}, magic + stream, mime))
    assert opened == [demuxer] * 5  # guessed, FFmpeg takes one for a net stream's description (SDP), and listens


def test_bytes_are_opened_for_reading_by_one_door_alone():
    package = Path(container_head.__file__).parents[1]
    doors = [
        path.name for path in package.glob("**/*.py") if re.search(r"\bav\.open\((?!\s*\S+, \"w\")", path.read_text())
    ]
    assert doors == ["source_file.py"]


def test_a_large_cover_takes_pages_of_its_own_and_the_sound_stays(tmp_path):
    cover = b"\xff\xd8\xff" + np.random.default_rng(0).bytes(300_000)
    samples = tone(3 * 44_100)
    written(tmp_path / "out.ogg", samples, tags=Tags({"title": "T"}, cover, "image/jpeg"))
    written(tmp_path / "plain.ogg", samples)
    with AudioReader(tmp_path / "out.ogg") as reader:
        assert reader.tags.cover == cover
    found, plain = (soundfile.read(tmp_path / name)[0] for name in ("out.ogg", "plain.ogg"))
    np.testing.assert_array_equal(found, plain)


def test_what_the_source_was_made_by_gives_way_to_what_made_this(tmp_path):
    tags, _ = carry(FULL, format_of(tmp_path / "a.mp3"), "Apollo RT 1, model x")
    assert tags.values["encoded_by"] == "Apollo RT 1, model x"
    tags, _ = carry(FULL, format_of(tmp_path / "a.m4a"), "Apollo RT 1, model x")
    assert tags.values["encoding_tool"] == "Apollo RT 1, model x"
    assert "encoded_by" not in tags.values
