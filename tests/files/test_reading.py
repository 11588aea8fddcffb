"""Files as people have them: joined, cut, late, damaged, oddly stored; all comes out, each sample where it belongs."""

import os
import threading
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from apollo_rt.commands.cli import main
from apollo_rt.errors import AudioFileError
from apollo_rt.files.audio_decoder import AudioDecoder
from apollo_rt.files.audio_reader import AudioReader, ReadSettings
from apollo_rt.files.channel_layout import STEREO, mixing, pairs
from apollo_rt.files.offline import restore_file
from apollo_rt.files.output_format import OutputSettings
from apollo_rt.inference.model import load
from apollo_rt.live.endpoints.file_feed import SourceFeed
from apollo_rt.live.realtime.ring import make_ring, take
from tests.doubles import tiny_models
from tests.doubles.encoded_files import (
    ape_tag,
    encode,
    integer_wav,
    joined,
    n_packets,
    noise,
    ogg_pages,
    place_of,
    remux,
    vorbis,
)
from tests.doubles.sound_files import headerless_mp3, tone, with_cover, write

PICTURE = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")


def read_whole(path, rate=None, **settings):
    """All samples, at the file's own rate, and the warnings without the file's name."""
    if rate is None:
        decoder = AudioDecoder(Path(path), settings.get("track"))
        rate = decoder.sample_rate
        decoder.close()
    with AudioReader(path, rate, **settings) as reader:
        blocks = [np.empty((0, 2 * len(reader.channel_pairs)), np.float32)]
        while len(block := reader.read(20_011)):
            blocks.append(block)
        lines = [line.removeprefix(f"{path}: ") for line in reader.warnings]
        return np.concatenate(blocks), lines


