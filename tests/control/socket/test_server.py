"""The control socket from outside: who gets in, what is answered, and that nothing bad reaches the engine."""

import asyncio
import hashlib
import hmac
import json
import socket
import stat
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from apollo_rt.control.commands import COMMANDS
from apollo_rt.control.parameters import PARAMETERS
from apollo_rt.control.socket.access import Access, check_token, make_token, token_from_file
from apollo_rt.control.socket.client import Client
from apollo_rt.control.socket.server import MOST_CLIENTS, MOST_WAITING, ControlServer
from apollo_rt.errors import ControlError
from tests.doubles.audio_servers import wait_for
from tests.doubles.still_engine import StillEngine, session_of

TOKEN = "a-token-for-the-tests"


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr("apollo_rt.control.presets.preset_folder", lambda: tmp_path / "presets")
    return session_of(StillEngine())


@pytest.fixture
def server(session):
    server = ControlServer(session.commands, TOKEN, 0, session.messages.append, slow_s=0.3)
    server.start()
    yield server
    server.stop()


def joined(server, token=TOKEN, **options):
    return connect(f"ws://127.0.0.1:{server.port}/control?token={token}", proxy=None, **options)


def ask(client, command, **arguments):
    client.send(json.dumps({"id": 7, "command": command, "arguments": arguments}))
    while "topic" in (reply := json.loads(client.recv(timeout=60))):
        pass
    assert reply["id"] == 7
    return reply


def test_a_client_gets_and_sets_by_the_names_of_the_table(server, session):
    with joined(server) as client:
        names = [row["name"] for row in ask(client, "parameters")["result"]["parameters"]]
        assert names == [row.name for row in PARAMETERS]
        assert ask(client, "set", name="mix", value=0.25)["result"]["value"] == 0.25
        assert session.controls.get("mix") == 0.25
        assert ask(client, "toggle", name="bypass")["ok"]
        assert session.controls.get("bypass") == 1
        assert ask(client, "save_preset", name="radio")["result"]["presets"] == ["radio"]
        assert set(ask(client, "help")["result"]["commands"]) == {row.name for row in COMMANDS}
        assert ask(client, "stats")["result"]["latency"]


def test_what_is_subscribed_to_comes_again_and_again_until_it_is_changed(server):
    with joined(server) as client:
        assert ask(client, "subscribe", topics=["meters", "spectra", "stats"], interval_s=0.02)["ok"]
        topics = [json.loads(client.recv(timeout=60))["topic"] for _ in range(9)]
        assert topics == ["meters", "spectra", "stats"] * 3
        assert ask(client, "unsubscribe")["result"] == {"topics": [], "interval_s": 0.1}
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.3)


def test_parameters_are_news_only_where_they_changed(server, session):
    with joined(server) as client:
        ask(client, "subscribe", topics=["parameters"], interval_s=0.02)
        assert json.loads(client.recv(timeout=60))["topic"] == "parameters"
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.2)
        session.controls.set("mix", 0.5)
        rows = json.loads(client.recv(timeout=60))["data"]["parameters"]
        assert next(row for row in rows if row["name"] == "mix")["value"] == 0.5


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN.upper(), "%C3%A9" * 10, "%ff%ff"])
def test_without_the_token_nobody_gets_in(server, token):
    with pytest.raises(InvalidStatus) as refused:
        joined(server, token)
    assert refused.value.response.status_code == 401


def test_the_token_may_come_in_a_header(server):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with connect(f"ws://127.0.0.1:{server.port}/control", additional_headers=headers, proxy=None) as client:
        assert ask(client, "get", name="mix")["ok"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "null", "http://localhost"]
)
def test_pages_from_elsewhere_are_refused_whatever_they_know(server, origin):
    with pytest.raises(InvalidStatus) as refused:
        joined(server, origin=origin.format(port=server.port))
    assert refused.value.response.status_code == 403


