"""The plain lines that stand in for the screen, and when a session is over."""

import pytest

from apollo_rt.errors import AudioFileError
from apollo_rt.live.endpoints.driver import Clocks
from apollo_rt.session.status_lines import end_line, level_text, run_lines, start_line, status_line
from tests.doubles.still_engine import BUSY, RADIO, StillEngine, session_of


def test_plain_lines_are_a_start_a_status_and_nothing_after_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    engine = StillEngine()
    engine.move_on(**BUSY)
    session = session_of(engine)
    session.messages.append("3 hops late")
    polls = iter(range(100))
    session.update = lambda: (setattr(session, "is_over", next(polls) == 3), engine.snapshot())[1]
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


def test_a_radio_is_told_with_its_reserve_and_what_has_befallen_it() -> None:
    engine = StillEngine()
    engine.move_on(**BUSY, radio=RADIO)
    assert status_line(engine.snapshot()).endswith(", A - B · C, reserve 0.25 s, +12 ppm, 2 stalls, 1 reconnections")


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


def test_changes_of_tier_are_told_in_the_lines() -> None:
    engine = StillEngine()
    engine.move_on(tier="light", tier_changes=3)
    assert ", tier light after 3 changes" in status_line(engine.snapshot())


def test_two_clocks_are_told_in_the_lines() -> None:
    engine = StillEngine()
    engine.move_on(clocks=Clocks(-12.34, 511.6, 512.0, 48_000, 0))
    assert status_line(engine.snapshot()).endswith(", clocks -12.3 ppm apart, ring 512 of 512")
