"""Small YAML files that people write, too: read with errors that say where, written whole or not at all."""

from pathlib import Path
from typing import Any

import yaml

from apollo_rt.atomic_file import write_whole
from apollo_rt.errors import ControlError
from apollo_rt.regular_file import read_regular

_LONGEST_BYTES = 65_536
"""Far more than any of our files needs; a file that was named by mistake isn't read to its end."""

_MOST_ALIASES = 16
"""Aliases of what itself holds aliases multiply: each some bytes in the file, ten times as much once it is read. So
many make 3 ^ (16 / 3), 340 times as much, at most."""


class _StrictLoader(yaml.SafeLoader):
    """As YAML's safe loader, but what is said twice is an error: PyYAML would take the later one without a word."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node; of those that only repeat another, not too many."""
        if self.check_event(yaml.AliasEvent):
            self._n_aliases = getattr(self, "_n_aliases", 0) + 1
            if self._n_aliases > _MOST_ALIASES:
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
                raise yaml.composer.ComposerError(None, None, f"more than {_MOST_ALIASES} aliases", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are different."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is said twice", key_node.start_mark)
            seen.add(key if isinstance(key, str | int | float) else id(key_node))
        return super().construct_mapping(node, deep)


def read_mapping(path: Path) -> dict[Any, Any]:
    """Read a file that holds one mapping; an empty file holds an empty one.

    Raises:
        ControlError: it can't be read, or holds something else; the message names file and line.
    """
    try:
        data = read_regular(path, _LONGEST_BYTES + 1)
    except OSError as error:
        raise ControlError(f"{path}: can't be read: {error.strerror}") from None
    if len(data) > _LONGEST_BYTES:
        raise ControlError(f"{path}: is longer than {_LONGEST_BYTES} bytes; not a file of ours")
    try:
        content = yaml.load(data, _StrictLoader)  # noqa: S506  # a safe loader, see above
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}:" if mark else ""
        raise ControlError(f"{path}:{where} no YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ControlError(f"{path}: no YAML: {str(error).splitlines()[0]}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ControlError(f"{path}: must be lines of `name: value`, got {type(content).__name__}")
    return content


def key_lines(path: Path) -> dict[str, int]:
    """Lines on which the keys of a file's mapping stand, by key, the first is 1; of a file that `read_mapping` took."""
    root = yaml.compose(read_regular(path, _LONGEST_BYTES), yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return {str(key.value): key.start_mark.line + 1 for key, _ in pairs}


def yaml_text(content: Any) -> str:
    """Text of plain values in YAML, in their order."""
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def write_mapping(path: Path, content: dict[str, Any], comment: str) -> None:
    """Write a file whole or not at all; its folder is made where it is missing.

    Args:
        path: an existing file is replaced.
        content: what it shall hold.
        comment: its first line.

    Raises:
        ControlError: it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"# {comment}\n{yaml_text(content)}")
    except OSError as error:
        raise ControlError(f"{path}: can't be written: {error.strerror}") from None
