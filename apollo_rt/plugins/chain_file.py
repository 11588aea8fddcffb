"""A chain in a YAML file: which plugins come before and after the model, with their parameters.

    before:
    - HighpassFilter(cutoff_frequency_hz=30)         # as on the command line
    after:
    - plugin: /usr/lib/vst3/Suite.vst3               # or the name of one of Pedalboard's effects
      part: Limiter                                  # where a file holds several
      name: limiter                                  # what its parameters are reached by: limiter.threshold_db
      parameters: {threshold_db: -1}

A text alone is a plugin as the command line takes it.
"""

from pathlib import Path
from typing import Any

from apollo_rt.control.yaml_file import read_mapping
from apollo_rt.errors import PluginError
from apollo_rt.plugins.plugin_spec import PluginSpec, check_value, parse_spec

_SIDES = ("before", "after")
_KEYS = ("plugin", "part", "name", "parameters")


def read_chain(path: Path) -> tuple[list[PluginSpec], list[PluginSpec]]:
    """Read a chain.

    Args:
        path: of the file; a plugin's relative path is one from the file's folder.

    Returns:
        The plugins before and those after the model.

    Raises:
        ControlError: the file can't be read, or is no YAML.
        PluginError: it holds something else than such a chain.
    """
    content = read_mapping(path)
    for side in content:
        if side not in _SIDES:
            raise PluginError(f"{path}: must hold {' and '.join(_SIDES)}, got {side!r}")
    before, after = ([_read_plugin(path, side, row) for row in _rows(path, content, side)] for side in _SIDES)
    return before, after


def _rows(path: Path, content: dict[Any, Any], side: str) -> list[Any]:
    rows = content.get(side)
    if rows is not None and not isinstance(rows, list):
        raise PluginError(f"{path}: {side} must be a list of plugins, got {type(rows).__name__}")
    return rows or []


def _read_plugin(path: Path, side: str, row: Any) -> PluginSpec:
    where = f"{path}: {side}"
    if isinstance(row, str):
        spec = parse_spec(row)
        return PluginSpec(_resolved(path, spec), spec.values, spec.part, spec.name)
    if not isinstance(row, dict) or not all(key in _KEYS for key in row) or "plugin" not in row:
        raise PluginError(f"{where}: each plugin must be a text or have the keys {', '.join(_KEYS)}, got {row!r}")
    texts = {key: row.get(key, "") for key in ("plugin", "part", "name")}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise PluginError(f"{where}: {key} must be a text, got {text!r}")
    values = row.get("parameters") or {}
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise PluginError(f"{where}: parameters must be lines of `name: value`, got {values!r}")
    named = parse_spec(texts["plugin"])
    values = {**named.values, **{name: check_value(where, name, value) for name, value in values.items()}}
    return PluginSpec(_resolved(path, named), values, texts["part"] or named.part, texts["name"])


def _resolved(path: Path, spec: PluginSpec) -> str:
    """A file's path, seen from the chain's folder."""
    return str(path.parent / Path(spec.kind).expanduser()) if spec.is_file else spec.kind
