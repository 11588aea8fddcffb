"""A radio that a device plays: held at its reserve, silent in a stall, and back; time is what the device plays."""

import queue

import numpy as np
import pytest

from apollo_rt.errors import AudioFileError
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.realtime.ring import n_queued
from apollo_rt.radio.radio_source import RadioSource
from tests.doubles.audio_servers import wait_for
from tests.doubles.hand_device import HandDevice
from tests.doubles.heard_radio import RATE, station_mp3, whole
from tests.doubles.memory_files import MemoryWriter
from tests.doubles.radio_server import RadioServer, said

PIECE_BYTES = 1024
PIECE_S = PIECE_BYTES * 8 / 64_000


class Speaker(HandDevice):
    """Plays, and captures nothing."""

    input_channels = 0


class SteppedStation:
    """Sends a piece whenever the test says so; the burst at once."""

    def __init__(self, data: bytes, n_burst: int) -> None:
        self._pieces: queue.Queue[bytes | None] = queue.Queue()
        self._data, self._at = data, 0
        for _ in range(n_burst):
            self.send()

    def send(self) -> None:
        self._pieces.put(self._data[self._at : self._at + PIECE_BYTES])
        self._at += PIECE_BYTES

    def answer(self, connection, request: str) -> None:
        said(b"")(connection, request)
        while (piece := self._pieces.get()) is not None:
            connection.sendall(piece)

    def end(self) -> None:
        self._pieces.put(None)


@pytest.fixture
def path(tmp_path):
    return station_mp3(tmp_path / "a.mp3", 40.0)


def place_of(part: np.ndarray, music: np.ndarray) -> int:
    """Where a part of what was played stands in the music."""
    n = len(music) + len(part)
    return int(np.argmax(np.fft.irfft(np.fft.rfft(music[:, 0], n) * np.conj(np.fft.rfft(part[:, 0], n)), n)))


def test_a_station_is_held_at_its_reserve_silent_in_a_stall_and_back_where_it_was(identity, path):
    station = SteppedStation(path.read_bytes(), n_burst=60)
    device = Speaker()
    with RadioServer(live=station.answer) as server:
        source = RadioSource(server.url(), RATE, is_held=True)
        engine = Engine(identity, device, EngineSettings(realtime=False), source)
        with engine:
            try:
                _play_and_look(engine, device, station, source, whole(path))
            finally:
                station.end()


def _play_and_look(engine, device, station, source, music) -> None:
    def play(duration_s: float, sends: bool = True) -> np.ndarray:
        parts = []
        for _ in range(round(duration_s / PIECE_S)):
            if sends:
                n_before = source._buffer.n_in
                station.send()
                assert wait_for(lambda n=n_before: source._buffer.n_in > n, 60)
            for silence in np.array_split(np.zeros((round(PIECE_S * RATE), 2), np.float32), 2):
                if sends:  # a busy machine may be late with handing it on
                    assert is_queued(len(silence))
                parts.append(device.play(silence, pause_s=0.002))
        return np.concatenate(parts)

    def is_queued(n_samples: int) -> bool:
        return wait_for(lambda: n_queued(engine._shared.source) >= n_samples, 60)

    def level_s() -> float:
        return (len(source._buffer) + n_queued(engine._shared.source)) / RATE

    assert is_queued(1)
    assert source.state(0).dropped_s > 6.0
    first = play(4.0)
    held_s = level_s()
    assert held_s == pytest.approx(0.25, abs=0.15)
    silence = play(2.0, sends=False)
    assert np.abs(silence[-RATE:]).max() < 1e-4
    assert source.state(0).stalls == 1
    reserve_s = source.state(0).reserve_s
    for _ in range(10):
        station.send()
    assert is_queued(1)
    again = play(4.0)
    assert level_s() == pytest.approx(reserve_s, abs=0.2)
    assert source.state(0).stalls == 1
    places = [place_of(part[at : at + RATE // 2], music) for part in (first, again) for at in (RATE, 2 * RATE)]
    assert places[1] - places[0] == pytest.approx(RATE, abs=20)  # nothing is missing but what the clocks are apart
    assert places[3] - places[2] == pytest.approx(RATE, abs=20)
    assert places[2] > places[1]
    assert engine.snapshot().silenced_samples > RATE


def test_a_run_begins_and_ends_while_a_station_says_nothing(identity):
    with RadioServer() as server:
        server._answers["live"] = lambda connection, _: (
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + bytes(16)),
            server.stopping.wait(),
        )
        source, device = RadioSource(server.url(), RATE, is_held=True), Speaker()
        with Engine(identity, device, EngineSettings(realtime=False), source):
            assert np.abs(device.play(np.zeros((RATE // 4, 2), np.float32))).max() == 0.0
        assert not source._thread.is_alive


def test_what_was_heard_of_a_station_that_is_given_up_is_kept(identity, path, caplog):
    """It can't be heard again; what is made from a file can be made again, and is thrown away."""
    data, sink = path.read_bytes(), MemoryWriter()
    with RadioServer(live=[said(data[:80_000]), said(b"", "503 Service Unavailable")]) as server:
        source = RadioSource(server.url(), RATE, is_held=False, give_up_s=0.3)
        engine = Engine(identity, VirtualDevice(RATE, pace=False), EngineSettings(realtime=False), source, sink)
        with pytest.raises(AudioFileError, match="503 Service Unavailable"), engine:
            assert engine.wait(60)
    assert sink.state == "committed"
    assert sum(map(len, sink.parts)) > 5 * RATE
    assert "what was written until then is kept" in caplog.text
