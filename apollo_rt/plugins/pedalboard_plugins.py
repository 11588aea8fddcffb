"""Pedalboard's effects, VST3 and AU plugins, made of what a user says; the one module that imports pedalboard.

Its licence is the GPLv3, and a plugin's code is anybody's: the live engine has this run in a process of its own
(`plugin_host`), and the process that plays never loads any of it.
"""

import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apollo_rt.errors import PluginError
from apollo_rt.plugins.both_sides import BothSides
from apollo_rt.plugins.native_parameters import CHOICES, NOT_LIVE, RANGES, unit_of
from apollo_rt.plugins.plugin_spec import PluginSpec, Value

_TRIAL_LENGTH, _TRIAL_RATE = 512, 44_100
_NO_EFFECTS = ("Chain", "ExternalPlugin", "IIRFilter", "Mix", "Pedalboard", "Plugin", "PluginContainer", "VST3Plugin",
               "AudioUnitPlugin")  # fmt: skip


def is_native(member: object) -> bool:
    """Whether something is a plugin of Pedalboard's, which is loaded already then."""
    module = sys.modules.get("pedalboard")
    return module is not None and isinstance(member, module.Plugin)


def why_not_streamed(member: object) -> str:
    """Reason why a plugin of Pedalboard's can't be called block by block; empty for all others."""
    return NOT_LIVE.get(type(member).__name__, "") if is_native(member) else ""


def make_board(plugins: Sequence[Any]) -> Any:
    """A real `pedalboard.Pedalboard`."""
    import pedalboard

    return pedalboard.Pedalboard(list(plugins))  # type: ignore[attr-defined]  # it comes by a star import


def make_plugin(spec: PluginSpec) -> Any:
    """Load a plugin and set its parameters.

    Raises:
        PluginError: there is none, or not with such parameters.
    """
    if not spec.is_file:
        return _make_effect(spec)
    plugin = _load_file(spec)
    return BothSides(plugin, _load_file(spec)) if _is_for_one_channel(plugin) else plugin


def reported_latency(plugin: Any) -> int:
    """Samples by which a VST3 or AU plugin says that its output lags; 0 of Pedalboard's own, which don't say."""
    return int(getattr(plugin, "reported_latency_samples", 0))


def rows_of(plugin: Any) -> list[dict[str, Any]]:
    """Rows of what can be changed while it runs: `name`, `unit`, `minimum`, `maximum`, `value`, `scale`, `choices`.

    A switch has the unit `switch`; something to choose from has its `choices`, and counts them from 0.
    """
    rows = _external_rows(plugin) if hasattr(plugin, "parameters") else _effect_rows(plugin)
    return [row for row in rows if row["minimum"] < row["maximum"]]