def test_the_page_that_is_served_here_may_connect(server):
    for host in ("127.0.0.1", "localhost"):
        with joined(server, origin=f"http://{host}:{server.port}") as client:
            assert ask(client, "get", name="mix")["ok"]


def http(server, request):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as raw:
        raw.sendall(request.encode())
        parts = []
        while part := raw.recv(65_536):
            parts.append(part)
    return b"".join(parts).decode()


def test_a_foreign_name_that_leads_here_is_refused(server):
    for path in ("/", f"/control?token={TOKEN}"):
        assert http(server, f"GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n").startswith("HTTP/1.1 403 ")


def test_the_page_is_served_with_a_policy_and_without_the_token(server):
    answer = http(server, f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n")
    assert answer.startswith("HTTP/1.1 200 ")
    assert "<title>Apollo RT</title>" in answer
    assert "default-src 'none'" in answer
    assert TOKEN not in answer
    assert "http://" not in answer.partition("\r\n\r\n")[2].replace("http://www.w3.org", ""), "it needs no net"
    assert http(server, f"GET /x HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n").startswith("HTTP/1.1 404 ")


def test_the_server_proves_that_it_knows_the_token_before_a_client_shows_its_own(server):
    def proof(nonce):
        answer = http(server, f"GET /proof?nonce={nonce} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n")
        return answer.split()[1], answer.partition("\r\n\r\n")[2]

    key = hashlib.pbkdf2_hmac("sha256", TOKEN.encode(), b"apollo-rt control", 100_000)
    nonce = "0123456789abcdef" * 2
    wanted = hmac.new(key, f"apollo-rt {server.port} {nonce}".encode(), "sha256").hexdigest()
    assert proof(nonce) == ("200", wanted)
    assert proof(nonce[::-1])[1] != wanted
    for bad in ("", "0" * 31, "0" * 129, "xyz" * 20, "%00" * 32):
        assert proof(bad)[0] == "400"


def test_a_crowd_that_asks_nothing_takes_a_few_descriptors_and_keeps_nobody_out(server):
    with ExitStack() as crowd:
        n_before = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
        for _ in range(6 * MOST_WAITING):
            crowd.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
        with joined(server) as client:
            assert ask(client, "get", name="mix")["ok"]
        answer = http(server, f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n")
        assert answer.startswith("HTTP/1.1 200 ")
        if sys.platform == "linux":  # those of the crowd's own ends, and of what is served
            assert len(list(Path("/proc/self/fd").iterdir())) - n_before <= 7 * MOST_WAITING + 16


def test_a_client_that_is_in_stays_in_whatever_crowd_comes(server):
    with joined(server) as client, ExitStack() as crowd:
        for _ in range(2 * MOST_WAITING):
            crowd.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
        assert ask(client, "get", name="mix")["ok"]


@pytest.mark.parametrize(
    "error", [StopIteration, SystemExit, RecursionError, KeyboardInterrupt, asyncio.CancelledError]
)
def test_whatever_a_command_raises_is_an_answer_and_the_server_still_ends(server, session, error):
    def broken(*_):
        raise error

    session.controls.choose_devices = broken
    with joined(server) as client:
        for _ in range(2):
            assert ask(client, "choose_devices", output="x")["error"].startswith("choose_devices failed: ")
        assert ask(client, "get", name="mix")["ok"]
    server.stop()
    assert not server._thread.is_alive()


def test_a_command_that_hangs_holds_up_nobody_else_and_not_the_end(server, session):
    hanging, entered = threading.Event(), threading.Event()

    def hang(*_):
        entered.set()
        hanging.wait()

    session.controls.choose_devices = hang
    session.controls.devices = hang
    with joined(server) as waits, joined(server) as other:
        waits.send('{"command": "choose_devices", "arguments": {"output": "x"}}')
        assert entered.wait(60)
        assert ask(other, "set", name="mix", value=0.5)["ok"]
        assert ask(other, "save_preset", name="kept")["ok"]
        server.stop()
    assert not server._thread.is_alive()
    hanging.set()


def test_it_listens_on_loopback_alone(server):
    with pytest.raises(ConnectionRefusedError):  # who listens everywhere answers there too
        socket.create_connection(("127.0.0.2", server.port), timeout=5)


def test_a_port_that_is_taken_is_an_error_that_names_it(server, session):
    with pytest.raises(
        ControlError, match=f"can't listen at 127.0.0.1:{server.port}: .*--control 0 takes any free port"
    ):
        ControlServer(session.commands, TOKEN, server.port, print).start()


def test_so_many_clients_and_no_more(server):
    with ExitStack() as clients:
        for _ in range(MOST_CLIENTS):
            clients.enter_context(joined(server))
        assert not admits(server)
    assert wait_for(lambda: admits(server)), "who leaves makes room"


def admits(server):
    try:
        with joined(server):
            return True
    except InvalidStatus as refused:
        if refused.response.status_code != 503:
            raise
        return False


def test_a_message_that_is_too_long_ends_the_connection_and_nothing_else(server, session):
    with joined(server) as client:
        client.send(json.dumps({"command": "set", "arguments": {"name": "mix", "value": 0, "x": "x" * 20_000}}))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=60)
    assert closed.value.rcvd.code == 1009
    assert session.controls.get("mix") == 1
    assert admits(server)


def test_a_client_that_does_not_read_is_dropped_and_the_others_go_on(server, session):
    with joined(server) as reader, socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", server.port))
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        head = f"GET /control?token={TOKEN} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{upgrade}"
        raw.sendall(f"{head}Sec-WebSocket-Version: 13\r\n\r\n".encode())
        text = b'{"command":"subscribe","arguments":{"topics":["stats","spectra","meters"],"interval_s":0.02}}'
        frame = bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text
        raw.sendall(frame)
        for _ in range(1000):
            assert ask(reader, "get", name="mix")["ok"]
            if session.messages:
                break
        assert session.messages == ["control: a client that did not read was dropped"]


# --- bad messages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("", "a message must be JSON"),
        ("[]", "a message must be an object"),
        ("{}", "command must be a text, got None"),
        ("[" * 10_000, "a message must be JSON"),
        ("9" * 10_000, "a message must be JSON"),
        ('{"command": "set", "arguments": {"name": "mix", "value": NaN}}', "JSON has no NaN"),
        ('{"command": "set", "arguments": {"name": "mix", "value": 1e999}}', "value must be a number"),
        ('{"command": "set", "arguments": {"name": "mix", "value": 7}}', "mix must be from 0 to 1, got 7"),
        ('{"command": "set", "arguments": [1]}', "arguments must be an object"),
        ('{"command": "get", "arguments": {"name": "__class__"}}', "parameter must be one of mix"),
        ('{"command": "stop"}', "command must be one of"),
        ('{"command": "get", "name": "mix"}', "a message has id, command and arguments, got 'name'"),
        ('{"id": [1], "command": "get"}', "id must be a number or a text"),
        ('{"command": "subscribe", "arguments": {"topics": ["secrets"]}}', "topics must be a list of"),
        ('{"command": "subscribe", "arguments": {"topics": ["stats"], "interval_s": 0}}', "interval_s must be"),
        ('{"command": "load_preset", "arguments": {"name": "../../etc/passwd"}}', "a preset's name must be"),
        (b'{"command": "quit"}', "a message must be text, got bytes"),
    ],
    ids=range(17),
)  # fmt: skip
def test_a_bad_message_gets_an_error_and_changes_nothing(server, session, message, error):
    before = state_of(session)
    with joined(server) as client:
        client.send(message)
        reply = json.loads(client.recv(timeout=60))
        assert (reply["ok"], error in reply["error"]) == (False, True), reply
        assert ask(client, "get", name="mix")["ok"], "the connection goes on"
    assert state_of(session) == before


