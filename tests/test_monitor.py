"""The live screen, pressed by Textual's pilot, and the plain lines that stand in for it."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import ProgressBar

from apollo_rt.app.live_lines import end_line, level_text, run_lines, start_line, status_line
from apollo_rt.app.live_session import LiveSession
from apollo_rt.app.monitor import Monitor
from apollo_rt.errors import AudioFileError
from apollo_rt.live.drift import Clocks
from apollo_rt.live.snapshot import Durations, Meter, Recent
from tests.live_doubles import LATENCY, QUIET, StillEngine, session_of

BUSY = {
    "elapsed_s": 12.0,
    "load_percent": 23.4,
    "step_ms": Durations(900, 1.21, 1.4, 2.34, 3.0, 4.56),
    "deadline_misses": 7,
    "output_underflow": 2,
    "input_overflow": 1,
    "input": Meter((0.5, 0.25), (0.1, 0.1)),
    "output": Meter((1.0, 0.0), (0.1, 0.1)),
    "recent": Recent(
        10.2,
        Durations(90, 1.2, 1.4, 3.21, 3.3, 3.4),
        Durations(90, 5.8, 5.8, 5.9, 6.0, 6.1),
        {**QUIET.recent.counts, "deadline_misses": 2, "output_underflow": 1},
    ),
}


def on_screen(session: LiveSession, steps: Callable[[Monitor, Pilot[None]], Awaitable[None]]) -> Monitor:
    """Run the screen without a terminal, with somebody at the keys."""
    app = Monitor(session)

    async def run() -> None:
        async with app.run_test(size=(110, 30)) as pilot:
            await steps(app, pilot)

    asyncio.run(run())
    return app


def screen_text(app: Monitor) -> str:
    """What is to be read on the screen, line by line."""
    width = app.size.width
    rows = app.screen._compositor.render_strips()
    assert all(strip.cell_length == width for strip in rows)
    return "\n".join(strip.text for strip in rows)


def test_the_screen_shows_everything_that_a_user_asks_for() -> None:
    engine = StillEngine()
    engine.move_on(**BUSY)
    texts = []

    async def look(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.pause()
        texts.append(screen_text(app))

    on_screen(session_of(engine), look)
    shown = re.sub(r"[ │╭╮]+", " ", texts[0])
    for wanted in (
        "radio [mono] -> speakers (ALSA)", "model small", "load 23 %", "step p50 1.21 ms", "step p99 2.34 ms",
        "step max 4.56 ms", "deadline misses 7", "xruns 3", "device input 11.2 ms", "algorithmic 11.6 ms",
        "rebuffering 2.9 ms", "headroom 7.3 ms", "device output 16.7 ms", f"sum {LATENCY.total_ms:.1f} ms", "mix 1.00",
        "q quit", "b bypass", "worker normal, memory not locked", "step p99 3.21 ms", "misses, xruns 2, 1",
    ):  # fmt: skip
        assert wanted in shown, f"{wanted!r} is not on the screen:\n{texts[0]}"


def test_the_meters_show_levels_in_decibels() -> None:
    engine = StillEngine()
    engine.move_on(**BUSY)
    shares = []

    async def look(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.pause()
        shares.extend(bar.percentage for bar in app.query(ProgressBar))

    on_screen(session_of(engine), look)
    assert shares == pytest.approx([(60 - 6.02) / 60, (60 - 12.04) / 60, 1.0, 0.0], abs=0.001)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what a key or a refresh brings about; how long that takes is the machine's affair."""
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.01)


def test_b_toggles_bypass_and_brackets_move_the_mix_within_its_bounds() -> None:
    engine = StillEngine()
    session = session_of(engine)
    left, right = "left_square_bracket", "right_square_bracket"

    async def press(_: Monitor, pilot: Pilot[None]) -> None:
        for keys, bypass, mix in (
            (["b"], True, 1.0),
            (["b"], False, 1.0),
            ([left, left], False, 0.9),
            ([right, "b"], True, 0.95),
        ):
            await pilot.press(*keys)
            await until(
                lambda bypass=bypass, mix=mix: (engine.parameters.bypass, engine.parameters.mix) == (bypass, mix)
            )

    on_screen(session, press)
    assert not session.is_over


def test_bypass_is_said_on_the_screen() -> None:
    async def press(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("b")
        await until(lambda: "BYPASS" in screen_text(app))

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


def test_what_the_engine_logs_is_on_the_screen() -> None:
    session = session_of(StillEngine())

    async def look(app: Monitor, _: Pilot[None]) -> None:
        session.messages.append("3 hops [late]")
        await until(lambda: "3 hops [late]" in screen_text(app))

    on_screen(session, look)


def test_plain_lines_are_a_start_a_status_and_nothing_after_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    engine = StillEngine()
    engine.move_on(**BUSY)
    session = session_of(engine)
    session.messages.append("3 hops late")
    looks = iter(range(100))
    session.update = lambda: (setattr(session, "is_over", next(looks) == 3), engine.snapshot())[1]
    run_lines(session, period_s=0.01)
    out, err = capsys.readouterr()
    start, scheduling, *status = out.splitlines()
    assert start == start_line(session)
    assert scheduling == "worker normal, memory not locked"
    assert start.startswith(
        "radio [mono] -> speakers (ALSA), model small, latency device input 11.2 + algorithmic 11.6 + "
    )
    assert set(status) == {
        "12 s: in -6 dB, out 0 dB, mix 1.00, load 23 %, step p50 1.21 p99 2.34 max 4.56 ms, 7 deadline misses, 3 xruns"
    }
    assert err == "warning: 3 hops late\n"


def test_the_end_line_sums_up() -> None:
    engine = StillEngine()
    engine.move_on(**BUSY, samples=441_000)
    assert end_line(engine.snapshot()).startswith("done: 10.0 s of sound in 12.0 s, ")


@pytest.mark.parametrize(
    ("peak", "text"), [(0.0, "silent"), (1e-5, "silent"), (0.1, "-20 dB"), (float("nan"), "silent")]
)
def test_a_level_is_decibels_or_silence(peak: float, text: str) -> None:
    assert level_text((peak, 0.0)) == text


def test_a_session_is_over_at_the_sources_end_and_after_its_time() -> None:
    engine = StillEngine()
    for_ever, for_2_s, file = session_of(engine), session_of(engine, duration_s=2.0), session_of(engine, False, 2.0)
    for session in (for_ever, for_2_s, file):
        session.update()
        assert not session.is_over
    engine.move_on(samples=88_200)
    for session in (for_ever, for_2_s, file):
        session.update()
    assert [for_ever.is_over, for_2_s.is_over] == [False, True]
    assert not file.is_over, "a file's part has a tail in the engine, which is played first"
    engine.ends = True
    file.update()
    assert file.is_over


def test_a_file_that_breaks_off_ends_the_session_with_its_error() -> None:
    engine = StillEngine()
    session = session_of(engine)
    engine.error = AudioFileError("song.mp3: gone")
    session.update()
    assert session.is_over
    assert session.error is engine.error


def test_two_clocks_are_shown_on_the_screen_and_in_the_lines() -> None:
    engine = StillEngine()
    engine.move_on(clocks=Clocks(-12.34, 511.6, 512.0, 48_000, 0))
    texts = []

    async def look(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.pause()
        texts.append(screen_text(app))

    on_screen(session_of(engine), look)
    shown = re.sub(r"[ │╭╮]+", " ", texts[0])
    assert "clocks apart -12.3 ppm" in shown
    assert "ring 512 of 512" in shown
    assert status_line(engine.snapshot()).endswith(", clocks -12.3 ppm apart, ring 512 of 512")
