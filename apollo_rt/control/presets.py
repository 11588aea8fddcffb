"""Presets: named sets of parameter values, one YAML file each, in the user's folder or wherever a file lies.

    # 24 kbps radio
    mix: 0.8

A parameter that a file doesn't name takes its default, so a preset sounds the same whatever came before it. Switches
(bypass, delta) tell how one listens: they stay as they are unless a file names them, and are not saved. What a file
says of a plugin (`limiter.threshold_db: -3`) rests in a run without that plugin, which is told, and is kept.
"""

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from apollo_rt.control.arguments import shown
from apollo_rt.control.parameter_row import Parameter
from apollo_rt.control.yaml_file import read_mapping, write_mapping
from apollo_rt.errors import ControlError
from apollo_rt.own_folders import own_folder

_SUFFIXES = (".yaml", ".yml")
_NAME = re.compile(r"\w(?:[\w .()+&'-]{0,62}[\w)+])?")
"""Names that are a file's name on every system, and nothing but one."""

_Watched = tuple[Path, tuple[int, int, int] | None]
"""A file, and the version of it that was read."""


def preset_folder() -> Path:
    """Folder of the user's presets."""
    return own_folder("config") / "presets"


def read_preset(path: Path, rows: Sequence[Parameter]) -> tuple[dict[str, float], dict[str, float]]:
    """Read a preset's values.

    Args:
        path: of the file.
        rows: the parameters there are.

    Returns:
        A value for each parameter that is to be set; what rests, of plugins that there aren't.

    Raises:
        ControlError: it can't be read, or names what there isn't, or a value is out of bounds.
    """
    known = {row.name: row for row in rows}
    values, resting = {row.name: row.default for row in rows if not row.is_switch}, {}
    for name, value in read_mapping(path).items():
        is_resting = _is_of_an_absent_plugin(name, known)
        if name not in known and not is_resting:
            raise ControlError(f"{path}: parameter must be one of {', '.join(known)}, got {shown(name)}")
        if not isinstance(value, int | float):
            raise ControlError(f"{path}: {name} must be a number, got {shown(value)}")
        if is_resting:
            resting[name] = value
            continue
        try:
            values[name] = known[name].check(value)
        except (ValueError, OverflowError) as error:
            raise ControlError(f"{path}: {error}") from None
    return values, resting


def _is_of_an_absent_plugin(name: Any, known: Iterable[str]) -> bool:
    """Whether it is called as a plugin's parameter is, `plugin.parameter`, and no such plugin is there."""
    plugin, point, _ = str(name).partition(".")
    return bool(plugin and point) and not any(other.startswith(f"{plugin}.") for other in known)


