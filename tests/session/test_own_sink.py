"""A run's own sink on real sound servers: players are moved to it, lose nothing on the way, and are given back."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile

from apollo_rt.config import Framing
from apollo_rt.files.audio_reader import AudioReader
from tests.doubles import tiny_models
from tests.doubles.audio_servers import RATE, PulseServer, short_folder, wait_for
from tests.doubles.live_run import LiveRun
from tests.doubles.pipewire_server import PipeWireServer
from tests.doubles.player import player, sink_names, sink_of, tone_levels_db, tones
from tests.doubles.pulse_sinks import pactl, unload_sink

pytestmark = pytest.mark.server

PATIENCE_S = 300.0
LIVE = ["run_live.py", "--plain"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.gain(tmp_path_factory.mktemp("model"), 0.5, Framing())


@pytest.fixture(scope="module", params=[PulseServer, PipeWireServer], ids=["PulseAudio", "PipeWire"])
def server(request: pytest.FixtureRequest) -> Iterator[PulseServer]:
    with short_folder() as folder:
        server = request.param(folder)
        server.environment["ALSA_CONFIG_PATH"] = ""  # the server's own sinks, without named ways to them
        with server.started():
            yield server


def becomes(is_so: Callable[[], bool], run: LiveRun, what: object = "") -> None:
    assert wait_for(is_so, PATIENCE_S), f"{what}\n{run.text}"


def plays_to(server: PulseServer, name: str, sink: str, run: LiveRun) -> None:
    becomes(lambda: sink_of(server, name) == sink, run, f"{name} should play to {sink}, not {sink_of(server, name)}")


def test_chosen_players_are_moved_lose_nothing_and_are_given_back(
    server: PulseServer, model: Path, tmp_path: Path
) -> None:
    rates = server.rates() if isinstance(server, PipeWireServer) else ""
    with player(server, "Fuchs"), player(server, "Other"):
        arguments = [*LIVE, "--app", "fuchs", "--app", "latecomer", "--record", str(tmp_path)]
        with LiveRun(arguments, server.environment, model) as run:
            run.wait_until_it_plays()
            plays_to(server, "Fuchs", "apollo_rt", run)
            becomes(lambda: "Fuchs plays to 'Apollo RT' now" in run.text, run)
            with player(server, "Latecomer"):
                plays_to(server, "Latecomer", "apollo_rt", run)
                assert sink_of(server, "Other") == "speakers"
                assert sink_of(server, "Apollo RT") == "speakers"
            plays_to(server, "Latecomer", "", run)
            with server.ear("speakers.monitor") as ear:
                becomes(lambda: len(ear.samples) > 3 * RATE, run)
            assert run.end() == 0, run.text
        assert sink_of(server, "Fuchs") == "speakers", run.text
    assert sink_names(server).count("apollo_rt") == 0
    if isinstance(server, PipeWireServer):
        assert server.rates() == rates
    with player(server, "Fuchs"):  # the server has forgotten the move
        assert wait_for(lambda: sink_of(server, "Fuchs") == "speakers", PATIENCE_S)
    with AudioReader(next(tmp_path.glob("*dry*"))) as reader:
        low_db, high_db = tone_levels_db(reader.read(10**9), RATE)
    print(f"captured: 1 kHz {low_db:+.1f} dB, 20 kHz {high_db:+.1f} dB beside it")
    assert abs(low_db) < 0.5
    assert abs(high_db) < 3.0  # what steering two clocks smears of a tone; a server's resampler takes 8 to 41 dB


def test_all_moves_every_player_and_system_sounds_stay(server: PulseServer, model: Path) -> None:
    with player(server, "One"), player(server, "Two"):
        with LiveRun([*LIVE, "--all"], server.environment, model) as run:
            run.wait_until_it_plays()
            plays_to(server, "One", "apollo_rt", run)
            plays_to(server, "Two", "apollo_rt", run)
            assert sink_of(server, "Apollo RT") == "speakers"
            assert run.end(signal.SIGINT) == 0, run.text
        assert (sink_of(server, "One"), sink_of(server, "Two")) == ("speakers", "speakers")


def test_what_a_killed_run_left_is_removed_by_the_next_and_its_player_given_back(
    server: PulseServer, model: Path
) -> None:
    with player(server, "Fuchs"):
        with LiveRun([*LIVE, "--app", "Fuchs"], server.environment, model) as run:
            run.wait_until_it_plays()
            plays_to(server, "Fuchs", "apollo_rt", run)
            run.process.kill()
            run.wait()
        assert "apollo_rt" in sink_names(server)
        assert sink_of(server, "Fuchs") == "apollo_rt"
        with LiveRun([*LIVE, "--sink", "Büro", "--duration", "0.5"], server.environment, model) as run:
            assert run.wait() == 0, run.text
        assert "warning: the sink 'apollo_rt', which an earlier run left, was removed" in run.text
        assert sink_of(server, "Fuchs") == "speakers", run.text
        assert "own sink 'Büro'" in run.text
    assert [name for name in sink_names(server) if name.startswith("apollo_rt")] == []


def test_a_second_run_neither_takes_nor_removes_the_first_ones_sink(server: PulseServer, model: Path) -> None:
    with LiveRun([*LIVE, "--sink"], server.environment, model) as first:
        first.wait_until_it_plays()
        with LiveRun([*LIVE, "--sink"], server.environment, model) as second:
            assert second.wait() == 1, second.text
        assert second.lines[-1].startswith("error: another run of apollo-rt has the sink 'Apollo RT'")
        assert "apollo_rt" in sink_names(server)
        assert first.end() == 0, first.text


def test_a_sink_that_is_removed_under_us_is_made_again_and_its_player_comes_back(
    server: PulseServer, model: Path
) -> None:
    with player(server, "Fuchs"):
        with LiveRun([*LIVE, "--app", "Fuchs"], server.environment, model) as run:
            run.wait_until_it_plays()
            plays_to(server, "Fuchs", "apollo_rt", run)
            unload_sink(server, "apollo_rt")
            becomes(lambda: "trying again" in run.text, run)
            becomes(lambda: "plays again" in run.text, run)
            plays_to(server, "Fuchs", "apollo_rt", run)
            assert run.end() == 0, run.text
        assert sink_of(server, "Fuchs") == "speakers", run.text


def test_where_our_sink_becomes_the_default_we_still_play_to_the_real_one(server: PulseServer, model: Path) -> None:
    with LiveRun([*LIVE, "--sink", "--follow-default"], server.environment, model) as run:
        run.wait_until_it_plays()
        pactl(server, "set-default-sink", "apollo_rt")
        with player(server, "New"):
            plays_to(server, "New", "apollo_rt", run)
            plays_to(server, "Apollo RT", "speakers", run)
            assert run.end() == 0, run.text
            assert wait_for(lambda: sink_of(server, "New") == "speakers", PATIENCE_S)
    assert "Default Sink: speakers" in pactl(server, "info")


def test_volumes_that_spoil_the_sound_are_said(server: PulseServer, model: Path) -> None:
    with LiveRun([*LIVE, "--sink"], server.environment, model) as run:
        run.wait_until_it_plays()
        pactl(server, "set-sink-volume", "apollo_rt", "50%")
        becomes(lambda: "'Apollo RT', which is captured, is at 50 %" in run.text, run)
        pactl(server, "set-sink-mute", "apollo_rt", "1")
        becomes(lambda: "'Apollo RT', which is captured, is muted" in run.text, run)
        pactl(server, "set-sink-mute", "speakers", "1")
        becomes(lambda: "'speakers', which is played to, is muted" in run.text, run)
        pactl(server, "set-sink-mute", "speakers", "0")
        assert run.end() == 0, run.text


def test_pipewires_own_players_are_moved_too(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "tones.wav"
    soundfile.write(file, tones(600 * 8000, 8000)[:, :1], 8000)
    with short_folder() as folder:
        server = PipeWireServer(folder)
        with server.started(), server.play_natively(file):
            with LiveRun([*LIVE, "--app", "pw-play"], server.environment, model) as run:
                run.wait_until_it_plays()
                plays_to(server, "pw-play", "apollo_rt", run)
                assert run.end() == 0, run.text
            assert wait_for(lambda: sink_of(server, "pw-play") == "speakers", PATIENCE_S)


def test_without_a_server_the_error_says_so(model: Path) -> None:
    with LiveRun(
        [*LIVE, "--sink"], {"PULSE_SERVER": "unix:/nowhere", "PIPEWIRE_RUNTIME_DIR": "/nowhere"}, model
    ) as run:
        assert run.wait() == 1, run.text
    assert run.lines[-1].startswith("error: --sink needs PulseAudio or PipeWire"), run.text


def test_an_input_beside_the_sink_is_refused() -> None:
    with LiveRun([*LIVE, "--sink", "--input", "demo"], {}, Path("unused")) as run:
        assert run.wait() == 2, run.text
    assert "--sink makes the input" in run.text


def test_devices_are_let_go_while_nothing_plays_and_taken_again_for_the_next_player(
    server: PulseServer, model: Path
) -> None:
    arguments = [*LIVE, "--app", "fuchs", "--idle-close", "0.02"]
    with LiveRun(arguments, server.environment, model) as run:
        run.wait_until_it_plays()
        with player(server, "Fuchs"):
            plays_to(server, "Fuchs", "apollo_rt", run)
        becomes(lambda: "nothing plays: the devices are closed" in run.text, run)
        becomes(lambda: sink_of(server, "Apollo RT") == "", run, "our own stream goes")
        assert "apollo_rt" in sink_names(server), "the sink stays, for players to find"
        with player(server, "Fuchs"):
            becomes(lambda: "plays again" in run.text, run)
            plays_to(server, "Fuchs", "apollo_rt", run)
            becomes(lambda: sink_of(server, "Apollo RT") == "speakers", run)
        assert run.end() == 0, run.text
