"""Access to the control socket: a token that only the user knows, and pages that came from here.

Loopback is not private: every program of every user of the machine can reach it, and so can every page that a browser
shows. A page is told by its origin, and a foreign name that was made to lead here (DNS rebinding) by the host.
"""

import hashlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path

from apollo_rt.errors import ControlError
from apollo_rt.regular_file import open_regular

LEAST_TOKEN_LENGTH = 16
_LONGEST_FILE_BYTES = 4096
_NAMES = ("127.0.0.1", "localhost")
_NONCE = re.compile(r"[0-9a-f]{32,128}")
_ROUNDS = 100_000
"""Of PBKDF2: who has heard a proof and guesses a user's own token needs so long for each guess."""


def make_token() -> str:
    """A token that can't be guessed: 24 random bytes."""
    return secrets.token_urlsafe(24)


def check_token(token: str) -> str:
    """Give a user's token back.

    Raises:
        ControlError: it is too short, or no plain ASCII without spaces.
    """
    if len(token) < LEAST_TOKEN_LENGTH or not token.isascii() or not token.isprintable() or " " in token:
        raise ControlError(
            f"control token must be {LEAST_TOKEN_LENGTH} or more ASCII characters without spaces, got {len(token)}"
        )
    return token


def token_from_file(path: Path) -> str:
    """The token that a file holds; a file that is missing is made, with a new one, for its owner alone.

    Raises:
        ControlError: it can't be read or made, others may read it, or what it holds is no token.
    """
    try:
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(make_token() + "\n")
        with open_regular(path) as opened:
            # On Windows the owner's folder is what protects; mode bits say nothing there.
            if os.name == "posix" and os.fstat(opened.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ControlError(f"{path}: others may read this token; run `chmod 600 {path}`")
            text = opened.read(_LONGEST_FILE_BYTES).decode("ascii").strip()
    except OSError as error:
        raise ControlError(f"{path}: the token can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ControlError(f"{path}: holds no token: not ASCII") from None
    try:
        return check_token(text)
    except ControlError as error:
        raise ControlError(f"{path}: {error}") from None


class Access:
    """Decides about a request by its headers.

    Args:
        token: what has to be shown.
        port: that is listened to.
    """

    def __init__(self, token: str, port: int) -> None:
        self._token, self._port = token.encode(), port
        self._key = hashlib.pbkdf2_hmac("sha256", self._token, b"apollo-rt control", _ROUNDS)
        self._hosts = {f"{name}:{port}" for name in _NAMES}
        self.origins = [f"http://{host}" for host in sorted(self._hosts)]

    def is_ours(self, host: str | None) -> bool:
        """Whether a request was meant for us: its `Host` is loopback with our port."""
        return host in self._hosts

    def proof(self, nonce: str) -> str | None:
        """Proof that only who knows the token can give: shown to clients before they show theirs.

        Args:
            nonce: 32 to 128 hexadecimal digits of the client's choice, a new one each time.

        Returns:
            Hexadecimal digits of HMAC-SHA-256 (RFC 2104) over `apollo-rt PORT NONCE`; its key is made of the token
            with PBKDF2 (RFC 8018). None: that is no nonce.
        """
        if not _NONCE.fullmatch(nonce):
            return None
        return hmac.new(self._key, f"apollo-rt {self._port} {nonce}".encode(), "sha256").hexdigest()

    def has_token(self, shown: str | None) -> bool:
        """Whether a token is the right one; takes as long for a wrong one."""
        return secrets.compare_digest((shown or "").encode("utf-8", "replace"), self._token)
