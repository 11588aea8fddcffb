"""The parameters of the plugins that play, as rows like the one table's: `highpass_filter.cutoff_frequency_hz`."""

from collections.abc import Sequence
from typing import Any

from apollo_rt.control.parameter_row import Parameter
from apollo_rt.plugins.plugin_spec import PluginSpec

BYPASS = "bypass"
"""Name of the switch that each plugin has beside its own parameters."""

_STEPS = 20
"""Presses of a key from one end of a range to the other."""


def unique_names(specs: Sequence[PluginSpec]) -> list[str]:
    """Names that the plugins' parameters are reached by: a second one of a name is called `name_2`."""
    names: list[str] = []
    for spec in specs:
        candidates = [spec.own_name, *(f"{spec.own_name}_{number}" for number in range(2, len(specs) + 2))]
        names.append(next(name for name in candidates if name not in names))
    return names


def bypass_row(plugin: str, label: str) -> Parameter:
    """The switch of a plugin."""
    description = f"Hear the input of {label} instead of its output, at unchanged latency."
    return Parameter(f"{plugin}.{BYPASS}", "switch", 0.0, 1.0, 0.0, description, step=1.0, settles_ms=100.0)


def parameter_row(plugin: str, label: str, row: dict[str, Any]) -> Parameter:
    """A row for one parameter.

    Args:
        plugin: its name among the plugins.
        label: what it is called for people.
        row: of `pedalboard_plugins.rows_of`; its value, which the user began with, is the default.
    """
    words = ", ".join(f"{number} {choice}" for number, choice in enumerate(row["choices"]))
    description = f"{label}: {row['name'].replace('_', ' ')}{f' ({words})' if words else ''}."
    span = row["maximum"] - row["minimum"]
    step = 2 ** (1 / 6) if row["scale"] == "log" else 1.0 if words or row["unit"] == "switch" else span / _STEPS
    return Parameter(
        f"{plugin}.{row['name']}", row["unit"], row["minimum"], row["maximum"], row["value"], description, step,
        row["scale"], settles_ms=12.0,
    )  # fmt: skip
