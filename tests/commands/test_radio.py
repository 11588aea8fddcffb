"""`live` and `restore` with an address: from a station of ours into a file, a pipe and figures."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tests import ROOT
from tests.doubles.audio_servers import wait_for
from tests.doubles.heard_radio import station_mp3, whole
from tests.doubles.radio_server import RadioServer, said, with_titles


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "apollo_rt", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture
def song(tmp_path):
    return station_mp3(tmp_path / "a.mp3")


def test_a_station_is_restored_into_a_file_with_its_title_and_figures(model, song, tmp_path):
    data = with_titles(song.read_bytes(), 8000, {0: "Artist - Title"})
    target, stats = tmp_path / "out.wav", tmp_path / "stats.json"
    with RadioServer(live=said(data, start="ICY", icy_metaint=8000, icy_name="Station")) as server:
        url = server.url("live?token=secret", "me:secret@")
        done = run(
            *("live", "-i", url, "-o", target, "--model", model),
            *("--no-pace", "--no-reconnect", "--stats-json", stats),
        )
    assert done.returncode == 0, done.stderr
    restored, expected = soundfile.read(target, dtype="float32")[0], whole(song)
    assert len(restored) == len(expected)
    np.testing.assert_allclose(restored[100:], 0.5 * expected[100:], atol=2e-6)
    figures = json.loads(stats.read_text())
    assert figures["radio"]["station"] == "Station"
    assert figures["radio"]["title"] == "Artist - Title"
    assert figures["radio"]["codec"].startswith("mp3")
    assert figures["input_name"] == f"http://127.0.0.1:{server.port}/live?..."
    assert "secret" not in done.stdout + done.stderr + stats.read_text()


@pytest.mark.realtime
def test_titles_are_recorded_as_files_of_their_own_cut_at_their_sample(model, tmp_path):
    song = station_mp3(tmp_path / "a.mp3", 16.0)
    data = with_titles(song.read_bytes(), 8000, {0: "Me - One", 7: "You - Two/Three", 8: "Too short", 9: "Two again"})
    folder = tmp_path / "recorded"
    with RadioServer(live=said(data, icy_metaint=8000)) as server:
        done = run(
            *("live", "-i", server.url(), "-o", tmp_path / "out.wav", "--model", model, "--no-reconnect"),
            *("--record", folder, "--split-titles"),
        )
    assert done.returncode == 0, done.stderr
    files = {path.name.partition(" ")[2] or "before": path for path in sorted(folder.glob("*.flac"))}
    names = ("Me - One", "You - Two_Three")
    assert {f"{name}-{kind}.flac" for name in names for kind in ("dry", "wet")} <= set(files)
    pieces = [soundfile.read(path, dtype="float32")[0] for path in sorted(folder.glob("*dry.flac"))]
    heard = np.concatenate(pieces)
    expected = whole(song)
    is_missed = (heard == 0.0).all(axis=1)[100 : len(expected)]  # a busy machine's recorder comes too late
    np.testing.assert_allclose(heard[100 : len(expected)][~is_missed], expected[100:][~is_missed], atol=1e-6)
    assert not is_missed.all()
    with soundfile.SoundFile(files["You - Two_Three-wet.flac"]) as file:
        assert (file.artist, file.title) == ("You", "Two/Three")
    n_before = len(pieces[0]) + len(pieces[1])
    assert n_before == pytest.approx(8 * 44_100, abs=1152)  # behind eight seconds of bytes, at a frame


def test_split_titles_needs_a_stream_and_a_folder(model, song, tmp_path):
    done = run("live", "-i", song, "-o", tmp_path / "out.wav", "--model", model, "--split-titles")
    assert done.returncode == 1
    assert "--split-titles needs --record DIR, and an address or a playlist as --input" in done.stderr


def test_what_a_server_has_is_restored_as_a_file_is(model, song, tmp_path):
    data = song.read_bytes()
    with RadioServer(a_mp3=said(data, Content_Length=len(data))) as server:
        done = run("restore", server.url("a.mp3"), tmp_path / "net.wav", "--model", model)
        assert done.returncode == 0, done.stderr
        refused = run("restore", server.url("b.mp3"), tmp_path / "b.wav", "--model", model)
    done = run("restore", song, tmp_path / "file.wav", "--model", model)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "net.wav")[0], soundfile.read(tmp_path / "file.wav")[0])
    assert refused.returncode == 1
    assert "b.mp3: the server answers 404 Not Found" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_station_is_restored_into_a_pipe_and_refused_for_a_file_that_would_never_be_complete(model, song, tmp_path):
    data = with_titles(song.read_bytes(), 8000, {0: "Artist - Title"})
    with RadioServer(live=said(data, icy_metaint=8000)) as server:
        refused = run("restore", server.url(), tmp_path / "out.wav", "--model", model)
        command = [sys.executable, "-m", "apollo_rt", "restore", server.url(), "-", "--raw-output", "f32le"]
        piped = subprocess.run([*command, "--model", str(model)], cwd=ROOT, capture_output=True, timeout=300)
    assert refused.returncode == 1
    assert f"error: {server.url()}: is a station, which has no end" in refused.stderr
    assert not list(tmp_path.glob("*.wav"))
    assert piped.returncode == 0, piped.stderr
    restored = np.frombuffer(piped.stdout, "<f4").reshape(-1, 2)
    np.testing.assert_allclose(restored, 0.5 * whole(song), atol=2e-6)


@pytest.mark.parametrize("wrong", ["0.01", "31", "long"])
def test_a_reserve_beyond_its_bounds_is_wrong_usage(wrong):
    done = run("live", "-i", "http://127.0.0.1:1/x", "-o", "-", "--reserve", wrong)
    assert done.returncode == 2
    assert "seconds" in done.stderr


def test_an_address_as_an_output_or_of_another_kind_is_refused(model, song):
    for arguments, reason in (
        (("live", "-i", song, "-o", "http://127.0.0.1/x"), "is an address; only files and pipes can be written"),
        (("restore", song, "http://127.0.0.1/x"), "is an address; only files and pipes can be written"),
        (("live", "-i", "ftp://127.0.0.1/x", "-o", "-"), "only addresses that begin with http:// or https://"),
    ):
        done = run(*arguments, "--model", model)
        assert done.returncode == 1
        assert reason in done.stderr


def test_a_signal_ends_a_run_whose_station_says_nothing(model, song, tmp_path):
    target = tmp_path / "out.wav"
    with RadioServer() as server:
        server._answers["live"] = lambda connection, _: (
            said(song.read_bytes()[:40_000])(connection, ""),
            server.stopping.wait(),
        )
        command = [sys.executable, "-m", "apollo_rt", "live", "-i", server.url(), "-o", target, "--no-pace"]
        with subprocess.Popen(
            [*map(str, command), "--model", str(model)], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE
        ) as live:
            assert b"latency" in live.stdout.readline()
            assert wait_for(lambda: any(part.stat().st_size > 10_000 for part in tmp_path.glob(".out.*.part")), 300)
            live.send_signal(signal.SIGINT)
            words = live.communicate()[1].decode()
            assert live.returncode == 0, words
    assert soundfile.info(target).frames > 0


@pytest.mark.parametrize("name", ["radio.example.com/live.mp3", "radio.example.com:8000/live", "127.0.0.1:8000/live"])
def test_an_address_without_its_beginning_is_said_to_lack_it(name, tmp_path):
    for arguments in (("live", "-i", name, "-o", tmp_path / "x.wav"), ("restore", name, tmp_path / "x.flac")):
        done = run(*arguments)
        assert done.returncode != 0
        assert f"{name}: no such file; an address begins with http:// or https://" in done.stderr
