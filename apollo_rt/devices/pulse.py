"""A PulseAudio server (or PipeWire in its place) tells its sinks, its sources, and which of our streams is where.

PortAudio sees a server only as one ALSA device, `pulse`. The server's sinks and sources are reached through it all the
same: libpulse takes its target from the environment when a stream is opened.
"""

from dataclasses import dataclass
from typing import Any

from apollo_rt.devices import pipewire_graph
from apollo_rt.devices.pulse_connection import ServerError, ask

DEFAULT_MONITOR = "@DEFAULT_MONITOR@"
"""The server's own name for what its default sink plays."""

NORMAL_VOLUME = 1.0


@dataclass(frozen=True)
class Endpoint:
    """A sink or a source.

    Attributes:
        name: the server's own name for it.
        description: what desktops show.
        channels: 1 or more.
        sample_rate: Hz at which it is opened without anybody resampling.
        monitor_of: of a source, the name of the sink whose sound it captures; empty for a microphone.
        volume: of its loudest channel, as mixers show it: 1 is unchanged, 0.5 is 18 dB less.
        is_muted: nothing comes through.
    """

    name: str
    description: str
    channels: int
    sample_rate: int
    monitor_of: str = ""
    volume: float = NORMAL_VOLUME
    is_muted: bool = False


@dataclass(frozen=True)
class Server:
    """A server's endpoints, and the names of its defaults (empty where it has none).

    Attributes:
        sinks: what can be played to.
        sources: what can be captured, monitors of sinks among them.
        default_sink: name of one.
        default_source: name of one.
        name: of the program and its version.
        is_pipewire: PipeWire answers in PulseAudio's place.
    """

    sinks: tuple[Endpoint, ...]
    sources: tuple[Endpoint, ...]
    default_sink: str
    default_source: str
    name: str = "pulseaudio"
    is_pipewire: bool = False

    def monitored_sink(self, source: str) -> str:
        """The sink that a source captures, empty if it is a microphone or unknown."""
        return next((endpoint.monitor_of for endpoint in self.sources if endpoint.name == source), "")

    def sink(self, name: str) -> Endpoint | None:
        """The sink of that name, if there is one."""
        return next((sink for sink in self.sinks if sink.name == name), None)


@dataclass(frozen=True)
class Routes:
    """Routes of one process: where its streams are, by the names of sinks and sources.

    Attributes:
        played: sinks that it plays to.
        captured: sources that it captures.
        heard: sinks whose monitors these are.
    """

    played: tuple[str, ...]
    captured: tuple[str, ...]
    heard: tuple[str, ...]

    @property
    def feedback_sink(self) -> str:
        """The sink that is played to and captured at once; else empty."""
        return next((name for name in self.played if name in self.heard), "")


def read_server() -> Server | None:
    """Ask the server; None where there is none that answers."""
    try:
        info, sinks, sources = ask(lambda server: (server.server_info(), server.sink_list(), server.source_list()))
    except ServerError:
        return None
    rates = pipewire_graph.read_rates() if _is_pipewire(info) else ()
    return server_of(info, sinks, sources, rates)


def server_of(info: Any, sinks: list[Any], sources: list[Any], graph_rates: tuple[int, ...] = ()) -> Server:
    """Build a `Server` from what pulsectl returns for `server_info`, `sink_list` and `source_list`.

    Args:
        info: the server's own.
        sinks: all there are.
        sources: all there are.
        graph_rates: Hz at which PipeWire's graph may run, the usual one first; empty: each device runs at its own.
    """
    names = {sink.name for sink in sinks}
    return Server(
        tuple(_endpoint(sink, graph_rates) for sink in sinks),
        tuple(_endpoint(source, graph_rates, _monitored(source, names)) for source in sources),
        info.default_sink_name or "",
        info.default_source_name or "",
        info.server_name or "",
        _is_pipewire(info),
    )


def routes(process_id: int) -> Routes:
    """Routes of a process as they are now, wherever the server led its streams; empty where none answers.

    Routes come from the environment, from ALSA's configuration, from what the server remembers and from what the user
    did in a mixer: only the server knows them all, and only once the streams run.
    """
    try:
        playing, capturing, sinks, sources = ask(
            lambda server: (
                server.sink_input_list(), server.source_output_list(), server.sink_list(), server.source_list()
            )
        )  # fmt: skip
    except ServerError:
        return Routes((), (), ())
    played = {stream.sink for stream in playing if belongs_to(stream, process_id)}
    captured = {stream.source for stream in capturing if belongs_to(stream, process_id)}
    names = {sink.name for sink in sinks}
    heard = (_monitored(source, names) for source in sources if source.index in captured)
    return Routes(
        tuple(sink.name for sink in sinks if sink.index in played),
        tuple(source.name for source in sources if source.index in captured),
        tuple(name for name in heard if name),
    )


def feedback_sink(process_id: int) -> str:
    """The sink that a process plays to and captures at once, wherever the server has routed its streams; else empty."""
    return routes(process_id).feedback_sink


def belongs_to(stream: Any, process_id: int) -> bool:
    """Whether a stream of the server is of that process."""
    return bool(stream.proplist.get("application.process.id") == str(process_id))


def _is_pipewire(info: Any) -> bool:
    return "PipeWire" in (info.server_name or "")


def _endpoint(end: Any, graph_rates: tuple[int, ...], monitor_of: str = "") -> Endpoint:
    spec, rate = end.sample_spec, end.sample_spec.rate
    return Endpoint(
        end.name,
        end.description or end.name,
        spec.channels,
        # PipeWire's sinks may have another rate as a label; what runs is the graph.
        rate if not graph_rates or rate in graph_rates else graph_rates[0],
        monitor_of,
        max(end.volume.values, default=NORMAL_VOLUME),
        bool(end.mute),
    )


def _monitored(source: Any, sink_names: set[str]) -> str:
    """PulseAudio names the sink; PipeWire leaves that out in some versions, but keeps the naming rule."""
    named = source.monitor_of_sink_name or ""
    if named not in sink_names:
        named = source.name.removesuffix(".monitor")
    return named if named in sink_names else ""
