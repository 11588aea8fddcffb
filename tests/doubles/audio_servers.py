"""Private sound servers for tests, each with a place to play to (`Loopback`) and one to listen at (`speakers`).

They run beside whatever the machine has, on sockets of their own. Everything is float32 `(samples, 2)` at 44.1 kHz.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.doubles.child_priority import be_a_server, take_priority
from tests.doubles.jack_client import JackClient

RATE = 44_100
TAIL_S = 1.5
"""How long to listen after the clip: longer than any latency."""
_START_S, _ENDING_S = 60.0, 60.0
"""Far more than a busy machine takes."""
_N_JACK_SERVERS = 8


@dataclass(frozen=True)
class Heard:
    """What two ears heard: sample k of both is the same moment, to `error` samples."""

    source: np.ndarray
    restored: np.ndarray
    error: int


def unavailable(reason: str) -> None:
    """Skip, loudly; in CI, where everything has been installed, fail."""
    print(f"\n*** NO AUDIO SERVER: {reason} ***", file=sys.__stderr__, flush=True)
    if os.environ.get("CI"):
        pytest.fail(f"no audio server: {reason}")
    pytest.skip(f"no audio server: {reason}")


def need(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        unavailable(f"{', '.join(missing)} not installed")


def wait_for(is_so: Callable[[], bool], seconds: float = _START_S) -> bool:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def running(command: list[str], **options: object) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=be_a_server, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class PulseServer:
    """A PulseAudio daemon with two null sinks; `environment` leads PortAudio (through ALSA) and `pactl` to it."""

    def __init__(self, folder: Path, speakers: str = f"rate={RATE} format=float32le") -> None:
        self.folder = folder
        self.socket = folder / "native"
        self.environment = {
            "PULSE_SERVER": f"unix:{self.socket}",
            "PULSE_COOKIE": str(folder / "cookie"),
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
            "JACK_DEFAULT_SERVER": "apollo-test-none",
        }
        # A null sink that may rewind works 2 s ahead while nobody listens, and lets the first who does wait as long.
        sink = "load-module module-null-sink sink_name={0} sink_properties=device.description={0} norewinds=1"
        lines = [
            f"load-module module-native-protocol-unix auth-anonymous=1 socket={self.socket}",
            f"{sink.format('Loopback')} rate={RATE} format=float32le",
            f"{sink.format('speakers')} {speakers}",
            "set-default-sink speakers",
        ]
        (folder / "default.pa").write_text("\n".join(lines) + "\n")
        targets = {"Loopback": "Loopback.monitor", "speakers": "speakers", "disguise": "speakers.monitor"}
        pcms = [f"pcm.{name} {{ type pulse device {target} hint.show on }}" for name, target in targets.items()]
        (folder / "asound.conf").write_text("\n".join(["</usr/share/alsa/alsa.conf>", *pcms]) + "\n")

    @contextlib.contextmanager
    def started(self) -> Iterator[subprocess.Popen]:
        need("pulseaudio", "pactl", "parec", "pacat")
        private = {
            name: str(self.folder) for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "PULSE_RUNTIME_PATH")
        }
        options = ["--exit-idle-time=-1", "--use-pid-file=no", "--daemonize=no", "--log-target=stderr"]
        log = (self.folder / "log").open("w")
        command = ["pulseaudio", "-n", "-F", str(self.folder / "default.pa"), *options]
        with log, running(command, env={**os.environ, **private}, stdout=log, stderr=log) as process:
            if not wait_for(lambda: b"speakers" in self._pactl("list", "short", "sinks")):
                unavailable(f"PulseAudio did not start: {(self.folder / 'log').read_text()[-2000:]}")
            yield process

    def hear(self, clip: np.ndarray, lead_s: float = 0.0) -> Heard:
        """Play a clip to `Loopback`, and listen there and at `speakers`.

        Args:
            clip: what to play.
            lead_s: of silence before it: whoever begins to listen changes when the server hands over its samples, by 25
                ms, which two clocks take some seconds to find out.
        """
        with self.ear("Loopback.monitor") as at_source, self.ear("speakers.monitor") as at_speakers:
            assert wait_for(lambda: at_source.has_begun and at_speakers.has_begun)
            self.play(clip, lead_s)
            time.sleep(TAIL_S)
        return Heard(*_on_one_clock(at_source, at_speakers), error=round(0.02 * RATE))

    def play(self, clip: np.ndarray, lead_s: float = 0.0) -> None:
        """Play a clip to `Loopback`, to its end."""
        subprocess.run(
            ["pacat", "--playback", "--raw", *self._format("Loopback", 200)],
            input=bytes(8 * round(lead_s * RATE)) + clip.tobytes(),
            env=self._env,
            check=True,
            timeout=60,
            preexec_fn=take_priority,
        )

    def ear(self, device: str) -> "contextlib.AbstractContextManager[_Ear]":
        """Listen at a source, such as a sink's monitor."""
        return _Ear.listening(["parec", "--raw", *self._format(device, 10)], self._env)

    def add_sink(self, name: str, description: str = "", rate: int = RATE) -> None:
        """Plug in another place to play to; a description in other words than its name may have blanks."""
        # One property more: PulseAudio refuses quotes around the only one.
        properties = f'device.description="{description or name}" device.icon_name=audio-card'
        self._pactl("load-module", "module-null-sink", f"sink_name={name}", f"rate={rate}", "format=float32le",
                    f"sink_properties='{properties}'", "norewinds=1")  # fmt: skip
        assert wait_for(lambda: name.encode() in self._pactl("list", "short", "sinks"))

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, **self.environment}

    def _pactl(self, *arguments: str) -> bytes:
        return subprocess.run(["pactl", *arguments], env=self._env, capture_output=True, timeout=60).stdout

    @staticmethod
    def _format(device: str, latency_ms: int) -> list[str]:
        return [
            f"--device={device}",
            "--format=float32le",
            f"--rate={RATE}",
            "--channels=2",
            f"--latency-msec={latency_ms}",
        ]


