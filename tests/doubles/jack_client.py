"""One client of a JACK server as a process of its own: what plays, what listens, a cable, an impulse, a hand.

libjack keeps the semaphores of all clients in one table of the process. Where two clients live in one process, what one
is told late ("number 5 has left") closes the semaphore of who has that number by now, or leaves a newcomer waiting at
one that was deleted: nobody wakes it, and a server that waits for all stands still for as long as it has patience (seen
with JACK 1.9.21 in 2 of 40 starts, while PortAudio joined and left). So no process of the tests has two.

Run as `python -m tests.doubles.jack_client SERVER ROLE`: it says "ready", and then answers each line that it reads with
one; at the end of its input it leaves the server. Samples go through `.npy` files, float32 `(samples, 2)`.
"""

import contextlib
import queue
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests import ROOT
from tests.doubles.child_priority import be_a_server

_OPENING_TRIES, _PAUSE_S = 600, 0.1
_PATIENCE_S, _ENDING_S = 600.0, 60.0
"""Far more than a busy machine takes."""


class JackClient:
    """A client as the tests see it: a process that is asked, line by line."""

    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process

    @classmethod
    @contextlib.contextmanager
    def joined(cls, server: str, role: str) -> "Iterator[JackClient]":
        """A client from when it has joined until it has left."""
        command = [sys.executable, "-m", "tests.doubles.jack_client", server, role]
        process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=be_a_server
        )
        try:
            client = cls(process)
            assert client._answer() == "ready"
            yield client
        finally:
            process.stdin.close()
            try:
                process.wait(_ENDING_S)
            except subprocess.TimeoutExpired:  # its server has died
                process.kill()
                process.wait()
            process.stdout.close()

    def ask(self, *words: object) -> str:
        """Say a line; the answer."""
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        has_come, _, _ = select.select([self._process.stdout], [], [], _PATIENCE_S)
        assert has_come, f"{self._process.args[-1]} does not answer"
        line = self._process.stdout.readline()
        assert line, f"{self._process.args[-1]} has ended"
        return line.strip()


# --- in the process of its own ---------------------------------------------------------------------------------------


def _opened(server: str, name: str) -> Any:
    """The client; on a busy machine the server may give one up that answers after 2 s (its `SOCKET_TIME_OUT`)."""
    import jack

    jack.set_error_function(lambda _: None)
    jack.set_info_function(lambda _: None)
    for _ in range(_OPENING_TRIES):
        with contextlib.suppress(jack.JackOpenError):
            return jack.Client(name, use_exact_name=True, servername=server, no_start_server=True)
        time.sleep(_PAUSE_S)
    raise SystemExit(f"{name} can't join {server}")


Answers = Callable[[list[str]], object]


def _player(client: Any) -> Answers:
    """`play FILE`: the server's time, in samples, at which its first sample is played."""
    outs = [client.outports.register(f"out_{channel}") for channel in (1, 2)]
    parts: deque[tuple[bool, np.ndarray]] = deque()
    begins: queue.Queue[int] = queue.Queue()

    @client.set_process_callback
    def play(_: int) -> None:
        is_first, part = parts.popleft() if parts else (False, np.zeros((1, 2), np.float32))
        for channel, port in enumerate(outs):
            port.get_array()[:] = part[:, channel]
        if is_first:
            begins.put(client.last_frame_time)

    def answer(words: list[str]) -> int:
        clip = np.load(words[1]).reshape(-1, client.blocksize, 2)
        parts.extend([(number == 0, part) for number, part in enumerate(clip)])
        return begins.get()

    return answer


def _listener(client: Any) -> Answers:
    """`record`, and then `take BEGIN LENGTH FILE`: write what was heard from that time on, when all of it was."""
    ins = [client.inports.register(f"in_{channel}") for channel in (1, 2)]
    recording: list[tuple[int, np.ndarray]] | None = None

    @client.set_process_callback
    def listen(_: int) -> None:
        if recording is not None:
            recording.append((client.last_frame_time, np.stack([port.get_array() for port in ins], axis=1)))

    def answer(words: list[str]) -> str:
        nonlocal recording
        if words[0] == "record":
            recording = []
            return "recording"
        begin, n_samples = int(words[1]), int(words[2])
        heard = np.zeros((n_samples, 2), np.float32)
        while not recording or recording[-1][0] + client.blocksize < begin + n_samples:
            time.sleep(_PAUSE_S)
        parts, recording = recording, None
        for frame, part in parts:
            if 0 <= frame - begin < n_samples:
                heard[frame - begin : frame - begin + len(part)] = part[: n_samples - (frame - begin)]
        np.save(words[3], heard)
        return "taken"

    return answer


def _cable(client: Any) -> Answers:
    """Give out what comes in."""
    ins = [client.inports.register(f"in_{channel}") for channel in (1, 2)]
    outs = [client.outports.register(f"out_{channel}") for channel in (1, 2)]

    @client.set_process_callback
    def pass_on(_: int) -> None:
        for source, target in zip(ins, outs, strict=True):
            target.get_array()[:] = source.get_array()

    return lambda _: "a cable has no answers"


def _impulse(client: Any) -> Answers:
    """`measure`: samples from an impulse into the `cable` to its way out."""
    out, back = client.outports.register("out"), client.inports.register("back")
    sent: list[int] = []
    came: queue.Queue[int] = queue.Queue()

    @client.set_process_callback
    def measure(_: int) -> None:
        for index in np.flatnonzero(back.get_array() > 0.4)[:1]:
            came.put(client.last_frame_time + int(index))
        block = out.get_array()
        block[:] = 0.0
        if back.number_of_connections and not sent:
            block[0] = 0.5
            sent.append(client.last_frame_time)

    def answer(_: list[str]) -> int:
        client.connect(out, "cable:in_1")
        client.connect("cable:out_1", back)
        return came.get() - sent[0]

    return answer


def _hand(client: Any) -> Answers:
    """`connect SOURCES TARGETS`: all ports that match the one to those that match the other."""

    def answer(words: list[str]) -> str:
        for source, target in zip(client.get_ports(words[1]), client.get_ports(words[2]), strict=True):
            client.connect(source, target)
        return "connected"

    return answer


_ROLES = {"Loopback": _player, "speakers": _listener, "cable": _cable, "impulse": _impulse, "hand": _hand}


def main(server: str, role: str) -> None:
    """Be a client until the input ends."""
    client = _opened(server, role)
    answer = _ROLES[role](client)
    client.activate()
    print("ready", flush=True)
    for line in sys.stdin:
        print(answer(line.split()), flush=True)
    client.deactivate()
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
