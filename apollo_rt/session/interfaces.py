"""Interfaces beside the screen, from start to end: presets, MIDI, control socket, recording."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from apollo_rt.control.midi.control import MidiControl
from apollo_rt.control.midi.map import default_map, read_map
from apollo_rt.control.parameters import PARAMETERS, Parameters
from apollo_rt.control.presets import Presets, open_preset
from apollo_rt.control.socket.access import make_token, token_from_file
from apollo_rt.control.socket.announced_runs import AnnouncedRun, announced
from apollo_rt.errors import ControlError
from apollo_rt.live.engine import Engine
from apollo_rt.live.monitoring.recorder import Recorder
from apollo_rt.own_folders import own_folder
from apollo_rt.session.control_options import ControlOptions
from apollo_rt.session.running_session import LiveSession
from apollo_rt.session.upkeep import Poll, Upkeep


def midi_map_path() -> Path:
    """The user's own MIDI map; it need not be there."""
    return own_folder("config") / "midi.yaml"


def check_files(options: ControlOptions, has_plugins: bool = False) -> None:
    """Refuse bad files before anything takes its time.

    Args:
        options: what the user asked for.
        has_plugins: files may name parameters that are only known when the plugins are loaded; those wait until then.

    Raises:
        ControlError: one can't be read or understood.
    """
    if options.preset is not None and not has_plugins:
        live = Parameters()
        open_preset(Presets(lambda: PARAMETERS, live.get, live.set), options.preset)
    if options.midi_map is not None and not has_plugins:
        read_map(options.midi_map, PARAMETERS)
    if options.control_port is not None:
        control_token(options)
    if options.record is not None:
        _make_folder(options.record)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ControlError(f"{folder}: can't be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise ControlError(f"{folder}: no permission to write there")


@contextmanager
def control_interfaces(
    options: ControlOptions, session: LiveSession, engine: Engine, further: Sequence[Poll] = ()
) -> Iterator[None]:
    """Open what the options ask for; closed at the end of the `with` block.

    Args:
        options: what the user asked for.
        session: of an engine that need not have started; its `notes` tell where things are served.
        engine: that of the session; stopped before the `with` block ends.
        further: what else is to be seen to meanwhile.

    Raises:
        ApolloError: a file or a port can't be used.
    """
    controls = session.controls
    polls: list[Poll] = [controls.presets.poll, *further]
    with ExitStack() as stack:
        if options.preset is not None:
            open_preset(controls.presets, options.preset)
            session.messages.extend(controls.presets.poll())
            for name, value in options.overrides.items():
                controls.set(name, value)
        if options.midi is not None:
            polls.append(_open_midi(options.midi, options.midi_map, session, stack).poll)
        if options.control_port is not None:
            _open_control(options, session, stack)
        if options.record is not None:
            polls.append(_open_recorder(options, session, engine, stack).poll)
        upkeep = Upkeep(polls, session.messages.append)
        upkeep.start()
        stack.callback(upkeep.stop)
        yield


def control_token(options: ControlOptions) -> str:
    """The token in the file that was named, or a new one.

    Raises:
        ControlError: the file can't be used, or holds none.
    """
    return token_from_file(options.control_token_file) if options.control_token_file else make_token()


def _open_control(options: ControlOptions, session: LiveSession, stack: ExitStack) -> None:
    from apollo_rt.control.socket.server import ControlServer

    assert options.control_port is not None
    token = control_token(options)
    server = ControlServer(session.commands, token, options.control_port, session.messages.append)
    server.start()
    stack.callback(server.stop)
    stack.enter_context(announced(AnnouncedRun(server.port, token)))
    session.notes.append(f"control page: {_page_of(server.page_url, server.url, options)}")


def _page_of(url: str, url_with_token: str, options: ControlOptions) -> str:
    """Its address; the token stands in it only where the user couldn't know it otherwise: lines are kept in logs."""
    if options.control_token_file is not None:
        return f"{url} (it asks for the token in {options.control_token_file})"
    return url_with_token


def _open_recorder(options: ControlOptions, session: LiveSession, engine: Engine, stack: ExitStack) -> Recorder:
    folder, latency = options.record, engine.latency
    assert folder is not None
    titles = engine.take_titles if options.split_titles else None
    recorder = Recorder(folder, engine.tap, latency.stream, latency.sample_rate, titles=titles)

    def finish() -> None:
        recorder.stop()
        session.messages.extend(recorder.poll())

    recorder.start()
    stack.callback(finish)
    session.notes.append(f"recording to {folder}")
    return recorder


def _open_midi(wanted: str, map_path: Path | None, session: LiveSession, stack: ExitStack) -> MidiControl:
    controls, path = session.controls, map_path or midi_map_path()
    rows = controls.rows()
    midi_map = read_map(path, rows) if path.exists() or map_path else default_map(rows)
    midi = MidiControl(wanted, session.commands, controls, midi_map, path, session.messages.append)
    stack.callback(midi.close)
    controls.midi_face = midi
    midi.start()
    return midi
