"""A served file comes whole, over as many connections as that takes, or not at all."""

from apollo_rt.errors import NetworkError
from apollo_rt.network.address import shown
from apollo_rt.network.continued_stream import ContinuedStream
from apollo_rt.network.stream import NetworkStream

_GIVE_UP_S = 60.0


class ServedFile:
    """Bytes of a file whose length its server says.

    Args:
        url: of it.
        stream: its first connection.
    """

    def __init__(self, url: str, stream: NetworkStream) -> None:
        """Nothing is read yet."""
        self._url = url
        self._stream = ContinuedStream(lambda: NetworkStream(url), stream, give_up_s=_GIVE_UP_S)

    def read(self, n_bytes: int) -> bytes:
        """Bytes that have come, or come next; none at the end.

        Raises:
            NetworkError: it ends before its end, or was replaced by another.
        """
        part = self._stream.read(n_bytes)
        if part or self._stream.is_closed or self._stream.stream.is_complete:
            return part
        if self._stream.error:
            raise self._stream.error
        how = (
            "was replaced by another while it was read" if self._stream.follower else "is shorter than its server says"
        )
        raise NetworkError(f"{shown(self._url)}: {how}")

    def close(self) -> None:
        """Hang up; a read that waits in another thread ends."""
        self._stream.close()
