"""The live screen, pressed and clicked by Textual's pilot."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from textual.events import Key, MouseMove, MouseScrollDown, MouseScrollUp
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from apollo_rt.control.parameters import PARAMETERS, Parameter
from apollo_rt.errors import DeviceError
from apollo_rt.live.monitoring.snapshot import Meter
from apollo_rt.live.monitoring.spectra import N_BANDS, Spectra
from apollo_rt.screen.monitor import Monitor
from apollo_rt.screen.painted import Painted
from apollo_rt.screen.parameter_panel import ParameterTable
from apollo_rt.session.running_session import LiveSession
from tests.doubles.still_engine import BUSY, LATENCY, RADIO, StillEngine, session_of

SIZES = [(80, 24), (140, 44)]
DELTA = [row.name for row in PARAMETERS].index("delta")


@pytest.fixture(autouse=True)
def no_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apollo_rt.control.presets.preset_folder", lambda: tmp_path / "presets")


def on_screen(
    session: LiveSession,
    steps: Callable[[Monitor, Pilot[None]], Awaitable[None]],
    size: tuple[int, int] = (80, 24),
) -> Monitor:
    """Run the screen without a terminal, with somebody at the keys."""
    app = Monitor(session)

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await steps(app, pilot)

    asyncio.run(run())
    return app


def screen_text(app: Monitor) -> str:
    """What is to be read on the screen, line by line."""
    width = app.size.width
    rows = app.screen._compositor.render_strips()
    assert all(strip.cell_length == width for strip in rows)
    return "\n".join(strip.text for strip in rows)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what a key or a refresh brings about; how long that takes is the machine's affair."""
    async with asyncio.timeout(120):
        while not is_so():
            await asyncio.sleep(0.01)


async def shows(app: Monitor, text: str) -> None:
    await until(lambda: text in screen_text(app))


def place(app: Monitor, row: int, share: float) -> Offset:
    """Where a parameter's slider is, so far from its left end, counted in the table."""
    width = app._table._slider_width(app._table.size.width)
    return Offset(15 + round(share * (width - 1)), 1 + row)


@pytest.mark.parametrize("size", SIZES)
def test_the_screen_shows_everything_that_a_user_asks_for(size: tuple[int, int]) -> None:
    engine = StillEngine()
    engine.move_on(**BUSY)
    texts = []

    async def look(app: Monitor, _: Pilot[None]) -> None:
        for text in ("worker normal, memory not locked", "xruns 3 (1)", "1k", "b bypass"):
            await shows(app, text)
        texts.append(screen_text(app))

    on_screen(session_of(engine), look, size)
    lines = texts[0].splitlines()
    assert len(lines) == size[1]
    for wanted in (
        "Apollo RT",
        "radio [mono] → speakers (ALSA)", "small full", "RESTORING", " A ", "spectrum", "before", "restored",
        "1k", "-30", "in  L", "out R", "-6.0", "-12.0", "load  23 %", "p50    p99  p99.9    max",
        "1.21   2.34   3.00   4.56", "1.20   3.21   3.30   3.40", "misses 7 (2)", "xruns 3 (1)",
        f"latency {LATENCY.total_ms:.1f} ms", "device input 11.2", "algorithmic 11.6", "rebuffering 2.9",
        "headroom 7.3", "device output 16.7", "worker normal, memory not locked",
        "b bypass", "d delta", "a A/B", "p presets", "o devices", "n net", "? help", "q quit",
    ):  # fmt: skip
        assert wanted in texts[0], f"{wanted!r} is not on the screen:\n{texts[0]}"
    for row in PARAMETERS:
        assert row.text(row.default) in texts[0]
        assert any(line[2:].startswith(row.name.split("_")[0]) for line in lines), row.name


def test_a_window_that_grows_is_filled() -> None:
    async def grow(app: Monitor, pilot: Pilot[None]) -> None:
        await shows(app, "RESTORING")
        await pilot.resize_terminal(140, 44)
        await shows(app, "callbacks every")
        await shows(app, "messages")

    on_screen(session_of(StillEngine()), grow)


