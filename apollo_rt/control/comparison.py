"""Two sets of values to switch between, A and B, as plug-ins have them."""

from collections.abc import Callable, Sequence

from apollo_rt.control.parameter_row import Parameter

SLOTS = ("A", "B")


class Comparison:
    """Keeps the values that aren't heard.

    Args:
        rows: the parameters there are.
        get: tells a parameter's value.
        set_value: changes a parameter.

    Attributes:
        slot: what is heard, A at the beginning.
    """

    def __init__(
        self,
        rows: Callable[[], Sequence[Parameter]],
        get: Callable[[str], float],
        set_value: Callable[[str, float], None],
    ) -> None:
        self.slot = SLOTS[0]
        self._rows, self._get, self._set = rows, get, set_value
        self._other: dict[str, float] | None = None

    def go_to(self, slot: str | None = None) -> str:
        """Hear a slot; the other one if none is named. The present values stay in the one that was heard.

        Switches (bypass, delta) tell how one listens, not what is set: they stay as they are.

        Returns:
            What is heard now.
        """
        wanted = slot or next(other for other in SLOTS if other != self.slot)
        if wanted != self.slot:
            before = {row.name: self._get(row.name) for row in self._rows() if not row.is_switch}
            for name, value in (self._other or {}).items():
                self._set(name, value)
            self._other, self.slot = before, wanted
        return self.slot
