"""A live run as plain lines: one at the start, one every few seconds, one at the end; for pipes, logs and services."""

import time
from collections.abc import Callable

from apollo_rt.console.say import say
from apollo_rt.decibels import SILENCE_DB, level_db
from apollo_rt.live.monitoring.snapshot import Snapshot
from apollo_rt.session.running_session import LiveSession

_PERIOD_S = 5.0
_POLL_S = 0.05


def run_lines(
    session: LiveSession,
    period_s: float = _PERIOD_S,
    is_quiet: bool = False,
    watch: Callable[[Snapshot], None] = lambda _: None,
) -> None:
    """Print lines until the session is over.

    Args:
        session: of a started engine.
        period_s: seconds between two lines.
        is_quiet: print warnings alone.
        watch: is shown each state, twenty times a second.
    """
    if not is_quiet:
        say(start_line(session), session.update().scheduling, *session.notes)
    next_s = time.monotonic() + period_s
    while True:
        snapshot = session.update()
        watch(snapshot)
        for message in session.take_messages():
            say(*f"warning: {message}".split("\n"), err=True)
        if session.is_over:
            return
        if time.monotonic() >= next_s and not is_quiet:
            next_s += period_s
            say(status_line(snapshot))
        time.sleep(_POLL_S)


def start_line(session: LiveSession) -> str:
    """Ends, model and latency."""
    info = session.info
    return f"{info.input_name} -> {info.output_name}, model {info.model_name}, latency {session.latency}"


def status_line(snapshot: Snapshot) -> str:
    """The state at one moment."""
    step = snapshot.step_ms
    how = "bypass" if snapshot.parameters["bypass"] else f"mix {snapshot.parameters['mix']:.2f}"
    return (
        f"{snapshot.elapsed_s:.0f} s: in {level_text(snapshot.input.peak)}, out {level_text(snapshot.output.peak)}, "
        f"{how}, load {snapshot.load_percent:.0f} %, step p50 {step.p50:.2f} p99 {step.p99:.2f} max {step.max:.2f} ms, "
        f"{snapshot.deadline_misses} deadline misses, {snapshot.xruns} xruns{_tier_text(snapshot)}"
        f"{_clocks_text(snapshot)}{f', {snapshot.radio}' if snapshot.radio else ''}"
    )


def _tier_text(snapshot: Snapshot) -> str:
    """Of load shedding, once there was some."""
    return f", tier {snapshot.tier} after {snapshot.tier_changes} changes" if snapshot.tier_changes else ""


def _clocks_text(snapshot: Snapshot) -> str:
    clocks = snapshot.clocks
    if clocks is None:
        return ""
    return f", clocks {clocks.correction_ppm:+.1f} ppm apart, ring {clocks.ring_fill:.0f} of {clocks.ring_target:.0f}"


def end_line(snapshot: Snapshot) -> str:
    """The last line: what it came to."""
    step = snapshot.step_ms
    played_s = snapshot.samples / snapshot.latency.sample_rate
    return (
        f"done: {played_s:.1f} s of sound in {snapshot.elapsed_s:.1f} s, step p50 {step.p50:.2f} p99 {step.p99:.2f} "
        f"max {step.max:.2f} ms, {snapshot.deadline_misses} deadline misses, {snapshot.xruns} xruns, "
        f"latency {snapshot.latency.total_ms:.1f} ms"
    )


def level_text(peaks: tuple[float, ...]) -> str:
    """The louder channel's level."""
    level = level_db(max(peaks))
    return "silent" if level <= SILENCE_DB else f"{level:.0f} dB"
