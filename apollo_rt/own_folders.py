"""Own folders keep what is a user's: settings, models, what was made once and is used again."""

import os
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path, user_config_path, user_data_path

_KINDS = {"cache": user_cache_path, "config": user_config_path, "data": user_data_path}


def own_folder(kind: Literal["cache", "config", "data"]) -> Path:
    """Name the folder of one kind; it needs not exist.

    Returns:
        An absolute path. For a user without a home it leads to nothing: nothing is found there, and who writes there
        is told so, while the system's own answer, `~/.config`, would be a folder of that name wherever we stand.
    """
    folder = _KINDS[kind]("apollo-rt", appauthor=False)
    return folder if folder.is_absolute() else Path(os.devnull) / "no home" / "apollo-rt"
