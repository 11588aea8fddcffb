"""Players, the streams of other programs, are moved to our sink, each once: who moves one away by hand may do so."""

from collections.abc import Sequence
from typing import Any

from apollo_rt.devices.pulse_connection import ServerError, ask, n_events, refusals_ignored
from apollo_rt.devices.virtual_sink import DEFAULT_NAME, VirtualSink

_NAMES = ("application.name", "application.process.binary", "application.id", "node.name", "media.name")
_N_TRIES = 5
_NO_CLIENT = 2**32 - 1


class Players:
    """Players that belong on our sink.

    Args:
        sink: made.
        wanted: names of applications or parts of them, in any case.
        takes_all: every player belongs there, but system sounds and what the server itself plays.
    """

    def __init__(self, sink: VirtualSink, wanted: Sequence[str], takes_all: bool) -> None:
        """None is moved yet."""
        self._sink = sink
        self._wanted = [word.casefold() for word in wanted]
        self._takes_all = takes_all
        self._n_tries: dict[int, int] = {}
        self._arrived: set[int] = set()
        self._n_made = sink.n_made
        self._seen_events = self._judged_events = -1
        self._plays = False

    def poll(self) -> list[str]:
        """Move those that have come, and look whether they arrived; returns what a user should know."""
        n_now = n_events()
        if not (self._wanted or self._takes_all) or (n_now == self._seen_events and not self._awaited):
            return []
        self._seen_events = n_now
        if self._sink.n_made != self._n_made:  # all were sent away when it went
            self._n_tries, self._arrived, self._n_made = {}, set(), self._sink.n_made
        try:
            return ask(self._move)
        except ServerError:  # the engine says so too, and comes back
            return []

    def any_plays(self) -> bool:
        """Whether one plays that isn't paused: on the sink, or one that belongs there; False without a server."""
        n_now = n_events()
        if n_now != self._judged_events:
            self._judged_events = n_now
            try:
                self._plays = ask(self._is_played)
            except ServerError:  # the engine says so, too
                self._plays = False
        return self._plays

    def _is_played(self, server: Any) -> bool:
        target = next((sink.index for sink in server.sink_list() if sink.name == self._sink.sink), None)
        return any(
            not stream.corked and (stream.sink == target or self._belongs(stream))
            for stream in server.sink_input_list()
        )

    @property
    def _awaited(self) -> bool:
        """Some were told to move, and weren't seen on the sink yet."""
        return any(index not in self._arrived and n < _N_TRIES for index, n in self._n_tries.items())

    def _move(self, server: Any) -> list[str]:
        lines: list[str] = []
        target = next((sink.index for sink in server.sink_list() if sink.name == self._sink.sink), None)
        streams = [stream for stream in server.sink_input_list() if self._belongs(stream)] if target is not None else []
        for stream in streams:
            index = stream.index
            if index in self._arrived:
                continue
            if stream.sink == target:
                self._arrived.add(index)
                if index in self._n_tries:
                    lines.append(f"{_title(stream)} plays to {self._sink.name!r} now")
                continue
            n_tries = self._n_tries[index] = self._n_tries.get(index, 0) + 1
            if n_tries > _N_TRIES:
                continue
            if n_tries == _N_TRIES:
                lines.append(
                    f"{_title(stream)} does not let itself be moved to {self._sink.name!r}: it is heard as it is"
                )
                continue
            with refusals_ignored():
                server.sink_input_move(index, target)
        return lines

    def _belongs(self, stream: Any) -> bool:
        properties = stream.proplist
        if properties.get("application.name") == DEFAULT_NAME:  # what we play, this run or another
            return False
        names = " ".join(properties.get(name, "") for name in _NAMES).casefold()
        if any(word in names for word in self._wanted):
            return True
        is_player = stream.client != _NO_CLIENT and properties.get("media.role") != "event"
        return self._takes_all and is_player


def playing_rate(wanted: Sequence[str], takes_all: bool, usual: int) -> int:
    """The rate in Hz that most of the players have which would be moved now; the usual one where there are none.

    Raises:
        ServerError: there is no server.
    """
    players = Players(VirtualSink(DEFAULT_NAME, usual), wanted, takes_all)
    rates = ask(
        lambda server: [
            stream.sample_spec.rate for stream in server.sink_input_list() if players._belongs(stream)
        ]
    )  # fmt: skip
    return max(sorted(set(rates)), key=rates.count) if rates else usual


def _title(stream: Any) -> str:
    """Name that people know a player by."""
    return str(stream.proplist.get("application.name") or stream.name)
