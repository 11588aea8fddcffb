"""Volumes of the sinks that a run captures and plays to: said where they change what is restored, or hide it."""

import os

from apollo_rt.devices import pulse
from apollo_rt.devices.pulse_connection import n_events


class VolumeWatch:
    """Volumes as they were when they were looked at last."""

    def __init__(self) -> None:
        """Nothing has been seen yet."""
        self._seen_events = -1
        self._said: dict[str, str] = {}

    def poll(self) -> list[str]:
        """Look where the server told of a change; a line for each sink that is not as it was, and not as it should be.

        What is captured should be unchanged: half the volume is 18 dB less of everything, and of the model's input too.
        What is played to may have any volume, since that is what people listen with, but it should not be muted.
        """
        n_now = n_events()
        if n_now == self._seen_events:
            return []
        self._seen_events = n_now
        server, routes = pulse.read_server(), pulse.routes(os.getpid())
        if server is None:
            return []
        found = {name: _as_captured(server.sink(name)) for name in routes.heard}
        found |= {name: _as_played_to(server.sink(name)) for name in routes.played}
        lines = [line for name, line in found.items() if line and self._said.get(name) != line]
        self._said = found
        return lines


def _as_captured(sink: pulse.Endpoint | None) -> str:
    if sink is None:
        return ""
    if sink.is_muted:
        return f"the sink {sink.description!r}, which is captured, is muted: nothing comes in"
    percent = round(100 * sink.volume)
    if percent == 100:
        return ""
    return (
        f"the sink {sink.description!r}, which is captured, is at {percent} %: set it to 100 %, and the volume behind"
    )


def _as_played_to(sink: pulse.Endpoint | None) -> str:
    if sink is None or not (sink.is_muted or sink.volume == 0.0):
        return ""
    return f"the sink {sink.description!r}, which is played to, is muted"
