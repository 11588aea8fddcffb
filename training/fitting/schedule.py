"""Learning rates as factors: functions of how far a run is, so that one that is taken up again needs no memory."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import cos, pi


class Schedule(ABC):
    """Schedule gives the factor of the optimisers' learning rates at each step."""

    @abstractmethod
    def factor(self, step: int, done: float) -> float:
        """The factor, 0 to 1.

        Args:
            step: steps made.
            done: share of the run that is over, by steps or by time, whichever is further; 0 in an endless one.
        """


@dataclass(frozen=True)
class Cosine(Schedule):
    """Up by steps, then half a cosine down to the end of the run (Loshchilov & Hutter, arXiv 1608.03983, eq. 5).

    Attributes:
        warmup_steps: until the rate is at its highest.
        lowest: what is left at the end.
    """

    warmup_steps: int = 150
    lowest: float = 0.01

    def factor(self, step: int, done: float) -> float:
        """Warm up by steps, fall by what is done."""
        return min(1.0, (step + 1) / max(self.warmup_steps, 1)) * max(0.5 * (1 + cos(pi * done)), self.lowest)


@dataclass(frozen=True)
class Staircase(Schedule):
    """Down by a ratio again and again, as published.

    Attributes:
        every_steps: length of a stair; published are 2 epochs of 40,000 items on 8 GPUs.
        ratio: of one stair to the one before.
    """

    every_steps: int = 10_000
    ratio: float = 0.98

    def factor(self, step: int, done: float) -> float:
        """Count the stairs."""
        return self.ratio ** (step // self.every_steps)