def set_value(plugin: Any, name: str, value: Value) -> None:
    """Change a parameter.

    Args:
        plugin: made by `make_plugin`.
        name: of one of its rows, or of what it is made with.
        value: a number, a switch, or one of the choices, by name or by number.

    Raises:
        PluginError: it refuses.
    """
    try:
        setattr(plugin, name, _as_meant(plugin, name, value))
    except (ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise PluginError(f"{name}={value!r}: {_one_line(error)}") from None


# --- Pedalboard's own ------------------------------------------------------------------------------------------------


def _effects() -> dict[str, Any]:
    import pedalboard

    found = inspect.getmembers(pedalboard, lambda item: inspect.isclass(item) and issubclass(item, pedalboard.Plugin))
    return {name: kind for name, kind in found if name not in _NO_EFFECTS and not name.startswith("_")}


def _make_effect(spec: PluginSpec) -> Any:
    effects = _effects()
    if spec.kind not in effects:
        raise PluginError(f"plugin must be a .vst3 or .component, or one of {', '.join(effects)}, got {spec.kind!r}")
    kind = effects[spec.kind]
    for name, value in spec.values.items():
        _check_range(spec, name, value)
    arguments = {name: _enumerated(kind, value) if isinstance(value, str) else value
                 for name, value in spec.values.items()}  # fmt: skip
    try:
        return kind(**arguments)
    except TypeError:
        allowed = ", ".join(_settable(kind)) or "none"
        given = ", ".join(f"{name}={value!r}" for name, value in spec.values.items())
        raise PluginError(f"{spec.kind}: parameters are {allowed}, got {given or 'none'}") from None
    except (ValueError, RuntimeError, OSError) as error:
        raise PluginError(f"{spec.kind}: {_one_line(error)}") from None


def _check_range(spec: PluginSpec, name: str, value: Value) -> None:
    """Pedalboard itself takes a negative frequency, too."""
    if name in RANGES and not isinstance(value, str):
        lowest, highest, _ = RANGES[name]
        if not lowest <= value <= highest:
            raise PluginError(f"{spec.kind}: {name} must be from {lowest:g} to {highest:g}, got {value:g}")


def _settable(kind: Any) -> list[str]:
    names = [name for name in dir(kind) if not name.startswith(("_", "is_"))]
    return [name for name in names if isinstance(inspect.getattr_static(kind, name), property)]


def _enumerated(kind: Any, word: str) -> Any:
    """A member of one of an effect's enumerations, where the word names one."""
    for name in dir(kind):
        members = getattr(getattr(kind, name), "__members__", None)
        if members and word in members:
            return members[word]
    return word


def _effect_rows(plugin: Any) -> Iterator[dict[str, Any]]:
    for name in _settable(type(plugin)):
        value = getattr(plugin, name)
        if name in CHOICES:
            choices = list(type(value).__members__)
            yield _row(name, "", 0, len(choices) - 1, choices.index(value.name), choices=choices)
        elif isinstance(value, bool):
            yield _row(name, "switch", 0, 1, float(value))
        elif name in RANGES and isinstance(value, int | float):
            lowest, highest, scale = RANGES[name]
            yield _row(name, unit_of(name), lowest, highest, value, scale or "linear")


# --- VST3 and AU -----------------------------------------------------------------------------------------------------


def _load_file(spec: PluginSpec) -> Any:
    import pedalboard

    path = Path(spec.kind).expanduser()
    if not path.exists():
        raise PluginError(f"{path}: there is no such plugin")
    try:
        # Its type says less than there is.
        plugin: Any = pedalboard.load_plugin(str(path), plugin_name=spec.part or None)  # type: ignore[attr-defined]
    except (ImportError, ValueError, RuntimeError, OSError) as error:
        raise PluginError(f"{path}: {_one_line(error)}") from None
    if not plugin.is_effect:
        raise PluginError(f"{path}: is an instrument; only effects can stand before or after the model")
    if spec.part and spec.part != plugin.name:
        raise PluginError(f"{path}: holds {plugin.name!r}, got {spec.part!r}")
    names = list(plugin.parameters)
    for name, value in spec.values.items():
        if name not in names:
            raise PluginError(f"{path}: parameters are {', '.join(names)}, got {name!r}")
        try:
            set_value(plugin, name, value)
        except PluginError as error:
            raise PluginError(f"{path}: {error}") from None
    return plugin


def _is_for_one_channel(plugin: Any) -> bool:
    """Whether it takes one channel and not two; what takes neither is told when it is tried."""
    return not _takes(plugin, 2) and _takes(plugin, 1)


def _takes(plugin: Any, n_channels: int) -> bool:
    try:
        plugin.process(np.zeros((n_channels, _TRIAL_LENGTH), np.float32), _TRIAL_RATE)
    except (ValueError, RuntimeError):
        return False
    return True


def _external_rows(plugin: Any) -> Iterator[dict[str, Any]]:
    for name, parameter in plugin.parameters.items():
        value = getattr(plugin, name)
        if not getattr(parameter, "is_automatable", True):
            continue
        if parameter.type is bool:
            yield _row(name, "switch", 0, 1, float(bool(value)))
        elif parameter.type is str:
            choices = [str(choice) for choice in parameter.valid_values]
            number = choices.index(str(value)) if str(value) in choices else 0
            yield _row(name, "", 0, len(choices) - 1, number, choices=choices)
        else:
            lowest, highest = float(parameter.min_value), float(parameter.max_value)
            yield _row(name, parameter.units or "", lowest, highest, min(max(float(value), lowest), highest))


def _row(
    name: str, unit: str, minimum: float, maximum: float, value: float, scale: str = "linear",
    choices: list[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {"name": name, "unit": unit, "minimum": float(minimum), "maximum": float(maximum), "value": float(value),
            "scale": scale, "choices": choices or []}  # fmt: skip


def _as_meant(plugin: Any, name: str, value: Value) -> Any:
    """A value as the plugin takes it: choices by what they are called, switches as such."""
    row = next((row for row in rows_of(plugin) if row["name"] == name), None)
    if row is None:
        return value
    if row["choices"]:
        word = value if isinstance(value, str) else row["choices"][round(value)]
        return _enumerated(type(plugin), word)
    return bool(value) if row["unit"] == "switch" else value


def _one_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
