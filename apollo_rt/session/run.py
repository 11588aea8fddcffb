"""One live run from start to end: model, endpoints, engine, an interface for it, and figures."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace

from apollo_rt.console.log_file import log_file
from apollo_rt.console.progress import progress_bar
from apollo_rt.console.say import say
from apollo_rt.console.signals import ending_calls, interruptible
from apollo_rt.devices.virtual_sink import VirtualSink
from apollo_rt.devices.volumes import VolumeWatch
from apollo_rt.errors import ApolloError, PipeClosedError
from apollo_rt.files.local_playlist import left_out_of
from apollo_rt.files.recovery import leftover_lines
from apollo_rt.inference.model import Model
from apollo_rt.inference.model_choice import open_model, open_tier, open_tiers
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.endpoints.driver import calls_unevenly
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.monitoring.snapshot import Snapshot
from apollo_rt.live.supervision.rest import Rest
from apollo_rt.plugins.live_plugins import LivePlugins
from apollo_rt.session.device_picker import DevicePicker, reopening
from apollo_rt.session.endpoints import Endpoints, open_endpoints
from apollo_rt.session.figures_file import write_figures
from apollo_rt.session.interfaces import check_files, control_interfaces
from apollo_rt.session.kept_state import StateKeeper
from apollo_rt.session.measure_latency import measure_latency
from apollo_rt.session.model_picker import ModelPicker
from apollo_rt.session.named_files import is_read, output_file
from apollo_rt.session.own_sink import own_sink, players_poll, sink_notes
from apollo_rt.session.own_stderr import stderr_to_ourselves
from apollo_rt.session.plugin_chain import open_plugins, plugin_line
from apollo_rt.session.run_options import LiveOptions, completed
from apollo_rt.session.running_session import LiveSession, SessionInfo, SessionLog
from apollo_rt.session.status_lines import end_line, run_lines, start_line
from apollo_rt.session.upkeep import Poll
from apollo_rt.standard_streams import DASH, words_on_stderr
from apollo_rt.system.service_manager import ServiceManager

_STARTING_S = 300.0
"""For each stage of a start, which compiles the first time: a service manager waits as long."""


def run_live(options: LiveOptions) -> None:
    """Run until the source's end, the time's end, or the user's wish.

    Raises:
        ApolloError: something that the user can mend.
        ValueError: options that exclude each other, or a value out of bounds.
    """
    if left_out := left_out_of(options.source):
        say(f"warning: {left_out}", err=True)
    options = completed(options)
    check_files(options.control, options.chain.names_plugins)
    _say_leftovers(options)
    with words_on_stderr(options.target == DASH), ExitStack() as stack:
        log = stack.enter_context(log_file(options.log_file)) if options.log_file else None
        try:
            _run(options, stack, log)
        except (ApolloError, ValueError) as error:
            if log:
                log(f"error: {error}")
            raise


def _say_leftovers(options: LiveOptions) -> None:
    """Recordings that a killed run left where this one writes."""
    path = output_file(options.target)
    folders = [folder for folder in (path and path.parent, options.control.record) if folder]
    for line in leftover_lines(folders):
        say(f"warning: {line}", err=True)


def _run(options: LiveOptions, stack: ExitStack, log: Callable[[str], None] | None) -> None:
    """As `run_live`; what must be ended whatever happens comes onto the stack."""
    manager = ServiceManager()
    manager.wait_longer(_STARTING_S)
    with interruptible():
        loaded = _opened_model(options)
        sink = stack.enter_context(own_sink(options.sink, loaded.framing.sample_rate)) if _has_device(options) else None
        endpoints = _opened_endpoints(options, loaded, sink)
        try:
            plugins = open_plugins(options.chain, loaded.framing, options.pace is not False)
            if plugins:
                stack.callback(plugins.stop)
            rest = Rest(60.0 * options.idle_close) if options.idle_close is not None else None
            engine = _prepared_engine(options, loaded, endpoints, plugins, (manager, rest))
        except BaseException:
            endpoints.discard()
            raise
    session = _new_session(options, loaded, endpoints, engine, rest)
    session.notes += [plugin_line(state, loaded.framing.sample_rate) for state in plugins.states()] if plugins else []
    polls = [players_poll(options.sink, sink, session, rest)] if sink else []
    polls += [VolumeWatch().poll] if endpoints.has_device else []
    polls += [_matched_levels(session, engine)] if endpoints.writer is None else []
    keeper = StateKeeper(options, session) if options.keeps_state else None
    polls += [keeper.poll] if keeper else []
    with endpoints, _log_handled_by(SessionLog(session)), ending_calls(session.stop), ExitStack() as interfaces:
        try:
            interfaces.enter_context(control_interfaces(options.control, session, engine, polls))
        except BaseException:
            endpoints.discard()
            raise
        is_plain = _is_plain(options.plain or options.verbosity != 0)
        with stderr_to_ourselves() if is_plain else nullcontext(), engine:
            session.notes += sink_notes(options.sink, sink, session.latency) if sink else []
            manager.ready(start_line(session))
            _show(session, is_plain, options.verbosity, log, manager)
            manager.stopping()
            session.messages += keeper.keep() if keeper else []
    _conclude(options, session, endpoints, engine.snapshot())


def _new_session(
    options: LiveOptions, loaded: Model, endpoints: Endpoints, engine: Engine, rest: Rest | None
) -> LiveSession:
    """A session of the engine, with what can be chosen while it plays."""
    names = endpoints.input_name, endpoints.output_name, loaded.card.name
    info = SessionInfo(*names, endpoints.is_endless, options.duration_s)
    devices = DevicePicker(
        engine, endpoints, lambda wanted: reopening(wanted, options.give_up_s, options.follow_default, rest)
    )
    models = ModelPicker(engine, loaded, options.provider, options.tier, logging.getLogger(__name__).warning)
    session = LiveSession(engine, info, devices if endpoints.has_device else None, models)
    session.notes += options.notes
    if endpoints.has_device and endpoints.driver.block_size > options.block_size:
        session.notes.append(
            f"the device hands over {endpoints.driver.block_size} samples at once, so blocks are as long, not "
            f"{options.block_size}; with a shorter period of its sound server all is heard sooner"
        )
    return session


def _matched_levels(session: LiveSession, engine: Engine) -> Poll:
    """Bypass as loud as the restoration, and blind tests: where a device plays, and somebody listens."""
    session.controls.listening_face = match = engine.level_match
    return match.poll


def run_latency(options: LiveOptions) -> None:
    """Measure the latency of a loop from output to input, and print it.

    Raises:
        ApolloError: there is no such loop, or something else that the user can mend.
    """
    with interruptible():
        loaded = _opened_model(options)
        endpoints = _opened_endpoints(replace(options, allow_feedback=True), loaded)
        measure_latency(loaded, endpoints, _settings(options, endpoints))


def _has_device(options: LiveOptions) -> bool:
    return not (is_read(options.source) and output_file(options.target))


def _opened_model(options: LiveOptions) -> Model:
    return open_tier(open_model(options.model, options.provider), options.tier)


def _opened_endpoints(options: LiveOptions, loaded: Model, sink: VirtualSink | None = None) -> Endpoints:
    """Both endpoints; a sink of our own is the input."""
    wanted = replace(options, source=sink.monitor) if sink else options
    return open_endpoints(wanted, loaded.framing.sample_rate, loaded.card.name, sink)


def _prepared_engine(
    options: LiveOptions,
    loaded: Model,
    endpoints: Endpoints,
    plugins: LivePlugins | None,
    beside: tuple[ServiceManager, Rest | None],
) -> Engine:
    manager, rest = beside
    lighter = {name: model for name, model in open_tiers(loaded).items() if name != loaded.tier}
    files = endpoints.source, endpoints.writer
    way = reopening(endpoints.wanted, options.give_up_s, options.follow_default, rest)
    comes_back = endpoints.has_device and options.reconnect
    engine = Engine(
        loaded, endpoints.driver, _settings(options, endpoints), *files, way if comes_back else None, lighter, plugins
    )
    with progress_bar() as report:

        def tell(stage: str, done: int, total: int) -> None:
            manager.wait_longer(_STARTING_S)
            report(f"getting ready, compiling what is new: {stage}", done, total)

        engine.prepare(tell)
    return engine


def _settings(options: LiveOptions, endpoints: Endpoints) -> EngineSettings:
    return EngineSettings(_headroom(options, endpoints), options.parameters, options.incidents)


def _headroom(options: LiveOptions, endpoints: Endpoints) -> int:
    """Samples of pre-fill: what the user wants, else enough for how unevenly such devices call back.

    Devices hand over two blocks at once now and then, which one block covers; those behind ALSA, where a sound server
    may be, also three and four: measured with PulseAudio 16, 9, 2 and 0 of 2584 hops missed with 1, 2 and 3 blocks.
    """
    if options.headroom is not None:
        return options.headroom
    default, driver = EngineSettings().headroom, endpoints.driver
    n_blocks = (3 if calls_unevenly(driver) else 1) if endpoints.has_device else 0
    return max(default, options.least_headroom, n_blocks * driver.block_size + FADE_LENGTH)


def _is_plain(wanted: bool) -> bool:
    """Whether lines are written: they are wanted, or there is no terminal that could show a screen."""
    is_terminal = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    return wanted or not is_terminal or os.environ.get("TERM") == "dumb"


def _show(
    session: LiveSession, is_plain: bool, verbosity: int, log: Callable[[str], None] | None, manager: ServiceManager
) -> None:
    """Show the session until it is over."""

    def watch(snapshot: Snapshot) -> None:
        manager.still_alive(snapshot.callbacks, snapshot.device_state.startswith(("waiting", "resting")))

    if is_plain:
        run_lines(session, 1.0 if verbosity > 0 else 5.0, verbosity < 0, watch)
        return
    # Late: it costs a second, in which the music already plays.
    from apollo_rt.screen.monitor import run_monitor

    session.messages += session.notes
    if log:
        session.log = log
        log(start_line(session))
    run_monitor(session)
    session.log = None


def _conclude(options: LiveOptions, session: LiveSession, endpoints: Endpoints, snapshot: Snapshot) -> None:
    """Say how it went, and write it down."""
    for line in (*session.take_messages(), *endpoints.warnings):
        say(*f"warning: {line}".split("\n"), err=True)
    if options.stats_json:
        about: dict[str, str | int] = {
            "input_name": session.info.input_name,
            "output_name": session.info.output_name,
            "model_name": session.model_name,
            "block_size": endpoints.driver.block_size,
        }
        write_figures(options.stats_json, about, snapshot)
    if session.error and not isinstance(session.error, PipeClosedError):
        raise session.error
    if options.verbosity >= 0:
        say(end_line(snapshot))
    if session.error:
        raise session.error


@contextmanager
def _log_handled_by(handler: logging.Handler) -> Iterator[None]:
    log = logging.getLogger("apollo_rt")
    before, log.handlers, log.propagate = log.handlers, [handler], False
    try:
        yield
    finally:
        log.handlers, log.propagate = before, True
