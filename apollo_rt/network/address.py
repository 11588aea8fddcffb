"""Addresses lead to streams, `http://` and `https://`; what is shown of one holds no secret."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from apollo_rt.errors import NetworkError

_SCHEMES = ("http", "https")
_LONGEST = 8192
_MARK = "://"
_BARE = re.compile(r"(localhost|[\w-]+(\.[\w-]+)*\.[a-z]{2,}|\d+(\.\d+){3})(:\d+)?/", re.IGNORECASE)


@dataclass(frozen=True, repr=False)
class Address:
    """Address of a stream, which stands where a file's path could: as text it is what may be shown.

    Attributes:
        url: as the user named it, secrets included.
    """

    url: str

    def __str__(self) -> str:
        """Without secrets."""
        return shown(self.url)

    def __repr__(self) -> str:
        """The same, since reports that hold it are printed."""
        return f"Address({str(self)!r})"

    @property
    def name(self) -> str:
        """Last part of its path; the server where there is none."""
        return urlsplit(str(self)).path.rpartition("/")[2] or str(self)

    @property
    def suffix(self) -> str:
        """As a file's; empty where it has none."""
        name = self.name
        return "." + name.rpartition(".")[2] if "." in name and "/" not in name else ""


def place_of(name: "str | os.PathLike[str] | Address") -> "Path | Address":
    """Place that a name leads to: an address where it has `://`, a file else."""
    if isinstance(name, Address):
        return name
    return Address(os.fspath(name)) if is_address(name) else Path(name)


def is_address(name: str | os.PathLike[str]) -> bool:
    """Whether a name is an address and no file: files have no `://`, whatever other colons they have."""
    return _MARK in os.fspath(name)


def lacks_scheme(name: str) -> bool:
    """Whether a name that is no file looks like an address without its beginning: `radio.example.com:8000/live`."""
    return _BARE.match(name) is not None


def shown(url: str) -> str:
    """An address without name, password and query, for every message, screen and figure.

    What stands before an @ may be a password with a / ? or # in it that should have been quoted: of such an address no
    more is shown than what follows.
    """
    scheme, mark, rest = url.partition(_MARK)
    place, _, query = rest.replace("#", "?").partition("?")
    server, _, path = place.partition("/")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # what looks like a port is the password
        place, query = rest, ""
    else:
        if "@" not in path + query or (server and not set(server) & set(":@")):
            return urlunsplit(SplitResult(parts.scheme, _host_of(parts), parts.path, "..." if parts.query else "", ""))
    behind = place.rpartition("@")[2].replace("#", "?").partition("?")[0]
    if "@" in query:
        return f"{scheme}{mark}..."
    return f"{scheme}{mark}...@{behind}" if "@" in place else f"{scheme}{mark}{behind}"


def checked(url: str) -> SplitResult:
    """The parts of an address that can be asked.

    Raises:
        NetworkError: it is none.
    """
    try:
        parts = urlsplit(url.strip().replace(" ", "%20"))
    except ValueError as error:
        raise NetworkError(f"{shown(url)}: is no address: {error}") from None
    try:
        _ = parts.port
    except ValueError:  # its own words would tell a password that has such a letter in it
        raise NetworkError(
            f"{shown(url)}: is no address: its port is no number from 0 to 65535; of a name or password write "
            "/ as %2F, ? as %3F, # as %23, @ as %40"
        ) from None
    if parts.scheme not in _SCHEMES:
        raise NetworkError(f"{shown(url)}: only addresses that begin with http:// or https:// can be read")
    if not parts.hostname or len(url) > _LONGEST or any(ord(letter) < 32 for letter in url):
        raise NetworkError(f"{shown(url)}: is no address: it names no server, is too long, or has line breaks in it")
    return parts


def led_to(url: str, target: str) -> str:
    """Address that a server or playlist leads to, which it may say relative to its own.

    Name and password go along to the same server, and to no other.

    Raises:
        NetworkError: that is no address of a server: a local file, say.
    """
    try:
        found = urljoin(url, target.strip())
    except ValueError as error:
        raise NetworkError(f"{shown(url)}: leads to no address: {error}") from None
    try:
        parts = checked(found)
    except NetworkError as error:
        raise NetworkError(f"{shown(url)}: leads to what can't be read: {error}") from None
    credentials, at, _ = urlsplit(url).netloc.rpartition("@")
    if at and not parts.username and same_server(url, found):
        return found.replace(_MARK, f"{_MARK}{credentials}@", 1)
    return found


def same_server(one: str, other: str) -> bool:
    """Whether both lead to one server, so that one's password is for the other, too."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.hostname, first.port) == (second.scheme, second.hostname, second.port)


def _host_of(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]
