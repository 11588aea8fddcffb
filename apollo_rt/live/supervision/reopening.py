"""A reopening leads back to devices that were lost, or on to others."""

from collections.abc import Callable
from dataclasses import dataclass

from apollo_rt.live.endpoints.driver import Driver
from apollo_rt.live.supervision.rest import Rest


@dataclass(frozen=True)
class Reopening:
    """A way back to devices that were lost.

    Attributes:
        open: finds the devices anew and returns a driver that has not been started.
        has_moved: says whether what was asked for is another device by now; asked now and then.
        trouble: why the devices can't go on as they are, or nothing; asked at each poll, so it must be quick.
        give_up_s: how long to try.
        rest: when to let go of them for a while; None: never.
    """

    open: Callable[[], Driver]
    has_moved: Callable[[], bool] = lambda: False
    trouble: Callable[[], str] = str
    give_up_s: float = 300.0
    rest: Rest | None = None
