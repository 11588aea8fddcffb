"""A PulseAudio server (or PipeWire in its place) lists its sinks and sources by its own tool, `pactl`.

PortAudio sees a server only as one ALSA device, `pulse`. The server's sinks and sources are reached through it all the
same: libpulse takes its target from the environment when a stream is opened.

The tool's list for people is read: what it prints with `--format=json` has the text "(null)" for every name that is not
ASCII (PulseAudio 16). It is a process of its own, since a server may hang for ever, and who asks may not.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from apollo_rt.system.child_process import child_environment

DEFAULT_MONITOR = "@DEFAULT_MONITOR@"
"""The server's own name for what its default sink plays."""

_TIMEOUT_S = 2.0
_HEADING = re.compile(r"^\S.* #(\d+)$")
_PROPERTY = re.compile(r'^\t\t(\S+) = "(.*)"$')


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


@dataclass(frozen=True)
class _Record:
    """One thing of a list: its number, what stands beside `Name: `, and its properties."""

    index: int
    fields: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)


def read_server() -> Server | None:
    """Ask the server; None where there is none, or no `pactl` that can tell."""
    answers = [_pactl("list", "sinks"), _pactl("list", "sources"), _pactl("info")]
    try:
        return parse_server(*answers)
    except (KeyError, ValueError):
        return None


def parse_server(sinks: str, sources: str, info: str) -> Server:
    """Build a `Server` from what `pactl` prints for `list sinks`, `list sources` and `info`.

    Raises:
        KeyError, ValueError: it printed something else.
    """
    defaults = _fields(info.splitlines())
    sink_records = _records(sinks)
    sink_names = {sink.fields["Name"] for sink in sink_records}
    return Server(
        tuple(_endpoint(sink) for sink in sink_records),
        tuple(_endpoint(source, _monitored(source, sink_names)) for source in _records(sources)),
        defaults["Default Sink"],
        defaults["Default Source"],
    )


def feedback_sink(process_id: int) -> str:
    """The sink that a process plays to and captures at once, wherever the server has routed its streams; else empty.

    Routes come from the environment, from ALSA's configuration, from what the server remembers and from what the user
    did in a mixer: only the server knows them all, and only once the streams run.
    """
    kinds = ("sink-inputs", "source-outputs", "sources", "sinks")
    playing, capturing, sources, sinks = (_records(_pactl("list", kind)) for kind in kinds)
    try:
        sink_names = {sink.fields["Name"] for sink in sinks}
        played = {int(stream.fields["Sink"]) for stream in playing if _belongs_to(stream, process_id)}
        captured = {int(stream.fields["Source"]) for stream in capturing if _belongs_to(stream, process_id)}
        heard = {_monitored(source, sink_names) for source in sources if source.index in captured}
        names = (sink.fields["Name"] for sink in sinks if sink.index in played)
        return next((name for name in names if name in heard), "")
    except (KeyError, ValueError):
        return ""


def _pactl(*arguments: str) -> str:
    """Output of `pactl`; empty if it fails."""
    tool = shutil.which("pactl")
    if tool is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603  # the tool itself, with arguments that stand above
            [tool, *arguments],
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_S,
            # Or the words before the colons are the user's language.
            env={**child_environment(), "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")


def _records(text: str) -> list[_Record]:
    """The things of a list: `Sink #7`, then lines `<tab>Name: value`, properties with two tabs."""
    records: list[_Record] = []
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            records.append(_Record(int(heading[1])))
        elif records and (found := _PROPERTY.match(line)):
            records[-1].properties.setdefault(found[1], found[2])
        elif records and line.startswith("\t") and not line.startswith("\t\t"):
            for name, value in _fields([line[1:]]).items():
                records[-1].fields.setdefault(name, value)
    return records


def _fields(lines: Sequence[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines)
    return {name: value.strip() for name, colon, value in pairs if colon}


def _endpoint(record: _Record, monitor_of: str = "") -> Endpoint:
    name = record.fields["Name"]
    _, channels, rate = record.fields["Sample Specification"].split()
    return Endpoint(
        name,
        record.fields.get("Description") or name,
        int(channels.removesuffix("ch")),
        int(rate.removesuffix("Hz")),
        monitor_of,
    )


def _monitored(source: _Record, sink_names: set[str]) -> str:
    """PulseAudio names the sink; PipeWire says `n/a` in some versions, but keeps the naming rule."""
    named = source.fields.get("Monitor of Sink", "")
    if named not in sink_names:
        named = source.fields["Name"].removesuffix(".monitor")
    return named if named in sink_names else ""


def _belongs_to(stream: _Record, process_id: int) -> bool:
    return stream.properties.get("application.process.id") == str(process_id)
