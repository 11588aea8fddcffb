"""Addresses, answers and playlists, as good and as bad as servers send them."""

import os
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import suppress

import pytest

from apollo_rt.errors import NetworkError
from apollo_rt.network import http
from apollo_rt.network.address import Address, lacks_scheme, led_to, shown
from apollo_rt.network.http import Answer
from apollo_rt.network.icy import title_in
from apollo_rt.network.playlist import PlaylistEntry, entries_of
from apollo_rt.network.stream import NetworkStream
from tests.doubles.radio_server import RadioServer, said

SOUND = b"\xff\xfb" + bytes(1000)


def body_of(url: str) -> bytes:
    stream, parts = NetworkStream(url), []
    while part := stream.read(4096):
        parts.append(part)
    return b"".join(parts)


def test_an_address_is_shown_without_its_secrets():
    assert shown("http://me:secret@host:8000/live?token=secret#x") == "http://host:8000/live?..."
    assert "secret" not in str(Address("https://secret@host/a.mp3"))
    assert "secret" not in shown("http://me:secret@[broken/live?token=secret")
    assert (Address("http://host/a/b.mp3?x").suffix, Address("http://host").suffix) == (".mp3", "")


@pytest.mark.parametrize("letter", ["/", "?", "#", "/a?b#c", "@"])
def test_a_password_whose_letters_are_not_quoted_is_shown_nowhere_and_the_reason_says_how_to(letter):
    url = f"http://me:se{letter}cret@host:8000/live?token=hidden"
    assert shown(url).endswith("host:8000/live" + ("?..." if letter == "@" else ""))
    assert not any(secret in shown(url) for secret in ("me:", "cret", "hidden"))
    if letter == "@":
        return
    with pytest.raises(NetworkError, match="/ as %2F") as error:
        NetworkStream(url)
    assert "se'" not in str(error.value)
    assert "cret" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:12/cret@host/live",
        "http://me:12?cret@host/live",
        "http://me:12#cret@host/live",
        "http://me:12@cret/more@host/live",
        "http:///me:cret@host/live",
        "http://host:80/live?token=a@cret",
        "http://me:[cret@host/live?token=cret",
    ],
)
def test_what_may_be_a_password_before_an_at_is_not_shown(url):
    assert not any(secret in shown(url) for secret in ("me", "12", "cret"))
    assert not any(secret in str(Address(url)) for secret in ("me", "12", "cret"))


def test_an_at_in_a_name_on_a_server_is_no_password():
    assert shown("https://host/@station/live") == "https://host/@station/live"


def test_spaces_in_an_address_are_quoted_and_line_breaks_refused():
    with RadioServer(**{"my%20song_mp3": said(SOUND)}) as server:
        assert body_of(f"  {server.url('my song.mp3')} ") == SOUND
        assert " /my%20song.mp3 " in server.requests[0]
        with pytest.raises(NetworkError, match="line breaks"):
            Answer(server.url("a\r\nHost: b"))


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/a", "concat:a", "gopher://x", "http://[1"])
def test_a_redirect_or_playlist_leads_to_servers_only(target):
    with pytest.raises(NetworkError, match="http://host/a: leads to "):
        led_to("http://host/a", target)
    with RadioServer(live=said(b"", "302 Found", Location=target)) as server, pytest.raises(NetworkError):
        Answer(server.url())
    with RadioServer(live_m3u=said(f"#EXTM3U\n{target}\n".encode())) as server, pytest.raises(NetworkError):
        NetworkStream(server.url("live.m3u"))


def test_a_path_that_is_absolute_is_one_of_the_server():
    with RadioServer(live=said(b"", "302 Found", Location="/etc/passwd"), etc_passwd=said(b"")) as server:
        with pytest.raises(NetworkError, match="404 Not Found"):
            Answer(server.url())
        assert "GET /etc/passwd" in server.requests[-1]


@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308"])
def test_redirects_are_followed(status):
    with RadioServer(live=said(b"", f"{status} There", Location="/other"), other=said(SOUND)) as server:
        assert body_of(server.url()) == SOUND


def test_a_loop_of_redirects_ends():
    with RadioServer(live=said(b"", "302 Found", Location="/live")) as server:
        with pytest.raises(NetworkError, match="is redirected more than 10 times"):
            Answer(server.url())
        assert len(server.requests) == 11


