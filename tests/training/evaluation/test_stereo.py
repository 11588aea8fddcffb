"""Image, movements, leakage and channels apart, on signals whose figures can be worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.doubles.band_noise import noise
from training.evaluation import judge
from training.evaluation.bands import FRAMES_A_SECOND, band_powers, edges_hz, lost
from training.evaluation.image import Image, image_errors
from training.evaluation.judge import Judge
from training.evaluation.movement import Movement, movement
from training.evaluation.silence import is_silent, leakage_db

RATE = 44_100
LOW = noise(2.0, high_hz=7_500)
HIGH = noise(2.0, low_hz=8_000, seed=1)
"""What a codec keeps, and what it takes out; left and right have nothing in common."""


def gain(left_db: float, right_db: float) -> Tensor:
    """Of left and right, to multiply with."""
    return 10 ** (torch.tensor([[left_db], [right_db]]) / 20)


def image_of(ours: Tensor, clean: Tensor, damaged: Tensor = LOW) -> Image:
    found = image_errors(*map(band_powers, (ours, damaged, clean)))
    assert found
    return found


def movement_of(ours: Tensor, clean: Tensor, damaged: Tensor = LOW) -> Movement:
    found = movement(*map(band_powers, (ours, damaged, clean)))
    assert found
    return found


def test_the_power_of_all_bands_is_that_of_the_samples() -> None:
    clip = noise(low_hz=2_300, high_hz=20_000)
    powers = band_powers(clip)
    np.testing.assert_allclose(powers.channels.sum(-1).mean(-1), clip.square().mean(-1), rtol=0.03)


def test_a_tone_is_in_the_band_that_holds_its_frequency() -> None:
    tone = torch.sin(2 * math.pi * 9_000 * torch.arange(RATE) / RATE).expand(2, -1)
    band = int(band_powers(tone).both.mean(0).argmax())
    assert edges_hz()[band] <= 9_000 < edges_hz()[band + 1]


def test_bands_are_lost_where_6_db_are_gone_and_something_was_to_be_heard() -> None:
    clean, damaged = band_powers(LOW + HIGH), band_powers(LOW + 0.4 * HIGH)
    edges = edges_hz()
    np.testing.assert_array_equal(lost(damaged.both, clean.both), edges[:-1] >= 7_900)
    assert not lost(band_powers(LOW + 0.6 * HIGH).both, clean.both).any()
    assert not lost(band_powers(LOW).both, band_powers(LOW + 1e-5 * HIGH).both).any()


@pytest.mark.parametrize("shift_db", [3.0, -5.0])
def test_a_shifted_level_difference_is_exactly_that_error(shift_db: float) -> None:
    clean, ours = LOW + HIGH, LOW + gain(shift_db, 0.0) * HIGH
    assert image_of(ours, clean).level_difference_db == pytest.approx(abs(shift_db), abs=0.02)
    assert image_of(clean, clean).level_difference_db == 0


def test_a_plain_centre_has_the_whole_error_and_so_has_nothing_at_all() -> None:
    clean = LOW + gain(0.0, -8.0) * HIGH
    plain = LOW + HIGH.mean(0).expand(2, -1)
    for ours, tolerance in ((plain, 0.002), (LOW, 0.04)):  # something of what is kept is heard in the lowest band
        found = image_of(ours, clean)
        assert found.plain_centre_db == pytest.approx(8.0, abs=0.1)
        assert found.share == pytest.approx(1.0, abs=tolerance)
    half = image_of(LOW + gain(0.0, -4.0) * HIGH, clean).share
    assert half == pytest.approx(0.5, abs=0.01)


def test_music_without_an_image_has_none_to_be_lost() -> None:
    centre = (LOW + HIGH).mean(0).expand(2, -1)
    assert image_of(centre, centre, LOW.mean(0).expand(2, -1)).share is None


def test_hard_left_is_hard_left_however_far() -> None:
    clean, ours = LOW + gain(0.0, -90.0) * HIGH, LOW + gain(0.0, -45.0) * HIGH
    assert image_of(ours, clean).level_difference_db == 0


def test_coherence_tells_the_middle_from_the_side_and_both_from_two_noises() -> None:
    middle = HIGH.mean(0).expand(2, -1)
    side = middle * torch.tensor([[1.0], [-1.0]])
    assert image_of(LOW + side, LOW + middle).coherence == pytest.approx(2.0, abs=1e-3)
    assert image_of(LOW + HIGH, LOW + middle).coherence == pytest.approx(1.0, abs=0.05)


def test_twice_the_side_is_6_db_of_side_to_mid_and_the_middle_alone_far_too_narrow() -> None:
    middle, side = HIGH.mean(0).expand(2, -1), (HIGH[0] - HIGH[1]) / 2 * torch.tensor([[1.0], [-1.0]])
    clean = LOW + middle + side
    assert image_of(LOW + middle + 2 * side, clean).side_to_mid_db == pytest.approx(6.02, abs=0.05)
    assert image_of(LOW + middle, clean).side_to_mid_db < -29


def test_where_nothing_is_lost_there_is_no_image_and_no_movement_to_be_judged() -> None:
    powers = band_powers(LOW + HIGH)
    assert image_errors(powers, powers, powers) is None
    assert movement(powers, powers, powers) is None


def test_a_clip_that_is_3_db_too_loud_is_wrong_by_one_number_and_moves_rightly() -> None:
    found = movement_of(LOW + gain(3.0, 3.0) * HIGH, LOW + HIGH)
    assert (found.error_db, found.clip_db) == pytest.approx((3.0, 3.0), abs=0.01)
    assert (found.slow_db, found.frame_db) == pytest.approx((0.0, 0.0), abs=0.03)
    assert found.correlation == pytest.approx(1.0, abs=1e-4)


def test_one_channel_too_loud_and_the_other_too_soft_is_a_slow_error() -> None:
    found = movement_of(LOW + gain(3.0, -3.0) * HIGH, LOW + HIGH)
    assert (found.clip_db, found.slow_db, found.frame_db) == pytest.approx((0.0, 3.0, 0.0), abs=0.03)


def test_a_quick_tremolo_is_an_error_from_frame_to_frame() -> None:
    wobble = 10 ** (6 / 20 * torch.sign(torch.sin(2 * math.pi * 10 * torch.arange(2 * RATE) / RATE)))
    found = movement_of(LOW + wobble * HIGH, LOW + HIGH)
    assert found.frame_db == pytest.approx(6.0, abs=0.6)
    assert (found.clip_db, found.slow_db) == pytest.approx((0.0, 0.0), abs=0.6)


def test_other_noise_of_the_same_level_does_not_move_alike_but_a_shared_rhythm_shows() -> None:
    other = noise(2.0, low_hz=8_000, seed=2)
    beat = 0.01 + torch.exp(-10 * ((4 * torch.arange(2 * RATE) / RATE) % 1.0))
    assert abs(movement_of(LOW + other, LOW + HIGH).correlation) < 0.05
    assert movement_of(LOW + beat * other, LOW + beat * HIGH).correlation > 0.85


def test_a_frame_is_shorter_than_an_attack() -> None:
    assert pytest.approx(172, abs=1) == FRAMES_A_SECOND


def test_leakage_is_the_level_in_the_channel_that_should_be_silent() -> None:
    clean = np.ascontiguousarray(noise().numpy().T)
    clean[:, 1] = 0
    leaking = clean.copy()
    leaking[:, 1] = 0.001 * math.sqrt(2) * np.sin(np.arange(len(clean)))
    assert leakage_db(leaking, clean) == pytest.approx(-60, abs=0.01)
    assert leakage_db(clean, clean) == -150
    assert leakage_db(clean, np.ascontiguousarray(noise().numpy().T)) is None


def test_leakage_is_heard_between_two_pieces_too_but_not_right_beside_them() -> None:
    clean = np.ascontiguousarray(noise(3.0).numpy().T)
    clean[RATE : 2 * RATE] = 0
    smeared, leaking = clean.copy(), clean.copy()
    smeared[2 * RATE - 2_000 : 2 * RATE] = 0.01  # what a codec does before an attack
    leaking[RATE : 2 * RATE] = 0.01
    assert leakage_db(smeared, clean) == -150
    assert leakage_db(leaking, clean) == pytest.approx(-40, abs=0.01)


def test_the_rounding_to_16_bits_is_silence_and_a_room_is_not() -> None:
    random = np.random.default_rng(0)
    dither = (random.integers(0, 2, RATE) - random.integers(0, 2, RATE)).astype(np.float32) / 32_768
    assert is_silent(dither)
    assert not is_silent(2 * dither)


class _Deaf(Judge):
    """Instead of the models of hearing: counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._visqol, self._zimtohrli = self, lambda reference, judged: 5.0 - abs(reference - judged).mean()

    def measure_from_arrays(self, reference: np.ndarray, judged: np.ndarray, rate: int) -> "_Deaf":
        self.asked += 1
        self.moslqo = 5.0 - abs(reference - judged).mean()
        return self


