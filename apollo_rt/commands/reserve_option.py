"""A reserve is told in seconds, or left to the stream: `--reserve 2`, `--reserve auto`."""

from typing import Any

import click

_AUTO = "auto"
_LEAST_S, _MOST_S = 0.1, 30.0


class ReserveSeconds(click.ParamType[float | None]):
    """Seconds; None for `auto`."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        """Read it; what was read before stays."""
        if value == _AUTO or value is None:
            return None
        try:
            reserve_s = float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of seconds nor {_AUTO}", param, ctx)
        if not _LEAST_S <= reserve_s <= _MOST_S:
            self.fail(f"{value} is not from {_LEAST_S:g} to {_MOST_S:g} seconds", param, ctx)
        return reserve_s
