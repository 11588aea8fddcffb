"""A station that is asked again: what it had sent already is left out, but not waited for."""

import time

import pytest

from apollo_rt.network.continued_stream import ContinuedStream
from apollo_rt.network.stream import NetworkStream
from tests.doubles.encoded_files import noise
from tests.doubles.radio_server import Answer, RadioServer, said

BROKEN_OFF_AT = 60_000
DATA = (127 * noise(100_000, 1)).astype("int8").tobytes()


def slowly(connection, _):
    """As a station sends, which begins its programme anew: no faster than it plays."""
    said(b"")(connection, "")
    for at in range(0, len(DATA), 1000):
        connection.sendall(DATA[at : at + 1000])
        time.sleep(0.05)


def chunked(data: bytes) -> Answer:
    """As servers send what they don't know the length of, with an end."""
    parts = [data[at : at + 50_000] for at in range(0, len(data), 50_000)] + [b""]
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return said(body, start="HTTP/1.1", Transfer_Encoding="chunked")


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


@pytest.mark.parametrize(
    "answer",
    [said(DATA), said(DATA, Content_Length=len(DATA) + 1), chunked(DATA)],
    ids=["no length", "a false length", "chunks"],
)
def test_what_ends_at_the_same_place_again_and_again_has_ended_there(answer):
    with RadioServer(live=answer) as server:
        stream = ContinuedStream(lambda: NetworkStream(server.url()), give_up_s=1e9)
        assert read_all(stream) == DATA
        assert (stream.error, stream.take_follower()) == (None, None)
        assert len(server.requests) <= 3


def test_a_long_file_in_chunks_is_not_begun_anew():
    """Longer than what is kept of it."""
    data = (127 * noise(1_400_000, 2)).astype("int8").tobytes()
    with RadioServer(live=chunked(data)) as server:
        stream = ContinuedStream(lambda: NetworkStream(server.url()), give_up_s=1e9)
        assert read_all(stream) == data
        assert (stream.error, stream.take_follower()) == (None, None)


def test_a_station_that_sends_nothing_new_is_asked_ever_more_rarely_and_given_up(monkeypatch):
    """Its server has a burst still, and no source any more."""
    pauses = []
    with RadioServer(live=[said(DATA, icy_metaint=10**6), said(DATA[20_000:], icy_metaint=10**6)]) as server:
        stream = ContinuedStream(lambda: NetworkStream(server.url()), give_up_s=2.0)
        monkeypatch.setattr(stream._stopping, "wait", lambda pause_s: pauses.append(pause_s) or time.sleep(pause_s))
        assert read_all(stream) == DATA
    assert pauses[:3] == [0.0, 0.25, 0.5]
    assert set(pauses[3:]) <= {0.5}
    assert str(stream.error) == f"{server.url()}: the server ended it"


def test_a_station_goes_on_though_it_sent_nothing_new_at_first():
    answers = [said(DATA[:BROKEN_OFF_AT], icy_metaint=10**6)] * 4 + [said(DATA, icy_metaint=10**6)]
    with RadioServer(live=[*answers, said(b"", "404 Gone")]) as server:
        assert read_all(ContinuedStream(lambda: NetworkStream(server.url()), give_up_s=3.0)) == DATA