def test_below_24_lines_the_parameters_have_the_room() -> None:
    texts = []

    async def look(app: Monitor, _: Pilot[None]) -> None:
        for text in ("latency", "output gain", "quit"):
            await shows(app, text)
        texts.append(screen_text(app))

    on_screen(session_of(StillEngine()), look, (60, 16))
    for wanted in ("RESTORING", "output gain", "load", "latency", "quit"):
        assert wanted in texts[0], texts[0]
    assert "spectrum" not in texts[0]


def test_keys_choose_a_parameter_and_move_it_by_its_step() -> None:
    engine = StillEngine()

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        values = engine.parameters
        await pilot.press("left", "left")
        assert values.mix == pytest.approx(0.9)
        await pilot.press("shift+left", "right")
        assert values.mix == pytest.approx(0.7)
        await pilot.press("home")
        assert values.mix == 0.0
        await pilot.press("left")
        assert values.mix == 0.0, "it stops at its lowest"
        await pilot.press("end")
        assert values.mix == 1.0
        await pilot.press("down", "down", "down", "right")
        assert values.strength == pytest.approx(1.05)
        await pilot.press("backspace")
        assert values.strength == 1.0
        await pilot.press("j", "minus", "k", "k", "space")
        assert (values.air_db, values.delta) == (-1.0, True)
        await pilot.press("R")
        assert values.as_dict() == {row.name: row.default for row in PARAMETERS}

    on_screen(session_of(engine), press)


class OnePlugin:
    """A gain, as far as a screen sees it."""

    def __init__(self) -> None:
        self.row = Parameter("gain.gain_db", "dB", -24.0, 24.0, 0.0, "Gain: gain db.", 1.0)
        self.value = 0.0

    def rows(self) -> list[Parameter]:
        return [self.row]

    def get(self, name: str) -> float:
        assert name == self.row.name
        return self.value

    def set(self, name: str, value: float) -> None:
        assert name == self.row.name
        self.value = value


def test_a_plugins_parameter_is_moved_as_any_other() -> None:
    engine = StillEngine()
    engine.plugins = OnePlugin()

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press(*["down"] * len(PARAMETERS), "left", "left")
        await until(lambda: engine.plugins.value == -2.0)
        await shows(app, "gain.gain")
        await shows(app, "-2.0 dB")
        await pilot.press("backspace")
        await until(lambda: engine.plugins.value == 0.0)

    on_screen(session_of(engine), press)


