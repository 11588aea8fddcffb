"""A file is downloaded whole, over a connection on which nobody can change it, and bounded in size."""

from typing import BinaryIO
from urllib.parse import urlsplit

from apollo_rt.errors import NetworkError
from apollo_rt.network.address import shown
from apollo_rt.network.http import Answer

_CHUNK_BYTES = 1 << 20
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def download(url: str, file: BinaryIO, most_bytes: int) -> None:
    """Write all that an address leads to into a file.

    Args:
        url: `https://`; `http://` to this machine alone.
        file: opened for writing.
        most_bytes: what it may be at most, checked before and while it comes.

    Raises:
        NetworkError: the address, or where it is redirected, isn't secure; the server refuses, breaks off or sends
            more.
        OSError: the file can't be written.
    """
    _refuse_insecure(url)
    answer = Answer(url)
    try:
        _refuse_insecure(answer.url)
        if (answer.length or 0) > most_bytes:
            raise NetworkError(f"{shown(url)}: has {answer.length} bytes, at most {most_bytes} are taken")
        n_bytes = 0
        while part := answer.read(_CHUNK_BYTES):
            n_bytes += len(part)
            if n_bytes > most_bytes:
                raise NetworkError(
                    f"{shown(url)}: sends more than {most_bytes} bytes, which are the most that are taken"
                )
            file.write(part)
        if not (answer.is_complete or answer.has_last_chunk):
            raise NetworkError(f"{shown(url)}: broke off after {n_bytes} bytes")
    finally:
        answer.close()


def _refuse_insecure(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _THIS_MACHINE:
        raise NetworkError(
            f"{shown(url)}: models are fetched over https:// only, so that nobody changes them on the way"
        )
