"""The live spectra before and after, and the rings that they are read from."""

import numpy as np
import pytest

from apollo_rt.inference.model import load
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.monitoring.spectra import FLOOR_DB, N_BANDS, Spectra, SpectrumAnalyser
from apollo_rt.live.monitoring.tap import Tap
from apollo_rt.live.realtime.shared_state import HISTORY_LENGTH
from tests.doubles import tiny_models
from tests.doubles.hand_device import HandDevice
from tests.doubles.sounds import noise
from tests.doubles.stepped import Stepped

RATE = 44_100
FRAMING = tiny_models.MEDIUM


@pytest.fixture(scope="module")
def hiss(tmp_path_factory):
    """Gives noise, whatever comes in."""
    return load(tiny_models.carrier_only(tmp_path_factory.mktemp("model"), 3.0, FRAMING))


def tone(frequency_hz, n_samples=10_240, amplitude=1.0):
    wave = amplitude * np.sin(2.0 * np.pi * frequency_hz * np.arange(n_samples) / RATE)
    return np.stack([wave, wave], axis=1).astype(np.float32)


def band_of(spectra, frequency_hz):
    return int(np.searchsorted(spectra.edges_hz, frequency_hz)) - 1


def sum_db(levels_db):
    return 10.0 * np.log10(np.sum(10.0 ** (levels_db / 10.0)))


def looked_at(stream, samples):
    stream.play(samples)
    return SpectrumAnalyser(stream.shared).measure()


@pytest.mark.parametrize("frequency_hz", [100.0, 1000.0, 5000.0, 15_000.0])
def test_a_sine_of_full_scale_shows_0_db_in_its_band_and_nothing_far_from_it(identity, frequency_hz):
    spectra = looked_at(Stepped(identity), tone(frequency_hz))
    band = band_of(spectra, frequency_hz)
    far = np.abs(np.arange(N_BANDS) - band) > 8
    for levels_db in (spectra.before_db, spectra.after_db):
        near = levels_db[max(band - 1, 0) : band + 2]
        assert sum_db(near) == pytest.approx(0.0, abs=0.1)
        assert int(np.argmax(levels_db)) == pytest.approx(band, abs=1)
        assert levels_db[far].max() < -60.0


def test_half_the_amplitude_is_6_db_less_and_one_silent_channel_3(identity):
    one_sided = tone(1000.0, amplitude=0.5)
    one_sided[:, 1] = 0.0
    spectra = looked_at(Stepped(identity), one_sided)
    assert sum_db(spectra.before_db) == pytest.approx(-6.02 - 3.01, abs=0.1)


def test_the_bands_rise_from_30_hz_to_20_khz_without_gaps(identity):
    spectra = SpectrumAnalyser(Stepped(identity).shared).measure()
    assert spectra.edges_hz[[0, -1]] == pytest.approx([30.0, 20_000.0])
    assert np.all(spectra.edges_hz[:-1] < spectra.frequencies_hz)
    assert np.all(spectra.frequencies_hz < spectra.edges_hz[1:])
    widths_hz = np.diff(spectra.edges_hz)
    assert np.all(np.diff(widths_hz) > 0.0)
    assert widths_hz[0] > RATE / 4096, "the narrowest band would hold no whole bin"


def test_before_any_sound_both_spectra_are_silence(identity):
    spectra = SpectrumAnalyser(Stepped(identity).shared).measure()
    assert np.all(spectra.before_db == FLOOR_DB)
    assert np.all(spectra.after_db == FLOOR_DB)
    assert not spectra.restored.any()


@pytest.mark.parametrize("bypass", [0.0, 1.0])
def test_before_and_after_are_the_same_moment(identity, bypass):
    stream = Stepped(identity, block_size=100, headroom=3000, bypass=bypass)
    sweep = noise(30_000) * np.linspace(0.0, 1.0, 30_000, dtype=np.float32)[:, None] ** 8
    spectra = looked_at(stream, sweep)
    assert spectra.after_db == pytest.approx(spectra.before_db, abs=0.01)
    assert spectra.before_db.max() > -40.0


def test_the_stretches_are_aligned_to_the_sample_and_end_with_what_was_played_last(identity):
    stream, samples = Stepped(identity, bypass=1.0), noise(20_000)
    played = stream.play(samples, 160)
    before, after = np.zeros((2, 500, 2), np.float32)
    heard = Tap(stream.shared)
    assert heard.end == 20_000
    assert heard.read(heard.end - 500, before, after)
    assert np.array_equal(after, played[-500:])
    assert np.array_equal(before, samples[20_000 - stream.delay - 500 : 20_000 - stream.delay])
    assert np.array_equal(after, before)


def test_silence_lies_before_the_start(identity):
    stream = Stepped(identity)
    stream.play(noise(256))
    before, after = np.ones((2, 4096, 2), np.float32)
    assert Tap(stream.shared).read(256 - 4096, before, after)
    assert not before.any()
    assert not after.any()


def test_what_was_overwritten_or_is_still_to_come_is_refused(identity):
    stream = Stepped(identity)
    stream.play(np.zeros((HISTORY_LENGTH + 20_480, 2), np.float32), 1024)
    heard, (before, after) = Tap(stream.shared), np.zeros((2, 512, 2), np.float32)
    end = heard.end
    assert heard.read(end - 44_100, before, after), "a second can be looked back"
    assert heard.read(end - 512, before, after)
    assert not heard.read(end - 511, before, after), "its last sample was not played yet"
    assert not heard.read(end - HISTORY_LENGTH, before, after)
    stream.shared.stats.counters.samples -= 100
    assert not heard.read(end - 512, before, after), "a callback has not finished writing it"


def test_the_band_above_the_codecs_cut_shows_as_restored_and_what_was_there_does_not(hiss):
    low = np.zeros((20_480, 2), np.float32)
    for frequency_hz in np.geomspace(60.0, 3000.0, 40):
        low += tone(frequency_hz, len(low), 0.03)
    spectra = looked_at(Stepped(hiss, mix=0.5), low)
    above, below = spectra.frequencies_hz > 5000.0, (spectra.frequencies_hz > 100.0) & (spectra.frequencies_hz < 2500.0)
    assert spectra.restored[above].all()
    assert not spectra.restored[below].any()
    assert np.all(spectra.before_db[above] < -60.0)
    assert np.all(spectra.after_db[above] > -50.0)


def test_a_gain_of_all_bands_restores_none(tmp_path):
    spectra = looked_at(Stepped(load(tiny_models.gain(tmp_path, 4.0, FRAMING))), noise(20_480) * 0.1)
    assert spectra.after_db - spectra.before_db == pytest.approx(np.full(N_BANDS, 12.04), abs=0.3)
    assert not spectra.restored.any()


def test_spectra_become_plain_values():
    spectra = Spectra(np.array([100.4]), np.array([90.0, 110.0]), np.array([-100.04]), np.array([-20.26]))
    assert spectra.to_dict() == {
        "frequencies_hz": [100], "before_db": [-100.0], "after_db": [-20.3], "restored": [1],
    }  # fmt: skip


def test_a_running_engine_gives_them_at_any_time(identity):
    device = HandDevice()
    with Engine(identity, device, EngineSettings()) as engine:
        assert np.all(engine.spectra().after_db == FLOOR_DB)
        device.play(tone(1000.0, amplitude=0.5))
        spectra = engine.spectra()
    assert spectra.before_db.max() == pytest.approx(-6.02, abs=0.5)
    assert spectra.after_db.max() == pytest.approx(-6.02, abs=0.5)
