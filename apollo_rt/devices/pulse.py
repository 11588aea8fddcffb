"""What a PulseAudio server (or PipeWire in its place) plays to and records from, as its own tool `pactl` tells.

PortAudio sees a server only as one ALSA device, `pulse`. The server's sinks and sources are reached through it all the
same: libpulse takes its target from the environment when a stream is opened.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from apollo_rt.child_process import child_environment

DEFAULT_MONITOR = "@DEFAULT_MONITOR@"
"""The server's own name for what its default sink plays."""

_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Endpoint:
    """A sink or a source.

    Attributes:
        name: the server's own name for it.
        description: what desktops show.
        channels: 1 or more.
        sample_rate: Hz.
        monitor_of: of a source, the name of the sink whose sound it captures; empty for a microphone.
    """

    name: str
    description: str
    channels: int
    sample_rate: int
    monitor_of: str = ""


@dataclass(frozen=True)
class Server:
    """A server's endpoints, and the names of its defaults (empty where it has none)."""

    sinks: tuple[Endpoint, ...]
    sources: tuple[Endpoint, ...]
    default_sink: str
    default_source: str

    def monitored_sink(self, source: str) -> str:
        """The sink that a source captures, empty if it is a microphone or unknown."""
        return next((endpoint.monitor_of for endpoint in self.sources if endpoint.name == source), "")


def read_server() -> Server | None:
    """Ask the server; None where there is none, or no `pactl` that can tell."""
    answers = [_pactl("list", "sinks"), _pactl("list", "sources"), _pactl("info")]
    try:
        return parse_server(*answers)
    except (KeyError, TypeError, ValueError):
        return None


def parse_server(sinks: Any, sources: Any, info: Any) -> Server:
    """Build a `Server` from what `pactl --format=json` prints for `list sinks`, `list sources` and `info`.

    Raises:
        KeyError, TypeError, ValueError: it printed something else.
    """
    sink_names = {sink["name"] for sink in sinks}
    return Server(
        tuple(_endpoint(sink) for sink in sinks),
        tuple(_endpoint(source, _monitored(source, sink_names)) for source in sources),
        info["default_sink_name"] or "",
        info["default_source_name"] or "",
    )


def feedback_sink(process_id: int) -> str:
    """The sink that a process plays to and captures at once, wherever the server has routed its streams; else empty.

    Routes come from the environment, from ALSA's configuration, from what the server remembers and from what the user
    did in a mixer: only the server knows them all, and only once the streams run.
    """
    playing, capturing, sources = (
        _pactl("list", "sink-inputs"),
        _pactl("list", "source-outputs"),
        _pactl("list", "sources"),
    )
    sinks = _pactl("list", "sinks")
    try:
        sink_names = {sink["name"] for sink in sinks}
        played = {stream["sink"] for stream in playing if _belongs_to(stream, process_id)}
        captured = {stream["source"] for stream in capturing if _belongs_to(stream, process_id)}
        heard = {_monitored(source, sink_names) for source in sources if source["index"] in captured}
        return next((sink["name"] for sink in sinks if sink["index"] in played and sink["name"] in heard), "")
    except (KeyError, TypeError, ValueError):
        return ""


def _pactl(*arguments: str) -> Any:
    """What `pactl` prints, parsed; None if it can't."""
    tool = shutil.which("pactl")
    if tool is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  # the tool itself, with arguments that stand above
            [tool, "--format=json", *arguments],
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_S,
            env={
                **child_environment(),
                "LC_ALL": "C",
            },  # some versions print decimals as the locale does, which is no JSON
        )
        return json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _endpoint(record: Any, monitor_of: str = "") -> Endpoint:
    _, channels, rate = record["sample_specification"].split()
    return Endpoint(
        record["name"],
        record["description"] or record["name"],
        int(channels.removesuffix("ch")),
        int(rate.removesuffix("Hz")),
        monitor_of,
    )


def _monitored(source: Any, sink_names: set[str]) -> str:
    """PulseAudio names the sink; PipeWire leaves that empty in some versions, but keeps the naming rule."""
    named = source.get("monitor_source") or source["name"].removesuffix(".monitor")
    return named if named in sink_names else ""


def _belongs_to(stream: Any, process_id: int) -> bool:
    return str(stream["properties"].get("application.process.id")) == str(process_id)
