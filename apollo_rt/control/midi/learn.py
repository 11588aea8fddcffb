"""MIDI learn: the next controller that moves, or the one that moved last, becomes that of a parameter."""

from collections.abc import Callable

from apollo_rt.control.command_row import row_of
from apollo_rt.control.controllable import Controllable
from apollo_rt.control.midi.map import CC, CC14, FINE, NOTE, PROGRAM, TOGGLE, TURN, Action, Origin
from apollo_rt.control.midi.message import Event
from apollo_rt.errors import ControlError

_FINE_HALF_S = 0.2
"""How soon after a coarse half its fine one has to come for what is learnt to have 14 bits."""


class Learning:
    """Waits for a controller, and takes it; for one thread at a time.

    Args:
        target: has the parameters.
        bind: binds a controller to something.
        clock_s: monotonic seconds.

    Attributes:
        parameter: what the next controller is bound to; None: none is waited for.
    """

    def __init__(
        self, target: Controllable, bind: Callable[[Origin, Action], None], clock_s: Callable[[], float]
    ) -> None:
        self.parameter: str | None = None
        self._target, self._bind, self._clock_s = target, bind, clock_s
        self._moved = LastMoved(clock_s)
        self._learnt: tuple[Origin, Action, float] | None = None

    @property
    def moved(self) -> Origin | None:
        """The controller that moved last, if any has."""
        return self._moved.origin

    def wait_for(self, parameter: str | None) -> None:
        """Bind the next controller that moves to a parameter; None: don't wait for one any more."""
        self.parameter, self._learnt = parameter, None

    def take_moved(self, parameter: str) -> None:
        """Bind the controller that moved last to a parameter.

        Raises:
            ControlError: none has moved, or only a key of a keyboard, which can't turn a parameter.
        """
        if self.moved is None:
            raise ControlError("midi: no controller has moved yet")
        if not self._bind_to(self.moved, parameter):
            raise ControlError(f"midi: {self.moved} is a key, which can switch but not turn {parameter}")

    def takes(self, event: Event, whole: Event) -> bool:
        """See what has moved; whether it was waited for, and is bound now.

        Args:
            event: as it arrived.
            whole: the same, or what it is a half of.
        """
        self._moved.see(whole)
        if self._becomes_fine(event):
            return True
        if self.parameter is None or event.kind == PROGRAM or (event.kind == NOTE and event.value == 0):
            return False
        return self._bind_to(Origin(event.kind, event.number, event.channel), self.parameter)

    def _bind_to(self, origin: Origin, parameter: str) -> bool:
        """Bind a controller to a parameter; says whether it can be."""
        row = row_of(self._target, parameter)
        if origin.kind == NOTE and not row.is_switch:
            return False
        action = Action(TOGGLE if origin.kind == NOTE else TURN, row.name)
        self.parameter, self._learnt = None, (origin, action, self._clock_s())
        self._bind(origin, action)
        return True

    def _becomes_fine(self, event: Event) -> bool:
        """Whether it is the fine half of what was learnt just now, which then has 14 bits."""
        if self._learnt is None:
            return False
        coarse, action, since_s = self._learnt
        if self._clock_s() - since_s >= _FINE_HALF_S or not _is_fine_half(event, coarse):
            return False
        self._learnt = None
        self._bind(Origin(CC14, coarse.number, coarse.channel), action)
        return True


class LastMoved:
    """The controller that moved last, of all that a parameter can be bound to.

    Args:
        clock_s: monotonic seconds.

    Attributes:
        origin: what it is; None: nothing has moved yet.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self.origin: Origin | None = None
        self._clock_s, self._since_s = clock_s, 0.0

    def see(self, event: Event) -> None:
        """Take note of an event; a fine half soon after its coarse one makes both one of 14 bits."""
        if event.kind == PROGRAM or (event.kind == NOTE and event.value == 0):
            return
        is_soon = self._clock_s() - self._since_s < _FINE_HALF_S
        pair = self._pair_of(event) if is_soon else None
        self.origin, self._since_s = pair or Origin(event.kind, event.number, event.channel), self._clock_s()

    def _pair_of(self, event: Event) -> Origin | None:
        """The controller of 14 bits of which this is a half, if what moved before was the other half or the whole."""
        if event.kind != CC or event.number is None or event.number >= 2 * FINE:
            return None
        pair = Origin(CC14, event.number % FINE, event.channel)
        return pair if self.origin == pair or _is_fine_half(event, self.origin) else None


def _is_fine_half(event: Event, coarse: Origin | None) -> bool:
    """Whether an event is of the controller that holds the 7 lower bits of another one (MIDI 1.0: 32 places above)."""
    if event.kind != CC or event.number is None:
        return False
    return event.number >= FINE and coarse == Origin(CC, event.number - FINE, event.channel)
