"""A control client runs commands in a live run on this machine, from a program or a shortcut of the desktop.

The newest run of this user, found by what it announced:

    with ControlClient.of_newest_run() as run:
        run.run("toggle", name="bypass")
        load_percent = run.run("stats")["load_percent"]
"""

import hmac
import http.client
import json
import secrets
from contextlib import ExitStack
from typing import Any, Self

from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.sync.client import connect

from apollo_rt.control.socket.access import Access
from apollo_rt.control.socket.announced_runs import announced_runs
from apollo_rt.errors import ControlError

_HOST = "127.0.0.1"


class ControlClient:
    """Runs commands, one after the other, until it is closed.

    Args:
        port: of the control socket.
        token: that the run wants to see; it is shown to nobody who doesn't prove that he knows it.
        timeout_s: seconds to wait for an answer.

    Raises:
        ControlError: nobody listens there, another program does, or the token is a wrong one.
    """

    def __init__(self, port: int, token: str, timeout_s: float = 10.0) -> None:
        self._timeout_s, self._n_asked, self._stack = timeout_s, 0, ExitStack()
        where = f"{_HOST}:{port}"
        if not _is_ours(port, token, timeout_s):
            raise ControlError(f"control: who listens at {where} doesn't know the token: another run, or none of ours")
        try:
            self._socket = self._stack.enter_context(
                connect(
                    f"ws://{where}/control", additional_headers={"Authorization": f"Bearer {token}"}, proxy=None,
                    open_timeout=timeout_s, close_timeout=1.0,
                )
            )  # fmt: skip
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise ControlError(f"control: {where} refuses: {error}") from None

    @classmethod
    def of_newest_run(cls, port: int | None = None, timeout_s: float = 10.0) -> Self:
        """Connect to the run of this user that began last.

        Args:
            port: of the one that is meant, where there are several.
            timeout_s: seconds to wait for an answer.

        Raises:
            ControlError: none can be reached.
        """
        reason = ""
        for run in announced_runs():
            if port in (None, run.port):
                try:
                    return cls(run.port, run.token, timeout_s)
                except ControlError as error:
                    reason = f" ({error})"
        which = "no live run" if port is None else f"no live run at port {port}"
        raise ControlError(f"{which} can be controlled{reason}; start one with `apollo-rt live --control`")

    def run(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Run a command of the table in `control.commands`.

        Args:
            command: its name.
            arguments: by name.

        Returns:
            What it answers.

        Raises:
            ControlError: it is refused, or the run has ended; the message is the run's.
        """
        self._n_asked += 1
        try:
            self._socket.send(json.dumps({"id": self._n_asked, "command": command, "arguments": arguments}))
            reply = json.loads(self._socket.recv(self._timeout_s))
        except TimeoutError:
            raise ControlError(f"control: no answer to {command} within {self._timeout_s:g} s") from None
        except (OSError, WebSocketException):
            raise ControlError("control: the run has ended") from None
        if not reply["ok"]:
            raise ControlError(str(reply["error"]))
        result: dict[str, Any] = reply["result"]
        return result

    def close(self) -> None:
        """Go; the run goes on."""
        self._stack.close()

    def __enter__(self) -> Self:
        """Close at the end of a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _is_ours(port: int, token: str, timeout_s: float) -> bool:
    """Whether who listens proves that he knows the token.

    Raises:
        ControlError: nobody listens.
    """
    nonce = secrets.token_hex(16)
    asked = http.client.HTTPConnection(_HOST, port, timeout=timeout_s)
    try:
        asked.request("GET", f"/proof?nonce={nonce}")
        proof = asked.getresponse().read(256).decode("ascii", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        raise ControlError(f"control: nobody answers at {_HOST}:{port}: {error}") from None
    finally:
        asked.close()
    return hmac.compare_digest(proof.encode(), (Access(token, port).proof(nonce) or "").encode())
