"""Messages of the control socket, as JSON.

    -> {"id": 1, "command": "set", "arguments": {"name": "mix", "value": 0.5}}
    <- {"id": 1, "ok": true, "result": {"name": "mix", "value": 0.5, ...}}
    <- {"id": 1, "ok": false, "error": "mix must be from 0 to 1, got 7"}
    <- {"topic": "meters", "data": {...}}                        what was subscribed to

Commands, their arguments and answers are those of the one table (`commands`); `id` is any text or number, or missing.
"""

import json
from dataclasses import dataclass
from typing import Any

from apollo_rt.control.arguments import shown

LONGEST_BYTES = 16_384
"""Of a message to us; none that makes sense is a tenth of that."""

Id = str | int | float | None


@dataclass(frozen=True)
class Request:
    """One message to us.

    Attributes:
        id: comes back with the answer.
        command: its name; not looked up yet.
        arguments: by name; not checked yet.
    """

    id: Id
    command: str
    arguments: dict[str, Any]


class BadMessageError(ValueError):
    """A message that is no request.

    Attributes:
        id: of the message, as far as it had one.
    """

    def __init__(self, text: str, id_: Id = None) -> None:
        super().__init__(text)
        self.id = id_


def parse_request(message: str | bytes) -> Request:
    """Read a message.

    Raises:
        BadMessageError: it is no request; what it asks for is not looked at.
    """
    if isinstance(message, bytes):
        raise BadMessageError("a message must be text, got bytes")
    try:
        content = json.loads(message, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadMessageError(f"a message must be JSON: {str(error)[:100]}") from None
    if not isinstance(content, dict):
        raise BadMessageError(f"a message must be an object, got {shown(content)}")
    id_ = content.get("id")
    if isinstance(id_, bool) or not isinstance(id_, Id) or len(str(id_)) > 100:
        raise BadMessageError(f"id must be a number or a text of at most 100 characters, got {shown(id_)}")
    unknown = content.keys() - {"id", "command", "arguments"}
    if unknown:
        raise BadMessageError(f"a message has id, command and arguments, got {shown(sorted(unknown)[0])}", id_)
    command, arguments = content.get("command"), content.get("arguments")
    if not isinstance(command, str):
        raise BadMessageError(f"command must be a text, got {shown(command)}", id_)
    if not isinstance(arguments, dict | None):
        raise BadMessageError(f"arguments must be an object, got {shown(arguments)}", id_)
    return Request(id_, command, arguments or {})


def answer(id_: Id, result: dict[str, Any]) -> str:
    """Message that is sent back where all went well."""
    return json.dumps({"id": id_, "ok": True, "result": result}, allow_nan=False)


def refusal(id_: Id, error: str) -> str:
    """Message that is sent back otherwise."""
    return json.dumps({"id": id_, "ok": False, "error": error})


def news(topic: str, data: dict[str, Any]) -> str:
    """Message to who subscribed."""
    return json.dumps({"topic": topic, "data": data}, allow_nan=False)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")
