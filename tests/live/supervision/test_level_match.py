"""Input and restoration equally loud, through the real callback and worker; and nothing of it clips."""

import numpy as np
import pytest

from apollo_rt.inference.model import Model, load
from apollo_rt.live.supervision.level_match import LevelMatch
from tests.doubles import tiny_models
from tests.doubles.stepped import Stepped

RATE = 44_100


@pytest.fixture(scope="module")
def halving(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(tiny_models.gain(tmp_path_factory.mktemp("half"), 0.5, tiny_models.MEDIUM))


@pytest.fixture(scope="module")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(tiny_models.gain(tmp_path_factory.mktemp("double"), 2.0, tiny_models.MEDIUM))


def noise(seconds: float, level: float, seed: int = 3) -> np.ndarray:
    samples = np.random.default_rng(seed).uniform(-level, level, (round(seconds * RATE), 2))
    return samples.astype(np.float32)


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples[-8192:].astype(np.float64) ** 2)))


def test_in_bypass_the_input_is_as_loud_as_the_restoration_and_measured_there_too(halving: Model) -> None:
    live = Stepped(halving)
    match = LevelMatch(live.shared)
    restored = rms(live.play(noise(1.5, 0.2)))
    match.poll()
    assert match.gain_db == pytest.approx(20 * np.log10(0.5), abs=0.1)
    live.parameters.bypass = True
    out = live.play(noise(0.5, 0.2))
    assert rms(out) == pytest.approx(restored, rel=0.05)
    live.parameters.output_gain_db = 3.0  # changed while the input is heard: measured afresh
    match.poll()
    live.play(noise(1.0, 0.2))
    match.poll()
    assert match.gain_db == pytest.approx(20 * np.log10(0.5) + 3.0, abs=0.1)
    assert rms(live.play(noise(0.5, 0.2))) == pytest.approx(restored * 10 ** (3 / 20), rel=0.05)


def test_where_nobody_compares_nothing_is_measured(halving: Model) -> None:
    live = Stepped(halving)
    live.play(noise(0.5, 0.2))
    assert live.shared.loudness.progress.n_parts == 0
    match = LevelMatch(live.shared)
    live.play(noise(0.5, 0.2))
    match.poll()
    assert live.shared.loudness.progress.n_parts >= 4
    assert match.gain_db == pytest.approx(20 * np.log10(0.5), abs=0.1)


def test_turned_off_or_never_measured_bypass_is_the_input_bit_for_bit(halving: Model) -> None:
    live = Stepped(halving, bypass=1)
    match = LevelMatch(live.shared)
    match.poll()
    samples = noise(1.0, 0.2)
    np.testing.assert_array_equal(live.play(samples)[live.delay :], samples[: -live.delay])
    match.is_on = False
    match.poll()
    assert match.gain_db == pytest.approx(-6.0, abs=0.1)
    out = live.play(samples)
    np.testing.assert_array_equal(out[live.delay :], samples[: -live.delay])


@pytest.mark.parametrize("block_size", [64, 256, 1000])
def test_a_gain_above_one_comes_down_before_a_peak_is_heard(doubling: Model, block_size: int) -> None:
    live = Stepped(doubling, block_size, bypass=1)
    match = LevelMatch(live.shared)
    live.play(noise(1.0, 0.2), block_size)
    match.poll()
    quiet = live.play(noise(0.5, 0.2), block_size)
    assert rms(quiet) == pytest.approx(2 * rms(noise(0.5, 0.2)), rel=0.05)
    samples = noise(1.0, 0.2)
    samples[20_000:30_000] *= 4.9  # to 0.98
    out = live.play(samples, block_size)
    assert live.stats["clipped_samples"] == 0
    assert 0.9 < np.abs(out).max() <= 1.0
    assert np.abs(np.diff(out, axis=0)).max() < 2.0


def test_a_blind_test_hears_either_whatever_bypass_says(halving: Model) -> None:
    live = Stepped(halving)
    match = LevelMatch(live.shared)
    match.is_on = False
    match.poll()
    samples = noise(0.5, 0.2)
    expected = {"input": rms(samples), "restored": rms(samples) / 2, None: rms(samples) / 2}
    for what, level in expected.items():
        match.hear(what)
        assert rms(live.play(samples)) == pytest.approx(level, rel=0.05)
    live.parameters.bypass = True
    for what, level in (expected | {None: rms(samples)}).items():
        match.hear(what)
        assert rms(live.play(samples)) == pytest.approx(level, rel=0.05)


def test_both_loudnesses_are_told_and_silence_has_none(halving: Model) -> None:
    live = Stepped(halving)
    match = LevelMatch(live.shared)
    assert match.describe()["integrated_lufs"] == {"input": None, "restored": None}
    live.play(noise(1.0, 0.2))
    match.poll()
    told = match.describe()
    for span in ("integrated_lufs", "momentary_lufs"):
        assert told[span]["restored"] - told[span]["input"] == pytest.approx(-6.0, abs=0.2)
    assert (told["is_on"], told["gain_db"]) == (True, pytest.approx(-6.0, abs=0.1))


def test_the_most_that_two_versions_may_be_apart_is_12_db(halving: Model) -> None:
    live = Stepped(halving, output_gain_db=-24.0)
    match = LevelMatch(live.shared)
    live.play(noise(1.0, 0.5))
    match.poll()
    assert match.gain_db == -12.0
