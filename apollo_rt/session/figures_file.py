"""The figures of a run in a file: refused before an hour of music, written at its end."""

import json
import os
from pathlib import Path

from apollo_rt.atomic_file import write_whole
from apollo_rt.errors import ApolloError
from apollo_rt.existing import refuse_existing
from apollo_rt.file_names import refuse_irregular
from apollo_rt.live.monitoring.snapshot import Snapshot


def refuse_unwritable(path: Path, overwrite: bool) -> None:
    """Refuse a file that can't be written at the end.

    Raises:
        ApolloError: it is there already, or can't be written.
    """
    refuse_existing(path, overwrite)
    try:
        refuse_irregular(path)
    except OSError as error:
        raise ApolloError(f"{path}: can't be written: {error.strerror}") from None
    if not os.access(path.parent, os.W_OK):
        raise ApolloError(f"{path}: can't be written")


def write_figures(path: Path, about: dict[str, str | int], snapshot: Snapshot) -> None:
    """Write them as JSON, whole or not at all.

    Args:
        path: replaced where it is there.
        about: what the figures are of.
        snapshot: the last.

    Raises:
        ApolloError: it can't be written.
    """
    try:
        write_whole(path, json.dumps({**about, **snapshot.to_dict()}, indent=2) + "\n")
    except OSError as error:
        raise ApolloError(f"{path}: can't be written: {error.strerror}") from None
