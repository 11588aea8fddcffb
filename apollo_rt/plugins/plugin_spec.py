"""A plugin as a user says it: `HighpassFilter(cutoff_frequency_hz=30)`, or `/path/Limiter.vst3?threshold_db=-1`.

Text is parsed, never evaluated: names, and literal values.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from apollo_rt.errors import PluginError

Value = float | bool | str

_SUFFIXES = (".vst3", ".component")
_FILE = re.compile(
    r"(?P<path>.+?\.(?:vst3|component))(?:#(?P<part>[^?]+))?(?:\?(?P<values>.*))?", re.IGNORECASE | re.DOTALL
)
_EXAMPLES = "HighpassFilter(cutoff_frequency_hz=30) or /path/Limiter.vst3?threshold_db=-1"


@dataclass(frozen=True)
class PluginSpec:
    """One plugin, as the user wants it.

    Attributes:
        kind: the name of one of Pedalboard's effects, or the path of a VST3 or AU plugin.
        values: what its parameters begin with, by name.
        part: which plugin of a file that holds several; empty for the only one.
        name: what its parameters are reached by; empty: its own name.
    """

    kind: str
    values: Mapping[str, Value] = field(default_factory=dict)
    part: str = ""
    name: str = ""

    @property
    def is_file(self) -> bool:
        """A VST3 or AU plugin, not one of Pedalboard's own."""
        return self.kind.lower().endswith(_SUFFIXES)

    @property
    def label(self) -> str:
        """For people: what it is called where a plugin has no better name."""
        return self.part or (Path(self.kind).stem if self.is_file else self.kind)

    @property
    def own_name(self) -> str:
        """Name that its parameters are reached by: `name`, or `highpass_filter` of `HighpassFilter`."""
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", self.name or self.label)
        return words.strip("_").lower() or "plugin"


def parse_spec(text: str) -> PluginSpec:
    """Read what stands behind `--before` and `--after`.

    Args:
        text: `Effect`, `Effect(parameter=literal, ...)`, or `file.vst3#plugin?parameter=value&...` (also `.component`),
            where `#plugin` picks one of a file that holds several.

    Raises:
        PluginError: it is none of these.
    """
    file = _FILE.fullmatch(text.strip())
    if file:
        return PluginSpec(file["path"], _query(text, file["values"] or ""), file["part"] or "")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _no_plugin(text) from None
    if isinstance(tree, ast.Name):
        return PluginSpec(tree.id)
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
        raise _no_plugin(text)
    return PluginSpec(tree.func.id, {name: _literal(text, name, node) for name, node in _keywords(text, tree)})


def check_value(where: str, name: str, value: Any) -> Value:
    """Give a parameter's value back.

    Raises:
        PluginError: it is no number, switch or text.
    """
    if not isinstance(value, bool | int | float | str):
        raise PluginError(f"{where}: {name} must be a number, true, false or a text, got {value!r}")
    return value


def _keywords(text: str, call: ast.Call) -> list[tuple[str, ast.expr]]:
    named = [(keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg is not None]
    if len(named) < len(call.keywords):
        raise _no_plugin(text)
    return named


def _literal(text: str, name: str, node: ast.expr) -> Value:
    try:
        return check_value(text, name, ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise PluginError(f"{text}: {name} must be a literal (a number, True, False or a 'text')") from None


def _query(text: str, query: str) -> dict[str, Value]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise PluginError(f"{text}: behind the ? must stand parameter=value&parameter=value, got {query!r}") from None
    return {name: _plain_value(value.strip()) for name, value in pairs}


def _plain_value(text: str) -> Value:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def _no_plugin(text: str) -> PluginError:
    return PluginError(f"plugin must be like {_EXAMPLES}, got {text!r}")
