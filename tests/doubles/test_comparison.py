"""What is heard is compared with what should be: a fault that nobody counted is found, one that was counted is not."""

import pytest

from tests.doubles.comparison import least_treble_db, likeness, spoilt_windows, treble_db
from tests.doubles.sounds import gaussian_noise

WINDOW = 4096
QUIET = {"covered_samples": 0, "deadline_misses": 0, "jumps": 0, "xruns": 0}


def test_where_nothing_was_counted_nothing_may_be_spoilt() -> None:
    assert spoilt_windows(QUIET, WINDOW) == 0
    assert spoilt_windows({**QUIET, "covered_samples": 3 * WINDOW, "deadline_misses": 1}, WINDOW) == 5


@pytest.mark.parametrize("first", [0, 7, 19])
def test_treble_may_lack_where_it_was_covered_and_nowhere_else(first: int) -> None:
    music = gaussian_noise(20 * WINDOW)
    music[first * WINDOW : (first + 1) * WINDOW] *= 4.0  # the loudest window is the one that is lost
    heard = music.copy()
    heard[first * WINDOW : (first + 1) * WINDOW] = 0.0
    assert treble_db(heard) < least_treble_db(music, WINDOW, 0) - 2.0
    assert treble_db(heard) == pytest.approx(least_treble_db(music, WINDOW, 1), abs=0.5)
    assert least_treble_db(music, WINDOW, 20) < treble_db(music) - 100.0  # where all was covered, none is asked for


def test_likeness_is_one_at_any_level_and_near_nothing_of_another_sound() -> None:
    music, other = gaussian_noise(WINDOW), gaussian_noise(WINDOW, seed=1)
    assert likeness(music, 0.1 * music) == pytest.approx(1.0, abs=1e-6)
    assert abs(likeness(music, other)) < 0.1
