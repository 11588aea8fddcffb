"""Codec damage lies on the clean signal, sounds as its bit rate says, and is the same every time."""

import functools
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from training.data import corpus, excerpts, pairs, prepare
from training.data.alignment import AlignmentError, alignment_samples
from training.data.audio import SAMPLE_RATE, Audio
from training.data.degrade import Damage, decode, degrade

EVERY_CODEC = [
    Damage("mp3", 24_000),
    Damage("mp3", 24_000, encode_rate=22_050),
    Damage("mp3", 48_000),
    Damage("mp3", 64_000, mode="stereo"),
    Damage("mp3", 96_000, mode="abr"),
    Damage("aac", 48_000),
    Damage("opus", 48_000, encode_rate=48_000),
    Damage("vorbis", 64_000),
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
        Damage("wma")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bitrate_bps"):
        Damage("mp3", 0)


@pytest.fixture
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches of two seconds are long enough, so that the tests are quick."""
    monkeypatch.setattr(pairs, "MIN_STRETCH_S", 2.0)


def write_corpus(clean: Path, seconds: dict[str, float], split: corpus.Split = "train") -> None:
    """A corpus of synthetic tracks of one group, as `corpus.adopt` would leave it."""
    (clean / "synthetic").mkdir(parents=True, exist_ok=True)
    with (clean / "tracks.jsonl").open("a") as listing:
        for index, (name, length_s) in enumerate(seconds.items()):
            track = corpus.Track("synthetic", name, split, "CC0", 0, length_s, 22_050)
            soundfile.write(track.path(clean), music(length_s, index), SAMPLE_RATE, "PCM_16")
            listing.write(json.dumps(asdict(track)) + "\n")


@pytest.mark.usefixtures("short_stretches")
def test_pairs_are_resumed_and_are_the_same_after_a_new_start(tmp_path: Path) -> None:
    clean, out = tmp_path / "clean", tmp_path / "pairs"
    write_corpus(clean, {"one": 3.5, "two": 4.0, "too-short": 2.0})
    assert pairs.build(clean, out, turns=1, limit=1) == {}
    (first,) = out.glob("train/*.npy")
    written = first.stat().st_mtime_ns
    assert pairs.build(clean, out, turns=1) == {}
    assert len(list(out.glob("train/*.npy"))) == len(pairs.manifest(out)) == 2
    assert first.stat().st_mtime_ns == written
    before = first.read_bytes()
    first.unlink()
    pairs.build(clean, out, turns=1)
    assert first.read_bytes() == before
    assert not list(out.rglob("*.part"))


@pytest.mark.usefixtures("short_stretches")
def test_a_pair_is_clean_and_damaged_int16_of_the_same_stretch(tmp_path: Path) -> None:
    clean, out = tmp_path / "clean", tmp_path / "pairs"
    write_corpus(clean, {"one": 3.5})
    pairs.build(clean, out, turns=1)
    (line,) = pairs.manifest(out)
    pair = np.load(out / "train" / f"{line['name']}.npy")
    assert pair.dtype == np.int16
    assert pair.shape == (2, int(2.5 * SAMPLE_RATE), 2)
    source, _ = soundfile.read(clean / "synthetic" / "one.flac", dtype="int16", start=SAMPLE_RATE)
    np.testing.assert_allclose(pair[0], source, atol=1)
    assert line["source"] == "synthetic/one"
    assert (
        line["name"]
        == f"synthetic__one__001__{Damage(line['codec'], line['bitrate_bps'], line['encode_rate'], line['mode']).label}"
    )


@pytest.mark.usefixtures("short_stretches")
def test_a_track_that_cannot_be_read_is_skipped_and_reported(tmp_path: Path) -> None:
    clean, out = tmp_path / "clean", tmp_path / "pairs"
    write_corpus(clean, {"broken": 3.5, "whole": 3.5})
    (clean / "synthetic" / "broken.flac").write_bytes(b"not music")
    failed = pairs.build(clean, out, turns=1)
    assert [name.split("__")[1] for name in failed] == ["broken"]
    assert [line["source"] for line in pairs.manifest(out)] == ["synthetic/whole"]


@pytest.mark.usefixtures("short_stretches")
def test_evaluation_tracks_never_become_pairs(tmp_path: Path) -> None:
    write_corpus(tmp_path / "clean", {"kept-away": 3.5}, split="eval")
    assert pairs.build(tmp_path / "clean", tmp_path / "pairs") == {}
    assert pairs.manifest(tmp_path / "pairs") == []


def test_the_draw_of_damages_is_seeded_weighted_and_without_repeats() -> None:
    assert pairs.draw_damages("a", 3, 0) == pairs.draw_damages("a", 3, 0)
    assert pairs.draw_damages("a", 3, 0)[:1] == pairs.draw_damages("a", 1, 0)
    assert len({damage.label for damage in pairs.draw_damages("a", 13, 0)}) == 13
    first = [pairs.draw_damages(str(number), 1, 0)[0] for number in range(2000)]
    share = sum(damage.codec == "mp3" and damage.bitrate_bps <= 64_000 for damage in first) / len(first)
    assert share == pytest.approx(0.70, abs=0.04)


def test_a_damaged_half_over_full_scale_turns_both_halves_down_together() -> None:
    loud = np.tanh(50 * music(3.0)) * np.float32(0.99)
    pair, shift = pairs.make_pair(loud, 0, 2 * SAMPLE_RATE, Damage("mp3", 32_000))
    assert abs(shift) < 0.1
    assert np.abs(pair[1].astype(int)).max() == 32767 > np.abs(pair[0].astype(int)).max()


def test_a_shifted_codec_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "degrade", lambda audio, _: np.roll(audio, 1, axis=0))
    with pytest.raises(AlignmentError, match=r"1\.00 samples"):
        pairs.make_pair(music(2.0), 0, SAMPLE_RATE, Damage())


def test_bandwidth_is_measured_where_the_spectrum_ends() -> None:
    damaged = degrade(music(3.0), Damage("mp3", 64_000))
    assert corpus.measure_cut_hz(damaged) == pytest.approx(11_200, abs=400)


def test_no_group_is_in_two_splits_and_no_evaluation_author_is_trained_on() -> None:
    groups = [package.name for package in corpus.PACKAGES] + [author.name for author in corpus.AUTHORS]
    assert len(groups) == len(set(groups))
    held_out = {author.name for author in corpus.AUTHORS if author.split == "eval"}
    assert held_out == {"Saber", "Thomasso", "Momo64", "Settel", "Jousboxx", "EsoXLB"}


def test_a_folder_of_own_music_is_admitted_once_and_dull_files_are_left_out(tmp_path: Path) -> None:
    album = tmp_path / "music" / "An Artist"
    album.mkdir(parents=True)
    bright = np.random.default_rng(0).uniform(-0.5, 0.5, (2 * SAMPLE_RATE, 2)).astype(np.float32)
    soundfile.write(album / "bright.wav", bright, SAMPLE_RATE)
    soundfile.write(album / "dull.wav", degrade(music(2.0), Damage("mp3", 64_000)), SAMPLE_RATE)
    (album / "broken.flac").write_bytes(b"not music")
    for _ in range(2):
        corpus.adopt(tmp_path / "music", tmp_path / "clean")
    assert [(track.group, track.name) for track in corpus.tracks(tmp_path / "clean")] == [("AnArtist", "bright")]


def test_excerpts_are_taken_where_something_is_playing() -> None:
    audio = music(60.0)
    audio[: 15 * SAMPLE_RATE] = 0.0
    starts = [start // SAMPLE_RATE for start in excerpts.find_lively(audio, 2)]
    assert 15 <= starts[0] <= 20
    assert 30 <= starts[1] <= 50


def test_a_folder_of_own_music_becomes_pairs_with_one_command(short_stretches: None, tmp_path: Path) -> None:
    music_folder, out = tmp_path / "music", tmp_path / "out"
    music_folder.mkdir()
    bright = np.random.default_rng(0).uniform(-0.5, 0.5, (4 * SAMPLE_RATE, 2)).astype(np.float32)
    soundfile.write(music_folder / "bright.wav", bright, SAMPLE_RATE)
    arguments = ["--out", str(out), "--music", str(music_folder), "--turns", "1"]
    result = CliRunner().invoke(prepare.prepare, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "1 pairs" in result.output
    assert len(list(out.glob("pairs/*/*.npy"))) == 1


def test_the_demo_is_the_clean_excerpt_damaged() -> None:
    root = Path(__file__).parent
    clean, rate = soundfile.read(root / "data" / "demo_clean.flac", dtype="float32")
    demo, demo_rate = decode(str(root.parent / "apollo_rt" / "data" / "demo.mp3"))
    assert rate == demo_rate == SAMPLE_RATE
    assert abs(alignment_samples(clean, demo[: len(clean)])) < 0.01
    assert corpus.measure_cut_hz(demo) == pytest.approx(7_900, abs=300)
    assert corpus.measure_cut_hz(clean) > corpus.MIN_CUT_HZ