class _Ear:
    """Reads what a recorder writes, and notes when."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.begin_s = np.inf
        self._n_bytes = 0

    @classmethod
    @contextlib.contextmanager
    def listening(cls, command: list[str], env: dict[str, str]) -> "Iterator[_Ear]":
        ear = cls()
        with running(command, env=env, stdout=subprocess.PIPE) as process:
            thread = threading.Thread(target=ear._read, args=(process.stdout.fileno(),))
            thread.start()
            try:
                yield ear
            finally:
                process.terminate()
                thread.join()

    @property
    def has_begun(self) -> bool:
        return bool(self.parts)

    @property
    def samples(self) -> np.ndarray:
        data = b"".join(self.parts)
        return np.frombuffer(data[: len(data) // 8 * 8], np.float32).reshape(-1, 2)

    def _read(self, file: int) -> None:
        while part := os.read(file, 65_536):
            self._n_bytes += len(part)
            self.parts.append(part)
            # No sample arrives before its time: the earliest arrival of all tells when the first sample was.
            self.begin_s = min(self.begin_s, time.monotonic() - self._n_bytes / 8 / RATE)


def _on_one_clock(*ears: _Ear) -> list[np.ndarray]:
    """Drop what one ear heard before the other began."""
    begin_s = max(ear.begin_s for ear in ears)
    return [ear.samples[round((begin_s - ear.begin_s) * RATE) :] for ear in ears]


class JackName:
    """A name for a JACK server that no other run of the tests on this machine has, as long as it is kept.

    JACK has places for eight servers, keeps that of one that was killed, and gives it to its name alone: so there are
    eight names, and each comes again.
    """

    def __init__(self) -> None:
        need("jackd")
        import fcntl  # late: Windows has none

        for number in range(_N_JACK_SERVERS):
            path = Path(f"/dev/shm/apollo-rt-tests-{os.getuid()}-{number}.lock")  # where JACK keeps its places, too
            self._lock = path.open("w")  # as long as the name
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.text = f"apollo-test-{number}"
                return
            self._lock.close()
        unavailable(f"{_N_JACK_SERVERS} runs have a JACK server already")


def jackd(name: str, period: int = 256, rate: int = RATE, patience_s: float = 100.0) -> list[str]:
    """The command of a JACK server without hardware, where every cycle waits for all clients, so nothing is ever lost.

    Args:
        name: of the server, see `JackName`.
        period: samples of a cycle.
        rate: Hz.
        patience_s: how late a client may be. It waits as long for one that died, some times over, and whoever opens or
            closes anything meanwhile with it.
    """
    time_out_ms = round(1000 * patience_s / 10)  # JACK's word is for a server that doesn't wait; this one takes tenfold
    options = ["-S", "-r", "-n", name, "-t", str(time_out_ms), "-d", "dummy"]
    return ["jackd", *options, "-r", str(rate), "-p", str(period)]


class JackServer:
    """A JACK server without hardware, and two clients that PortAudio shows as devices.

    Args:
        period, rate: see `jackd`.
        name: that of another, which has ended before this one starts; None: one of its own.
    """

    def __init__(self, period: int = 256, rate: int = RATE, name: JackName | None = None) -> None:
        self.period, self.rate = period, rate
        self.claimed = name or JackName()
        self.name = self.claimed.text
        self.environment = {
            "JACK_DEFAULT_SERVER": self.name,
            "PULSE_SERVER": "unix:/nowhere",
            "JACK_NO_START_SERVER": "1",
        }

    @contextlib.contextmanager
    def alone(self) -> Iterator[subprocess.Popen]:
        """The server without the clients, so that it may be killed: the library brings down who has one then."""
        need("jackd")
        jack = pytest.importorskip("jack")
        jack.set_error_function(lambda _: None)
        jack.set_info_function(lambda _: None)
        command = jackd(self.name, self.period, self.rate)
        env = {**os.environ, "JACK_NO_AUDIO_RESERVATION": "1"}
        with running(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            if not wait_for(lambda: self._can_connect(jack)):
                unavailable("jackd did not start")
            yield process

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        """The server and the clients."""
        with (
            self.alone(),
            JackClient.joined(self.name, "Loopback") as self._player,
            JackClient.joined(self.name, "speakers") as self._listener,
        ):
            yield

    @contextlib.contextmanager
    def cable(self) -> Iterator[None]:
        """A client of that name which gives out what comes in: an output that leads back to the input."""
        with JackClient.joined(self.name, "cable"):
            yield

    def lead_through(self, name: str) -> None:
        """Connect `Loopback` to the inputs of a client, and its outputs to `speakers`."""
        with JackClient.joined(self.name, "hand") as hand:
            hand.ask("connect", "Loopback:out", f"{name}:in")
            hand.ask("connect", f"{name}:out", "speakers:in")

    def cable_delay(self) -> int:
        """Samples from an impulse into the `cable` to its way out, as a client of its own measures them."""
        with JackClient.joined(self.name, "impulse") as impulse:
            return int(impulse.ask("measure"))

    def hear(self, clip: np.ndarray) -> Heard:
        """Play a clip from `Loopback`, and listen at `speakers`; both at the server's rate."""
        n = len(clip) + round(TAIL_S * RATE)
        played = np.zeros((-(-n // self.period) * self.period, 2), np.float32)
        played[: len(clip)] = clip
        with tempfile.TemporaryDirectory(prefix="apollo-") as folder:
            np.save(f"{folder}/played.npy", played)
            self._listener.ask("record")
            begin = self._player.ask("play", f"{folder}/played.npy")
            self._listener.ask("take", begin, len(played), f"{folder}/heard.npy")
            return Heard(played, np.load(f"{folder}/heard.npy"), error=0)

    def _can_connect(self, jack: object) -> bool:
        try:
            jack.Client("probe", servername=self.name, no_start_server=True).close()
        except jack.JackOpenError:
            return False
        return True


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for a socket's in the system's limit of about 100 characters."""
    folder = Path(tempfile.mkdtemp(prefix="apollo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