class Presets:
    """The presets of a folder, and the one that is heard.

    Args:
        rows: the parameters there are.
        get: tells a parameter's value.
        set_value: changes a parameter.
        folder: where the files lie; it needs not exist. None: `preset_folder`.
        changing: held while the values of a preset are set, and never while a disk is asked. None: one of its own.

    Attributes:
        current: name, or file, of the preset that was loaded or saved last.
        resting: what the one that was loaded last names of plugins that aren't there.
    """

    def __init__(
        self,
        rows: Callable[[], Sequence[Parameter]],
        get: Callable[[str], float],
        set_value: Callable[[str, float], None],
        folder: Path | None = None,
        changing: AbstractContextManager[object] | None = None,
    ) -> None:
        self.current: str | None = None
        self.resting: tuple[str, ...] = ()
        self._notes: list[str] = []
        self._rows, self._get, self._set = rows, get, set_value
        self._folder = folder or preset_folder()
        self._watched: _Watched | None = None
        self._changing = changing or threading.RLock()
        self._saving = threading.Lock()

    def names(self) -> list[str]:
        """The presets there are, in alphabetical order."""
        try:
            found = [path for path in self._folder.iterdir() if path.suffix in _SUFFIXES]
        except OSError:  # no preset was ever saved
            return []
        return sorted({path.stem for path in found if _NAME.fullmatch(path.stem)}, key=str.casefold)

    def load(self, name: str) -> None:
        """Take a preset's values; each parameter glides to its new value in the audio path.

        Args:
            name: of a preset.

        Raises:
            ControlError: it is missing or bad; nothing changes then.
        """
        self.load_file(self._path(name), name)

    def load_file(self, path: Path, name: str | None = None) -> None:
        """As `load`, from a file wherever it lies."""
        version = _version(path)
        values, resting = read_preset(path, self._rows())
        with self._changing:
            self._take(values, resting, name or str(path), (path, version))

    def _take(self, values: dict[str, float], resting: dict[str, float], name: str, watched: _Watched) -> None:
        """Set the values of a preset that was read."""
        for parameter, value in values.items():
            self._set(parameter, value)
        self.current, self._watched = name, watched
        self.resting = tuple(resting)
        if resting:
            self._notes.append(f"preset {name}: no such plugin in this run, skipped: {', '.join(resting)}")

    def save(self, name: str) -> None:
        """Keep the present values, in place of a preset of that name; what it says of absent plugins stays.

        Raises:
            ControlError: it can't be written.
        """
        path = self._path(name)
        rows = self._rows()
        values = {row.name: self._get(row.name) for row in rows if not row.is_switch}
        with self._saving:
            write_mapping(path, values | _resting(path, rows), f"Apollo RT preset: {name}")
            version = _version(path)
        with self._changing:
            self.current, self._watched = name, (path, version)

    def delete(self, name: str) -> None:
        """Remove a preset; what is heard stays.

        Raises:
            ControlError: there is none, or it can't be removed.
        """
        path = self._path(name)
        if name not in self.names():
            raise ControlError(f"{path}: no such preset; there are {_listed(self.names())}")
        try:
            path.unlink()
        except OSError as error:
            raise ControlError(f"{path}: can't be removed: {error.strerror}") from None
        with self._changing:
            if self.current == name:
                self.current = self._watched = None

    def poll(self) -> list[str]:
        """Load the current preset again where its file has changed; returns what a user should know."""
        self._load_if_changed()
        with self._changing:
            notes, self._notes = self._notes, []
        return notes

    def _load_if_changed(self) -> None:
        watched = self._watched
        if watched is None:
            return
        path, before = watched
        now = _version(path)
        if now in (before, None):  # editors take a file away for a moment; who removes it keeps what is heard
            return
        try:
            values, resting = read_preset(path, self._rows())
        except ControlError as error:
            with self._changing:
                self._watched = (path, now)
                self._notes.append(f"{error}; the values from before are kept")
            return
        with self._changing:
            if self._watched == watched:  # nobody chose another one meanwhile
                self._take(values, resting, self.current or str(path), (path, now))

    def _path(self, name: str) -> Path:
        """Path of a preset of that name, there or not.

        Raises:
            ControlError: the name is no name for a file.
        """
        if not _NAME.fullmatch(name):
            raise ControlError(
                "a preset's name must be 1 to 64 letters, digits, spaces and _.()+&'-, beginning and ending with "
                f"a letter or digit, got {shown(name)}"
            )
        paths = [self._folder / f"{name}{suffix}" for suffix in _SUFFIXES]
        return next((path for path in paths if path.exists()), paths[0])


def open_preset(presets: Presets, wanted: str) -> None:
    """Load a preset by its name, or a file by its path.

    Args:
        presets: where names are looked up.
        wanted: a path if it ends as a YAML file does or has a folder in it.

    Raises:
        ControlError: it is missing or bad; nothing changes then.
    """
    path = Path(wanted)
    if path.suffix in _SUFFIXES or len(path.parts) > 1:
        presets.load_file(path)
    elif wanted in presets.names():
        presets.load(wanted)
    else:
        raise ControlError(f"preset must be a file or one of {_listed(presets.names())}, got {shown(wanted)}")


def _resting(path: Path, rows: Sequence[Parameter]) -> dict[str, float]:
    """Values that a preset to be replaced has of plugins that aren't there; none if it is no preset."""
    try:
        return read_preset(path, rows)[1] if path.exists() else {}
    except ControlError:
        return {}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none yet: save one"


def _version(path: Path) -> tuple[int, int, int] | None:
    """Version of a file, which changes with its content; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
