"""Trials: how well a setting holds on this machine, from a moment of music at real cadence, and which setting to take.

Everything is the live engine's own; only the device is a virtual one, whose clock is as late as this machine makes it.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apollo_rt.inference.model import Model
from apollo_rt.latency import FADE_LENGTH, step_budget
from apollo_rt.live.endpoints.file_feed import Nowhere
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.monitoring.durations import Durations

BLOCK_SIZES = (64, 128, 256, 512, 1024)
_GRAIN = 64
"""Headroom is proposed in steps of so many samples."""
_SPARE = 1.25
"""A tail that was seen in seconds is a little longer in hours: so much more headroom than the longest step."""


@dataclass(frozen=True)
class Setting:
    """A setting that can be chosen; its order is that of the latency for a given tier.

    Attributes:
        block_size: samples per callback.
        headroom: samples of pre-fill.
        tier: of the model.
    """

    block_size: int
    headroom: int
    tier: str


@dataclass(frozen=True)
class Trial:
    """Trial of a setting: what it showed.

    Attributes:
        setting: that was tried.
        sample_rate: Hz.
        latency: of the engine in samples, without devices.
        hop_length: samples of a hop.
        budget: samples of time that every step may take so that no hop is ever late.
        step_ms: times of the steps.
        interval_ms: times between two callbacks.
        n_hops: that were due.
        n_missed: of them.
        n_late: callbacks that came so late that a device would have run dry.
    """

    setting: Setting
    sample_rate: int
    latency: int
    hop_length: int
    budget: int
    step_ms: Durations
    interval_ms: Durations
    n_hops: int
    n_missed: int
    n_late: int

    @property
    def latency_ms(self) -> float:
        """Of the engine, without devices."""
        return self._ms(self.latency)

    @property
    def hop_ms(self) -> float:
        """Duration of a hop."""
        return self._ms(self.hop_length)

    @property
    def budget_ms(self) -> float:
        """Longest time that every step may take."""
        return self._ms(self.budget)

    def _ms(self, n_samples: int) -> float:
        return n_samples / self.sample_rate * 1e3

    @property
    def trouble(self) -> str:
        """Reason why it won't hold; empty if it will."""
        step = self.step_ms
        if step.p99 > self.hop_ms:
            return f"one step in a hundred takes {step.p99:.1f} ms, a hop lasts {self.hop_ms:.1f} ms"
        if self.n_missed:
            return (
                f"{self.n_missed} of {self.n_hops} hops missed: the longest step took {step.max:.1f} ms, "
                f"{self.budget_ms:.1f} ms are safe"
            )
        if self.n_late:
            return f"the device would have run dry {self.n_late} times: {self.interval_ms.max:.1f} ms between two calls"
        if step.p999 > self.budget_ms:
            return f"one step in a thousand takes {step.p999:.1f} ms, {self.budget_ms:.1f} ms are safe"
        return ""

    @property
    def holds(self) -> bool:
        """Nothing was missed, and the tail of the steps leaves room."""
        return not self.trouble


class Repeated:
    """A source that plays music over and over: a `file_feed.Source`.

    Args:
        samples: (samples, 2), at least a second.
    """

    def __init__(self, samples: NDArray[np.float32]) -> None:
        self._samples = samples
        self._position = 0

    def read(self, n_samples: int) -> NDArray[np.float32]:
        """The next samples; never ends."""
        begin = self._position % len(self._samples)
        part = self._samples[begin : begin + n_samples]
        self._position += len(part)
        return part


def default_headroom(block_size: int) -> int:
    """Headroom of a live run for a device that calls back evenly, see `session.run`."""
    return max(EngineSettings().headroom, block_size + FADE_LENGTH)


def run_trial(model: Model, setting: Setting, music: NDArray[np.float32], duration_s: float) -> Trial:
    """Run a setting in real time.

    Args:
        model: the tier that is meant.
        setting: to try.
        music: what to restore, at the model's rate, `(samples, 2)`.
        duration_s: for how long.
    """
    framing = model.framing
    driver = VirtualDevice(framing.sample_rate, setting.block_size)
    engine = Engine(model, driver, EngineSettings(setting.headroom), Repeated(music), Nowhere())
    with engine:
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s and not engine.wait(0.0):
            time.sleep(0.02)
        snapshot, latency = engine.snapshot(), engine.latency
    budget = step_budget(setting.block_size, framing.hop_length, setting.headroom)
    return Trial(
        setting, framing.sample_rate, latency.stream, framing.hop_length, budget,
        snapshot.step_ms, snapshot.callback_interval_ms,
        snapshot.hops + snapshot.skipped_hops, snapshot.deadline_misses, snapshot.output_underflow,
    )  # fmt: skip


def try_all(
    models: Mapping[str, Model],
    music: NDArray[np.float32],
    duration_s: float,
    block_sizes: Iterable[int] = BLOCK_SIZES,
    report: Callable[[Setting], None] = lambda _: None,
) -> tuple[list[Trial], Trial]:
    """Try every tier with every block size, then the setting that is best once more.

    Args:
        models: the tiers, best first.
        music: what to restore, `(samples, 2)`.
        duration_s: for everything; a quarter of it is for the best.
        block_sizes: to try.
        report: told what is tried next.

    Returns:
        All trials, and the last one.
    """
    settings = [Setting(size, default_headroom(size), tier) for tier in models for size in block_sizes]
    trials = []
    for setting in settings:
        report(setting)
        trials.append(run_trial(models[setting.tier], setting, music, 0.75 * duration_s / len(settings)))
    best = best_setting(trials)
    report(best)
    return trials, run_trial(models[best.tier], best, music, 0.25 * duration_s)


def best_setting(trials: list[Trial]) -> Setting:
    """The best tier that holds, at its least latency; if none does, with more headroom, else the lightest.

    Args:
        trials: by tier from best to lightest.
    """
    tiers = list(dict.fromkeys(trial.setting.tier for trial in trials))
    for tier in tiers:
        of_tier = [trial for trial in trials if trial.setting.tier == tier]
        holding = [trial for trial in of_tier if trial.holds]
        if holding:
            return min(holding, key=lambda trial: trial.latency_ms).setting
        mendable = [trial for trial in of_tier if trial.step_ms.p99 <= trial.hop_ms]
        if mendable:
            return min((with_headroom(trial) for trial in mendable), key=lambda s: s.block_size + s.headroom)
    return max((trial.setting for trial in trials if trial.setting.tier == tiers[-1]), key=lambda s: s.block_size)


def with_headroom(trial: Trial) -> Setting:
    """The same setting with headroom for the longest step that was seen."""
    setting = trial.setting
    longest = _SPARE * trial.step_ms.max * trial.sample_rate / 1e3
    headroom = -(-int(longest + FADE_LENGTH) // _GRAIN) * _GRAIN
    return Setting(setting.block_size, min(max(headroom, setting.headroom), 44_100), setting.tier)