def assert_lies_at(samples, expected, position, rtol_samples=0):
    """The middle of what is expected lies there in the first channel."""
    middle = slice(len(expected) // 4, 3 * len(expected) // 4)
    found = place_of(expected[middle, 0], samples[:, 0])
    assert abs(found - (position + middle.start)) <= rtol_samples


def ogg(path, codec, samples, rate):
    return vorbis(path, samples, rate) if codec == "vorbis" else encode(path, samples, codec, rate, kind="ogg")


OGG = ["vorbis", "libopus", "flac"]


class TestChainedOgg:
    @pytest.mark.parametrize("codec", OGG)
    @pytest.mark.parametrize("lengths", [(40_000, 10_000), (300, 50_000, 7), (30_000, 30_000, 30_000)])
    def test_all_links_come_out_to_the_sample(self, tmp_path, codec, lengths):
        parts = [noise(n, seed=i) for i, n in enumerate(lengths)]
        paths = [ogg(tmp_path / f"{i}.ogg", codec, part, 48_000) for i, part in enumerate(parts)]
        samples, lines = read_whole(joined(tmp_path / "all.ogg", paths))
        assert (len(samples), lines) == (sum(lengths), [])
        for i, part in enumerate(parts):
            if len(part) > 1000:
                assert_lies_at(samples, part, sum(lengths[:i]))

    def test_links_of_other_codecs_layouts_and_rates_go_on_in_the_first(self, tmp_path):
        mono, last = noise(48_000, 1, seed=1), noise(30_000, seed=2)
        paths = [
            ogg(tmp_path / "a.ogg", "vorbis", noise(44_100), 44_100),
            ogg(tmp_path / "b.ogg", "libopus", mono, 48_000),
            ogg(tmp_path / "c.ogg", "flac", last, 44_100),
        ]
        samples, (line,) = read_whole(joined(tmp_path / "all.ogg", paths))
        assert len(samples) == 44_100 + 44_100 + 30_000
        assert_lies_at(samples, last, 88_200)
        np.testing.assert_array_equal(samples[50_000:80_000, 0], samples[50_000:80_000, 1])
        assert "1 channel at 48000 Hz from 0:01.0 on, 2 channels at 44100 Hz from 0:02.0 on" in line

    @pytest.mark.parametrize("codec", OGG)
    def test_a_link_begun_in_the_middle_loses_nothing_of_what_is_there(self, tmp_path, codec):
        """As a radio is recorded: the headers, then pages from somewhere in the middle."""
        part = noise(200_000)
        pages = ogg_pages(ogg(tmp_path / "whole.ogg", codec, part, 48_000))
        n_headers = sum(clock == 0 for _, clock in pages)
        path = tmp_path / "cut.ogg"
        path.write_bytes(b"".join(page for page, _ in pages[:n_headers] + pages[n_headers + 2 :]))
        samples, lines = read_whole(path)
        assert lines == []
        n_expected = 200_000 - pages[n_headers + 1][1]
        # A Vorbis block that only prepares the next one is no sound.
        assert n_expected - (2048 if codec == "vorbis" else 0) <= len(samples) <= n_expected
        assert_lies_at(samples, part[-30_000:], len(samples) - 30_000)

    @pytest.mark.parametrize("codec", OGG)
    def test_a_lost_page_is_silence_and_what_follows_is_where_it_was(self, tmp_path, codec):
        part = noise(300_000)
        pages = [bytearray(page) for page, _ in ogg_pages(ogg(tmp_path / "a.ogg", codec, part, 48_000))]
        pages[4][100] ^= 255
        path = tmp_path / "damaged.ogg"
        path.write_bytes(b"".join(pages))
        samples, (line,) = read_whole(path)
        assert len(samples) == 300_000
        assert_lies_at(samples, part[-40_000:], 260_000)
        assert "silence keeps its place" in line
        assert (np.abs(samples).max(axis=1) == 0).sum() > 500

    def test_pages_without_a_beginning_are_left_out_with_a_line(self, tmp_path):
        whole = vorbis(tmp_path / "a.ogg", noise(300_000)).read_bytes()
        second = noise(30_000, seed=3)
        path = tmp_path / "headless.ogg"
        path.write_bytes(whole[len(whole) // 2 :] + vorbis(tmp_path / "b.ogg", second).read_bytes())
        samples, (line,) = read_whole(path)
        assert len(samples) == 30_000
        assert "without a beginning" in line
        path.write_bytes(whole[whole.rindex(b"OggS") :])
        with pytest.raises(AudioFileError, match="its beginning is missing"):
            read_whole(path)

    def test_a_cut_off_page_is_said(self, tmp_path):
        path = vorbis(tmp_path / "a.ogg", noise(100_000))
        path.write_bytes(path.read_bytes()[:-100])
        samples, (line,) = read_whole(path)
        assert 0 < len(samples) < 100_000
        assert "cut off" in line

    def test_live_playback_goes_on_through_the_links(self, tmp_path):
        paths = [
            ogg(tmp_path / "a.ogg", "vorbis", noise(20_000), 44_100),
            ogg(tmp_path / "b.ogg", "libopus", noise(24_000, 1), 48_000),
        ]
        with AudioReader(joined(tmp_path / "all.ogg", paths)) as reader:
            queue = make_ring(1 << 17)
            feed = SourceFeed(reader, queue)
            feed.start(100_000)
            part = np.empty((100_000, 2), np.float32)
            assert take(queue, part) == 20_000 + 22_050
            feed.stop()


class TestJoinedWithoutContainer:
    @pytest.mark.parametrize(("suffix", "codec"), [("mp3", "libmp3lame"), ("aac", "aac"), ("mp2", "mp2")])
    def test_all_of_it_comes_out_in_the_first_layout_and_rate(self, tmp_path, suffix, codec):
        parts = [(noise(40_000), 44_100), (noise(40_000, 1, 1), 48_000), (noise(20_000, 2, 2), 22_050)]
        kind = {"aac": "adts"}.get(suffix, suffix)
        paths = [
            encode(tmp_path / f"{i}.{suffix}", part, codec, rate, kind=kind) for i, (part, rate) in enumerate(parts)
        ]
        samples, (line,) = read_whole(joined(tmp_path / f"all.{suffix}", paths))
        length, delay = {"aac": (1024, 1024), "mp3": (1152, 1105), "mp2": (1152, 481)}[suffix]
        lengths = [n_packets(path) * length for path in paths]
        lengths[2] //= 2 if suffix == "mp3" else 1  # MPEG 2 has half as many
        lengths[0] -= delay if suffix == "mp3" else 0  # announced, and cut
        n_expected = lengths[0] + -(-lengths[1] * 44_100 // 48_000) + 2 * lengths[2]
        assert len(samples) == n_expected
        at_last = n_expected - 2 * lengths[2] + 2 * delay
        doubled = np.repeat(parts[2][0], 2, axis=0)
        assert_lies_at(samples, doubled, at_last, rtol_samples=2)
        assert "1 channel at 48000 Hz" in line
        assert "2 channels at 22050 Hz" in line

    def test_stereo_and_mono_mp3_of_4_s_each_are_8_07_s(self, tmp_path):
        paths = [
            encode(tmp_path / f"{n}.mp3", noise(4 * 44_100, n), "libmp3lame", options={"write_id3v1": "1"})
            for n in (2, 1)
        ]
        samples, (line,) = read_whole(joined(tmp_path / "all.mp3", paths))
        assert round(len(samples) / 44_100, 2) == 8.07
        assert "1 channel" in line

    def test_tags_between_joined_mp3s_are_no_damage(self, tmp_path):
        plain = encode(tmp_path / "plain.mp3", noise(30_000), "libmp3lame")
        junk = PICTURE + np.random.default_rng(0).bytes(50_000)
        covered = with_cover(tmp_path / "covered.mp3", plain, junk)
        tagged = tmp_path / "tagged.mp3"
        tagged.write_bytes(
            plain.read_bytes() + ape_tag({"Title": b"x", "Cover Art (Front)": junk}) + b"TAG" + bytes(125)
        )
        samples, lines = read_whole(joined(tmp_path / "all.mp3", [tagged, covered, tagged]))
        length = n_packets(plain) * 1152
        assert (len(samples), lines) == (3 * length - 1105, [])


class TestTime:
    @pytest.mark.parametrize(
        ("name", "codec", "rate"),
        [("a.mp4", "aac", 44_100), ("a.mka", "flac", 44_100), ("a.m4a", "alac", 44_100), ("a.mka", "libopus", 48_000)],
    )
    def test_sound_that_begins_late_begins_late(self, tmp_path, name, codec, rate):
        part = noise(rate)
        path = encode(tmp_path / name, part, codec, rate, late_s=0.5)
        samples, (line,) = read_whole(path)
        tolerance = 0 if codec == "alac" else rate // 1000  # edit lists and Matroska count in milliseconds
        assert abs(len(samples) - rate * 3 // 2) <= tolerance + (1024 if codec == "aac" else 0)
        assert_lies_at(samples, part, rate // 2, tolerance)
        assert "late" in line

    @pytest.mark.parametrize(
        ("name", "codec", "rate", "length"),
        [
            ("a.mkv", "aac", 44_100, 1024),
            ("a.mkv", "flac", 44_100, 4608),
            ("a.mkv", "libmp3lame", 44_100, 1152),
            ("a.webm", "libopus", 48_000, 960),
            ("a.ts", "aac", 44_100, 1024),
            ("a.ts", "mp2", 44_100, 1152),
            ("a.mp4", "aac", 44_100, 1024),
            ("a.flv", "aac", 44_100, 1024),
            ("a.flac", "flac", 44_100, 4608),
            ("a.oga", "flac", 44_100, 4608),
            ("a.opus", "libopus", 48_000, 960),
        ],
    )
    def test_packets_missing_in_the_middle_are_silence_of_their_length(self, tmp_path, name, codec, rate, length):
        part = noise(6 * rate)
        n_lost = round(2 * rate / length)
        whole, no_lines = read_whole(encode(tmp_path / name, part, codec, rate))
        first = 2 * rate // length
        path = encode(tmp_path / f"hole_{name}", part, codec, rate, left_out=range(first, first + n_lost))
        samples, (line,) = read_whole(path)
        assert (len(samples), no_lines) == (len(whole), [])
        assert_lies_at(samples, part[5 * rate :], place_of(part[5 * rate :, 0], whole[:, 0]))
        assert (np.abs(samples).max(axis=1) == 0).sum() >= n_lost * length - 2 * length
        assert "silence keeps its place" in line

    @pytest.mark.parametrize(("name", "codec"), [("a.mp3", "libmp3lame"), ("a.mkv", "flac"), ("a.mp4", "aac")])
    def test_damage_in_the_middle_keeps_the_place_of_what_follows(self, tmp_path, name, codec):
        part = noise(4 * 44_100)
        data = bytearray(encode(tmp_path / name, part, codec).read_bytes())
        whole, _ = read_whole(tmp_path / name)
        data[20_000:24_000] = bytes(4000)
        path = tmp_path / f"damaged_{name}"
        path.write_bytes(data)
        samples, lines = read_whole(path)
        assert len(samples) == len(whole)
        assert_lies_at(samples, part[-40_000:], place_of(part[-40_000:, 0], whole[:, 0]))
        assert any("damaged" in line for line in lines)

    @pytest.mark.parametrize(
        "name", ["a.webm", "a.mkv", "a.aiff", "a.au", "a.rf64", "a.w64", "a.caf", "a.wav", "a.flac", "a.mp3", "a.m4a"]
    )
    def test_half_a_download_is_restored_and_called_cut_off(self, tmp_path, name):
        path, samples = tmp_path / name, noise(100_000)
        by_ffmpeg = {"a.webm": ("libopus", 48_000), "a.mkv": ("flac", 44_100), "a.m4a": ("alac", 44_100)}
        if name in by_ffmpeg:
            encode(path, samples, *by_ffmpeg[name], options={"movflags": "+faststart"} if name == "a.m4a" else None)
        else:
            soundfile.write(path, samples, 44_100, **({"format": "RF64"} if name == "a.rf64" else {}))
        assert read_whole(path)[1] == []
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        samples, lines = read_whole(path)
        assert 30_000 < len(samples) < 75_000
        assert [line for line in lines if "cut off" in line]

    def test_an_mp4_without_its_index_says_that(self, tmp_path):
        path = encode(tmp_path / "a.m4a", noise(100_000), "alac")
        path.write_bytes(path.read_bytes()[:20_000])
        with pytest.raises(AudioFileError, match="the index"):
            read_whole(path)


class TestEnds:
    @pytest.mark.parametrize("n_samples", [3000, 30_000, 100_001])
    @pytest.mark.parametrize(
        ("name", "codec"),
        [
            ("a.m4a", "aac"),
            ("a.mov", "aac"),
            ("a.m4a", "alac"),
            ("a.caf", "alac"),
            ("a.mp3", "libmp3lame"),
            ("a.opus", "libopus"),
            ("a.mka", "libopus"),
            ("a.mka", "flac"),
            ("a.mka", "pcm_s16le"),
            ("a.wv", "wavpack"),
            ("a.tta", "tta"),
            ("a.oga", "flac"),
        ],
    )
    def test_the_announced_length_is_what_comes_out(self, tmp_path, name, codec, n_samples):
        rate = 48_000 if codec == "libopus" else 44_100
        part = noise(n_samples)
        samples, lines = read_whole(encode(tmp_path / name, part, codec, rate))
        assert (len(samples), lines) == (n_samples, [])
        if n_samples > 20_000:
            assert_lies_at(samples, part, 0)

    def test_mp3_in_mp4_ends_where_its_edit_list_says(self, tmp_path):
        samples, lines = read_whole(encode(tmp_path / "a.mp4", noise(198_450), "libmp3lame"))
        assert (len(samples), lines) == (198_450, [])  # 4.5 s, which an edit list of milliseconds can say

    @pytest.mark.parametrize("n_samples", [30_000, 198_450])
    def test_vorbis_in_matroska_ends_where_it_ended_in_ogg(self, tmp_path, n_samples):
        source = vorbis(tmp_path / "a.ogg", noise(n_samples))
        samples, lines = read_whole(remux(source, tmp_path / "a.mka"))
        assert (len(samples), lines) == (n_samples, [])
        assert_lies_at(samples, noise(n_samples), 0)

    def test_what_itunes_says_of_the_length_is_what_comes_out(self, tmp_path):
        tag = f" 00000000 00000400 000001CE {100_000:016X}" + " 00000000" * 8
        path = encode(
            tmp_path / "a.m4a",
            noise(100_500),
            "aac",
            options={"movflags": "use_metadata_tags", "use_editlist": "0"},
            tags={"iTunSMPB": tag},
        )
        samples, _ = read_whole(path)
        assert len(samples) == 100_000

    def test_two_tracks_of_one_tone_play_through_without_a_gap(self, tmp_path):
        whole = tone(90_000)
        paths = [encode(tmp_path / f"{i}.m4a", whole[i * 45_000 :][:45_000], "aac") for i in range(2)]
        both = np.concatenate([read_whole(path)[0] for path in paths])
        assert len(both) == 90_000
        error = np.abs(both - whole).max(axis=1)
        assert np.delete(error, range(43_000, 47_000))[5000:-5000].max() < 0.05
        assert np.abs(both[44_900:45_100]).max() > 0.5 * np.abs(whole[44_900:45_100]).max()  # no gap at the join


class TestNoFalseAlarms:
    @pytest.mark.parametrize("sample_rate", [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
    def test_an_mp3_of_any_rate_is_whole(self, tmp_path, sample_rate):
        assert read_whole(headerless_mp3(tmp_path, sample_rate))[1] == []
        assert "cut off" in read_whole(headerless_mp3(tmp_path, sample_rate, n_bytes_missing=30))[1][0]

    def test_an_ape_tag_behind_an_mp3_is_no_missing_music(self, tmp_path):
        path = encode(tmp_path / "a.mp3", noise(100_000), "libmp3lame")
        tag = ape_tag(
            {"Title": "Äpfel".encode(), "Cover Art (Front)": b"a.jpg\0" + PICTURE * 10_000}, ("Cover Art (Front)",)
        )
        path.write_bytes(path.read_bytes() + tag)
        samples, lines = read_whole(path)
        assert (len(samples), lines) == (100_000, [])

    def test_a_wav_from_a_pipe_that_could_not_say_its_length_is_whole(self, tmp_path):
        data = bytearray(write(tmp_path / "a.wav", tone(5000)).read_bytes())
        data[4:8] = data[40:44] = b"\xff" * 4
        (tmp_path / "a.wav").write_bytes(data)
        samples, lines = read_whole(tmp_path / "a.wav")
        assert (len(samples), lines) == (5000, [])


@pytest.mark.parametrize("extensible", [True, False])
@pytest.mark.parametrize("container_bits", [8, 16, 24, 32])
def test_integers_of_every_number_of_valid_bits_are_read(tmp_path, container_bits, extensible):
    for valid_bits in range(1, container_bits + 1):
        stored = integer_wav(tmp_path / "a.wav", container_bits, valid_bits, extensible)
        samples, lines = read_whole(tmp_path / "a.wav")
        np.testing.assert_array_equal(samples, stored)
        assert lines == []


@pytest.mark.parametrize(("suffix", "codec"), [("mp2", "mp2"), ("mp3", "libmp3lame")])
def test_overs_of_mpeg_audio_are_not_clipped(tmp_path, suffix, codec):
    loud = np.sign(noise(40_000)) * np.float32(0.99)
    samples, _ = read_whole(encode(tmp_path / f"a.{suffix}", loud, codec))
    assert np.abs(samples).max() > 1.1


class TestTracks:
    @pytest.fixture
    def film(self, tmp_path):
        """A track of six channels, then a stereo one."""
        path = tmp_path / "film.mka"
        tracks = {"5.1": noise(20_000, 6, 1), "stereo": noise(20_000, 2, 2)}
        with av.open(path, "w") as container:
            streams = [container.add_stream("flac", rate=44_100, layout=layout) for layout in tracks]
            for stream, (layout, samples) in zip(streams, tracks.items(), strict=True):
                values = (samples * 32767).astype(np.int16).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(values, format="s16", layout=layout)
                frame.sample_rate, frame.pts = 44_100, 0
                for packet in [*stream.encode(frame), *stream.encode(None)]:
                    container.mux(packet)
        return path

    def test_the_stereo_track_is_read_and_that_is_said(self, film):
        samples, (line,) = read_whole(film)
        np.testing.assert_allclose(samples, noise(20_000, 2, 2), atol=1e-4)
        assert line == "track 2 is read, which is stereo, and not track 1 of 6 channels"

    def test_any_track_can_be_asked_for(self, film):
        assert read_whole(film, track=2)[1] == []
        samples, lines = read_whole(film, track=1, downmix=False)
        assert (samples.shape, lines) == ((20_000, 8), [])
        with pytest.raises(AudioFileError, match="has 2 audio tracks, so there is no track 3"):
            read_whole(film, track=3)

    def test_more_than_two_channels_become_stereo_where_two_are_needed(self, film):
        samples, (line,) = read_whole(film, track=1)
        six = noise(20_000, 6, 1)
        left = (six[:, 0] + np.sqrt(0.5) * (six[:, 2] + six[:, 4])) / (1 + np.sqrt(2))
        np.testing.assert_allclose(samples[:, 0], left, atol=1e-4)
        assert "6 channels are mixed down to stereo" in line
        assert read_whole(film, track=1, downmix=True)[1] == []

    @pytest.mark.parametrize("downmix", [False, True])
    def test_six_channels_are_restored_pair_by_pair_or_mixed_down(self, tmp_path, downmix):
        six = noise(70_001, 6)
        write(tmp_path / "in.wav", six, subtype="FLOAT")
        model = load(tiny_models.gain(tmp_path, 0.5))
        reading = ReadSettings(downmix=downmix)
        report = restore_file(
            tmp_path / "in.wav", tmp_path / "out.wav", model, output=OutputSettings(float_wav=True), reading=reading
        )
        result = soundfile.read(tmp_path / "out.wav", dtype="float32")[0]
        expected = six @ mixing(("FL", "FR", "FC", "LFE", "BL", "BR"), STEREO) if downmix else six
        np.testing.assert_allclose(result, expected / 2, atol=1e-6)
        assert (report.channels, report.warnings) == (2 if downmix else 6, ())

    @pytest.mark.parametrize("codec", ["aac", "flac"])
    def test_eight_channels_are_read_though_their_planes_are_not_to_be_asked_for(self, tmp_path, codec):
        """Planar in AAC, where PyAV 18.1 would end the process."""
        path = tmp_path / "film.mka"
        with av.open(path, "w") as container:
            stream = container.add_stream(codec, rate=44_100, layout="7.1")
            form = stream.format.name
            values = (noise(44_100, 8) * (1 if form == "fltp" else 32_767)).astype("f4" if form == "fltp" else "i2")
            frame = av.AudioFrame.from_ndarray(values.reshape(1, -1), format=form.removesuffix("p"), layout="7.1")
            frame.sample_rate, frame.pts = 44_100, 0
            resampler = av.AudioResampler(form, "7.1", 44_100, frame_size=1024)
            for part in [*resampler.resample(frame), *resampler.resample(None), None]:
                for packet in stream.encode(part):
                    container.mux(packet)
        samples, _ = read_whole(path, downmix=False)
        assert samples.shape[1] == 10  # two pairs and a pair of the sides; centre and LFE are doubled
        assert abs(len(samples) - 44_100) <= 2048

    @pytest.mark.parametrize(
        ("options", "channels"), [([], 2), (["--track", "1"], 6), (["--track", "1", "--downmix"], 2)]
    )
    def test_the_command_takes_track_and_downmix(self, tmp_path, film, capfd, options, channels):
        model, target = tiny_models.identity(tmp_path), tmp_path / "out.wav"
        with pytest.raises(SystemExit) as ended:
            main(["restore", str(film), "-o", str(target), "--model", str(model), *options])
        assert not ended.value.code
        assert soundfile.info(target).channels == channels
        assert ("track 2 is read" in capfd.readouterr().err) == (not options)
        with pytest.raises(SystemExit) as ended:
            main(["restore", str(film), "-o", str(tmp_path / "no.wav"), "--model", str(model), "--track", "7"])
        assert ended.value.code == 1
        assert "there is no track 7" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("FC", ((0,),)),
        ("FL FR", ((0, 1),)),
        ("FL FR FC LFE BL BR", ((0, 1), (2,), (3,), (4, 5))),
        ("FL FR FC LFE BC SL SR", ((0, 1), (2,), (3,), (4,), (5, 6))),
        ("FC FL FR SL SR LFE", ((0,), (1, 2), (3, 4), (5,))),
        ("CH1 CH2 CH3", ((0, 1), (2,))),
        ("FL BR", ((0,), (1,))),
    ],
)
def test_left_and_right_of_a_place_are_a_pair_and_others_stand_alone(names, expected):
    assert pairs(names.split()) == expected


class TestNamesAndKinds:
    def test_a_name_with_a_colon_is_a_file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write(Path("plain.mp3"), tone(5000)).rename("Re:Zero - OP.mp3")
        assert len(read_whole("Re:Zero - OP.mp3")[0]) == 5000

    @pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
    def test_a_name_that_is_not_utf_8_is_a_file(self, tmp_path):
        path = tmp_path / os.fsdecode(b"caf\xe9.mp3")
        write(tmp_path / "a.mp3", tone(5000)).rename(path)
        assert len(read_whole(path)[0]) == 5000

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9\n{other}\n", "M3U"),
            ("[playlist]\nFile1={other}\nNumberOfEntries=1\n", "PLS"),
            ("ffconcat version 1.0\nfile {other}\n", "ffconcat"),
            (
                '<?xml version="1.0"?><playlist xmlns="http://xspf.org/ns/0/"><location>{other}</location></playlist>',
                "XSPF",
            ),
            ("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n", "SDP"),
        ],
    )
    @pytest.mark.parametrize("suffix", ["mp3", "wav", "m3u8"])
    def test_a_playlist_in_musics_clothing_is_refused_as_one(self, tmp_path, text, kind, suffix):
        other = write(tmp_path / "other.wav", tone(5000))
        path = tmp_path / f"list.{suffix}"
        path.write_text(text.format(other=other.name))
        with pytest.raises(AudioFileError, match=f"is a playlist \\({kind}\\)"):
            read_whole(path)

    def test_a_movie_that_refers_to_another_file_does_not_open_it(self, tmp_path, monkeypatch):
        """Whatever a file says, FFmpeg has our bytes and no name: nothing else is opened while one is read."""
        path = encode(tmp_path / "a.mov", noise(5000), "aac")
        opened = []
        original = Path.open
        monkeypatch.setattr(Path, "open", lambda self, *rest: opened.append(self) or original(self, *rest))
        read_whole(path)
        assert set(opened) == {path}

    def test_a_tag_that_is_not_utf_8_is_no_reason_to_refuse_a_file(self, tmp_path):
        plain = encode(tmp_path / "plain.mp3", noise(10_000), "libmp3lame")
        title = b"\x03Caf\xe9"  # says that it is UTF-8, and is Latin-1
        frame = b"TIT2" + bytes([0, 0, 0, len(title)]) + b"\0\0" + title
        path = tmp_path / "latin.mp3"
        path.write_bytes(b"ID3\x04\0\0" + bytes([0, 0, 0, len(frame)]) + frame + plain.read_bytes()[45:])
        with AudioReader(path) as reader:
            assert reader.tags.values["title"].startswith("Caf")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    @pytest.mark.parametrize("name", ["a.wav", "a.ogg", "a.mp3", "a.flac", "a.mka"])
    def test_a_named_pipe_is_read_once_to_its_end(self, tmp_path, name):
        source = (
            encode(tmp_path / name, noise(60_000), "flac") if name == "a.mka" else write(tmp_path / name, noise(60_000))
        )
        pipe = tmp_path / f"pipe_{name}"
        os.mkfifo(pipe)
        writing = threading.Thread(target=lambda: pipe.write_bytes(source.read_bytes()))
        writing.start()
        samples, lines = read_whole(pipe, rate=44_100)
        writing.join()
        assert (len(samples), lines) == (60_000, [])
