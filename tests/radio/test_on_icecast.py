"""A radio on a real icecast, with an ffmpeg source."""

import os
import shutil
import threading
import time

import numpy as np
import pytest

from apollo_rt.radio.radio_source import RadioSource
from tests.doubles.audio_servers import wait_for
from tests.doubles.encoded_files import noise, vorbis
from tests.doubles.heard_radio import RATE, heard, station_mp3, whole
from tests.doubles.icecast import Icecast
from tests.doubles.ogg_tools import decoded, need_tools, taken_down
from tests.doubles.radio_server import RadioServer, said

pytestmark = pytest.mark.server


@pytest.fixture
def icecast():
    for program in ("icecast2", "ffmpeg"):
        if not shutil.which(program):
            assert not os.environ.get("CI"), f"{program} is missing"
            pytest.skip(f"needs {program}")
    with Icecast() as server:
        yield server


def gathered(source: RadioSource, n_samples: int) -> np.ndarray:
    parts, n_there = [], 0
    while n_there < n_samples:
        part = source.take(0)
        assert part is not None
        parts.append(part)
        n_there += len(part)
        if not len(part):
            time.sleep(0.002)
    return np.concatenate(parts)


def place_in(part: np.ndarray, loop: np.ndarray) -> int:
    """Where a part stands in what is played over and over."""
    n = len(loop)
    spectrum = np.fft.rfft(np.tile(loop[:, 0], 2)) * np.conj(np.fft.rfft(part[:, 0], 2 * n))
    return int(np.argmax(np.fft.irfft(spectrum, 2 * n)[:n]))


@pytest.mark.parametrize("kind", ["mp3", "vorbis"])
def test_a_station_is_heard_to_the_sample_from_wherever_one_tunes_in(icecast, tmp_path, kind):
    if kind == "mp3":
        path, content_type = station_mp3(tmp_path / "a.mp3", 10.0), "audio/mpeg"
    else:
        path, content_type = vorbis(tmp_path / "a.ogg", 0.3 * noise(10 * RATE)), "application/ogg"
    icecast.play(path, content_type)
    source = RadioSource(icecast.url(), RATE, is_held=False)
    source.start()
    try:
        samples = gathered(source, 3 * RATE)
    finally:
        source.interrupt()
    loop, part = whole(path), samples[RATE : 2 * RATE]
    at = place_in(part, loop)
    expected = np.tile(loop, (2, 1))[at : at + len(part)]
    is_same = np.isclose(part, expected, atol=1e-5).all(axis=1)
    assert is_same.mean() > 0.85  # the seam of the loop may lie in it
    assert source.state(0).faults <= 1  # a frame whose beginning was missed


def test_over_its_title_changes_as_much_is_heard_as_oggdec_hears(icecast, tmp_path):
    """Icecast begins a link with each title, and repeats a packet that only primes the decoder."""
    need_tools()
    icecast.play(vorbis(tmp_path / "a.ogg", 0.3 * noise(10 * RATE)), "application/ogg")
    stopping = threading.Event()

    def change_titles() -> None:
        number = 0
        while not stopping.wait(1.0):
            icecast.set_title(f"Title {number}")
            number += 1

    thread = threading.Thread(target=change_titles)
    thread.start()
    try:
        path = taken_down(icecast.url(), tmp_path / "heard.ogg", 250_000)
    finally:
        stopping.set()
        thread.join()
    with RadioServer(live=said(path.read_bytes())) as server:
        source = RadioSource(server.url(), RATE, is_held=False, give_up_s=0.0)
        samples = heard(source)
    assert len(source._titles.unheard) >= 3
    expected = decoded(path, "vorbis")
    assert len(samples) == len(expected)
    np.testing.assert_allclose(samples[64:], expected[64:], atol=2e-5)


def test_titles_reach_the_listener_and_the_burst_is_cut(icecast, tmp_path):
    icecast.play(station_mp3(tmp_path / "a.mp3", 10.0), "audio/mpeg")
    taken_down(icecast.url(), tmp_path / "burst.mp3", 24_000)  # whoever comes now gets as much at once: 3 s
    source = RadioSource(icecast.url(), RATE, is_held=True)
    source.start()
    try:
        gathered(source, RATE // 4)

        def is_cut() -> bool:
            source.take(0)
            return source.state(0).dropped_s > 0.5

        assert wait_for(is_cut, 60)
        assert source.state(0).reserve_s >= 0.25, "what MP3 asks for; longer where this machine was late"
        icecast.set_title("Größe - It's a title")

        def is_told() -> bool:
            source.take(0)
            return source.state(10**12).title == "Größe - It's a title"

        assert wait_for(is_told, 60)
    finally:
        source.interrupt()


def test_a_station_that_is_started_anew_is_found_again(icecast, tmp_path):
    path = station_mp3(tmp_path / "a.mp3", 10.0)
    icecast.play(path, "audio/mpeg")
    source = RadioSource(icecast.url(), RATE, is_held=False)
    source.start()
    try:
        gathered(source, RATE)
        icecast.restart()
        icecast.play(path, "audio/mpeg")
        before = source.state(0).reconnections

        def plays_again() -> bool:
            return source.state(0).reconnections > before and bool(len(source.take(0)))

        source.take(10**9)
        assert wait_for(lambda: source.state(0).reconnections >= 1, 60)
        assert plays_again() or len(gathered(source, RATE)) >= RATE
        assert any("lost" in line for line in source.take_messages())
    finally:
        source.interrupt()