def state_of(session):
    return [session.controls.get(row.name) for row in PARAMETERS], session.is_over, session.controls.preset_names()


def answers(session, messages):
    """What a client is answered, without a socket between."""
    sent = []

    async def send(message):
        sent.append(json.loads(message))

    async def run():
        client = Client(session.commands, send, lambda: 0.0)
        client._allowance = 1e9
        for message in messages:
            await client.take(message)
        client.close()

    asyncio.run(run())
    return sent


PARAMETER_NAMES = [row.name for row in PARAMETERS]
ARGUMENT_NAMES = sorted({argument.name for row in COMMANDS for argument in row.arguments})
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([r.name for r in PARAMETERS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(["name", "value", "position", "steps", "topics", "interval_s", "slot", "input"]) | st.text(
    max_size=8
)
NAMES = st.sampled_from([row.name for row in COMMANDS if row.name != "quit"]) | st.text(max_size=12)
REQUESTS = st.fixed_dictionaries(
    {"command": NAMES | VALUES, "arguments": st.dictionaries(WORDS, VALUES, max_size=3) | VALUES},
    optional={"id": VALUES},
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(REQUESTS.map(json.dumps) | VALUES.map(json.dumps) | st.text() | st.binary(), min_size=1, max_size=5))
def test_whatever_is_sent_is_answered_once_and_the_engine_holds_only_what_it_may(session, messages):
    replies = answers(session, messages)
    assert len(replies) == len(messages)
    for reply in replies:
        assert set(reply) == {"id", "ok", "result" if reply["ok"] else "error"}
        assert reply["ok"] or (isinstance(reply["error"], str) and "failed: " not in reply["error"]), reply
    for row in PARAMETERS:
        assert row.check(session.controls.get(row.name)) == session.controls.get(row.name)
    assert not session.is_over


def test_too_many_requests_are_answered_later_not_refused(session):
    waits = []

    async def run():
        async def sleep(seconds):
            waits.append(seconds)

        client = Client(session.commands, lambda _: sleep(0), lambda: 0.0)
        original, asyncio.sleep = asyncio.sleep, sleep
        try:
            for _ in range(300):
                await client.take("{}")
        finally:
            asyncio.sleep = original

    asyncio.run(run())
    waits = [seconds for seconds in waits if seconds]
    assert len(waits) == 100, "two hundred at once, then as many as the rate allows"
    assert waits[-1] == pytest.approx(1.0)


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_tokens_are_made_kept_for_their_owner_and_read_again(tmp_path):
    path = tmp_path / "token"
    token = token_from_file(path)
    assert len(token) >= 32
    assert token_from_file(path) == token != make_token()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(ControlError, match=r"others may read this token; run `chmod 600 .*token`"):
        token_from_file(path)
    with pytest.raises(ControlError, match="the token can't be read: No such file"):
        token_from_file(tmp_path / "nowhere" / "token")
    path.write_bytes(b"\xff" * 20)
    path.chmod(0o600)
    with pytest.raises(ControlError, match="holds no token"):
        token_from_file(path)


@pytest.mark.parametrize("token", ["", "short", "with a space in it", "with-ümlauts-inside-it", "line\nbreak-line-x"])
def test_a_token_that_is_easily_guessed_or_no_word_is_refused(token):
    with pytest.raises(ControlError, match="16 or more ASCII characters without spaces"):
        check_token(token)


def test_tokens_are_compared_whole():
    access = Access(TOKEN, 1)
    assert access.has_token(TOKEN)
    assert not any(access.has_token(wrong) for wrong in (None, "", TOKEN[:-1], TOKEN + "a", "é" * 21))


def test_it_ends_with_clients_connected_and_leaves_no_thread(server):
    with joined(server) as client:
        ask(client, "subscribe", topics=["meters"], interval_s=0.02)
        server.stop()
    assert not any(thread.name == "control socket" and thread.is_alive() for thread in threading.enumerate())
