"""`apollo-rt live`, from file to file with the real engine; devices play in commands/test_live_on_servers.py."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import websockets.sync.client

from apollo_rt.commands.cli import main
from apollo_rt.compiled import machine_code
from apollo_rt.devices.device import Device
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.session import run
from apollo_rt.session.endpoint_options import EndpointOptions
from apollo_rt.session.endpoints import Endpoints, open_endpoints
from apollo_rt.session.named_files import input_file, output_file
from apollo_rt.session.opened_source import FirstPart
from apollo_rt.session.run_options import LiveOptions
from tests import ROOT
from tests.doubles import tiny_models
from tests.doubles.audio_servers import wait_for
from tests.doubles.sound_files import tone, write

LENGTH = 30_011
PATIENT = ("--headroom", 22_050)
"""So that a busy machine is never too late: what is heard is the model, not what stands in for it."""


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write(tmp_path / "song.wav", tone(LENGTH), subtype="FLOAT")


@pytest.fixture
def live(model: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Run the command in this process; exit code, lines on stdout, lines on stderr."""

    def run(*arguments: object) -> tuple[int, list[str], list[str]]:
        with pytest.raises(SystemExit) as ended:
            main(["live", "--model", str(model), *map(str, arguments)])
        captured = capfd.readouterr()
        errors = [line for line in captured.err.splitlines() if not line.startswith("getting ready")]
        return int(ended.value.code or 0), captured.out.splitlines(), errors

    return run


