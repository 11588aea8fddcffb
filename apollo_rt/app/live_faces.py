"""What controls a live run from beside its screen: presets and MIDI, from start to end."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from platformdirs import user_config_path

from apollo_rt.app.control_options import ControlOptions
from apollo_rt.app.live_session import LiveSession
from apollo_rt.app.upkeep import Look, Upkeep
from apollo_rt.control.midi import MidiControl
from apollo_rt.control.midi_map import default_map, read_map
from apollo_rt.control.parameters import PARAMETERS, Parameters
from apollo_rt.control.presets import Presets, open_preset


def midi_map_path() -> Path:
    """The user's own MIDI map; it need not be there."""
    return user_config_path("apollo-rt", appauthor=False) / "midi.yaml"


def check_files(options: ControlOptions) -> None:
    """Refuse bad files before anything takes its time.

    Raises:
        ControlError: one can't be read or understood.
    """
    if options.preset is not None:
        live = Parameters()
        open_preset(Presets(lambda: PARAMETERS, live.get, live.set), options.preset)
    if options.midi_map is not None:
        read_map(options.midi_map, PARAMETERS)


@contextmanager
def control_faces(options: ControlOptions, session: LiveSession) -> Iterator[None]:
    """Open what the options ask for; closed at the end of the `with` block.

    Args:
        options: what the user asked for.
        session: of an engine that need not have started.

    Raises:
        ApolloError: a file or a port can't be used.
    """
    controls = session.controls
    looks: list[Look] = [controls.presets.look]
    with ExitStack() as stack:
        if options.preset is not None:
            open_preset(controls.presets, options.preset)
            for name, value in options.overrides.items():
                controls.set(name, value)
        if options.midi is not None:
            looks.append(_open_midi(options.midi, options.midi_map, session, stack).look)
        upkeep = Upkeep(looks, session.messages.append)
        upkeep.start()
        stack.callback(upkeep.stop)
        yield


def _open_midi(wanted: str, map_path: Path | None, session: LiveSession, stack: ExitStack) -> MidiControl:
    controls, path = session.controls, map_path or midi_map_path()
    rows = controls.rows()
    midi_map = read_map(path, rows) if path.exists() or map_path else default_map(rows)
    midi = MidiControl(wanted, session.commands, controls, midi_map, path, session.messages.append)
    stack.callback(midi.close)
    controls.midi_face = midi
    midi.start()
    return midi
