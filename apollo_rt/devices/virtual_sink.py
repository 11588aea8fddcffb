"""A virtual sink of our own: players play to it instead of to the loudspeakers, and its monitor is what is captured.

A null sink outlives its maker. So each of ours carries the name of the client that made it: what stands there without
that client was left by a program that was killed, and players on it play into silence.
"""

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from apollo_rt.devices import pipewire_graph
from apollo_rt.devices.pulse_connection import CLIENT_NAME, ServerError, ask, refusals_ignored

DEFAULT_NAME = "Apollo RT"

_MAKER, _RATES_BEFORE = "apollo_rt.maker", "apollo_rt.rates_before"
"""Properties of our sinks: the client that made it, and what PipeWire's graph was allowed to run at before."""

_N_TRIES, _BETWEEN_TRIES_S = 20, 0.05
"""PipeWire tells of a change a moment after it has agreed to it."""


@dataclass(frozen=True)
class _FoundSink:
    """A sink of ours, or of an earlier run, on the server."""

    index: int
    name: str
    module: int
    maker: str
    rates_before: str


class VirtualSink:
    """A null sink that is there from `make` to `remove`.

    Args:
        name: for people; in any script.
        sample_rate: Hz.

    Raises:
        ValueError: the name has what servers take for the end of a name.

    Attributes:
        sink: its name on the server; ASCII, since PulseAudio takes nothing else.
        monitor: name of the source that captures it.
        n_made: how often it was made; again where somebody had removed it.
        output: where the restored sound went when it was made: the default sink of that time.
    """

    def __init__(self, name: str, sample_rate: int) -> None:
        """Nothing is there yet."""
        if not name.strip() or not name.isprintable() or set(name) & set("\"'\\"):
            raise ValueError(f"sink must be a name without quotes and backslashes, got {name!r}")
        self.name, self.sample_rate = name, sample_rate
        self.sink = _ascii_name(name)
        self.monitor = f"{self.sink}.monitor"
        self.n_made = 0
        self.output = ""
        self._rates_before: str | None = None

    def make(self) -> None:
        """Make it where it isn't there.

        Raises:
            ServerError: there is no server, it refuses, or another run has a sink of that name.
        """
        found = next((sink for sink in ask(_ours) if sink.name == self.sink), None)
        if found and found.maker == CLIENT_NAME:
            return
        if found:
            raise ServerError(
                f"another run of apollo-rt has the sink {self.name!r}: give this one another name, --sink NAME"
            )
        is_pipewire, self.output = ask(lambda server: (_is_pipewire(server), self._default(server)))
        if is_pipewire and self._rates_before is None:
            self._rates_before = pipewire_graph.allow_rate(self.sample_rate)
        ask(self._load)
        self._wait_until_there()
        ask(self._open_up)
        self.n_made += 1

    def index(self) -> int | None:
        """The server's number of it; None where it isn't there."""
        return next((sink.index for sink in ask(_ours) if sink.name == self.sink and sink.maker == CLIENT_NAME), None)

    def real_default(self) -> str:
        """The server's default sink; where that is this one, the one before, or another."""
        self.output = ask(self._default)
        return self.output

    def remove(self) -> list[str]:
        """Give its players back and remove it; lines say what went wrong. May be called twice."""
        lines: list[str] = []
        with contextlib.suppress(ServerError):  # without a server there is nothing to remove
            found = [sink for sink in ask(_ours) if sink.maker == CLIENT_NAME and sink.name == self.sink]
            lines = remove_sinks(found, self.output)
        if self._rates_before is not None:
            pipewire_graph.restore(self._rates_before)
            self._rates_before = None
        return lines

    def _load(self, server: Any) -> None:
        # Quoted twice: without the outer quotes PulseAudio refuses blanks, and PipeWire cuts there. A null sink that
        # may rewind lets the first who captures it wait for up to 2 s.
        properties = {
            "device.description": self.name,
            "device.icon_name": "audio-card",
            _MAKER: CLIENT_NAME,
            _RATES_BEFORE: self._rates_before or "",
        }
        quoted = " ".join(f'{name}="{value}"' for name, value in properties.items())
        server.module_load(
            "module-null-sink",
            f"sink_name={self.sink} rate={self.sample_rate} format=float32le channels=2 norewinds=1 "
            f"sink_properties='{quoted}'",
        )

    def _wait_until_there(self) -> None:
        for _ in _tries():
            if ask(lambda server: self.monitor in [source.name for source in server.source_list()]):
                return
        raise ServerError(f"the sound server made no sink {self.name!r}, though it said so")

    def _open_up(self, server: Any) -> None:
        """Servers remember volumes by name: ours begins unmuted and unchanged."""
        sink = next(sink for sink in server.sink_list() if sink.name == self.sink)
        server.volume_set_all_chans(sink, 1.0)
        server.mute(sink, False)

    def _default(self, server: Any) -> str:
        """The default sink, if it isn't ours; else the one of the start, or else any."""
        ours = {sink.name for sink in _ours(server)}
        names = [sink.name for sink in server.sink_list() if sink.name not in ours]
        wanted = (server.server_info().default_sink_name, self.output, *names)
        return next((name for name in wanted if name in names), "")