def test_brackets_move_the_mix_wherever_the_cursor_is() -> None:
    engine = StillEngine()

    async def press(_: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("down", "down", *["left_square_bracket"] * 3, "right_square_bracket")
        assert engine.parameters.mix == pytest.approx(0.9)

    on_screen(session_of(engine), press)


def test_a_value_is_typed_and_a_wrong_one_is_refused_with_the_reason() -> None:
    engine = StillEngine()

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("0")
        await until(lambda: bool(app.screen.query(Input)))
        await pilot.press(".", "2", "5", "enter")
        await until(lambda: engine.parameters.mix == 0.25)
        await pilot.press("up", "down", "down", "down", "down", "down", "enter")
        await until(lambda: bool(app.screen.query(Input)))
        await pilot.press(*"90 Hz", "enter")
        await until(lambda: engine.parameters.crossover_hz == 90.0)
        await pilot.press("3")
        await until(lambda: bool(app.screen.query(Input)))
        await pilot.press("enter")
        await shows(app, "crossover_hz must be from 20 to 20000, got 3")
        await pilot.press("escape")
        await until(lambda: not app.screen.query(Input))
        assert engine.parameters.crossover_hz == 90.0

    on_screen(session_of(engine), press)


def test_who_types_quickly_loses_no_digit() -> None:
    engine = StillEngine()

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        for key in "0.25":
            app.post_message(Key(key, key))
        await until(lambda: bool(app.screen.query(Input)) and app.screen.query_one(Input).value == "0.25")

    on_screen(session_of(engine), press)


def test_a_slider_is_clicked_dragged_turned_by_the_wheel_and_sent_back_by_a_double_click() -> None:
    engine = StillEngine()

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        values = engine.parameters
        await pilot.click(ParameterTable, place(app, 0, 0.5))
        assert values.mix == pytest.approx(0.5, abs=0.05)
        await pilot.mouse_down(ParameterTable, place(app, 3, 0.0))
        await pilot._post_mouse_events([MouseMove], ParameterTable, place(app, 3, 0.5), button=1)
        assert values.strength == pytest.approx(0.75, abs=0.08)
        await pilot._post_mouse_events([MouseMove], ParameterTable, Offset(78, 15), button=1)
        assert values.strength == 1.5, "it goes on outside of the table"
        await pilot.mouse_up(ParameterTable, Offset(78, 15))
        await pilot.hover(ParameterTable, place(app, 0, 0.0))
        assert values.strength == 1.5, "it was let go of"
        await pilot.double_click(ParameterTable, Offset(4, 4))
        assert values.strength == 1.0
        for kind in (MouseScrollUp, MouseScrollDown, MouseScrollDown):
            await pilot._post_mouse_events([kind], ParameterTable, place(app, 4, 0.5), button=0)
        await until(lambda: values.air_db == -1.0)

    on_screen(session_of(engine), press)


def test_switches_are_clicked_and_values_typed_after_a_click() -> None:
    engine = StillEngine()

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.click(ParameterTable, place(app, DELTA, 0.1))
        await until(lambda: engine.parameters.delta)
        await pilot.click(ParameterTable, Offset(37, 1))
        await until(lambda: bool(app.screen.query(Input)))
        await pilot.press(*"0.4", "enter")
        await until(lambda: engine.parameters.mix == 0.4)
        await pilot.click("Footer", Offset(16, 0))
        await until(lambda: engine.parameters.bypass)

    on_screen(session_of(engine), press)


@pytest.mark.parametrize(("key", "text"), [("b", "BYPASS: the input"), ("d", "DELTA: only the changes")])
def test_what_is_heard_is_said_on_the_screen(key: str, text: str) -> None:
    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await shows(app, text)
        await pilot.press(key)
        await shows(app, "RESTORING")

    on_screen(session_of(StillEngine()), press)


@pytest.mark.parametrize(
    ("state", "text"),
    [({"device_state": "waiting for the device"}, "WAITING FOR THE DEVICE"), ({"tier": "dry"}, "TOO MUCH LOAD")],
)
def test_what_hinders_restoring_is_said_on_the_screen(state: dict[str, str], text: str) -> None:
    engine = StillEngine()
    engine.move_on(**state)

    async def look(app: Monitor, _: Pilot[None]) -> None:
        await shows(app, text)

    on_screen(session_of(engine), look)


def test_a_compares_two_settings() -> None:
    engine = StillEngine()

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("a", "home")
        assert engine.parameters.mix == 0.0
        await pilot.press("a")
        assert engine.parameters.mix == 1.0
        assert app._slot == "A"
        await pilot.press("a")
        assert engine.parameters.mix == 0.0
        assert app._slot == "B"

    on_screen(session_of(engine), press)


def test_presets_are_saved_loaded_and_removed(tmp_path: Path) -> None:
    engine = StillEngine()

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("home", "p")
        await until(lambda: bool(app.screen.query(Input)))
        await pilot.press(*"radio", "enter")
        await shows(app, "preset radio saved")
        await pilot.press("end")
        assert engine.parameters.mix == 1.0
        await pilot.press("p")
        await until(lambda: bool(app.screen.query(OptionList)))
        await pilot.press("enter")
        await until(lambda: engine.parameters.mix == 0.0)
        await shows(app, "parameters, preset radio")
        await pilot.press("p")
        await until(lambda: bool(app.screen.query(OptionList)))
        await pilot.press("delete")
        await until(lambda: not list((tmp_path / "presets").glob("*.yaml")))

    on_screen(session_of(engine), press)


def test_a_preset_that_is_broken_says_so_and_changes_nothing(tmp_path: Path) -> None:
    engine = StillEngine()
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "bad.yaml").write_text("mix: 7\n")

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("p")
        await until(lambda: bool(app.screen.query(OptionList)))
        await pilot.press("enter")
        await until(lambda: any("mix must be from 0 to 1" in note.message for note in app._notifications))
        assert engine.parameters.mix == 1.0

    on_screen(session_of(engine), press)


