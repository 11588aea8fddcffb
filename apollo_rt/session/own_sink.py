"""A live run's own sink: made before the devices are opened, given players while it plays, removed at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from apollo_rt.console.say import say
from apollo_rt.devices.players import Players, playing_rate
from apollo_rt.devices.pulse_connection import ServerError
from apollo_rt.devices.virtual_sink import DEFAULT_NAME, VirtualSink, remove_left_sinks
from apollo_rt.latency import LatencyReport
from apollo_rt.live.supervision.rest import Rest
from apollo_rt.session.running_session import LiveSession
from apollo_rt.session.upkeep import Poll


@dataclass(frozen=True)
class SinkOptions:
    """Wishes of the user for a sink of the run's own.

    Attributes:
        name: of the sink, for people; None: no wish.
        apps: applications whose sound belongs there, see `players.Players`.
        takes_all: every player's does.
    """

    name: str | None = None
    apps: tuple[str, ...] = ()
    takes_all: bool = False

    @property
    def is_wanted(self) -> bool:
        """Whether the run captures a sink of its own."""
        return self.name is not None or bool(self.apps) or self.takes_all


@contextmanager
def own_sink(options: SinkOptions, usual_rate: int) -> Iterator[VirtualSink | None]:
    """Clear away what an earlier run left, and make a sink for this one; its players are given back at the end.

    Args:
        options: None is made where none is wanted.
        usual_rate: Hz, unless most players that are to come have another.

    Raises:
        ServerError: a sink is wanted, and there is no server, or it refuses.
    """
    try:
        for line in remove_left_sinks():
            say(f"warning: {line}", err=True)
    except ServerError as error:
        if options.is_wanted:
            raise ServerError(f"--sink needs PulseAudio or PipeWire (pipewire-pulse): {error}") from None
    if not options.is_wanted:
        yield None
        return
    sink = VirtualSink(
        options.name or DEFAULT_NAME, playing_rate(options.apps, options.takes_all, usual_rate)
    )  # fmt: skip
    sink.make()
    try:
        yield sink
    finally:
        for line in sink.remove():
            say(f"warning: {line}", err=True)


def players_poll(options: SinkOptions, sink: VirtualSink, session: LiveSession, rest: Rest | None = None) -> Poll:
    """A poll that moves players to the sink, from when it is captured on: what they play before would be lost.

    Args:
        options: which players.
        sink: made.
        session: that captures it.
        rest: is told whether any of them plays.
    """
    players = Players(sink, options.apps, options.takes_all)

    def poll() -> list[str]:
        if rest:
            rest.note(players.any_plays())
        return players.poll() if session.is_playing else []

    return poll


def sink_notes(options: SinkOptions, sink: VirtualSink, latency: LatencyReport) -> list[str]:
    """Notes on the sink that a user should have from the start."""
    name, late_ms = sink.name, round(latency.total_ms)
    lines = [
        f"own sink {name!r} at {sink.sample_rate} Hz; it goes when this run ends, and players on it are given back"
    ]
    if not (options.apps or options.takes_all):
        lines.append(f"choose {name!r} as the output of a player, or let --app NAME or --all do that")
    lines.append(f"films stay in step with: mpv --audio-delay=-{late_ms / 1e3:.3f}, VLC: --audio-desync=-{late_ms}")
    return lines
