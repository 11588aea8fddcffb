"""Options of a live run as values: what the user wishes, checked and completed before anything is opened."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from apollo_rt.control.parameters import Parameters
from apollo_rt.existing import refuse_named_twice
from apollo_rt.files.local_playlist import one_of, several_of
from apollo_rt.network.address import is_address
from apollo_rt.session.control_options import ControlOptions
from apollo_rt.session.endpoint_options import EndpointOptions
from apollo_rt.session.figures_file import refuse_unwritable
from apollo_rt.session.named_files import input_file, output_file
from apollo_rt.session.own_sink import SinkOptions
from apollo_rt.session.plugin_chain import ChainOptions
from apollo_rt.standard_streams import is_pipe


@dataclass(frozen=True)
class LiveOptions(EndpointOptions):
    """Wishes of the user for a live run.

    Attributes:
        parameters: where they begin; the table's defaults otherwise.
        headroom: see `EngineSettings`; None: as much as the endpoints need.
        model: name or file of a model; None: the built-in one.
        provider: what runs it, see `model_choice.open_model`.
        tier: the best of its tiers that is wanted; None: its best.
        stats_json: where to write figures at the end.
        plain: lines, even where a screen could be shown.
        incidents: where to write what was missed, see `EngineSettings`.
        least_headroom: what the machine was found to need.
        follow_default: go where `default`, `speakers` and `Loopback` lead when the system changes that.
        control: by what it is controlled beside the screen.
        chain: the plugins before and after the model.
        sink: the run's own virtual sink, which is its input then.
        verbosity: 0; 1: plain lines, one a second, and the options in force; -1: warnings and errors alone.
        log_file: gets what is said, too.
        keeps_state: what is set is left for the next run.
        idle_close: minutes without a player after which the devices are let go; None: never.
        notes: what a user should know from the start.
    """

    parameters: Parameters | None = None
    headroom: int | None = None
    model: str | None = None
    provider: str = "auto"
    tier: str | None = None
    stats_json: Path | None = None
    plain: bool = False
    incidents: Path | None = None
    least_headroom: int = 0
    follow_default: bool = False
    control: ControlOptions = field(default_factory=ControlOptions)
    chain: ChainOptions = field(default_factory=ChainOptions)
    sink: SinkOptions = field(default_factory=SinkOptions)
    verbosity: int = 0
    log_file: Path | None = None
    keeps_state: bool = False
    idle_close: float | None = None
    notes: tuple[str, ...] = ()


def completed(options: LiveOptions) -> LiveOptions:
    """Check what excludes each other, choose one of a playlist's stations, and decide the pace.

    Raises:
        ApolloError: the playlist can't be played, or the figures can't be written.
        ValueError: options that exclude each other.
    """
    options = replace(options, source=one_of(options.source))
    if options.idle_close is not None and not (options.sink.is_wanted and options.reconnect):
        raise ValueError(
            "--idle-close needs --sink, --app or --all, whose players tell when something plays, and no --no-reconnect"
        )
    if options.stats_json:
        endpoints = [path for path in (input_file(options.source), output_file(options.target)) if path]
        refuse_named_twice(options.stats_json, endpoints, "the figures")
        refuse_unwritable(options.stats_json, options.overwrite)
    if options.control.record and options.pace is False:
        raise ValueError("--record is for what plays in its time: leave --no-pace out, or write a file with --output")
    tells_titles = is_address(options.source) or several_of(options.source)
    if options.control.split_titles and not (options.control.record and tells_titles):
        raise ValueError(
            "--split-titles needs --record DIR, and an address or a playlist as --input: only these tell titles"
        )
    return replace(options, pace=_is_paced(options))


def _is_paced(options: LiveOptions) -> bool:
    """Whether the run keeps time: what is recorded beside it has to be taken while it is there."""
    if options.pace is not None:
        return options.pace
    path = output_file(options.target)
    return options.control.record is not None or path is None or not is_pipe(path)