class Devices:
    """Two at each end."""

    names = ("radio (ALSA)", "speakers (ALSA)")

    def __init__(self) -> None:
        self.chosen: list[tuple[str | None, str | None]] = []

    def describe(self) -> dict:
        def entry(number: int, name: str, is_used: bool) -> dict:
            return {"number": number, "name": name, "is_used": is_used}

        return {
            "input": "radio (ALSA)", "output": "speakers (ALSA)",
            "inputs": [entry(0, "radio (ALSA)", True), entry(1, "microphone [mono] (ALSA)", False)],
            "outputs": [entry(2, "speakers (ALSA)", True), entry(3, "headphones (ALSA)", False)],
        }  # fmt: skip

    def choose(self, source: str | None, target: str | None) -> None:
        if target == "3" and len(self.chosen) == 2:
            raise DeviceError("output '3': is gone")
        self.chosen.append((source, target))


def test_devices_are_chosen_while_it_runs() -> None:
    session = session_of(StillEngine())
    devices = session.controls.devices_face = Devices()

    async def choose(app: Monitor, pilot: Pilot[None], *keys: str) -> None:
        await pilot.press("o")
        await until(lambda: bool(app.screen.query(OptionList)))
        await pilot.pause()
        await pilot.press(*keys)

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await choose(app, pilot, "down", "enter")
        await until(lambda: devices.chosen == [("1", None)])
        await choose(app, pilot, "r")
        await until(lambda: devices.chosen[1:] == [("0", "2")])
        await choose(app, pilot, "tab", "down", "enter")
        await until(lambda: any("is gone" in note.message for note in app._notifications))

    on_screen(session, press)


def test_a_model_is_chosen_while_it_runs() -> None:
    session, chosen = session_of(StillEngine()), []
    models = [{"name": "small", "title": "small", "is_used": False}, {"name": "mine", "title": "big", "is_used": True}]
    session.controls.models_face = SimpleNamespace(
        describe=lambda: {"model": "big", "models": models}, choose=chosen.append
    )

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await shows(app, "▸ mine, big")
        await pilot.press("escape", "n")
        await shows(app, "▸ mine, big")
        await pilot.press("up", "enter")
        await until(lambda: chosen == ["small"])
        await shows(app, "model small is made ready")

    on_screen(session, press)


def test_from_file_to_file_there_are_no_devices_to_choose_and_that_is_said() -> None:
    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("o")
        await until(lambda: any("from file to file" in note.message for note in app._notifications))

    on_screen(session_of(StillEngine()), press)


def test_a_controller_is_learnt_for_the_chosen_parameter() -> None:
    session = session_of(StillEngine())
    midi, taken = SimpleNamespace(learning=None), []
    midi.describe = lambda: {"learning": midi.learning, "moved": "cc 77 channel 5"}
    midi.learn = lambda name: setattr(midi, "learning", name)
    midi.learn_moved = lambda name: (taken.append(name), setattr(midi, "learning", None))
    session.controls.midi_face = midi

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("down", "down", "down", "l")
        await shows(app, "shall move strength")
        assert midi.learning == "strength"
        midi.learning = None
        await shows(app, "strength is bound now")
        await pilot.press("l")
        await shows(app, "shall move strength")
        await pilot.press("escape")
        await until(lambda: midi.learning is None)
        await pilot.press("up", "l")
        await shows(app, "moved last: cc 77 channel 5")
        await pilot.press("enter")
        await until(lambda: taken == ["delta"])

    on_screen(session, press)


def test_help_lists_every_key_and_every_parameter() -> None:
    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await shows(app, "everywhere")
        text = screen_text(app)
        for wanted in (
            "hear only what the model changed",
            "dark or light",
            "previous parameter",
            "double click a name",
        ):
            assert wanted in text
        for row in PARAMETERS:
            assert row.name in text
        await pilot.press("escape")
        await shows(app, "RESTORING")

    on_screen(session_of(StillEngine()), press, (100, 70))


def test_what_the_engine_logs_is_on_the_screen_and_all_of_it_in_the_log() -> None:
    session = session_of(StillEngine())

    async def look(app: Monitor, pilot: Pilot[None]) -> None:
        session.messages.append("3 hops [late]")
        await shows(app, "3 hops [late]")
        session.messages += ["the device is gone", "plays again"]
        await shows(app, "(m: 2 more)")
        await pilot.press("m")
        await shows(app, "the device is gone")
        assert "3 hops [late]" in screen_text(app)

    on_screen(session, look)


