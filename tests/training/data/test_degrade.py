"""Codec damage lies on the clean signal, sounds as its bit rate says, and is the same every time."""

import functools

import numpy as np
import pytest
import soundfile

from tests import DATA, ROOT
from training.data import encoders
from training.data.alignment import alignment_samples
from training.data.audio import SAMPLE_RATE, Audio, measure_cut_hz
from training.data.damage_kinds import Damage, ServerResampler, Stage, label, read_label
from training.data.degrade import degrade, degrade_in_turn, through_server
from training.data.encoders import EncoderMissingError, can_encode, decode, encode
from training.evaluation.damage_labels import parse

EVERY_CODEC = [
    Damage("mp3", 24_000),
    Damage("mp3", 24_000, encode_rate=22_050),
    Damage("mp3", 48_000),
    Damage("mp3", 64_000, mode="stereo"),
    Damage("mp3", 96_000, mode="abr"),
    Damage("mp3", 65_000, mode="vbr"),
    Damage("aac", 48_000),
    Damage("opus", 48_000, encode_rate=48_000),
    Damage("vorbis", 64_000),
    Damage("mp3", 64_000, encode_rate=24_000),
    Damage("mp2", 96_000),
    Damage("ac3", 96_000),
    Damage("wma", 64_000),
    Damage("mp3", 24_000, encode_rate=8_000),
    Damage("mp3", 32_000, encode_rate=16_000),
    Damage("mp3", 64_000, mode="fast"),
    Damage("mp3", 64_000, mode="best"),
    Damage("mp3", 85_000, encode_rate=24_000, mode="vbr"),
    Damage("sbc", 96_000),
    Damage("sbc", 192_000),
    Damage("vorbis", 45_000),
    Damage("musepack", 60_000),
    Damage("musepack", 130_000),
]


@functools.cache
def bar(seed: int) -> Audio:
    """Two seconds of stereo: chords of decaying strings over noise that falls by 6 dB an octave."""
    random = np.random.default_rng(seed)
    samples = 2 * SAMPLE_RATE
    spectrum = np.fft.rfft(random.standard_normal((samples, 2)), axis=0)
    spectrum /= np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 100.0)[:, None]
    hiss = np.fft.irfft(spectrum, samples, axis=0)
    time_s = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    chords = []
    for root_hz in random.uniform(80.0, 400.0, (4, 3)):
        tones = [
            np.sin(2 * np.pi * hz * time_s) * 80.0 / hz for root in root_hz for hz in np.arange(root, 20_000, 4 * root)
        ]
        chords.append(np.outer(np.sum(tones, axis=0) * np.exp(-time_s * 6.0), random.uniform(0.2, 1.0, 2)))
    strings = np.concatenate(chords)
    audio = strings / strings.std() + 0.3 * hiss / hiss.std()
    return (0.5 * audio / np.abs(audio).max()).astype(np.float32)


def music(seconds: float, seed: int = 0) -> Audio:
    """The same bar, over and over."""
    return np.resize(bar(seed), (int(seconds * SAMPLE_RATE), 2))


