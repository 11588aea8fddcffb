"""Presets switched while the engine plays: no click, whichever parameters they move."""

import numpy as np
import pytest

from apollo_rt.config import Framing
from apollo_rt.control.parameters import PARAMETERS
from apollo_rt.control.presets import Presets
from apollo_rt.inference.model import load
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from tests.doubles import tiny_models
from tests.doubles.memory_files import MemoryWriter

RATE = 44_100
LEVEL, FREQUENCY_HZ = 0.05, 220.0
N_SAMPLES = 12 * RATE


def sine():
    wave = LEVEL * np.sin(2 * np.pi * FREQUENCY_HZ * np.arange(N_SAMPLES) / RATE)
    return np.stack([wave, wave], axis=1).astype(np.float32)


class SwitchingReader:
    """A source during whose reading something is done now and then."""

    def __init__(self, samples, act):
        self.samples, self.position, self.act = samples, 0, act

    def read(self, n_samples):
        self.act(self.position)
        part = self.samples[self.position : self.position + n_samples]
        self.position += len(part)
        return part


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Halves what it hears, so that mix, strength and crossover are heard as levels."""
    framing = Framing(hop_length=256, analysis_length=2048)
    return load(tiny_models.gain(tmp_path_factory.mktemp("model"), 0.5, framing))


def played(model, folder, act):
    """What the engine makes of a sine while `act` moves its presets."""
    sink = MemoryWriter()
    reader = SwitchingReader(sine(), lambda position: act(presets, position))
    engine = Engine(model, VirtualDevice(RATE, pace=False), EngineSettings(), reader, sink)
    presets = Presets(lambda: PARAMETERS, engine.parameters.get, engine.parameters.set, folder)
    with engine:
        assert engine.wait(120)
    assert engine.snapshot().deadline_misses == 0
    return sink.samples[2 * RATE :, 0]


def largest_step(samples):
    return float(np.abs(np.diff(samples)).max())


@pytest.fixture
def folder(tmp_path):
    """Two presets that differ in everything."""
    texts = {"low": 0.0, "high": 1.0}
    for name, position in texts.items():
        rows = [row for row in PARAMETERS if not row.is_switch]
        text = "".join(f"{row.name}: {row.value_at(position if row.unit != 'Hz' else 0.5)}\n" for row in rows)
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_presets_are_switched_without_a_click(model, folder):
    steady = {name: played(model, folder, lambda presets, _, name=name: presets.load(name)) for name in ("low", "high")}
    loudest = max(np.abs(samples).max() for samples in steady.values())
    assert loudest > 5 * min(np.abs(samples).max() for samples in steady.values()), "they differ enough to click"
    # The sine's own slope at its loudest, and what the mixer's gain may move in a sample (1/64).
    bound = loudest * (2 * np.pi * FREQUENCY_HZ / RATE + 1 / 64)
    spliced = np.where(np.arange(len(steady["low"])) // 4096 % 2, steady["low"], steady["high"])
    assert largest_step(spliced) > 3 * bound, "a switch from sample to sample would be found"

    n_switched = []

    def switch(presets, position):
        n_switched.append(position)
        presets.load(("low", "high")[len(n_switched) % 2])

    switched = played(model, folder, switch)
    assert len(n_switched) > 100
    assert np.abs(switched).max() > 0.5 * loudest
    assert largest_step(switched) <= bound


def test_a_file_that_changes_while_it_plays_is_heard(model, folder):
    path = folder / "mine.yaml"
    path.write_text("output_gain_db: 0")

    def edit(presets, position):  # the reader is up to 6 s ahead of what is heard
        if position == 0:
            presets.load("mine")
        if position > 10 * RATE and "-20" not in path.read_text():
            path.write_text("output_gain_db: -20.0")
        assert presets.poll() == []

    samples = played(model, folder, edit)
    assert np.abs(samples[: RATE // 2]).max() == pytest.approx(LEVEL / 2, rel=0.01)
    assert np.abs(samples[-RATE:]).max() == pytest.approx(LEVEL / 20, rel=0.01)
