"""The page of the control socket in a real browser, beside an engine that plays.

`python -m tests.control.socket.test_page FILE` draws the picture of the docs: the demo, as the model that ships
restores it.
"""

import contextlib
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from apollo_rt.config import Framing
from apollo_rt.control.midi.map import default_map
from apollo_rt.control.parameters import PARAMETERS
from apollo_rt.control.socket.server import ControlServer
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.inference.model import Model, load
from apollo_rt.inference.model_file import default_model_path
from apollo_rt.live.endpoints.file_feed import Nowhere
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.realtime.ring import n_queued
from apollo_rt.radio.radio_source import RadioSource
from apollo_rt.session.named_files import input_file
from apollo_rt.session.running_session import LiveSession, SessionInfo
from tests.doubles import tiny_models
from tests.doubles.audio_servers import wait_for
from tests.doubles.browser import Page, browser_page
from tests.doubles.hand_device import HandDevice
from tests.doubles.heard_radio import station_mp3
from tests.doubles.midi import Desk
from tests.doubles.radio_server import RadioServer, said, with_titles

pytestmark = pytest.mark.server

RATE = 44_100
TOKEN = "a-token-for-the-page"
KNOBS = [row for row in PARAMETERS if not row.is_switch]


class Endless:
    """A source that plays some samples over and over."""

    def __init__(self, samples: np.ndarray) -> None:
        self._samples, self._position = samples, 0

    def read(self, n_samples: int) -> np.ndarray:
        places = np.arange(self._position, self._position + n_samples) % len(self._samples)
        self._position += n_samples
        return self._samples[places]


@contextlib.contextmanager
def playing(model: Model, samples: np.ndarray, settings: EngineSettings) -> Iterator[LiveSession]:
    """A session of an engine that plays for ever."""
    engine = Engine(model, VirtualDevice(RATE), settings, Endless(samples), Nowhere())
    with engine:
        session = LiveSession(engine, SessionInfo("demo", "speakers", "tiny", False))
        session.controls.listening_face = engine.level_match
        yield session


