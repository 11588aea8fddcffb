"""Source activity: which parts of a recording are worth keeping.

    10 ms windows -> power -> threshold from the windows that are no silence -> sessions of 6 s, every 3 s

After the preparation of the published Apollo (Li & Luo, arXiv 2409.08514), which follows the one of
Music Source Separation with Band-split RNN (Luo & Yu, arXiv 2209.15174, III-B).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.audio import SAMPLE_RATE, Audio


@dataclass(frozen=True)
class ActivitySettings:
    """Settings of finding activity.

    Args:
        window: Length of a window, in samples.
        min_power: Sum of squares of a window above which it is no silence.
        quantile: Of the powers of those windows: the threshold of activity.
        session: Length of a session, in samples.
        stride: From one session to the next, in samples.
        active_share: A session is kept when a larger share of its windows is above the threshold.
    """

    window: int = SAMPLE_RATE // 100
    min_power: float = 1e-3
    quantile: float = 0.15
    session: int = 6 * SAMPLE_RATE
    stride: int = 3 * SAMPLE_RATE
    active_share: float = 0.5

    def __post_init__(self) -> None:
        """Check that sessions are whole windows and leave no gaps.

        Raises:
            ValueError: They aren't, or do.
        """
        if self.session % self.window or self.stride % self.window:
            raise ValueError(f"session and stride must be multiples of window {self.window}, got {self}")
        if not 0 < self.stride <= self.session:
            raise ValueError(f"stride must be 1 to session {self.session}, got {self.stride}")


def window_power(audio: Audio, window: int) -> NDArray[np.float64]:
    """Sum of squares over each window and both channels; a rest shorter than a window is left out.

    Shape:
        audio: ``(samples, 2)``; result: ``(windows,)``
    """
    blocks = audio[: len(audio) // window * window].reshape(-1, window * audio.shape[1])
    power: NDArray[np.float64] = np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64)
    return power


def threshold(power: NDArray[np.float64], settings: ActivitySettings) -> float:
    """The power that a window must exceed to be active; infinite where all is silence.

    Shape:
        power: ``(windows,)``
    """
    sounding = power[power > settings.min_power]
    return float(np.quantile(sounding, settings.quantile)) if len(sounding) else float("inf")


def active_sessions(audio: Audio, settings: ActivitySettings) -> list[int]:
    """The first samples of the sessions that are kept.

    Shape:
        audio: ``(samples, 2)``
    """
    power = window_power(audio, settings.window)
    active = power > threshold(power, settings)
    windows, stride = settings.session // settings.window, settings.stride // settings.window
    starts = range(0, len(active) - windows + 1, stride)
    wanted = settings.active_share * windows
    return [start * settings.window for start in starts if int(active[start : start + windows].sum()) > wanted]
