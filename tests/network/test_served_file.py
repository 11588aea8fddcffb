"""A file from a server is had whole, or not at all."""

import pytest

from apollo_rt.errors import AudioFileError
from apollo_rt.files.source_file import SourceFile
from apollo_rt.network.address import Address
from tests.doubles.encoded_files import noise
from tests.doubles.radio_server import RadioServer, said

DATA = (127 * noise(100_000, 1)).astype("int8").tobytes()


def read_all(server: RadioServer) -> bytes:
    file, parts = SourceFile(Address(server.url("a.mp3"))), []
    while part := file.read(4096):
        parts.append(part)
    file.close()
    return b"".join(parts)


def announced(n_sent: int) -> object:
    return said(DATA[:n_sent], Content_Length=len(DATA))


def test_it_is_asked_for_again_where_it_breaks_off():
    with RadioServer(a_mp3=[announced(50_000), announced(0), said(b"", "503 Busy"), announced(len(DATA))]) as server:
        assert read_all(server) == DATA


def test_less_than_its_server_says_is_an_error_and_no_shorter_file():
    with (
        RadioServer(a_mp3=announced(50_000)) as server,
        pytest.raises(AudioFileError, match=r"/a\.mp3: is shorter than its server says"),
    ):
        read_all(server)


def test_another_file_in_its_place_is_an_error_and_no_patchwork():
    other = said(DATA[::-1], Content_Length=len(DATA))
    with (
        RadioServer(a_mp3=[announced(50_000), other]) as server,
        pytest.raises(AudioFileError, match="was replaced by another"),
    ):
        read_all(server)


def test_chunks_without_their_end_are_an_error():
    body = b"%x\r\n%s\r\n" % (50_000, DATA[:50_000])
    with (
        RadioServer(a_mp3=said(body + b"100\r\n", start="HTTP/1.1", Transfer_Encoding="chunked")) as server,
        pytest.raises(AudioFileError, match="broke off in the middle of a chunk"),
    ):
        read_all(server)
