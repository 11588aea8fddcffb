"""Engine settings, whether they fit together with model and driver, and the state that they ask for."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apollo_rt.config import Framing
from apollo_rt.control.parameters import Parameters
from apollo_rt.errors import DeviceError
from apollo_rt.inference.model import Model
from apollo_rt.latency import FADE_LENGTH, rebuffering_latency, step_budget
from apollo_rt.live.endpoints.driver import Driver
from apollo_rt.live.endpoints.file_feed import Sink, Source
from apollo_rt.live.endpoints.live_source import LiveSource
from apollo_rt.live.monitoring.incident import LONGEST_S
from apollo_rt.live.realtime.shared_state import SharedState, make_shared_state

_LONGEST_BLOCK = 16_384
_QUEUE_S = 3.0


@dataclass(frozen=True)
class EngineSettings:
    """Settings of the engine beside model and driver.

    Attributes:
        headroom: samples of pre-fill that cover compute time and jitter, from `FADE_LENGTH` to 44100.
        parameters: where they begin; the table's defaults otherwise. The engine changes its own copy.
        incidents: folder for what is written when something is missed, see `incident`; takes 8 MB of memory.
        realtime: ask for real-time priority and locked memory, where the driver runs in real time.

    Raises:
        ValueError: a value is outside its bounds.
    """

    headroom: int = 256 + FADE_LENGTH
    parameters: Parameters | None = None
    incidents: Path | None = None
    realtime: bool = True

    def __post_init__(self) -> None:
        """Check the bounds."""
        if not FADE_LENGTH <= self.headroom <= 44_100:
            raise ValueError(f"headroom must be from {FADE_LENGTH} to 44100 samples, got {self.headroom}")


def check_fit(model: Model, driver: Driver, source: Source | LiveSource | None, sink: Sink | None) -> None:
    """Check that a model, a driver and the files beside it go together.

    Raises:
        ValueError: they don't.
    """
    if driver.sample_rate != model.framing.sample_rate:
        raise ValueError(
            f"driver must run at {model.framing.sample_rate} Hz, the model's rate, got {driver.sample_rate}"
        )
    if not 1 <= driver.block_size <= _LONGEST_BLOCK:
        raise ValueError(f"block_size must be from 1 to {_LONGEST_BLOCK} samples, got {driver.block_size}")
    for name, channels, file in (("source", driver.input_channels, source), ("sink", driver.output_channels, sink)):
        if not 0 <= channels <= 2:
            raise ValueError(f"driver must have 0 to 2 channels, got {channels} at the side of the {name}")
        if (channels == 0) != (file is not None):
            raise ValueError(
                f"{name} must be given exactly when the driver has no channels there, got {channels} channels"
            )


def check_blocks(driver: Driver, hop_length: int, rebuffering: int) -> None:
    """Check that a device that comes while the engine runs has no longer blocks than its latency covers.

    Args:
        driver: of the device.
        hop_length: samples, the model's.
        rebuffering: samples, the engine's.

    Raises:
        DeviceError: every hop would be late.
    """
    needed = rebuffering_latency(driver.block_size, hop_length, driver.varying_block)
    if needed > rebuffering:
        raise DeviceError(
            f"{driver.name}: needs {needed} samples of latency for its blocks, and this run has {rebuffering} for that "
            "and can't change it; start anew with that device"
        )


def new_state(
    settings: EngineSettings,
    framing: Framing,
    driver: Driver,
    parameters: NDArray[np.float64],
    rebuffering: int,
    plugin_delay: int,
) -> SharedState:
    """Allocate what callback and worker share.

    Args:
        settings: of the engine.
        framing: the model's.
        driver: what calls back.
        parameters: the live values, shared, `(parameters,)`.
        rebuffering: samples, the engine's.
        plugin_delay: samples that plugins take; whole hops.
    """
    delay = framing.algorithmic_latency + rebuffering + settings.headroom + plugin_delay
    queue_length = max(int(_QUEUE_S * framing.sample_rate), 4 * driver.block_size)
    channels = driver.input_channels, driver.output_channels
    kept_samples = round(LONGEST_S * framing.sample_rate) + delay if settings.incidents else 0
    return make_shared_state(framing, delay, *channels, queue_length, parameters, kept_samples, plugin_delay)


def budget_of(driver: Driver, framing: Framing, headroom: int) -> float:
    """Time in ns that every step of the model may take, `latency.step_budget`.

    Infinite for a driver without a pace: it waits for the worker, so nothing is ever late, however slow it is.
    """
    if not getattr(driver, "pace", True):
        return math.inf
    return (
        1e9 * step_budget(driver.block_size, framing.hop_length, headroom, driver.varying_block) / framing.sample_rate
    )