@contextlib.contextmanager
def served(session: LiveSession) -> Iterator[ControlServer]:
    server = ControlServer(session.commands, TOKEN, 0, session.messages.append)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSession]:
    """A tone that comes in, and noise over the whole band that comes out: as if treble had been restored."""
    folder = tmp_path_factory.mktemp("page")
    model = load(tiny_models.carrier_only(folder, 0.5, Framing(hop_length=256, analysis_length=1024)))
    tone = 0.3 * np.sin(2 * np.pi * 441 * np.arange(RATE) / RATE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apollo_rt.control.presets.preset_folder", lambda: folder / "presets")
        samples = np.stack([tone, 0.5 * tone], axis=1).astype(np.float32)
        with playing(model, samples, EngineSettings(headroom=8192)) as session:
            yield session


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser_page() as page:
        yield page


@pytest.fixture
def shown(session: LiveSession, page: Page) -> Iterator[Page]:
    session.commands.run("reset")
    page.faults.clear()
    with served(session) as server:
        page.open(server.url)
        page.wait_for("$('state').textContent === 'connected' && knobs.size > 0")
        yield page
        assert page.faults == []


def colours(canvas: str) -> str:
    """How many pixels of a canvas have about each of the page's colours."""
    return f"""(() => {{
        const canvas = $("{canvas}");
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        const wanted = {{ before: [125, 138, 156], after: [242, 184, 75], fresh: [63, 182, 139] }}, counts = {{}};
        for (const [name, rgb] of Object.entries(wanted)) {{
            counts[name] = 0;
            for (let i = 0; i < pixels.length; i += 4)
                if (rgb.every((value, k) => Math.abs(pixels[i + k] - value) < 24)) counts[name]++;
        }}
        return counts;
    }})()"""


def test_a_blind_test_is_done_with_keys_and_hides_what_would_tell(shown: Page, session: LiveSession) -> None:
    press = "document.onkeydown({{ key: '{}', target: document.body }})"
    shown.run(press.format("x"))
    shown.wait_for("$('round').textContent === 'round 1 of 10' && $('shown').hidden && $('ab').hidden")
    for key, what in (("1", "input"), ("2", "restored"), ("3", "X")):
        shown.run(press.format(key))
        shown.wait_for(f"document.querySelector('[data-hear].on').dataset.hear === {what!r}")
    for round_ in range(1, 11):
        shown.wait_for(f"$('round').textContent === 'round {round_} of 10'")
        shown.run(press.format(4 + round_ % 2))
    shown.wait_for("$('round').textContent.includes('of 10 right') && !$('shown').hidden && $('rounds').hidden")
    answers = session.commands.run("blind_test")["answers"]
    assert [pair["answer"] for pair in answers] == ["restored", "input"] * 5
    shown.run("$('match').click()")
    shown.wait_for("$('match').textContent === 'level match off'")
    assert session.commands.run("level_match")["is_on"] is False
    shown.run("$('match').click()")
    shown.wait_for("$('match').classList.contains('on')")


def test_it_is_drawn_from_the_table_of_parameters(shown: Page) -> None:
    assert shown.run("document.querySelectorAll('.knob').length") == len(KNOBS)
    for row in KNOBS:
        slider = f"$('p-{row.name}')"
        assert shown.run(f"{slider}.valueAsNumber") == pytest.approx(row.position_of(row.default), abs=0.001)
        assert shown.run(f"{slider}.parentElement.title") == row.description
        assert shown.run(f"{slider}.nextElementSibling.textContent") == row.text(row.default)


def test_spectra_and_meters_are_live(shown: Page) -> None:
    shown.wait_for(f"(c => c.before > 20 && c.after > 20 && c.fresh > 200)({colours('spectra')})")
    shown.wait_for(f"(c => c.before > 200 && c.after > 200)({colours('meters')})")
    shown.wait_for("$('figures').textContent.startsWith('latency ')")
    first = shown.run("JSON.stringify(spectra)")
    shown.wait_for(f"JSON.stringify(spectra) !== {first!r}")


def test_a_click_and_a_key_compare_with_the_original(shown: Page, session: LiveSession) -> None:
    assert shown.run("$('ab').textContent") == "B: restored"
    shown.click("#ab")
    assert wait_for(lambda: session.controls.get("bypass") == 1)
    shown.wait_for("$('ab').textContent === 'A: original'")
    shown.wait_for(f"(c => c.fresh < 50)({colours('spectra')})")
    shown.press("b")
    assert wait_for(lambda: session.controls.get("bypass") == 0)


def test_a_slider_changes_the_engine_and_the_engine_a_slider(shown: Page, session: LiveSession) -> None:
    for row in KNOBS:
        shown.run(
            f"(s => {{ s.value = 0.25; s.dispatchEvent(new Event('input')); s.dispatchEvent(new Event('change')); }})"
            f"($('p-{row.name}'))"
        )
        assert wait_for(lambda row=row: session.controls.get(row.name) == pytest.approx(row.value_at(0.25)))
        session.commands.run("turn", {"name": row.name, "position": 0.75})
        shown.wait_for(f"Math.abs($('p-{row.name}').valueAsNumber - 0.75) < 0.001")
    shown.click("#reset")
    assert wait_for(lambda: [session.controls.get(row.name) for row in KNOBS] == [row.default for row in KNOBS])


def test_a_knob_of_midi_is_learnt_from_the_page(page: Page, session: LiveSession, tmp_path: Path) -> None:
    desk = Desk(session, default_map(PARAMETERS), tmp_path / "map.yaml")
    try:
        with served(session) as server:
            page.open(server.url)
            page.wait_for("document.querySelectorAll('.learn:not([hidden])').length > 0")
            row = KNOBS[1]
            page.click(f"#p-{row.name} ~ span .learn")
            page.wait_for("document.querySelectorAll('.learn.on').length === 1")
            desk.play([0xB0, 99, 64])
            page.wait_for("document.querySelectorAll('.learn.on').length === 0")
        assert session.commands.run("midi")["cc 99 channel 1"] == row.name
    finally:
        session.controls.midi_face = None


def test_presets_are_saved_loaded_and_removed(shown: Page, session: LiveSession) -> None:
    session.commands.run("set", {"name": "mix", "value": 0.5})
    shown.run("$('name').value = 'from the page'")
    shown.click("#save")
    shown.wait_for("$('preset').value === 'from the page'")
    session.commands.run("set", {"name": "mix", "value": 1.0})
    shown.run("(s => { s.value = 'from the page'; s.dispatchEvent(new Event('change')); })($('preset'))")
    assert wait_for(lambda: session.controls.get("mix") == 0.5)
    shown.click("#delete")
    assert wait_for(lambda: list(session.controls.preset_names()) == [])


def test_another_model_is_chosen(page: Page, session: LiveSession) -> None:
    chosen: list[str] = []

    def describe() -> dict:
        used = chosen[-1] if chosen else "small"
        models = [{"name": name, "title": name, "is_used": name == used} for name in ("small", "mine")]
        return {"model": used, "models": models}

    session.controls.models_face = SimpleNamespace(describe=describe, choose=chosen.append)
    try:
        with served(session) as server:
            page.open(server.url)
            page.wait_for("$('model').value === 'small' && !$('models').hidden")
            page.run("(s => { s.value = 'mine'; s.dispatchEvent(new Event('change')); })($('model'))")
            assert wait_for(lambda: chosen == ["mine"])
            page.wait_for("$('model').value === 'mine'")
    finally:
        session.controls.models_face = None


def test_two_sets_of_values_are_compared(shown: Page, session: LiveSession) -> None:
    session.commands.run("set", {"name": "mix", "value": 0.25})
    shown.click("#slot")
    shown.wait_for("$('slot').textContent === 'settings B'")
    session.commands.run("set", {"name": "mix", "value": 0.75})
    shown.press("c")
    shown.wait_for("$('slot').textContent === 'settings A'")
    assert session.controls.get("mix") == 0.25


def test_what_is_refused_is_said(shown: Page) -> None:
    shown.run("$('name').value = '../elsewhere'")
    shown.click("#save")
    shown.wait_for("$('error').textContent.includes(\"a preset's name must be\")")


def test_a_radios_title_stands_there_when_its_music_is_heard(page: Page, identity: Model, tmp_path: Path) -> None:
    """All of the stream is there at once; what the device has played decides."""
    data = with_titles(station_mp3(tmp_path / "a.mp3").read_bytes(), 8000, {0: "Me - One", 2: "<b>Größe</b>"})
    with RadioServer(live=said(data, icy_metaint=8000, icy_name="Station")) as server:
        source, device = RadioSource(server.url(), RATE, is_held=False, give_up_s=0.0), Speaker()
        with Engine(identity, device, EngineSettings(realtime=False), source) as engine:
            assert wait_for(lambda: n_queued(engine._shared.source) > RATE, 60)
            session = LiveSession(engine, SessionInfo("demo", "speakers", "tiny", True))
            with served(session) as control:
                page.open(control.url)
                for title, duration_s in (("", 0.9), ("Me - One", 0.3), ("Me - One", 1.7), ("<b>Größe</b>", 0.3)):
                    _play(device, engine, duration_s)
                    shown = " · ".join(filter(None, (title, "Station")))
                    page.wait_for(f"$('radio').textContent === {shown!r} && !$('radio').hidden")


class Speaker(HandDevice):
    """Plays, and captures nothing."""

    input_channels = 0


def _play(device: HandDevice, engine: Engine, duration_s: float) -> None:
    for _ in range(round(duration_s / 0.1)):
        assert wait_for(lambda: n_queued(engine._shared.source) > RATE // 2, 60)
        device.play(np.zeros((RATE // 10, 2), np.float32), pause_s=0.002)


def drop_clients(server: ControlServer) -> None:
    """Cut all connections, as where a client was too slow; no goodbye is said."""
    connections = list(server._server.connections)
    server._loop.call_soon_threadsafe(lambda: [connection.transport.abort() for connection in connections])


def test_after_the_end_it_asks_nobody_any_more_and_keeps_no_token(page: Page, session: LiveSession) -> None:
    with served(session) as server:
        page.open(server.url)
        page.wait_for("$('state').textContent === 'connected'")
        port = server.port
    page.wait_for("$('state').textContent === 'the run has ended'")
    assert page.run("token + (sessionStorage.getItem('token') ?? '') + (proofKey ?? '')") == ""
    again = ControlServer(session.commands, TOKEN, port, print)
    again.start()
    try:
        page.run(f"$('token').value = '{TOKEN}'")
        page.click("#ask button")
        page.wait_for("$('state').textContent === 'connected'")
    finally:
        again.stop()


def test_a_connection_that_was_cut_comes_back_by_itself(page: Page, session: LiveSession) -> None:
    with served(session) as server:
        page.open(server.url)
        page.wait_for("$('state').textContent === 'connected'")
        page.run("window.before = socket")
        drop_clients(server)
        page.wait_for("socket !== window.before && $('state').textContent === 'connected'")


def test_who_takes_the_port_over_is_never_told_the_token(page: Page, session: LiveSession) -> None:
    with served(session) as server:
        page.open(server.url)
        page.wait_for("$('state').textContent === 'connected'")
        page.run("socket.onclose = null; socket.close()")
        port = server.port
    asked: list[str] = []

    class Impostor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"0" * 64)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", port), Impostor) as impostor:
        threading.Thread(target=impostor.serve_forever, daemon=True).start()
        page.run("again()")
        page.wait_for("$('state').textContent.includes('another program at this port')")
        impostor.shutdown()
    assert [line.partition("?")[0] for line in asked] == ["/proof"]
    assert not any(TOKEN in line for line in asked)
    assert page.run("token + (sessionStorage.getItem('token') ?? '')") == ""


def test_without_the_token_it_shows_nothing(page: Page, session: LiveSession) -> None:
    with served(session) as server:
        page.open(f"http://127.0.0.1:{server.port}/#not-the-right-token")
        page.wait_for("$('state').textContent.startsWith('not connected: ')")
        assert page.run("knobs.size") == 0


def draw(path: Path) -> None:
    """Draw the page while the demo plays."""
    with AudioReader(input_file("demo")) as reader:
        samples = reader.read(60 * RATE)
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        playing(load(default_model_path()), samples, EngineSettings()) as session,
        served(session) as server,
        browser_page() as page,
    ):
        patch.setattr("apollo_rt.control.presets.preset_folder", lambda: Path(folder))
        Desk(session, default_map(PARAMETERS), Path(folder) / "map.yaml")  # for the buttons by which it is learnt
        page.open(server.url)
        page.wait_for("document.querySelectorAll('.learn:not([hidden])').length > 0")
        page.wait_for(f"(c => c.fresh > 2000)({colours('spectra')})")
        page.screenshot(path)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
