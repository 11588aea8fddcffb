"""The supervisor says what went wrong, once, in words."""

import logging
from dataclasses import replace

from apollo_rt.live.supervision.supervisor import Supervisor, warnings_between
from tests.doubles.still_engine import QUIET, RADIO


def test_nothing_wrong_gives_nothing_to_say():
    assert warnings_between(QUIET, replace(QUIET, callbacks=1000, hops=1000, covered_samples=64)) == []


def test_only_what_came_since_the_last_poll_is_told():
    before = replace(QUIET, deadline_misses=3, output_underflow=1)
    after = replace(before, deadline_misses=5, output_underflow=2, input_overflow=1)
    first, second = warnings_between(before, after)
    assert first.startswith("2 hops weren't restored in time")
    assert second == "2 under- or overruns at the device"


def test_a_stream_that_is_waited_for_is_told_once_and_not_as_a_fault_of_ours():
    playing = replace(QUIET, radio=replace(RADIO, connected=True, stalls=0))
    stalled = replace(playing, source_underruns=230, silenced_samples=44_000)
    stalled = replace(stalled, radio=replace(playing.radio, stalls=1, is_waiting=True))
    later = replace(stalled, source_underruns=460, silenced_samples=88_000)
    again = replace(later, source_underruns=470, silenced_samples=90_000, radio=replace(later.radio, is_waiting=False))
    (line,) = warnings_between(playing, stalled)
    assert line.startswith(f"{RADIO.url}: nothing comes any more; silent until ")
    assert warnings_between(stalled, later) == warnings_between(later, again) == []
    assert warnings_between(again, replace(again, silenced_samples=90_960)) == []
    lost = replace(stalled, radio=replace(stalled.radio, connected=False))
    assert warnings_between(playing, lost) == []
    assert warnings_between(again, replace(again, source_underruns=475))[0].startswith("5 blocks for which")


def test_a_high_load_is_told_when_it_rises_and_not_again():
    high = replace(QUIET, load_percent=95.0)
    assert "load is at 95 %" in warnings_between(QUIET, high)[0]
    assert warnings_between(high, high) == []


def test_the_thread_polls_once_more_when_it_is_stopped(caplog):
    state = [QUIET]
    supervisor = Supervisor(lambda: state[0])
    supervisor.start()
    state[0] = replace(QUIET, frame_faults=1)
    with caplog.at_level(logging.WARNING, "apollo_rt"):
        supervisor.stop()
    assert [message.split(" came back")[0] for message in caplog.messages] == ["1 frames"]
