"""A station that is asked again: what it had sent already is left out, but not waited for."""

import time

from apollo_rt.network.stream import NetworkStream
from apollo_rt.radio.continued_stream import ContinuedStream
from tests.doubles.encoded_files import noise
from tests.doubles.radio_server import RadioServer, said

BROKEN_OFF_AT = 60_000
DATA = (127 * noise(100_000, 1)).astype("int8").tobytes()


def slowly(connection, _):
    """As a station sends, which begins its programme anew: no faster than it plays."""
    said(b"")(connection, "")
    for at in range(0, len(DATA), 1000):
        connection.sendall(DATA[at : at + 1000])
        time.sleep(0.05)


def read_all(stream: ContinuedStream) -> bytes:
    parts = []
    while part := stream.read(4096):
        parts.append(part)
    return b"".join(parts)


def asked_again(server: RadioServer, patience_s: float) -> ContinuedStream:
    return ContinuedStream(lambda: NetworkStream(server.url()), patience_s=patience_s, give_up_s=0.5)


def test_a_programme_that_begins_anew_is_handed_on_from_its_beginning_and_not_waited_for():
    with RadioServer(live=[said(DATA[:BROKEN_OFF_AT]), slowly]) as server:
        stream = asked_again(server, patience_s=0.3)
        assert read_all(stream) == DATA[:BROKEN_OFF_AT]
        follower, head = stream.take_follower()
        assert 1024 <= len(head) < BROKEN_OFF_AT
        assert DATA.startswith(head)
        part = follower.read(100)
        assert part
        assert DATA[len(head) :].startswith(part)
        assert (stream.reconnections, stream.n_dropped) == (1, 0)
        stream.close()


def test_what_comes_again_in_time_is_left_out():
    with RadioServer(live=[said(DATA[:BROKEN_OFF_AT]), slowly, said(b"", "404 Gone")]) as server:
        stream = asked_again(server, patience_s=600.0)
        assert read_all(stream) == DATA
        assert stream.take_follower() is None
        assert (stream.reconnections, stream.n_dropped) == (1, BROKEN_OFF_AT)