def test_a_password_is_sent_to_its_server_and_to_no_other():
    with RadioServer(live=said(SOUND)) as other, RadioServer() as server:
        server._answers |= {
            "here": said(b"", "302 Found", Location="/there"),
            "there": said(b"", "302 Found", Location=other.url()),
        }
        assert body_of(server.url("here", "me:s%40cret@")) == SOUND
        assert all("Authorization: Basic bWU6c0BjcmV0" in request for request in server.requests)
        assert "Authorization" not in other.requests[0]
        with pytest.raises(NetworkError) as caught:
            Answer(server.url("nowhere", "me:secret@"))
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Address(server.url("here", "me:secret@")))


def test_a_password_goes_along_to_what_a_playlist_names_on_the_same_server():
    def with_password(body: bytes):
        return lambda connection, request: (said(body) if "Basic bWU6c0BjcmV0" in request else refused)(connection, "")

    refused, head = said(b"", "401 Unauthorized"), "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n"
    with RadioServer() as server:
        server._answers |= {
            "live_m3u": with_password(f"#EXTM3U\n{server.url('list.m3u8')}\n".encode()),
            "list_m3u8": with_password(f"{head}{server.url('a.aac')}\n#EXT-X-ENDLIST\n".encode()),
            "a_aac": with_password(SOUND),
        }
        assert body_of(server.url("live.m3u", "me:s%40cret@")) == SOUND


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said(SOUND, Content_Encoding="gzip"), "is sent compressed"),
        (said(b"", "503 Service Unavailable"), "the server answers 503 Service Unavailable"),
        (said(b"<html><body>Welcome</body></html>", Content_Type="text/html"), "is a page and no stream"),
        (said(b"#EXTM3U\n" + b"# nothing\n" * 200_000), "sends more than 1048576 bytes, which no playlist has"),
        (said(b"#EXTM3U\n"), "of which nothing can be read: lists nothing"),
        (lambda connection, _: connection.sendall(b"220 mail.example ESMTP\r\n"), "no answer that can be understood"),
        (lambda connection, _: None, "no connection"),
        (lambda connection, _: connection.sendall(b"HTTP/1.0 200 OK\r\nA: " + b"x" * 10**6), "no answer that can be"),
        (lambda connection, _: connection.sendall(b"HTTP/1.0 200 OK\r\n" + b"A: b\r\n" * 10**5), "no answer that can"),
    ],
)
def test_a_server_that_sends_no_stream_is_refused_in_one_line(answer, reason):
    with RadioServer(live=answer) as server, pytest.raises(NetworkError) as caught:
        NetworkStream(server.url())
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_says_nothing_or_its_headers_for_ever_is_left(monkeypatch):
    monkeypatch.setattr(http, "_SILENCE_S", 0.3)
    monkeypatch.setattr(http, "_HEADERS_S", 1.0)

    def trickle(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.0 200 OK\r\n")
        while not server.stopping.wait(0.05):
            connection.sendall(b"A")

    with RadioServer(silent=lambda *_: server.stopping.wait(), trickle=trickle) as server:
        with pytest.raises(NetworkError, match="the server says nothing"):
            Answer(server.url("silent"))
        with pytest.raises(NetworkError, match="/trickle: "):
            Answer(server.url("trickle"))
        monkeypatch.setattr(http, "_SILENCE_S", 4.0)  # this one has to be heard before
        server._answers["half"] = lambda connection, _: (said(SOUND)(connection, ""), server.stopping.wait())
        stream, n_read = NetworkStream(server.url("half")), 0
        while n_read < len(SOUND):
            n_read += len(stream.read(4096))
        with pytest.raises(NetworkError, match="the server says nothing"):
            stream.read(4096)


def test_a_server_that_is_not_there_is_said_so():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with pytest.raises(NetworkError, match="no connection: Connection refused"):
        Answer(f"http://127.0.0.1:{port}/live")
    with pytest.raises(NetworkError, match="no such server"):
        Answer("http://nowhere.invalid/live")


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl, for a certificate")
def test_a_certificate_is_checked_and_a_refusal_says_why(tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def secured(connection: socket.socket, request: str) -> None:
        said(SOUND)(connection, request)

    with RadioServer(live=secured) as server:
        server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
        url = f"https://localhost:{server.port}/live"
        with pytest.raises(NetworkError, match=r"its certificate is not to be trusted: self.signed certificate"):
            Answer(url)
        monkeypatch.setenv("SSL_CERT_FILE", os.fspath(certificate))
        assert body_of(url) == SOUND
        with pytest.raises(NetworkError, match=r"its certificate is not to be trusted: .*127.0.0.1"):
            Answer(url.replace("localhost", "127.0.0.1"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("live.m3u", "{url}\n"),
        ("live.m3u", "#EXTM3U\n#EXTINF:-1,Station\nlive\n"),
        ("live.pls", "[playlist]\nNumberOfEntries=1\nFile1={url}\nTitle1=Station\n"),
        ("live.xspf", '<?xml version="1.0"?><playlist xmlns="http://xspf.org/ns/0/"><trackList><track><title>Station'
         "</title><location>{url}</location></track></trackList></playlist>"),
    ],
)  # fmt: skip
def test_a_playlist_leads_to_its_stream_past_one_that_does_not_answer(name, text):
    with RadioServer(live=said(SOUND)) as server:
        body = text.format(url=server.url()).encode()
        server._answers[name.replace(".", "_")] = said(body)
        assert body_of(server.url(name)) == SOUND


def test_playlists_that_lead_to_playlists_end():
    with RadioServer(a_m3u=said(b"#EXTM3U\na.m3u\n")) as server:
        with pytest.raises(NetworkError, match="is a playlist of which nothing can be read"):
            NetworkStream(server.url("a.m3u"))
        assert len(server.requests) < 10


def test_entries_are_read_with_their_titles():
    assert entries_of(b"#EXTM3U\r\n#EXTINF:12,Me - It\r\nsong.mp3\r\n\r\nother.mp3") == [
        PlaylistEntry("song.mp3", "Me - It"),
        PlaylistEntry("other.mp3"),
    ]
    assert entries_of("Größe.mp3".encode("latin-1")) == [PlaylistEntry("Größe.mp3")]
    assert entries_of(b"[Playlist]\nFile2=b\nfile1=a\nTitle1=A\n") == [PlaylistEntry("a", "A"), PlaylistEntry("b")]
    assert len(entries_of(b"a\n" * 50_000)) == 10_000


def test_a_bomb_of_entities_is_refused():
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    bomb = entities + b"<playlist><track><location>&b;</location></track></playlist>"
    with pytest.raises(NetworkError, match="declares a document type"):
        entries_of(bomb)


@pytest.mark.parametrize(
    ("block", "title"),
    [
        (b"StreamTitle='A - B';", "A - B"),
        (b"StreamTitle='It's';StreamUrl='http://x';\0\0", "It's"),
        (b"StreamTitle='a';b';StreamUrl='';", "a';b"),
        (b"StreamTitle='';", ""),
        (b"StreamTitle='Caf\xe9';\0", "Caf\xe9"),
        (b"StreamUrl='x';", None),
        (b"\0" * 32, None),
    ],
)
def test_a_title_is_read_from_its_block(block, title):
    assert title_in(block) == title


def test_chunks_are_joined_and_a_chunk_without_an_end_ends_the_stream():
    chunked = b"3\r\nabc\r\n" + b"%x\r\n" % len(SOUND) + SOUND + b"\r\n"
    whole = said(chunked + b"0\r\n\r\n", start="HTTP/1.1", Transfer_Encoding="chunked")
    with RadioServer(live=whole) as server:
        assert body_of(server.url()) == b"abc" + SOUND
    for wrong in (b"zz\r\n", b"ffffffffffff\r\nabc"):
        with RadioServer(live=said(chunked + wrong, start="HTTP/1.1", Transfer_Encoding="chunked")) as server:
            stream, got = NetworkStream(server.url()), b""
            with suppress(NetworkError):
                while part := stream.read(4096):
                    got += part
            assert got[: len(SOUND)] == (b"abc" + SOUND)[: len(SOUND)]


def test_an_interrupted_read_ends_at_once():
    with RadioServer() as server:
        server._answers["live"] = lambda connection, _: (said(SOUND)(connection, ""), server.stopping.wait())
        stream = NetworkStream(server.url())
        n_read = 0
        while n_read < len(SOUND):
            n_read += len(stream.read(4096))
        timer = threading.Timer(0.2, stream.close)
        timer.start()
        assert stream.read(4096) == b""
        timer.join()


def test_a_name_that_is_no_server_lacks_no_scheme():
    names = ("hw:0,0", "Monitor of Loopback", "a/b.mp3", "../a.b/c", "/srv/a.b/c", "alsa_output.pci-0000.analog-stereo")
    assert not any(map(lacks_scheme, names))
    assert lacks_scheme("localhost:8000/live")
    assert lacks_scheme("Radio.Example.com/")
