"""A named pipe that a device plays: heard to its end, held at a reserve, silent while its writer pauses."""

import os
import queue
import threading

import numpy as np
import pytest

from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.files.raw_format import RawFormat
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.realtime.ring import n_queued
from apollo_rt.radio.held_pipe import HeldPipe
from tests.doubles.audio_servers import wait_for
from tests.doubles.encoded_files import noise, place_of
from tests.doubles.hand_device import HandDevice

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")

RATE = 44_100
PIECE = 4410


class Speaker(HandDevice):
    """Plays, and captures nothing."""

    input_channels = 0


def test_a_player_is_heard_through_a_pipe_to_its_end_and_held_at_its_reserve(identity, tmp_path):
    pipe, music = tmp_path / "music.fifo", 0.3 * noise(6 * RATE)
    os.mkfifo(pipe)
    pieces: queue.Queue[bytes | None] = queue.Queue()
    writer = threading.Thread(target=_write, args=(pipe, pieces))
    writer.start()
    rest = [music[at : at + PIECE].astype("<f4").tobytes() for at in range(0, len(music), PIECE)]
    pieces.put(rest.pop(0))
    reader, device = AudioReader(pipe, RATE, raw=RawFormat("f32le", RATE, 2)), Speaker()
    source = HeldPipe(reader, RATE)
    heard: list[np.ndarray] = []

    def play(duration_s: float, sends: bool = True) -> None:
        for _ in range(round(duration_s * RATE / PIECE)):
            if sends and rest:
                n_before = source._buffer.n_in
                pieces.put(rest.pop(0))
                assert wait_for(lambda n=n_before: source._buffer.n_in > n, 60)
            if sends:
                assert wait_for(lambda: n_queued(engine._shared.source) >= PIECE or source._has_ended, 60)
            heard.append(device.play(np.zeros((PIECE, 2), np.float32), pause_s=0.0005))

    with reader, Engine(identity, device, EngineSettings(realtime=False), source) as engine:
        pieces.put(rest.pop(0))
        pieces.put(rest.pop(0))
        assert wait_for(lambda: n_queued(engine._shared.source) > 0, 60)
        play(2.0)
        level_s = (len(source._buffer) + n_queued(engine._shared.source)) / RATE
        state = source.state(0)
        assert level_s == pytest.approx(state.reserve_s, abs=0.15)
        assert (state.stalls, state.dropped_s, state.url) == (0, 0.0, str(pipe))
        play(1.0, sends=False)
        assert source.state(0).stalls == 1
        assert np.abs(heard[-1]).max() < 1e-4
        for piece in [*rest, None]:  # more than there is room for: the writer waits
            pieces.put(piece)
        rest.clear()
        assert wait_for(lambda: n_queued(engine._shared.source) > 0, 60)
        while not (source._has_ended and len(source._buffer) + n_queued(engine._shared.source) == 0):
            play(0.1)
        play(0.2)
    writer.join()
    samples = np.concatenate(heard)
    for at in (RATE, 5 * RATE):  # before and after the pause
        part = music[at : at + RATE // 2, 0]
        place = place_of(part, samples[:, 0])
        assert np.corrcoef(part, samples[place : place + len(part), 0])[0, 1] > 0.99
    n_silent = int((np.abs(samples).max(axis=1) < 1e-6).sum())
    assert len(samples) - n_silent == pytest.approx(len(music), abs=0.05 * RATE)


def _write(pipe, pieces: "queue.Queue[bytes | None]") -> None:
    with pipe.open("wb", buffering=0) as file:
        while (piece := pieces.get()) is not None:
            file.write(piece)
