"""Reading and writing audio files: lengths, levels, rates, and everything that can be wrong with a file."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apollo_rt.errors import AudioFileError
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.files.audio_writer import AudioWriter, refuse_same_file
from apollo_rt.files.output_format import OutputSettings
from tests.doubles.sound_files import (
    BAD_SOURCES,
    bad_source,
    headerless_mp3,
    tone,
    truncated_mp3,
    with_cover,
    write,
    write_aac,
)


def read_all(path, n_samples=10_007, **settings):
    with AudioReader(path, **settings) as reader:
        blocks = []
        while len(block := reader.read(n_samples)):
            blocks.append(block)
        return np.concatenate([np.empty((0, 2), np.float32), *blocks]), reader


class TestReader:
    @pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
    @pytest.mark.parametrize("n_samples", [1, 1151, 44_100])
    def test_every_format_gives_back_exactly_the_length_that_was_stored(self, tmp_path, suffix, n_samples):
        samples, reader = read_all(write(tmp_path / f"tone.{suffix}", tone(n_samples)))
        assert samples.shape == (n_samples, 2)
        assert samples.dtype == np.float32
        assert reader.n_source_samples == n_samples
        assert reader.warnings == []

    @pytest.mark.parametrize("store", [write, write_aac], ids=["mp3", "m4a"])
    def test_the_encoders_delay_is_cut_off(self, tmp_path, store):
        stored = tone(30_000)
        samples, _ = read_all(store(tmp_path / ("tone.mp3" if store is write else "tone.m4a"), stored))
        middle = slice(5000, 25_000)
        assert np.abs(samples[middle] - stored[middle]).max() < 0.02

    @pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
    def test_every_kind_of_number_has_full_scale_1(self, tmp_path, subtype):
        path = write(tmp_path / "tone.wav", tone(2000), subtype=subtype)
        samples, _ = read_all(path)
        np.testing.assert_array_equal(samples, soundfile.read(path, dtype="float32")[0])

    @pytest.mark.parametrize("sample_rate", [8000, 22_050, 44_099, 48_000, 96_000])
    def test_another_sample_rate_is_converted_and_stays_aligned(self, tmp_path, sample_rate):
        n_samples = sample_rate // 2 + 1
        path = write(tmp_path / "tone.wav", tone(n_samples, sample_rate), sample_rate, subtype="FLOAT")
        samples, reader = read_all(path)
        assert len(samples) == -(-n_samples * 44_100 // sample_rate)
        assert (reader.source_rate, reader.n_source_samples) == (sample_rate, n_samples)
        middle = slice(4000, 18_000)
        assert np.abs(samples - tone(len(samples)))[middle].max() < 1e-5

    def test_mono_is_doubled(self, tmp_path):
        samples, reader = read_all(write(tmp_path / "mono.wav", tone(5000, channels=1), subtype="FLOAT"))
        assert reader.source_channels == 1
        np.testing.assert_array_equal(samples, np.repeat(tone(5000, channels=1), 2, axis=1))

    @pytest.mark.parametrize("sample_rate", [44_100, 48_000])
    def test_how_much_is_read_at_a_time_makes_no_difference(self, tmp_path, sample_rate):
        path = write(tmp_path / "tone.mp3", tone(9000, sample_rate), sample_rate)
        whole, _ = read_all(path, n_samples=1_000_000)
        for n_samples in (1, 255, 1153):
            np.testing.assert_array_equal(read_all(path, n_samples=n_samples)[0], whole)

    def test_a_read_is_short_only_at_the_end_and_then_empty(self, tmp_path):
        with AudioReader(write(tmp_path / "tone.flac", tone(10_000))) as reader:
            assert [len(reader.read(n)) for n in (0, 4000, 4000, 4000, 4000)] == [0, 4000, 4000, 2000, 0]

    def test_a_file_without_a_single_sample_is_an_empty_stream(self, tmp_path):
        samples, reader = read_all(write(tmp_path / "nothing.wav", tone(0)))
        assert samples.shape == (0, 2)
        assert reader.n_source_samples == 0

    def test_the_picture_of_a_cover_does_not_matter(self, tmp_path):
        plain = write(tmp_path / "plain.mp3", tone(20_000))
        picture = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
        np.testing.assert_array_equal(read_all(with_cover(tmp_path / "a.mp3", plain, picture))[0], read_all(plain)[0])

    def test_a_truncated_mp3_gives_what_decodes_and_a_warning(self, tmp_path):
        samples, reader = read_all(truncated_mp3(tmp_path))
        whole, _ = read_all(tmp_path / "whole.mp3")
        assert 50_000 < len(samples) < 80_000
        safe = len(samples) - 2 * 1152
        np.testing.assert_array_equal(samples[:safe], whole[:safe])
        (warning,) = reader.warnings
        assert "cut off" in warning

    @pytest.mark.parametrize("sample_rate", [44_100, 22_050], ids=["MPEG 1", "MPEG 2"])
    def test_an_mp3_that_announces_no_length_warns_only_if_it_is_truncated(self, tmp_path, sample_rate):
        assert read_all(headerless_mp3(tmp_path, sample_rate))[1].warnings == []
        (warning,) = read_all(headerless_mp3(tmp_path, sample_rate, n_bytes_missing=50))[1].warnings
        assert "cut off" in warning

    @pytest.mark.parametrize("name", ["tone.flac", "tone.wav"])
    def test_other_truncated_files_warn_too(self, tmp_path, name):
        path = write(tmp_path / name, tone(44_100))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        samples, reader = read_all(path)
        assert 0 < len(samples) < 44_100
        assert any("cut off" in warning for warning in reader.warnings)

    def test_damage_in_the_middle_is_silence_with_a_warning(self, tmp_path):
        path = write(tmp_path / "tone.flac", tone(44_100 * 2))
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
        path.write_bytes(data)
        samples, reader = read_all(path)
        assert len(samples) == 44_100 * 2
        assert reader.warnings

    @pytest.mark.parametrize("kind", BAD_SOURCES)
    def test_a_bad_file_is_refused_in_one_line_that_says_why(self, tmp_path, kind):
        path = bad_source(tmp_path, kind)
        with pytest.raises(AudioFileError) as caught:
            read_all(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert BAD_SOURCES[kind][1] in message
        assert "\n" not in message


class TestWriter:
    def test_the_name_is_taken_only_when_the_file_is_complete(self, tmp_path):
        path = tmp_path / "out.wav"
        path.write_text("what was here before")
        with AudioWriter(path, 44_100, overwrite=True) as writer:
            writer.write(tone(1000))
            assert path.read_text() == "what was here before"
        assert soundfile.info(path).frames == 1000
        assert [p.name for p in tmp_path.iterdir()] == ["out.wav"]

    def test_an_exception_leaves_the_old_file_and_nothing_else(self, tmp_path):
        path = tmp_path / "out.flac"
        path.write_text("what was here before")

        def write_until_interrupted():
            with AudioWriter(path, 44_100, overwrite=True) as writer:
                writer.write(tone(1000))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_until_interrupted()
        assert path.read_text() == "what was here before"
        assert [p.name for p in tmp_path.iterdir()] == ["out.flac"]

    def test_a_name_that_cannot_be_taken_at_the_end_leaves_nothing(self, tmp_path):
        writer = AudioWriter(tmp_path / "out.wav", 44_100, overwrite=True)
        writer.write(tone(10))
        (tmp_path / "out.wav").mkdir()
        with pytest.raises(AudioFileError, match="can't be written"):
            writer.commit()
        assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]

    @pytest.mark.parametrize("suffix", ["wav", "flac"])
    def test_wav_and_flac_keep_24_bits(self, tmp_path, suffix):
        path = tmp_path / f"out.{suffix}"
        with AudioWriter(path, 48_000) as writer:
            writer.write(tone(3000))
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (48_000, 2, "PCM_24")
        assert np.abs(soundfile.read(path)[0] - tone(3000)).max() <= 2**-23

    @pytest.mark.parametrize("suffix", ["ogg", "mp3"])
    def test_lossy_formats_hold_the_same_length_and_music(self, tmp_path, suffix):
        path = tmp_path / f"out.{suffix}"
        with AudioWriter(path, 44_100) as writer:
            for start in range(0, 30_000, 7000):
                writer.write(tone(30_000)[start : start + 7000])
        samples, _ = read_all(path)
        assert len(samples) == 30_000
        assert np.abs(samples - tone(30_000))[3000:27_000].max() < 0.05

    def test_mono_is_the_average_of_both_channels(self, tmp_path):
        with AudioWriter(tmp_path / "out.wav", 44_100, channels=1, settings=OutputSettings(float_wav=True)) as writer:
            writer.write(tone(100))
        stored = soundfile.read(tmp_path / "out.wav", dtype="float32")[0]
        np.testing.assert_allclose(stored, tone(100).mean(axis=1), atol=1e-7)

    @pytest.mark.parametrize("suffix", ["wav", "flac"])
    def test_too_loud_samples_are_clipped_counted_and_reported(self, tmp_path, suffix):
        loud = np.array([[1.5, -1.5], [1.0, -1.0], [0.5, 1.01]], np.float32)
        with AudioWriter(tmp_path / f"out.{suffix}", 44_100) as writer:
            writer.write(loud)
        np.testing.assert_allclose(soundfile.read(tmp_path / f"out.{suffix}")[0], np.clip(loud, -1, 1), atol=2**-23)
        (warning,) = writer.warnings
        assert "3 samples beyond full scale were clipped" in warning

    def test_a_float_wav_keeps_what_is_too_loud_and_still_reports_it(self, tmp_path):
        loud = np.full((10, 2), 1.5, np.float32)
        with AudioWriter(tmp_path / "out.wav", 44_100, settings=OutputSettings(float_wav=True)) as writer:
            writer.write(loud)
        np.testing.assert_array_equal(soundfile.read(tmp_path / "out.wav")[0], loud)
        assert "may clip" in writer.warnings[0]

    def test_nothing_is_reported_where_nothing_clips(self, tmp_path):
        with AudioWriter(tmp_path / "out.wav", 44_100) as writer:
            writer.write(tone(100))
        assert writer.warnings == []

    def test_a_link_is_followed_and_stays_a_link(self, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        link = tmp_path / "out.wav"
        link.symlink_to(tmp_path / "elsewhere" / "real.wav")
        with AudioWriter(link, 44_100) as writer:
            writer.write(tone(10))
        assert link.is_symlink()
        assert soundfile.info(tmp_path / "elsewhere" / "real.wav").frames == 10

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("out.xyz", "use one of .wav .flac .ogg .mp3 .m4a .opus .aiff .aif .w64"),
            ("out", "use one of"),
            ("no such folder/out.wav", "no such folder"),
            ("folder.wav", "is a folder"),
            ("text/out.wav", "no such folder"),
        ],
    )
    def test_a_place_that_cannot_be_written_is_refused_in_one_line(self, tmp_path, name, reason):
        (tmp_path / "folder.wav").mkdir()
        (tmp_path / "text").touch()
        with pytest.raises(AudioFileError, match=reason) as caught:
            AudioWriter(tmp_path / name, 44_100)
        assert "\n" not in str(caught.value)

    @pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a file system that refuses root as well")
    def test_a_folder_without_permission_is_refused(self):
        with pytest.raises(AudioFileError, match=r"can't be written|no permission"):
            AudioWriter("/proc/out.wav", 44_100)

    def test_a_rate_that_the_format_cannot_hold_is_refused_and_leaves_nothing(self, tmp_path):
        with pytest.raises(AudioFileError, match=r"holds sample rates of 8000, 11025, .* 48000 Hz, got 96000"):
            AudioWriter(tmp_path / "out.mp3", 96_000)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "m4a", "opus", "aiff", "w64"])
    def test_a_full_disk_is_an_error_and_leaves_the_old_file(self, tmp_path, suffix):
        """A limit on the size of files stands for the full disk: writing fails in the same place."""
        path = tmp_path / f"out.{suffix}"
        path.write_text("what was here before")
        script = f"""if True:
            import numpy
            from apollo_rt.files.audio_writer import AudioFileError, AudioWriter
            noise = numpy.random.default_rng(0).uniform(-0.5, 0.5, (44_100, 2)).astype(numpy.float32)
            try:
                with AudioWriter({str(path)!r}, 44_100, overwrite=True) as writer:
                    for _ in range(40):
                        writer.write(noise)
            except AudioFileError as error:
                print(error)"""

        def limit_file_size() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        done = subprocess.run(
            [sys.executable, "-c", script], preexec_fn=limit_file_size, capture_output=True, text=True, timeout=60
        )
        assert done.stderr == ""
        assert done.stdout.startswith(f"{path}: can't be written: ")
        assert [p.name for p in tmp_path.iterdir()] == [path.name]
        assert path.read_text() == "what was here before"


class TestSameFile:
    def test_the_same_file_is_refused_by_name_link_and_hard_link(self, tmp_path, monkeypatch):
        source = write(tmp_path / "song.wav", tone(10))
        (tmp_path / "link.wav").symlink_to(source)
        (tmp_path / "hard.wav").hardlink_to(source)
        monkeypatch.chdir(tmp_path)
        for target in (source, "song.wav", "link.wav", "hard.wav"):
            with pytest.raises(AudioFileError, match="is the input itself"):
                refuse_same_file(source, target)

    def test_two_files_and_missing_files_are_not_the_same(self, tmp_path):
        source = write(tmp_path / "song.wav", tone(10))
        refuse_same_file(source, write(tmp_path / "other.wav", tone(10)))
        refuse_same_file(source, tmp_path / "missing.wav")
        refuse_same_file(tmp_path / "missing.wav", tmp_path / "missing.wav")