def test_t_changes_between_dark_and_light() -> None:
    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        dark = app.screen.background_colors[1].brightness
        await pilot.press("t")
        await until(lambda: app.screen.background_colors[1].brightness > 0.8)
        assert dark < 0.2
        await pilot.press("t")
        await until(lambda: app.screen.background_colors[1].brightness == dark)

    on_screen(session_of(StillEngine()), press)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_q_and_ctrl_c_leave(key: str) -> None:
    session = session_of(StillEngine())

    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await until(lambda: app._exit)

    on_screen(session, press)
    assert session.is_over


def test_the_screen_ends_by_itself_when_the_engine_does() -> None:
    engine = StillEngine()

    async def end(app: Monitor, _: Pilot[None]) -> None:
        assert not app._exit
        engine.ends = True
        await until(lambda: app._exit)

    on_screen(session_of(engine), end)


def test_what_midi_or_the_socket_moves_is_seen() -> None:
    engine = StillEngine()

    async def move(app: Monitor, _: Pilot[None]) -> None:
        engine.parameters.air_db = -7.5
        await shows(app, "-7.5 dB")

    on_screen(session_of(engine), move)


def test_only_lines_that_changed_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, drawn = StillEngine(), []
    flat = np.full(N_BANDS, -40.0)
    edges = np.geomspace(30.0, 20_000.0, N_BANDS + 1)
    monkeypatch.setattr(engine, "spectra", lambda: Spectra(edges[1:], edges, flat, flat))

    async def look(app: Monitor, pilot: Pilot[None]) -> None:
        for _ in range(3):
            await pilot.pause(0.2)
        refresh = Painted.refresh
        monkeypatch.setattr(
            Painted,
            "refresh",
            lambda self, *regions, **words: (drawn.append((self, regions)), refresh(self, *regions))[1],
        )
        n_frames = app._n_frames
        await until(lambda: app._n_frames > n_frames + 6)
        assert drawn == []
        engine.move_on(input=Meter((0.5, 0.0), (0.1, 0.0)))
        await until(lambda: bool(drawn))
        assert all(widget is app._levels and regions for widget, regions in drawn)
        assert {region.y for _, regions in drawn for region in regions} == {0}

    on_screen(session_of(engine), look)


def test_a_radio_shows_its_title_and_that_it_is_lost() -> None:
    engine = StillEngine()
    engine.move_on(radio=RADIO)

    async def look(app: Monitor, _: Pilot[None]) -> None:
        await shows(app, "A - B · C")
        await shows(app, "reserve 0.25 s, its clock +12 ppm apart")
        engine.move_on(radio=replace(RADIO, title="D", connected=False, buffered_s=0.0))
        await shows(app, "D · C")
        await shows(app, "WAITING FOR THE STATION")

    on_screen(session_of(engine), look)


def test_x_is_a_blind_test_of_ten_rounds_and_the_screen_shows_nothing_of_what_is_heard() -> None:
    session, heard = session_of(StillEngine()), []
    session.controls.listening_face = SimpleNamespace(hear=heard.append, is_on=True, gain_db=1.25, describe=dict)

    async def steps(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("b")
        await shows(app, "BYPASS: the input, +1.2 dB")
        await pilot.press("x")
        await shows(app, "round 1 of 10, you hear X")
        await until(lambda: not app._spectrum.visible and not app._levels.visible)
        await shows(app, "BLIND TEST")
        for key, what in (("a", "input"), ("b", "restored")):
            await pilot.press(key)
            assert heard[-1] == what
        for _ in range(10):
            await pilot.press("x", "1")
        score = session.commands.run("blind_test")["score"]
        assert score == sum(pair["x"] == "input" for pair in session.commands.run("blind_test")["answers"])
        await shows(app, f"{score} of 10 right")
        await pilot.press("2")  # over is over
        await pilot.press("escape")
        await until(lambda: app._spectrum.visible and app._levels.visible)
        await pilot.press("x")
        await shows(app, "round 1 of 10")
        await pilot.press("escape")
        await until(lambda: not session.controls.is_blind)
        assert heard[-1] is None

    on_screen(session, steps)


def test_a_run_that_nobody_hears_has_no_blind_test() -> None:
    async def steps(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("x")
        await shows(app, "nobody listens to this run")

    on_screen(session_of(StillEngine()), steps)
