"""A player beside a private sound server: a program of its own, whose streams a mixer shows by its name."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator

import numpy as np

from tests.doubles.audio_servers import PulseServer
from tests.doubles.child_priority import take_priority
from tests.doubles.pulse_sinks import pactl

TONES_HZ = (1000, 20_000)
LEVEL = 0.2


@contextlib.contextmanager
def player(server: PulseServer, name: str, rate: int = 44_100, device: str = "") -> Iterator[subprocess.Popen]:
    """Play tones of the same level for as long as the block runs, where the server wants them."""
    command = ["pacat", "--playback", "--raw", f"--client-name={name}", f"--rate={rate}", "--channels=2"]
    command += ["--format=float32le", "--latency-msec=100", *([f"--device={device}"] if device else [])]
    process = subprocess.Popen(command, env=server._env, stdin=subprocess.PIPE, preexec_fn=take_priority)
    second = tones(rate, rate).tobytes()  # whole periods: it can be played again and again
    thread = threading.Thread(target=_feed, args=(process, second))
    thread.start()
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        thread.join()
        with contextlib.suppress(OSError):
            process.stdin.close()


def tones(n: int, rate: int) -> np.ndarray:
    time_s = np.arange(n) / rate
    mono = LEVEL * sum(np.sin(2 * np.pi * tone * time_s) for tone in TONES_HZ)
    return np.repeat(mono, 2).reshape(-1, 2).astype(np.float32)


def tone_levels_db(heard: np.ndarray, rate: int) -> list[float]:
    """How much each tone lost against what was played: the median over windows of 0.1 s with sound."""
    n = rate // 10
    windows = heard[: len(heard) // n * n, 0].reshape(-1, n)
    spectra = np.abs(np.fft.rfft(windows * np.hanning(n))) / (n / 4)
    around = [spectra[:, tone // 10 - 3 : tone // 10 + 4].max(axis=1) for tone in TONES_HZ]
    has_sound = around[0] > LEVEL / 10
    assert has_sound.any(), "nothing was heard"
    return [float(np.median(20 * np.log10(level[has_sound] / LEVEL + 1e-9))) for level in around]


def sink_of(server: PulseServer, name: str) -> str:
    """The sink that a player plays to; empty where it doesn't play."""
    sinks = dict(line.split("\t")[:2] for line in pactl(server, "list", "short", "sinks").splitlines())
    for text in pactl(server, "list", "sink-inputs").split("Sink Input #")[1:]:
        if f'application.name = "{name}"' in text:
            return sinks.get(text.partition("\tSink: ")[2].splitlines()[0], "")
    return ""


def sink_names(server: PulseServer) -> list[str]:
    return [line.split("\t")[1] for line in pactl(server, "list", "short", "sinks").splitlines()]


def _feed(process: subprocess.Popen, second: bytes) -> None:
    with contextlib.suppress(OSError):
        while process.poll() is None:
            process.stdin.write(second)