@contextlib.contextmanager
def started(model: Path, *arguments: object, **options: object) -> Iterator[subprocess.Popen]:
    """The program as a process, which a test that fails doesn't wait for."""
    command = [sys.executable, "run_live.py", "--model", model, *arguments]
    with subprocess.Popen([str(part) for part in command], cwd=ROOT, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def samples_of(path: Path) -> np.ndarray:
    return soundfile.read(path, always_2d=True, dtype="float32")[0]


def test_a_file_comes_out_restored_aligned_and_whole(live, song, tmp_path) -> None:
    code, out, errors = live("--input", song, "--output", tmp_path / "out.wav", "--no-pace")
    assert (code, errors) == (0, [])
    restored = samples_of(tmp_path / "out.wav")
    assert restored.shape == (LENGTH, 2)
    np.testing.assert_allclose(restored, 0.5 * samples_of(song), atol=2e-6)
    assert re.fullmatch(r".*song\.wav -> .*out\.wav, model tiny gain.*, latency algorithmic .* = \d+\.\d ms", out[0])
    assert out[-1].startswith("done: ")


@pytest.mark.parametrize(("options", "gain"), [(["--mix", 0.0], 1.0), (["--mix", 0.5], 0.75), (["--bypass"], 1.0)])
def test_mix_and_bypass_are_heard_from_the_start(live, song, tmp_path, options, gain) -> None:
    assert live("--input", song, "--output", tmp_path / "out.wav", "--no-pace", *options)[0] == 0
    np.testing.assert_allclose(samples_of(tmp_path / "out.wav"), gain * samples_of(song), atol=2e-6)


def test_duration_takes_that_much_of_the_file_and_its_tail(live, song, tmp_path) -> None:
    assert live("--input", song, "--output", tmp_path / "out.wav", "--no-pace", "--duration", 0.25)[0] == 0
    np.testing.assert_allclose(samples_of(tmp_path / "out.wav"), 0.5 * samples_of(song)[:11_025], atol=2e-6)


def test_a_paced_run_takes_as_long_as_the_music(live, song, tmp_path) -> None:
    begin_s = time.monotonic()
    assert live("--input", song, "--output", tmp_path / "out.wav")[0] == 0
    assert time.monotonic() - begin_s > LENGTH / 44_100


def test_the_demo_ships_and_mono_stays_mono(live, tmp_path) -> None:
    assert live("--input", "Demo", "--output", tmp_path / "out.flac", "--no-pace", "--duration", 0.5)[0] == 0
    assert samples_of(tmp_path / "out.flac").shape == (22_050, 2)
    mono = write(tmp_path / "mono.wav", tone(5000, channels=1))
    assert live("--input", mono, "--output", tmp_path / "out.wav", "--no-pace")[0] == 0
    assert samples_of(tmp_path / "out.wav").shape == (5000, 1)


def test_the_figures_are_written_as_json(live, song, tmp_path) -> None:
    stats = tmp_path / "stats.json"
    options = ["--block-size", 300, "--headroom", 1000, "--stats-json", stats]
    assert live("--input", song, "--output", tmp_path / "out.wav", "--no-pace", *options)[0] == 0
    figures = json.loads(stats.read_text())
    assert figures["finished"]
    assert figures["model_name"] == "tiny gain"
    assert figures["input_name"] == str(song)
    assert figures["block_size"] == 300
    assert figures["latency"]["headroom_samples"] == 1000
    assert figures["samples"] >= LENGTH + figures["latency"]["stream_samples"]
    assert figures["deadline_misses"] == figures["xruns"] == 0
    assert figures["step_ms"]["p50"] <= figures["step_ms"]["p99"] <= figures["step_ms"]["max"]
    assert sum(count for _, count in figures["step_ms"]["histogram"]) == figures["hops"]
    assert figures["recent"]["hops"] == figures["hops"]
    assert figures["scheduling"] == "worker normal, memory not locked"  # nothing is asked for where nothing is paced


def test_figures_that_are_there_are_replaced_only_if_asked(live, song, tmp_path) -> None:
    stats = tmp_path / "stats.json"
    stats.write_text("mine")
    arguments = ("--input", song, "--output", tmp_path / "out.wav", "--no-pace", "--stats-json", stats)
    code, _, errors = live(*arguments)
    assert (code, errors) == (1, [f"error: {stats}: is there already; --overwrite replaces it"])
    assert stats.read_text() == "mine"
    assert not (tmp_path / "out.wav").exists()
    assert live(*arguments, "--overwrite")[0] == 0
    assert json.loads(stats.read_text())["finished"]


def test_quiet_says_nothing_verbose_what_is_in_force_and_a_log_file_all_of_it(live, song, tmp_path) -> None:
    arguments = ["--input", song, "--output", tmp_path / "out.wav", "--no-pace", "--overwrite"]
    log = tmp_path / "log"
    assert live(*arguments, "-q", "--log-file", log) == (0, [], [])
    assert [line for line in log.read_text().splitlines() if "getting ready" not in line] == []
    log.unlink()
    code, out, errors = live(*arguments, "-v", "--mix", 0.5, "--log-file", log)
    assert (code, errors) == (0, [])
    assert any(line.startswith("options in force: ") and "--mix 0.5 (command line)" in line for line in out)
    written = [line.split(" ", 2)[2] for line in log.read_text().splitlines()]
    assert [line for line in written if not line.startswith("getting ready")] == out
    code, _, errors = live("--input", tmp_path / "missing.wav", "--output", tmp_path / "b.wav", "--log-file", log)
    assert code == 1
    assert log.read_text().splitlines()[-1].endswith(errors[-1])


def test_every_option_can_come_from_the_environment(live, song, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("APOLLO_RT_LIVE_MIX", "0")
    assert live("--input", song, "--output", tmp_path / "out.wav", "--no-pace")[0] == 0
    np.testing.assert_allclose(samples_of(tmp_path / "out.wav"), samples_of(song), atol=2e-6)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--mix", "1.5"), ("--block-size", "0"), ("--headroom", "10"), ("--duration", "0"), ("--volume", "11")],
)
def test_wrong_usage_ends_with_code_2_and_says_so(live, song, tmp_path, option, value) -> None:
    code, _, errors = live("--input", song, "--output", tmp_path / "out.wav", option, value)
    assert code == 2
    assert errors[-1].startswith("Error: ")
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("name", ["nowhere/stats.json", "."])
def test_figures_that_cannot_be_written_are_refused_before_the_music_plays(live, song, tmp_path, name) -> None:
    code, _, errors = live("--input", song, "--output", tmp_path / "out.wav", "--stats-json", tmp_path / name)
    assert code == 1
    why = ": is a folder, not a regular file" if name == "." else ""
    assert errors == [f"error: {tmp_path / name}: can't be written{why}"]
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_run_cleanly_with_what_was_restored_so_far(model, tmp_path, number) -> None:
    song = write(tmp_path / "song.wav", tone(20 * 44_100))
    arguments = ["--input", song, "--output", tmp_path / "out.wav", *PATIENT]
    with started(model, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "latency" in process.stdout.readline()
        assert wait_for(lambda: any(part.stat().st_size > 50_000 for part in tmp_path.glob(".out.*.part")))
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert rest.splitlines()[-1].startswith("done: ")
    restored = samples_of(tmp_path / "out.wav")
    assert 1000 < len(restored) < 20 * 44_100
    np.testing.assert_allclose(restored, 0.5 * samples_of(song)[: len(restored)], atol=2e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.wav", "song.wav"]


def test_on_a_terminal_there_is_a_screen_with_keys_and_an_end_line(model, tmp_path) -> None:
    song = write(tmp_path / "song.wav", tone(60 * 44_100))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "110", "LINES": "30"}
    arguments = ["--input", song, "--output", tmp_path / "out.wav"]
    with started(model, *arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        assert read_until(ours, "RESTORING")
        os.write(ours, b"b")
        assert read_until(ours, "BYPASS")
        os.write(ours, b"q")
        assert read_until(ours, "done: ")
        assert process.wait(60) == 0
    os.close(ours)
    assert (tmp_path / "out.wav").exists()


def read_until(terminal: int, wanted: str) -> bool:
    """Read what a program draws until something wanted is there; False if it ends first or takes a minute."""
    text, end_s = "", time.monotonic() + 60
    while wanted not in text and time.monotonic() < end_s:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                text += os.read(terminal, 65_536).decode(errors="replace")
            except OSError:  # the other side has been closed
                break
    return wanted in text


def test_run_live_and_the_subcommand_are_the_same_program(model) -> None:
    texts = [
        subprocess.run(
            [sys.executable, *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for command in (["run_live.py"], ["-m", "apollo_rt", "live"])
    ]
    bodies = [text.partition("\n")[2] for text in texts]
    assert bodies[0] == bodies[1]
    for option in (
        "--input",
        "--output",
        "--mix",
        "--bypass",
        "--block-size",
        "--model",
        "--duration",
    ):
        assert option in bodies[0]


def test_help_does_not_wait_for_numba_and_its_kin() -> None:
    script = "import sys, apollo_rt.commands.cli; print({'numba', 'onnxruntime', 'textual', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.skipif(not machine_code.CAN_LOAD, reason="here Numba compiles in the process itself")
def test_a_plain_run_has_no_compiler_in_its_memory_and_a_later_one_compiles_nothing(tmp_path: Path) -> None:
    script = """
import sys
from apollo_rt.commands.cli import main
from apollo_rt.compiled import kept_code
from apollo_rt.live.entry_modules import ENTRY_MODULES
kept_code._BUILDER = sys.argv[2] or kept_code._BUILDER
try:
    main(["live", "--input", "demo", "--output", sys.argv[1], "--duration", "1", "--plain"], name="apollo-rt")
finally:
    compilers = {"numba", "llvmlite", "rocket_fft", "scipy"} & set(sys.modules)
    needed = {name for group in ENTRY_MODULES for name in group} - set(kept_code._LOADED)
    missing = [name for name, code in kept_code._LOADED.items() if not code]
    print("compilers", compilers, "not needed", sorted(needed), "not there", missing)
"""
    for number, builder in enumerate(("", "apollo_rt.compiled.none")):  # the second could not compile
        command = [sys.executable, "-c", script, str(tmp_path / f"{number}.wav"), builder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=True)
        unneeded = ["apollo_rt.live.clock_bridge.callbacks", "apollo_rt.plugins.plugin_chains"]
        assert done.stdout.splitlines()[-1] == f"compilers set() not needed {unneeded} not there []"
        assert "compiled code" not in done.stderr


@pytest.mark.parametrize(
    ("wanted", "is_file"),
    [
        ("song.mp3", True), ("missing.WAV", True), ("here", True), ("here/inside", True), ("3", False),
        ("Loopback", False), ("default", False), ("USB Audio 2.0", False), ("Analog (1/2)", False),
    ],
)  # fmt: skip
def test_what_ends_like_a_file_or_is_there_is_a_file_and_all_else_a_device(
    tmp_path, monkeypatch, wanted, is_file
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("here", "Loopback", "3"):
        (tmp_path / name).mkdir()
    assert (input_file(wanted) is not None) is is_file
    assert (output_file(wanted) is not None) is is_file


@pytest.mark.parametrize(
    "ends", [("x" * 300, "out.wav"), ("x" * 300 + ".mp3", "out.wav"), ("demo", "x" * 300 + ".wav")]
)
def test_a_name_that_is_too_long_for_a_file_is_refused_in_one_line(live, tmp_path, monkeypatch, ends) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = live("-i", ends[0], "-o", ends[1])
    assert code == 1
    assert [line[:7] for line in errors] == ["error: "]


def test_the_demo_is_an_input_and_no_output() -> None:
    assert input_file("DEMO").is_file()
    assert output_file("demo") is None


def test_a_part_of_a_source_ends_where_it_was_told_to() -> None:
    class Endless:
        def read(self, n_samples: int) -> np.ndarray:
            return np.ones((n_samples, 2), np.float32)

    part = FirstPart(Endless(), 250)
    assert [len(part.read(100)) for _ in range(4)] == [100, 100, 50, 0]


DEVICES = [
    Device(0, "Cable", "Core Audio", 2, 2, is_default_output=True, captures="cable", feeds="cable"),
    Device(1, "Speakers", "Core Audio", 0, 2),
]


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> None:
    from apollo_rt.devices import portaudio

    monkeypatch.setattr(portaudio, "list_devices", lambda: DEVICES)


def opened(source: str, target: str, **wishes: bool) -> Endpoints:
    return open_endpoints(EndpointOptions(source, target, block_size=512, **wishes), 44_100)


def test_two_devices_become_one_driver(devices) -> None:
    with opened("Loopback", "Speakers") as endpoints:
        assert (endpoints.input_name, endpoints.output_name) == ("Cable (Core Audio)", "Speakers (Core Audio)")
        assert (endpoints.driver.input_channels, endpoints.driver.output_channels, endpoints.driver.block_size) == (
            2,
            2,
            512,
        )
        assert endpoints.has_device
        assert endpoints.source is endpoints.writer is None


def test_a_file_at_one_end_leaves_the_device_the_other(devices, song, tmp_path) -> None:
    with opened(str(song), "Speakers") as endpoints:
        assert (endpoints.driver.input_channels, endpoints.driver.output_channels) == (0, 2)
        assert endpoints.source.interrupt == endpoints.reader.interrupt
    endpoints = opened("Cable", str(tmp_path / "out.wav"))
    assert (endpoints.driver.input_channels, endpoints.driver.output_channels) == (2, 0)
    assert endpoints.has_device
    endpoints.discard()
    assert not list(tmp_path.glob("*out*"))


def test_a_loop_of_devices_is_refused_unless_it_is_wanted(devices, live) -> None:
    code, _, errors = live("--input", "Loopback", "--output", "Cable")
    assert code == 1
    assert errors[0].startswith("error: feedback: 'Cable' hears what 'Cable' plays")
    assert opened("Loopback", "Cable", allow_feedback=True).has_device


def test_a_device_has_a_pace_of_its_own(devices, live, song) -> None:
    code, _, errors = live("--input", song, "--output", "Speakers", "--no-pace")
    assert (code, errors) == (1, ["error: --no-pace is for file to file: a device has a pace of its own"])


def test_the_devices_are_listed(devices, capfd) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["live", "devices"])
    assert not ended.value.code
    assert capfd.readouterr().out.splitlines() == [
        "  0  Cable     Core Audio      2 in   2 out   44100 Hz  default output, loopback",
        "  1  Speakers  Core Audio      0 in   2 out   44100 Hz",
    ]


def test_what_calls_back_unevenly_gets_more_headroom_unless_the_user_says_how_much(devices, tmp_path) -> None:
    headroom = run._headroom
    options = LiveOptions("Loopback", "Speakers", block_size=512)
    with opened("Loopback", "Speakers") as endpoints:
        assert headroom(options, endpoints) == 512 + 64
        assert headroom(replace(options, headroom=100), endpoints) == 100
        endpoints.driver.varying_block = True
        assert headroom(options, endpoints) == 3 * 512 + 64
    with opened("demo", str(tmp_path / "out.wav")) as endpoints:
        assert headroom(options, endpoints) == EngineSettings().headroom
        endpoints.discard()


# --- controlled from beside the screen -------------------------------------------------------------------------------


def test_a_preset_is_heard_from_the_start_and_options_win_over_it(live, song, tmp_path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("mix: 0.5\nbypass: off")
    arguments = ("--input", song, "--output", tmp_path / "out.wav", "--no-pace", "--preset", preset)
    assert live(*arguments)[0] == 0
    np.testing.assert_allclose(samples_of(tmp_path / "out.wav")[100:], 0.75 * samples_of(song)[100:], atol=2e-6)
    assert live(*arguments, "--mix", 0.0, "--overwrite")[0] == 0
    np.testing.assert_allclose(samples_of(tmp_path / "out.wav")[100:], samples_of(song)[100:], atol=2e-6)


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--preset", "mix: 7", "mix must be from 0 to 1, got 7"),
        ("--preset", None, "can't be read: No such file or directory"),
        ("--midi-map", "cc 1: wetness", "what happens must be a parameter"),
    ],
)
def test_a_bad_file_is_refused_before_anything_is_written(live, song, tmp_path, option, text, message) -> None:
    file = tmp_path / "bad.yaml"
    if text is not None:
        file.write_text(text)
    code, _, errors = live("--input", song, "--output", tmp_path / "out.wav", option, file)
    assert code == 1
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {file}: {message}")
    assert not list(tmp_path.glob("*out.wav*"))


def test_a_midi_port_that_is_not_there_ends_the_run_and_leaves_nothing(live, song, tmp_path, monkeypatch) -> None:
    (tmp_path / "missing").mkdir()
    (tmp_path / "missing" / "rtmidi.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "missing"))  # the port's process finds it there first
    code, _, errors = live("--input", song, "--output", tmp_path / "out.wav", "--midi", "virtual")
    assert (code, errors) == (1, ["error: midi: python-rtmidi is not installed; pip install 'apollo-rt[midi]'"])
    assert {path.name for path in tmp_path.iterdir()} == {"song.wav", "missing"}


def test_another_model_is_chosen_while_it_plays(model, tmp_path, monkeypatch) -> None:
    library = tmp_path / "library"
    library.mkdir()
    tiny_models.gain(tmp_path, 0.125).rename(library / "eighth.onnx")
    monkeypatch.setenv("APOLLO_RT_MODELS", str(library))
    song, stats = write(tmp_path / "song.wav", tone(60 * 44_100), subtype="FLOAT"), tmp_path / "stats.json"
    arguments = ("--input", song, "--output", tmp_path / "out.wav", "--plain", "--control", "0", "--stats-json", stats)
    with started(model, *arguments, *PATIENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = next(line for line in process.stdout if line.startswith("control page: "))
        url, _, token = line.removeprefix("control page: ").strip().partition("/#")
        socket_url = f"{url.replace('http', 'ws')}/control?token={token}"
        with websockets.sync.client.connect(socket_url, proxy=None) as client:

            def ask(command: str, **given: object) -> dict:
                client.send(json.dumps({"command": command, "arguments": given}))
                return json.loads(client.recv(timeout=60))

            assert not ask("choose_model", name="nobody's")["ok"]
            assert ask("choose_model", name="eighth")["ok"]
            assert wait_for(lambda: ask("models")["result"]["models"][-1]["is_used"])
            n_before = ask("stats")["result"]["samples"]
            assert wait_for(lambda: ask("stats")["result"]["samples"] > n_before + 44_100 + 22_050)
            ask("quit")
        out, errors = process.communicate(timeout=60)
    assert "plays now" in out + errors
    played, heard = samples_of(song), samples_of(tmp_path / "out.wav")
    np.testing.assert_allclose(heard[:1000], 0.5 * played[:1000], atol=2e-6)
    np.testing.assert_allclose(heard[-1000:], 0.125 * played[len(heard) - 1000 : len(heard)], atol=2e-6)


def test_a_token_that_the_user_has_is_not_printed(live, song, tmp_path) -> None:
    token, path = "a-token-that-nobody-may-read", tmp_path / "token"
    path.write_text(token)
    path.chmod(0o600)
    endpoints = ("--input", song, "--output", tmp_path / "out.wav")
    code, out, errors = live(*endpoints, "--plain", "--no-pace", "--control", "0", "--control-token-file", path)
    assert code == 0
    (line,) = [line for line in out if line.startswith("control page: http://127.0.0.1:")]
    assert str(path) in line
    assert token not in "".join((*out, *errors))


def test_a_page_and_a_socket_are_served_while_it_plays_where_that_is_wanted(model, tmp_path) -> None:
    song = write(tmp_path / "song.wav", tone(60 * 44_100))
    arguments = ("--input", song, "--output", tmp_path / "out.wav", "--plain", "--control", "0")
    with started(model, *arguments, stdout=subprocess.PIPE, text=True) as process:
        line = next(line for line in process.stdout if line.startswith("control page: "))
        url, _, token = line.removeprefix("control page: ").strip().partition("/#")
        with urllib.request.urlopen(url, timeout=60) as page:
            assert b"Apollo RT" in page.read()
        socket_url = f"{url.replace('http', 'ws')}/control?token={token}"
        with websockets.sync.client.connect(socket_url, proxy=None) as client:
            client.send('{"command": "quit"}')
            assert json.loads(client.recv(timeout=60))["ok"]
        assert process.wait(60) == 0
    assert 0 < len(samples_of(tmp_path / "out.wav")) < 60 * 44_100


def test_a_token_that_others_may_read_is_refused_before_anything_is_written(live, song, tmp_path) -> None:
    (tmp_path / "token").write_text("a-token-that-everybody-reads")
    (tmp_path / "token").chmod(0o644)
    arguments = ("--control", "--control-token-file", tmp_path / "token")
    code, _, errors = live("--input", song, "--output", tmp_path / "out.wav", *arguments)
    assert (code, len(errors)) == (1, 1)
    assert "others may read this token" in errors[0]
    assert not (tmp_path / "out.wav").exists()


def test_what_comes_in_and_what_is_heard_is_recorded_in_step(live, song, tmp_path) -> None:
    folder = tmp_path / "new" / "folder"
    code, out, errors = live("--input", song, "--output", tmp_path / "out.wav", "--headroom", 8192, "--record", folder)
    assert (code, errors) == (0, [])
    assert f"recording to {folder}" in out
    dry, wet = (samples_of(path)[:LENGTH] for path in sorted(folder.iterdir()))
    np.testing.assert_allclose(dry, samples_of(song), atol=2e-7)
    np.testing.assert_allclose(wet, samples_of(tmp_path / "out.wav"), atol=2e-7)


def test_a_recording_needs_time_and_a_folder(live, song, tmp_path) -> None:
    arguments = ("--input", song, "--output", tmp_path / "out.wav")
    code, _, errors = live(*arguments, "--no-pace", "--record", tmp_path / "here")
    assert (code, errors[0].startswith("error: --record is for what plays in its time")) == (1, True)
    code, _, errors = live(*arguments, "--record", song / "inside")
    assert (code, errors) == (1, [f"error: {song / 'inside'}: can't be made: Not a directory"])
    assert {path.name for path in tmp_path.iterdir()} == {"song.wav"}
