"""The models that there are by name: those that ship with the package, and those in the user's folder.

The user's folder is the platform's place for data (Linux: `~/.local/share/apollo-rt/models`), or what the environment
variable `APOLLO_RT_MODELS` names. A file put there is found by its name without `.onnx`, or by the name in its card.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from apollo_rt.errors import ModelFileError
from apollo_rt.inference.model_file import ModelCard, bundled_model_paths, default_model_path, read_card
from apollo_rt.own_folders import own_folder

ENVIRONMENT = "APOLLO_RT_MODELS"


class Entry(NamedTuple):
    """One model of the library.

    Attributes:
        place: whose it is.
        path: the file.
        card: what it says; None where it can't be read.
        error: why it can't be read, in one line.
    """

    place: Literal["user", "bundled"]
    path: Path
    card: ModelCard | None
    error: str


def user_folder() -> Path:
    """Folder of the user's models; it need not be there."""
    named = os.environ.get(ENVIRONMENT)
    return Path(named) if named else own_folder("data") / "models"


def list_models() -> list[Entry]:
    """All models that have a name, the user's first; unreadable ones are listed with the reason."""
    user = [_entry("user", path) for path in sorted(user_folder().glob("*.onnx"))]
    return user + [_entry("bundled", path) for path in bundled_model_paths()]


def find_model(model: str | os.PathLike[str] | None) -> Path:
    """The file that somebody means.

    Args:
        model: a path; or a name, which is a text without `.onnx` and separators that is not a file itself. None for
            the model that ships with the package.

    Raises:
        ModelFileError: no model, or more than one, has that name.
    """
    if model is None:
        return default_model_path()
    path = Path(model)
    if not isinstance(model, str) or path.suffix or len(path.parts) != 1 or path.exists():
        return path
    return _named(model)


def _named(name: str) -> Path:
    folders = (user_folder(), *dict.fromkeys(path.parent for path in bundled_model_paths()))
    for file in (folder / f"{name}.onnx" for folder in folders):
        if file.is_file():
            return file
    entries = list_models()
    paths = [entry.path for entry in entries if entry.card and entry.card.name == name]
    if len(paths) > 1:
        raise ModelFileError(f"{name}: {' and '.join(map(str, paths))} both have this name; give the file")
    if not paths:
        known = ", ".join(sorted({entry.path.stem for entry in entries})) or "none"
        raise ModelFileError(
            f"{name}: is neither a file nor the name of a model (known: {known}); `apollo-rt model list` shows them, "
            f"the folder for your own is {user_folder()}"
        )
    return paths[0]


def _entry(place: Literal["user", "bundled"], path: Path) -> Entry:
    """Entry of a file, kept as long as it stays the same: who lists the models again and again reads none twice."""
    try:
        status = path.stat()
    except OSError as error:
        return Entry(place, path, None, f"{path}: can't be read: {error.strerror}")
    return _kept_entry(place, path, (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino))


@lru_cache(maxsize=256)
def _kept_entry(place: Literal["user", "bundled"], path: Path, _: tuple[int, ...]) -> Entry:
    try:
        return Entry(place, path, read_card(path), "")
    except ModelFileError as error:
        return Entry(place, path, None, str(error))
