"""What formats can hold, by numbers alone: no encoder is asked, because one of them once ended the process."""

import sys
from pathlib import Path

import pytest

from apollo_rt.errors import AudioFileError
from apollo_rt.files.output_format import WRITABLE_SUFFIXES, OutputSettings, format_of

ALAC = OutputSettings(quality="lossless")
MINUTE = 60


def holds(suffix, rate, channels=2, n_samples=None, settings=None):
    path = Path(f"song{suffix}")
    form = format_of(path, settings)
    try:
        form.check(path, rate, channels, n_samples)
    except AudioFileError:
        return False
    return True


def test_what_does_not_fit_is_said_in_one_line_with_what_would():
    path = Path("song.mp3")
    with pytest.raises(
        AudioFileError, match=r"^song.mp3: MP3 holds sample rates of 8000, .*, 48000 Hz, got 96000"
    ) as no:
        format_of(path).check(path, 96_000, 2)
    assert "\n" not in str(no.value)


@pytest.mark.parametrize(
    ("suffix", "fits", "does_not"),
    [
        (".wav", [1000, 8000, 44_101, 768_000], [0, 1, 999, 768_001, 2**31]),
        (".w64", [1000, 768_000], [1, 768_001]),
        (".aiff", [1000, 768_000], [1, 768_001]),
        (".aif", [1000, 768_000], [1, 768_001]),
        (".flac", [1000, 44_099, 65_535, 65_540, 192_000, 655_350], [1, 65_537, 176_401, 655_360, 768_000]),
        (".ogg", [8000, 44_099, 192_000], [1, 7999, 192_001, 384_000, 768_000]),
        (".mp3", [8000, 11_025, 22_050, 44_100, 48_000], [1000, 44_099, 64_000, 88_200, 96_000]),
        (".m4a", [8000, 44_100, 88_200, 96_000], [7999, 44_099, 176_400, 192_000]),
        (".opus", [48_000], [8000, 44_100, 96_000]),
    ],
)
def test_every_format_has_bounds_for_the_rate(suffix, fits, does_not):
    assert [rate for rate in fits if not holds(suffix, rate)] == []
    assert [rate for rate in does_not if holds(suffix, rate)] == []


def test_alac_has_bounds_of_its_own():
    assert holds(".m4a", 192_000, settings=ALAC)
    assert not holds(".m4a", 768_000, settings=ALAC)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_every_format_has_bounds_for_the_channels(suffix):
    rate = 48_000
    assert holds(suffix, rate, 1)
    assert holds(suffix, rate, 2)
    assert not any(holds(suffix, rate, channels) for channels in (-1, 0, 9, 255, 65_536))
    assert holds(suffix, rate, 6) == (suffix not in (".mp3", ".ogg"))


def test_only_an_aiff_has_a_length_that_music_can_reach():
    hours = 48_000 * 3600
    assert not holds(".aiff", 192_000, 2, 192_000 * 62 * MINUTE + 192_000 * MINUTE)
    assert holds(".aiff", 192_000, 2, 192_000 * 61 * MINUTE)
    assert holds(".aiff", 192_000, 1, 192_000 * 120 * MINUTE)
    for suffix in (".wav", ".flac", ".w64", ".ogg", ".opus", ".m4a", ".mp3"):
        assert holds(suffix, 48_000, 2, 24 * hours)


def test_importing_the_bounds_loads_no_sound_library():
    assert "soundfile" not in sys.modules or "apollo_rt.files.output_format" in sys.modules
    source = Path("apollo_rt/files/output_format.py").read_text()
    assert "import av" not in source
    assert "soundfile" not in source


@pytest.mark.parametrize(
    ("rate", "source", "suffix", "expected"),
    [
        ("auto", 22_050, ".flac", 44_100),
        ("auto", 8000, ".wav", 44_100),
        ("auto", 44_100, ".flac", 44_100),
        ("auto", 96_000, ".flac", 96_000),
        ("keep", 22_050, ".flac", 22_050),
        (96_000, 22_050, ".flac", 96_000),
        (44_100, 96_000, ".mp3", 44_100),
        ("auto", 44_100, ".opus", 48_000),
        ("keep", 96_000, ".opus", 48_000),
    ],
)
def test_the_rate_is_the_sources_but_leaves_room_for_what_is_restored(rate, source, suffix, expected):
    assert OutputSettings(rate=rate).rate_for(source, 44_100, Path(f"a{suffix}")) == expected


@pytest.mark.parametrize("wrong", [{"rate": 32_000}, {"rate": "high"}, {"quality": "good"}, {"bitrate_kbps": 0}])
def test_wishes_beyond_all_bounds_are_refused_with_what_is_allowed(wrong):
    with pytest.raises(ValueError, match="got"):
        OutputSettings(**wrong)


@pytest.mark.parametrize(
    ("suffix", "settings", "rate", "channels", "expected"),
    [
        (".mp3", {}, 44_100, 2, 320),
        (".mp3", {}, 44_100, 1, 160),
        (".mp3", {"quality": "standard"}, 44_100, 2, 192),
        (".mp3", {"bitrate_kbps": 128}, 44_100, 2, 128),
        (".mp3", {}, 22_050, 2, 160),
        (".mp3", {}, 8000, 2, 64),
        (".m4a", {}, 44_100, 2, 320),
        (".m4a", {}, 8000, 1, 48),
        (".opus", {}, 48_000, 2, 256),
        (".ogg", {"quality": "best"}, 44_100, 2, 500),
        (".flac", {}, 44_100, 2, 0),
        (".flac", {"quality": "lossless"}, 44_100, 2, 0),
        (".m4a", {"quality": "lossless"}, 44_100, 2, 0),
    ],
)
def test_the_bit_rate_is_the_qualitys_or_the_users_within_the_formats(suffix, settings, rate, channels, expected):
    wishes = OutputSettings(**settings)
    assert format_of(Path(f"a{suffix}"), wishes).kbps_for(Path("a"), wishes, rate, channels) == expected


@pytest.mark.parametrize(
    ("suffix", "settings", "reason"),
    [
        (".mp3", {"bitrate_kbps": 512}, "holds bit rates from 8 to 320 kbit/s, got 512"),
        (".mp3", {"quality": "lossless"}, "is never lossless"),
        (".flac", {"bitrate_kbps": 320}, "there is no bit rate to choose"),
        (".m4a", {"quality": "lossless", "bitrate_kbps": 320}, "there is no bit rate to choose"),
    ],
)
def test_a_bit_rate_that_cannot_be_is_refused(suffix, settings, reason):
    wishes = OutputSettings(**settings)
    with pytest.raises(AudioFileError, match=reason):
        format_of(Path(f"a{suffix}"), wishes).kbps_for(Path("a"), wishes, 44_100, 2)
