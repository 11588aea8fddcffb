"""Of what kind a clip is, as the published tables have it: from a list beside the clips, or from names."""

import json
from pathlib import Path

KINDS = ("vocal", "single stem", "multi-stem", "multi + vocal")
UNKNOWN = "unknown"
LIST_NAME = "kinds.json"
"""A file in the folder of clips: {"a file's or folder's name, or its beginning": "kind", ...}."""

_BY_NAME = {
    "vocal": ("vocal", "vocals"),
    "single stem": ("drums", "bass", "other", "guitar", "piano", "strings", "keys", "percussion", "other_keys", "wind"),
    "multi-stem": ("multi", "multi-stem", "accompaniment", "instrumental"),
    "multi + vocal": ("mixture", "multi + vocal", "multi-vocal"),
}
"""File and folder names of MUSDB18-HQ and MoisesDB, and the kinds' own."""

_OPEN_SET = dict.fromkeys(("Saber-", "Thomasso-", "Momo64-", "Settel-", "Jousboxx-", "EsoXLB-", "hr3-"), "multi-stem")
"""The project's own evaluation set: songs for several instruments, none of them sung."""


def read_list(folder: Path) -> dict[str, str]:
    """The list beside the clips, if there is one.

    Raises:
        ValueError: it is not a list of known kinds; the message names the file.
    """
    path = folder / LIST_NAME
    if not path.is_file():
        return {}
    try:
        listed = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: is no JSON: {error}") from None
    if not isinstance(listed, dict) or not all(kind in KINDS for kind in listed.values()):
        raise ValueError(f"{path}: must hold an object of names, each with one of {', '.join(KINDS)}")
    return listed


def kind_of(clip: Path, listed: dict[str, str]) -> str:
    """Say what a clip is.

    Args:
        clip: its path below the folder of clips, such as `song/vocals.wav`.
        listed: from `read_list`; the longest name that the path or a part of it begins with decides.

    Returns:
        One of `KINDS`; where the list doesn't know, what the file's name (to `__`, if it has one) or else that of its
        folder says; else `unknown`.
    """
    parts = clip.with_suffix("").parts
    listed = _OPEN_SET | listed
    found = [name for name in listed if any(part.startswith(name) for part in (clip.as_posix(), *parts))]
    if found:
        return listed[max(found, key=len)]
    for part in reversed(parts):
        name = part.partition("__")[0].lower()
        for kind, names in _BY_NAME.items():
            if name in names:
                return kind
    return UNKNOWN