def level_db(audio: Audio, low_hz: float, high_hz: float) -> float:
    """Energy between two frequencies, in decibels."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))[:, None], axis=0)) ** 2
    frequency = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    return 10 * float(np.log10(spectrum[(frequency >= low_hz) & (frequency < high_hz)].sum() + 1e-20))


@pytest.mark.parametrize("damage", EVERY_CODEC, ids=lambda damage: damage.label)
def test_damage_keeps_the_length_and_lies_on_the_clean_signal_to_a_tenth_of_a_sample(damage: Damage) -> None:
    if not can_encode(damage):
        pytest.skip(f"nothing here writes {damage.label}")
    clean = music(3.0)[:-1]
    damaged = degrade(clean, damage)
    assert damaged.shape == clean.shape
    assert damaged.dtype == np.float32
    assert abs(alignment_samples(clean, damaged)) < 0.1
    assert 0.0 < float(np.mean((damaged - clean) ** 2)) < 0.25 * float(np.mean(clean**2))


@pytest.mark.parametrize("shift", [-3.0, 0.0, 0.25, 17.5, 1105.0])
def test_alignment_is_measured_to_a_fraction_of_a_sample(shift: float) -> None:
    clean = music(2.0)
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(len(clean)) * shift)[:, None]
    late = np.fft.irfft(np.fft.rfft(clean, axis=0) * turn, len(clean), axis=0).astype(np.float32)
    assert alignment_samples(clean, late) == pytest.approx(shift, abs=0.02)


@pytest.mark.parametrize(
    ("damage", "edge_hz"),
    [
        (Damage("mp3", 24_000, encode_rate=22_050), 3_900),
        (Damage("mp3", 24_000), 4_400),
        (Damage("mp3", 32_000), 5_800),
        (Damage("mp3", 48_000), 7_900),
        (Damage("mp3", 64_000), 11_200),
    ],
    ids=lambda value: value.label if isinstance(value, Damage) else f"{value}-hz",
)
def test_mp3_ends_where_the_low_pass_of_its_bit_rate_ends(damage: Damage, edge_hz: float) -> None:
    clean = music(2.0)
    damaged = degrade(clean, damage)
    below, above = (
        level_db(damaged, low_hz, high_hz) - level_db(clean, low_hz, high_hz)
        for low_hz, high_hz in ((edge_hz * 0.8, edge_hz * 0.92), (edge_hz * 1.08, 20_000))
    )
    assert above < -60.0
    assert below > -3.0


def test_audio_that_is_not_stereo_is_refused_with_its_shape() -> None:
    with pytest.raises(ValueError, match=r"\(samples, 2\).*\(100, 1\)"):
        degrade(np.zeros((100, 1), np.float32), Damage())


def test_an_unknown_codec_and_a_bit_rate_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="codec"):
        Damage("flac")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bitrate_bps"):
        Damage("mp3", 0)


def test_a_variable_bit_rate_follows_the_music_and_the_quality_asked_for() -> None:
    lively, quiet = music(2.0), music(2.0) * np.float32(1e-3)
    best, worst, silent = (
        len(encode(audio, Damage("mp3", bitrate_bps, mode="vbr"))) * 8 / 2.0
        for audio, bitrate_bps in ((lively, 190_000), (lively, 65_000), (quiet, 65_000))
    )
    assert best > 1.3 * worst
    assert worst > 1.3 * silent


def test_plain_stereo_is_another_stream_than_joint_stereo() -> None:
    joint, stereo = (encode(music(1.0), Damage("mp3", 64_000, mode=mode)) for mode in ("joint", "stereo"))
    assert len(joint) == len(stereo)
    modes = [{frame[3] >> 6 for frame in frames(stream)} for stream in (joint, stereo)]
    assert modes == [{1}, {0}]  # the two highest bits of a frame header's last byte


def frames(stream: bytes) -> list[bytes]:
    """MPEG-1 layer 3 frame headers at 64 kbps and 44.1 kHz, after an ID3 tag and the Xing frame."""
    start = stream.index(b"\xff\xfb")
    found = []
    while start + 4 <= len(stream):
        header = stream[start : start + 4]
        padded = header[2] >> 1 & 1
        found.append(header)
        start += 144 * 64_000 // SAMPLE_RATE + padded
    return found[2:-1]


def test_music_encoded_twice_is_worse_than_once_and_still_aligned() -> None:
    clean = music(2.0)
    chain = [Damage("aac", 128_000), Damage("mp3", 64_000)]
    once, twice = (degrade_in_turn(clean, damages) for damages in (chain[1:], chain))
    assert abs(alignment_samples(clean, twice)) < 0.1
    assert np.mean((twice - clean) ** 2) > np.mean((once - clean) ** 2)


@pytest.mark.parametrize(
    ("damages", "text", "codec", "bitrate_bps"),
    [
        ((), "clean", "clean", 0),
        ((Damage("mp3", 24_000, encode_rate=22_050),), "mp3-24-mpeg2", "mp3", 24_000),
        ((Damage("mp3", 65_000, mode="vbr"),), "mp3-65-vbr", "mp3", 65_000),
        ((Damage("mp3", 128_000), Damage("aac", 48_000)), "mp3-128+aac-48", "mp3+aac", 48_000),
        ((Damage("mp3", 32_000, encode_rate=16_000),), "mp3-32-16khz", "mp3", 32_000),
        ((Damage("mp3", 64_000, mode="fast"),), "mp3-64-fast", "mp3", 64_000),
        ((Damage("sbc", 192_000), ServerResampler()), "sbc-192+server", "sbc", 192_000),
        ((ServerResampler(),), "server", "clean", 0),
    ],
)
def test_a_label_says_what_was_done(damages: tuple[Stage, ...], text: str, codec: str, bitrate_bps: int) -> None:
    assert label(damages) == text
    assert read_label(text) == (codec, bitrate_bps)
    assert parse(text) == damages


def test_a_sound_server_takes_the_highest_highs_and_moves_nothing() -> None:
    random = np.random.default_rng(5)
    clean = (0.1 * random.standard_normal((2 * SAMPLE_RATE, 2))).astype(np.float32)
    served = through_server(clean)
    assert served.shape == clean.shape
    assert abs(alignment_samples(clean, served)) < 0.01
    lost = [
        level_db(served, *band) - level_db(clean, *band)
        for band in ((1_000, 10_000), (17_800, 18_200), (21_000, 22_000))
    ]
    assert lost[0] == pytest.approx(0.0, abs=0.2)
    assert lost[1] == pytest.approx(-7.0, abs=1.0)
    assert lost[2] < -30.0
    np.testing.assert_array_equal(degrade_in_turn(clean, [ServerResampler()]), served)


@pytest.mark.parametrize(
    ("damage", "package"), [(Damage("musepack", 90_000), "musepack-tools"), (Damage("vorbis", 45_000), "vorbis-tools")]
)
def test_a_codec_that_only_a_command_writes_names_its_package_where_that_is_missing(
    damage: Damage, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders.shutil, "which", lambda name: None)
    assert not can_encode(damage)
    with pytest.raises(EncoderMissingError, match=f"{damage.label}.*apt-get install {package}"):
        encode(music(1.0), damage)


def test_other_efforts_of_the_encoder_are_other_streams_of_the_same_length() -> None:
    plain, fast, best = (encode(music(1.0), Damage("mp3", 64_000, mode=mode)) for mode in ("joint", "fast", "best"))
    assert len(plain) == len(fast) == len(best)
    assert len({plain, fast, best}) == 3


def test_bandwidth_is_measured_where_the_spectrum_ends() -> None:
    damaged = degrade(music(3.0), Damage("mp3", 64_000))
    assert measure_cut_hz(damaged) == pytest.approx(11_200, abs=400)


def test_the_demo_is_the_clean_excerpt_damaged() -> None:
    clean, rate = soundfile.read(DATA / "demo_clean.flac", dtype="float32")
    demo, demo_rate = decode(str(ROOT / "apollo_rt" / "data" / "demo.mp3"))
    assert rate == demo_rate == SAMPLE_RATE
    assert abs(alignment_samples(clean, demo[: len(clean)])) < 0.01
    assert measure_cut_hz(demo) == pytest.approx(7_900, abs=300)
    assert measure_cut_hz(clean) > 19_500