def remove_left_sinks() -> list[str]:
    """Give back the players of sinks that a killed run left, and remove these; a line for each.

    Raises:
        ServerError: there is no server.
    """
    left = ask(lambda server: [sink for sink in _ours(server) if sink.maker not in _clients(server)])
    lines = remove_sinks(left)
    for sink in left:
        if sink.rates_before:
            pipewire_graph.restore(sink.rates_before)
    return [*(f"the sink {sink.name!r}, which an earlier run left, was removed" for sink in left), *lines]


def remove_sinks(sinks: list[_FoundSink], before: str = "") -> list[str]:
    """Move all that plays to these sinks to the default sink, and remove them.

    Where one of them is the default, that is the sink which was it before. A server remembers where a player was moved,
    by the application's name; it forgets that when the player is moved to the default sink. Else that application's
    next start would lead to ours.
    """
    lines = []
    for sink in sinks:
        for _ in _tries():
            if ask(partial(_give_back, left=sink, leaving=sinks, before=before)) == 0:
                break
        else:
            lines.append(f"some players could not be moved away from the sink {sink.name!r}")
        ask(partial(_unload, module=sink.module))
    return lines


def _give_back(server: Any, left: _FoundSink, leaving: list[_FoundSink], before: str) -> int:
    """Move what plays there to the default sink; returns how many still play there, as the server says now."""
    names = {sink.name for sink in leaving}
    others = {sink.name: sink for sink in server.sink_list() if sink.name not in names}
    default = server.server_info().default_sink_name
    target = next((others[name] for name in (default, before, *others) if name in others), None)
    if target is None:
        return 0
    if target.name != default:
        server.default_set(target)
    streams = [stream for stream in server.sink_input_list() if stream.sink == left.index]
    for stream in streams:
        with refusals_ignored():
            server.sink_input_move(stream.index, target.index)
    return len(streams)


def _unload(server: Any, module: int) -> None:
    server.module_unload(module)


def _ours(server: Any) -> list[_FoundSink]:
    """All our sinks, of this run and of others."""
    return [
        _FoundSink(
            sink.index, sink.name, sink.owner_module, sink.proplist[_MAKER], sink.proplist.get(_RATES_BEFORE, "")
        )
        for sink in server.sink_list()
        if _MAKER in sink.proplist
    ]


def _clients(server: Any) -> set[str]:
    return {client.name for client in server.client_list()}


def _is_pipewire(server: Any) -> bool:
    return "PipeWire" in (server.server_info().server_name or "")


def _tries() -> Iterator[None]:
    for number in range(_N_TRIES):
        if number:
            time.sleep(_BETWEEN_TRIES_S)
        yield


def _ascii_name(name: str) -> str:
    if name == DEFAULT_NAME:
        return "apollo_rt"
    words = re.findall(r"[a-z0-9]+", name.casefold())
    is_whole = name.isascii() and words
    return "apollo_rt." + ("_".join(words) if is_whole else name.encode().hex())