def test_channels_are_judged_apart_and_the_worse_one_is_named() -> None:
    clean = np.ascontiguousarray(noise().numpy().T)
    ours = clean.copy()
    ours[:, 1] += 0.1 * np.ascontiguousarray(noise(seed=3).numpy().T)[:, 0]
    scores = _Deaf()(ours, clean, clean, None)
    assert scores.si_sdr_worst_db == pytest.approx(20, abs=0.3)
    assert scores.si_sdr_db is not None
    assert scores.si_sdr_db > 50  # the left channel is perfect
    assert scores.visqol_worst is not None
    assert scores.visqol == pytest.approx((5.0 + scores.visqol_worst) / 2)
    assert scores.lsd_worst == pytest.approx(2 * (scores.lsd or 0.0))


def test_a_silent_channel_is_judged_by_leakage_alone_and_silence_by_nothing_else() -> None:
    clean = np.ascontiguousarray(noise().numpy().T)
    clean[:, 1] = 0
    deaf = _Deaf()
    scores = deaf(clean, clean, clean, None)
    assert deaf.asked == 1
    assert (scores.visqol, scores.visqol_worst, scores.leakage_db) == (5.0, 5.0, -150)
    nothing = deaf(0 * clean, 0 * clean, 0 * clean, None)
    assert (nothing.visqol, nothing.lsd, nothing.si_sdr_worst_db, nothing.leakage_db) == (None, None, None, -150)


def test_two_channels_that_are_the_same_are_heard_once() -> None:
    mono = np.repeat(noise().numpy()[:1].T, 2, axis=1)
    deaf = _Deaf()
    deaf(mono, mono, mono, None)
    assert deaf.asked == 1
    deaf(np.ascontiguousarray(noise().numpy().T), mono, mono, None)
    assert deaf.asked == 3


def test_every_figure_has_a_name_a_heading_and_a_place_in_a_table() -> None:
    from training.evaluation import report

    shown = {*report.QUALITY, *report.HIGHS, *report.HARM, *report.TRUTH, *report.ARROWS}
    assert shown <= set(judge.NAMES)
    assert set(report.MEASURES) == set(judge.NAMES)
