"""Measures and baselines on signals whose figures can be worked out by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests import DATA
from tests.doubles.band_noise import noise
from training.evaluation import damage_labels, kinds, metrics
from training.evaluation.exciter import excite
from training.evaluation.judge import Judge, as_tensor

RATE = 44_100
DEMO = DATA / "demo_clean.flac"


def test_half_the_amplitude_is_an_sdr_of_6_db_and_costs_no_si_sdr() -> None:
    target = noise()
    assert metrics.sdr_db(0.5 * target, target) == pytest.approx(20 * math.log10(2), abs=1e-3)
    assert metrics.si_sdr_db(0.5 * target, target) > 80


def test_a_tenth_of_independent_noise_is_20_db() -> None:
    target, other = noise(seed=1), noise(seed=2)
    other -= (other * target).sum() / (target * target).sum() * target
    other *= (target.norm() / other.norm()) * 0.1
    for measure in (metrics.sdr_db, metrics.si_sdr_db, metrics.si_snr_db):
        assert measure(target + other, target) == pytest.approx(20, abs=0.01)


def test_an_offset_costs_si_sdr_but_no_si_snr() -> None:
    target = noise(low_hz=20)
    offset = target + target.square().mean().sqrt()
    assert metrics.si_sdr_db(offset, target) == pytest.approx(0, abs=0.05)
    assert metrics.si_snr_db(offset, target) > 80


def test_ten_times_the_power_is_one_decade_in_the_band_where_it_is() -> None:
    low, high = noise(low_hz=100, high_hz=9_900), noise(low_hz=10_100, seed=3)
    target, estimate = low + high, low + math.sqrt(10) * high
    assert metrics.log_spectral_distance(estimate, target, above_hz=10_300) == pytest.approx(1, abs=0.01)
    assert metrics.log_spectral_distance(estimate, target, below_hz=9_700) == pytest.approx(0, abs=0.01)
    share = (22_050 - 10_100) / 22_050
    assert metrics.log_spectral_distance(estimate, target) == pytest.approx(math.sqrt(share), abs=0.01)


def test_silence_against_silence_is_no_distance_and_the_floor_bounds_the_rest() -> None:
    silence = torch.zeros(2, RATE)
    assert metrics.log_spectral_distance(silence, silence) == 0
    hann_power = float(torch.hann_window(2048).square().sum())
    faint = noise() * math.sqrt(1e-8 / (0.1**2 * hann_power))  # its bins have the floor's power on average
    # E (log10(1 + x))^2 of an exponential x of mean 1 is 0.105
    assert metrics.log_spectral_distance(faint, silence) == pytest.approx(math.sqrt(0.105), abs=0.03)


def test_a_change_of_a_tenth_is_minus_20_db() -> None:
    reference = noise()
    assert metrics.change_db(1.1 * reference, reference) == pytest.approx(-20, abs=1e-3)
    assert metrics.change_db(reference, reference) < -150


def test_levels_above_the_cut_are_those_above_the_cut() -> None:
    low, high = noise(high_hz=7_900), noise(low_hz=8_100, seed=4)
    overall, magnitude = metrics.level_errors_db(0.1 * low + 2 * high, low + high, 8_000)
    assert (overall, magnitude) == pytest.approx((20 * math.log10(2),) * 2, abs=0.05)


def test_pumping_shows_in_the_frames_and_not_over_all() -> None:
    high = noise(2.0, low_hz=8_000)
    n = high.shape[1]
    pumping = torch.sqrt(1 + 0.9 * torch.sign(torch.sin(2 * math.pi * 2 * torch.arange(n) / RATE)))
    overall, magnitude = metrics.level_errors_db(high * pumping, high, 8_000)
    assert abs(overall) < 0.3
    assert magnitude == pytest.approx((10 * math.log10(1.9) + 10) / 2, abs=0.7)


def test_what_a_restorer_leaves_empty_counts_as_60_db_too_soft() -> None:
    high = noise(low_hz=8_000)
    assert metrics.level_errors_db(torch.zeros_like(high), high, 8_000)[0] == pytest.approx(-60, abs=0.1)


@pytest.mark.parametrize("cut_hz", [4_400.0, 7_900.0, 16_700.0])
def test_the_cut_is_found_where_the_low_pass_is(cut_hz: float) -> None:
    clean = noise()
    spectrum = torch.fft.rfft(clean)
    spectrum[:, int(cut_hz / RATE * clean.shape[1]) :] *= 1e-3
    found = metrics.measure_cut_hz(torch.fft.irfft(spectrum, clean.shape[1]), clean)
    assert found == pytest.approx(cut_hz, abs=150)


def test_what_a_decoder_clipped_leaves_a_trace_above_the_cut_that_is_no_music() -> None:
    clean = noise()
    spectrum = torch.fft.rfft(clean)
    spectrum[:, int(21_300 / RATE * clean.shape[1]) :] *= 1e-3
    clean = torch.fft.irfft(spectrum, clean.shape[1])
    spectrum[:, int(7_900 / RATE * clean.shape[1]) :] = 0
    damaged = torch.fft.irfft(spectrum, clean.shape[1]) + 3e-3 * noise(seed=5)
    assert metrics.measure_cut_hz(damaged, clean) == pytest.approx(7_900, abs=150)


def test_the_cut_of_a_codec_is_that_of_its_low_pass() -> None:
    clean, _ = soundfile.read(DEMO, frames=4 * RATE, dtype="float32")
    damaged = damage_labels.apply(clean, "mp3-48")
    assert metrics.measure_cut_hz(as_tensor(damaged), as_tensor(clean)) == pytest.approx(7_900, abs=400)  # data.md


def test_undamaged_music_and_music_that_ends_early_itself_have_no_cut() -> None:
    clean, dull = noise(), noise(high_hz=7_000)
    assert metrics.measure_cut_hz(clean, clean) is None
    assert metrics.measure_cut_hz(dull, dull) is None
    assert metrics.measure_cut_hz(noise(high_hz=6_500), dull) is None
    assert metrics.measure_cut_hz(torch.zeros_like(clean), torch.zeros_like(clean)) is None


def test_the_exciter_leaves_what_is_below_the_cut_and_everything_where_there_is_no_cut() -> None:
    damaged = noise(high_hz=7_900)
    torch.testing.assert_close(excite(damaged, None), damaged, rtol=0, atol=0)
    excited = excite(damaged, 8_000)
    assert metrics.log_spectral_distance(excited, damaged, below_hz=7_500) < 0.02


def test_the_exciter_continues_music_that_falls_by_its_slope() -> None:
    clean = noise(2.0, low_hz=200)
    hz = torch.fft.rfftfreq(clean.shape[1], 1 / RATE).clamp(min=200)
    spectrum = torch.fft.rfft(clean) * 10 ** (-8 / 20 * torch.log2(hz / 1_000))
    clean = torch.fft.irfft(spectrum, clean.shape[1])
    damaged = torch.fft.irfft(spectrum * (hz < 8_000), clean.shape[1])
    overall, _ = metrics.level_errors_db(excite(damaged, 8_000), clean, 8_300)
    assert abs(overall) < 1


def test_the_exciter_moves_a_tone_and_it_stays_one_tone() -> None:
    t = torch.arange(RATE) / RATE
    tone = (0.3 * torch.sin(2 * math.pi * 6_000 * t)).expand(2, -1).contiguous()
    spectrum = torch.fft.rfft(excite(tone, 8_000)[0] * torch.hann_window(RATE)).abs()[8_000:12_500]
    width = round(8_000 / metrics.BIN_HZ) // 2 // 4 * 4
    peak = int(spectrum.argmax())
    assert peak + 8_000 == pytest.approx(6_000 + width * metrics.BIN_HZ, abs=2)
    spectrum[peak - 5 : peak + 6] = 0
    assert spectrum.max() < 0.03 * torch.fft.rfft(excite(tone, 8_000)[0] * torch.hann_window(RATE)).abs()[8_000:].max()


@pytest.mark.parametrize(
    "label",
    [
        "mp3-48",
        "mp3-24-mpeg2",
        "mp3-64-24khz",
        "mp3-96-32khz",
        "mp3-64-vbr",
        "opus-32",
        "wma-64",
        "mp3-128+aac-48",
        "clean",
    ],
)
def test_labels_are_read_as_they_are_written(label: str) -> None:
    parsed = damage_labels.parse(label)
    assert len(parsed) == (0 if label == "clean" else label.count("+") + 1)
    rate = next(
        (rate for name, rate in {"mpeg2": 22_050, "24khz": 24_000, "32khz": 32_000}.items() if name in label), 0
    )
    assert all(damage.encode_rate == (48_000 if damage.codec == "opus" else rate or RATE) for damage in parsed)


@pytest.mark.parametrize(
    "label", ["", "mp3", "mp3-", "wav-64", "mp3-64-loud", "mp3-48+", "48-mp3", "mp3--48", "mp3-048"]
)
def test_what_is_no_label_is_refused_with_an_example(label: str) -> None:
    with pytest.raises(ValueError, match="CODEC-KBPS such as mp3-48"):
        damage_labels.parse(label)


def test_labels_say_codec_and_bit_rate() -> None:
    assert [damage_labels.codec_and_kbps(label) for label in ("mp3-64-vbr", "mp3-128+aac-48", "clean")] == [
        ("mp3", 64), ("mp3+aac", 48), ("clean", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("clip", "kind"),
    [
        ("song/vocals.wav", "vocal"),
        ("song/drums__010.flac", "single stem"),
        ("song/mixture.wav", "multi + vocal"),
        ("instrumental/a.wav", "multi-stem"),
        ("hr3-caves__013.wav", "multi-stem"),
        ("a song with bass.wav", "unknown"),
        ("Choir/take 1.wav", "vocal"),
        ("Choir-solo/drums.wav", "multi + vocal"),
    ],
)
def test_kinds_come_from_the_list_first_and_from_whole_names_then(clip: str, kind: str) -> None:
    assert kinds.kind_of(Path(clip), {"Choir": "vocal", "Choir-solo": "multi + vocal"}) == kind


@pytest.mark.parametrize("text", ["no json", "[]", '{"a": "jazz"}'])
def test_a_list_of_kinds_that_cannot_be_used_names_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "kinds.json").write_text(text)
    with pytest.raises(ValueError, match=r"kinds\.json: "):
        kinds.read_list(tmp_path)


def test_the_judge_gives_the_best_marks_to_the_clip_itself_and_worse_ones_to_a_damaged_one() -> None:
    t = np.arange(2 * RATE) / RATE
    music = np.stack([np.sin(2 * np.pi * hz * t) * 0.2 for hz in (440, 660)], 1) + noise(2.0).T.numpy() * 0.2
    clean = music.astype(np.float32)
    damaged = damage_labels.apply(clean, "mp3-32")
    judge = Judge()
    itself, worse = judge(clean, clean, clean, None), judge(damaged, damaged, clean, 5_500.0)
    assert itself.visqol > 4.6
    assert itself.zimtohrli == pytest.approx(5, abs=1e-3)
    assert (itself.lsd, itself.lsd_above, itself.level_above_db, itself.change_db) == (0, None, None, None)
    assert worse.visqol < itself.visqol - 1
    assert worse.zimtohrli < itself.zimtohrli - 1
    assert worse.lsd_above is not None
    assert worse.lsd_in_band is not None
    assert worse.lsd_above > worse.lsd > worse.lsd_in_band
    assert worse.level_above_db is not None
    assert worse.level_above_db < -20
