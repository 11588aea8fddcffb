"""Loudness by ITU-R BS.1770: the standard's own filters and the EBU's test signals, through the compiled meter."""

import numpy as np
import pytest

from apollo_rt.control.parameters import Parameters
from apollo_rt.stream.loudness import N_PARTS, integrated_lufs, k_weighting, lufs, make_loudness_meter, measure

RATE, HOP = 44_100, 256

# ITU-R BS.1770-4, annex 1, tables 1 and 2: the filters at 48 kHz.
TABLES = [
    [1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585],
    [1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621],
]


def tone(level_db: float, seconds: float, hz: float = 1000.0) -> np.ndarray:
    """A sine in both channels whose peak has that level."""
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return np.stack([wave, wave], 1).astype(np.float32)


def heard(dry: np.ndarray, wet: np.ndarray | None = None, **values: float) -> np.ndarray:
    """Parts of both signals, in their order."""
    parameters = Parameters(**values).values
    meter = make_loudness_meter(HOP, RATE, parameters)
    wet = dry if wet is None else wet
    for begin in range(0, len(dry) - HOP + 1, HOP):
        measure(meter, dry[begin : begin + HOP], wet[begin : begin + HOP], parameters)
    assert meter.progress.n_parts <= N_PARTS
    return meter.parts[: meter.progress.n_parts].T


def test_at_48_khz_the_weighting_is_that_of_the_standards_tables() -> None:
    np.testing.assert_allclose(k_weighting(48_000), TABLES, atol=1e-8)


@pytest.mark.parametrize("level_db", [-23.0, -33.0])
def test_a_stereo_sine_of_1_khz_has_the_loudness_of_its_level(level_db: float) -> None:
    """EBU Tech 3341, cases 1 and 2."""
    assert integrated_lufs(heard(tone(level_db, 20))[0]) == pytest.approx(level_db, abs=0.1)


def test_what_is_much_quieter_is_gated_out() -> None:
    """EBU Tech 3341, case 3, a third as long: -36 before and after do not pull -23 down."""
    signal = np.concatenate([tone(-36, 3.4), tone(-23, 20), tone(-36, 3.4)])[: RATE * 25]
    assert integrated_lufs(heard(signal)[0]) == pytest.approx(-23.0, abs=0.1)
    ungated = lufs(float(heard(signal)[0].mean()))
    assert ungated < -23.4


def test_bass_counts_less_and_treble_more() -> None:
    middle, bass, treble = (integrated_lufs(heard(tone(-23, 3, hz))[0]) for hz in (1000.0, 25.0, 8000.0))
    assert bass < middle - 6
    assert treble == pytest.approx(middle + 3.3, abs=0.3)


def test_silence_and_too_short_a_stretch_have_no_loudness() -> None:
    assert integrated_lufs(heard(np.zeros((RATE, 2), np.float32))[0]) == -np.inf
    assert integrated_lufs(heard(tone(-23, 0.35))[0]) == -np.inf
    assert lufs(0.0) == -np.inf


def test_what_is_measured_is_what_would_be_heard_without_bypass() -> None:
    dry, wet = tone(-23, 3), tone(-29, 3)
    for values, difference in [
        ({"bypass": 1}, -6.0),
        ({"bypass": 1, "output_gain_db": 2.0}, -4.0),
        ({"bypass": 1, "mix": 0.5}, 20 * np.log10((1 + 10 ** (-6 / 20)) / 2)),
        ({"bypass": 1, "mix": 0.0, "low_cut_hz": 1000.0}, -3.0),
    ]:
        of_dry, of_restored = map(integrated_lufs, heard(dry, wet, **values))
        assert of_restored - of_dry == pytest.approx(difference, abs=0.1)


def test_one_sample_that_is_no_audio_does_not_stay_in_the_filters() -> None:
    signal = tone(-23, 6)
    spoiled = signal.copy()
    spoiled[1000] = np.nan
    assert integrated_lufs(heard(signal, spoiled)[1]) == pytest.approx(-23.0, abs=0.1)
