"""Activity is what the published preparation says, compared with numbers worked out by hand."""

import numpy as np
import pytest

from training.data.activity import ActivitySettings, active_sessions, threshold, window_power

TINY = ActivitySettings(window=4, session=24, stride=12)


def steps(*levels: float, window: int = 4) -> np.ndarray:
    """Stereo that has one level for each window."""
    return np.repeat(np.array(levels, np.float32), window)[:, None] * np.ones((1, 2), np.float32)


def test_power_is_the_sum_of_squares_over_window_and_channels() -> None:
    audio = steps(0.5, 0.0, 1.0)
    np.testing.assert_allclose(window_power(audio, 4), [0.25 * 8, 0.0, 8.0])
    np.testing.assert_allclose(window_power(audio[:-1], 4), [2.0, 0.0])


def test_the_threshold_is_the_15_percent_quantile_of_what_is_no_silence() -> None:
    power = np.array([0.0, 1e-3, 1.0, 2.0, 3.0, 4.0, 5.0])
    # of 1 .. 5 the quantile lies at position 0.15 * 4 = 0.6: between 1 and 2
    assert threshold(power, TINY) == pytest.approx(1.6)
    assert threshold(np.array([0.0, 1e-3]), TINY) == float("inf")


def test_sessions_are_kept_when_more_than_half_of_their_windows_are_active() -> None:
    loud, soft, none = 1.0, 0.1, 0.0
    # powers 8, 0.08, 0; of 5 soft and 6 loud windows the quantile is 0.08, and only loud ones exceed it
    audio = steps(soft, soft, soft, loud, loud, loud, loud, soft, soft, none, none, none, loud, loud)
    # sessions of 6 windows every 3: windows 0-5 have 3 loud (not more than half), 3-8 have 4, 6-11 have 1
    assert active_sessions(audio, TINY) == [12]


def test_silence_and_music_shorter_than_a_session_have_no_sessions() -> None:
    assert active_sessions(steps(*[0.0] * 20), TINY) == []
    assert active_sessions(steps(*np.linspace(0.5, 1, 5)), TINY) == []


def test_the_published_sizes_are_the_default() -> None:
    settings = ActivitySettings()
    assert (settings.window, settings.session, settings.stride) == (441, 264_600, 132_300)


def test_sessions_that_leave_gaps_or_cut_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="stride must be 1 to session"):
        ActivitySettings(stride=441 * 1000)
    with pytest.raises(ValueError, match="multiples of window"):
        ActivitySettings(stride=1000)
