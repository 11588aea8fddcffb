"""Seconds from the return of a killed icecast to music, as a device would hear it.

python -m benchmarks.programs.radio_return mp3|vorbis [TURNS [PAGE_S]]

The server comes back with another programme, or the same begun anew, in turns; counted from when its mount answers, and
from when that has sent sound to a plain listener (FFmpeg, which plays the station, holds each Ogg page until the next).
"""

import io
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from apollo_rt.files.ogg_pages import OggPages
from apollo_rt.network.stream import NetworkStream
from apollo_rt.radio.radio_source import RadioSource
from tests.doubles.encoded_files import noise, vorbis
from tests.doubles.heard_radio import RATE, station_mp3
from tests.doubles.icecast import Icecast

_TICK_S = 0.005
_AWAY_S = 5.0
_HEARD_S = 4.0
_FRAME_BYTES = 209
"""A frame of MP3 at 64 kbit/s; it is whole when the next begins."""


class Ear:
    """Plays a source in real time, and notes when it last heard music."""

    def __init__(self, source: RadioSource) -> None:
        self.last_s = 0.0
        self._source = source
        source.start()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def wait_for_music_after(self, begin_s: float) -> float:
        """The time at which it is heard."""
        while self.last_s < begin_s:
            time.sleep(_TICK_S)
        return self.last_s

    def close(self) -> None:
        """Stop listening."""
        self._ending.set()
        self._thread.join()
        self._source.interrupt()

    def _listen(self) -> None:
        begin_s, n_due, n_queued = time.monotonic(), 0, 0
        while not self._ending.wait(_TICK_S):
            n_before, n_due = n_due, int((time.monotonic() - begin_s) * RATE)
            n_queued = max(n_queued - n_due + n_before, 0)
            part = self._source.take(n_queued)
            if part is not None and len(part):
                n_queued += len(part)
                if np.abs(part).max() > 0.05:
                    self.last_s = time.monotonic()


def programme(folder: Path, kind: str, number: int) -> Path:
    """Ten seconds of noise."""
    if kind == "mp3":
        return station_mp3(folder / f"{number}.mp3", 10.0, seed=number)
    return vorbis(folder / f"{number}.ogg", 0.3 * noise(10 * RATE, seed=number))


def first_sound(url: str, kind: str, found_s: list[float]) -> None:
    """Note when a listener who decodes nothing has a stream's first frame, or its first whole page with sound."""
    stream, data = NetworkStream(url), b""
    while len(data) < 2 * _FRAME_BYTES if kind == "mp3" else not _has_sound(data):
        data += stream.read(1024)
    found_s.append(time.monotonic())
    stream.close()


def _has_sound(data: bytes) -> bool:
    return any(page.granule for page in OggPages(io.BytesIO(data).read))


def main(kind: str, turns: str = "6", page: str = "1.0") -> None:
    """Measure, and print a line for each turn."""
    n_turns, page_s = int(turns), float(page)
    content_type = {"mp3": "audio/mpeg", "vorbis": "application/ogg"}[kind]
    with tempfile.TemporaryDirectory() as folder, Icecast() as server:
        paths = [programme(Path(folder), kind, number) for number in range(n_turns // 2 + 1)]
        server.play(paths[0], content_type, page_s=page_s)
        ear = Ear(RadioSource(server.url(), RATE, is_held=True))
        try:
            ear.wait_for_music_after(0.001)
            for turn in range(n_turns):
                time.sleep(_HEARD_S)
                server.stop()
                time.sleep(_AWAY_S)
                server.restart()
                server.play(paths[(turn + 1) // 2], content_type, page_s=page_s)
                there_s, sent_s = time.monotonic(), list[float]()
                plain = threading.Thread(target=first_sound, args=(server.url(), kind, sent_s))
                plain.start()
                back_s = ear.wait_for_music_after(there_s)
                plain.join()
                which = "another" if turn % 2 == 0 else "the same"
                since = f"{back_s - there_s:.2f} s after the mount answers, {back_s - sent_s[0]:.2f} s after its sound"
                print(f"{kind}, {which} programme: music {since}", flush=True)
        finally:
            ear.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
