"""Controls of a live run put parameters, presets, devices, MIDI and figures behind one interface for commands."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Protocol

from apollo_rt.control.blind_test import BlindTest
from apollo_rt.control.comparison import Comparison
from apollo_rt.control.controllable import Reply
from apollo_rt.control.parameter_row import Parameter
from apollo_rt.control.parameters import PARAMETERS, Parameters
from apollo_rt.control.presets import Presets
from apollo_rt.errors import ControlError
from apollo_rt.latency import LatencyReport
from apollo_rt.live.monitoring.snapshot import Snapshot
from apollo_rt.live.monitoring.spectra import Spectra
from apollo_rt.plugins.live_plugins import LivePlugins


class RunningEngine(Protocol):
    """An engine, as a session and its controls need it."""

    @property
    def parameters(self) -> Parameters:
        """Parameters that may be changed while it runs."""

    @property
    def plugins(self) -> LivePlugins | None:
        """Those before and after the model."""

    @property
    def latency(self) -> LatencyReport:
        """In named terms."""

    def snapshot(self) -> Snapshot:
        """The state at this moment."""

    def spectra(self) -> Spectra:
        """Of what came in and what is heard."""

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether all has been played; raises an `ApolloError` if that will never be."""


class Devices(Protocol):
    """Devices that there are, and a way to others."""

    def describe(self) -> Reply:
        """See `controllable.Controllable.devices`."""

    def choose(self, source: str | None, target: str | None) -> None:
        """See `controllable.Controllable.choose_devices`."""


class Models(Protocol):
    """Models that there are, and a way to others."""

    def describe(self) -> Reply:
        """See `controllable.Controllable.models`."""

    def choose(self, name: str) -> None:
        """See `controllable.Controllable.choose_model`."""


class MatchedLevels(Protocol):
    """A match of levels in bypass, and what is heard in a blind test; see `supervision.level_match`."""

    is_on: bool
    gain_db: float

    def describe(self) -> Reply:
        """See `controllable.Controllable.level_match`."""

    def hear(self, what: str | None) -> None:
        """Let something be heard whatever bypass says; None: what that says."""


class Midi(Protocol):
    """Bindings of MIDI controllers."""

    def describe(self) -> Reply:
        """See `controllable.Controllable.midi`."""

    def learn(self, parameter: str | None) -> None:
        """See `controllable.Controllable.learn`."""

    def learn_moved(self, parameter: str) -> None:
        """See `controllable.Controllable.learn_moved`."""


class LiveControls:
    """A `controllable.Controllable`.

    Args:
        engine: started and stopped by somebody else.
        stop: ends the run.

    Attributes:
        presets: the user's.
        devices_face: None: this run has none to choose.
        models_face: None: this run has none to choose.
        midi_face: None: this run has none.
        listening_face: None: nobody listens to this run.
    """

    def __init__(self, engine: RunningEngine, stop: Callable[[], None]) -> None:
        self._changing = threading.RLock()
        self.presets = Presets(self.rows, self.get, self.set, changing=self._changing)
        self.devices_face: Devices | None = None
        self.models_face: Models | None = None
        self.midi_face: Midi | None = None
        self.listening_face: MatchedLevels | None = None
        self._blind_test = BlindTest(lambda what: self._listening.hear(what))
        self._engine, self._stop = engine, stop
        self._comparison = Comparison(self.rows, self.get, self.set)

    @property
    def changing(self) -> AbstractContextManager[object]:
        """Held while values change together."""
        return self._changing

    def rows(self) -> Sequence[Parameter]:
        """The parameters there are: those of the one table, then those of the plugins."""
        plugins = self._engine.plugins
        return (*PARAMETERS, *plugins.rows()) if plugins else PARAMETERS

    def get(self, name: str) -> float:
        """A parameter's value."""
        return self._owner(name).get(name)

    def set(self, name: str, value: float) -> None:
        """Change a parameter."""
        self._owner(name).set(name, value)

    def swap_settings(self, slot: str | None) -> str:
        """Hear the settings A or B, or those that aren't heard; says which are heard now."""
        return self._comparison.go_to(slot)

    def level_match(self, is_on: bool | None) -> Reply:
        """Loudness of input and restoration; bypass is made as loud as the restoration, or isn't."""
        listening = self._listening
        listening.is_on = listening.is_on if is_on is None else is_on
        return listening.describe()

    @property
    def blind_test(self) -> BlindTest:
        """The test of this run."""
        assert self._listening
        return self._blind_test

    @property
    def is_blind(self) -> bool:
        """A blind test is running: nothing may show what is heard."""
        return self._blind_test.is_running

    @property
    def bypass_gain_db(self) -> float:
        """Gain of the input in bypass."""
        face = self.listening_face
        return face.gain_db if face and face.is_on else 0.0

    def preset_names(self) -> Sequence[str]:
        """The presets there are."""
        return self.presets.names()

    def load_preset(self, name: str) -> Sequence[str]:
        """Take the values of a preset; says which of them are of plugins that this run doesn't have."""
        self.presets.load(name)
        return self.presets.resting

    def save_preset(self, name: str) -> None:
        """Keep the present values under a name."""
        self.presets.save(name)

    def delete_preset(self, name: str) -> None:
        """Remove a preset."""
        self.presets.delete(name)

    def current_preset(self) -> str | None:
        """The preset that was loaded or saved last, if any."""
        return self.presets.current

    def stats(self) -> Reply:
        """Counters, times and latency."""
        return self._engine.snapshot().to_dict()

    def meters(self) -> Reply:
        """Meters of input and output."""
        self._refuse_to_tell()
        snapshot = self._engine.snapshot()
        return {"input": asdict(snapshot.input), "output": asdict(snapshot.output)}

    def spectra(self) -> Reply:
        """The spectra of input and output."""
        self._refuse_to_tell()
        return self._engine.spectra().to_dict()

    def devices(self) -> Reply:
        """The devices there are, and which are used."""
        return self._devices.describe()

    def choose_devices(self, source: str | None, target: str | None) -> None:
        """Go to other devices."""
        self._devices.choose(source, target)

    def models(self) -> Reply:
        """The models that fit this run, and which one plays."""
        return self._models.describe()

    def choose_model(self, name: str) -> None:
        """Go to another model."""
        self._models.choose(name)

    def learn(self, parameter: str | None) -> None:
        """Bind the next MIDI controller that moves to a parameter."""
        self._midi.learn(parameter)

    def learn_moved(self, parameter: str) -> None:
        """Bind the MIDI controller that moved last to a parameter."""
        self._midi.learn_moved(parameter)

    def midi(self) -> Reply:
        """MIDI ports and what is bound to what."""
        return self._midi.describe()

    def stop(self) -> None:
        """End the run."""
        self._stop()

    def _owner(self, name: str) -> Parameters | LivePlugins:
        """Owner of a parameter; a plugin's is called `plugin.parameter`."""
        plugins = self._engine.plugins
        return plugins if plugins and "." in name else self._engine.parameters

    def _refuse_to_tell(self) -> None:
        if self.is_blind:
            raise ControlError("a blind test is running: what is heard is not shown before its end")

    @property
    def _listening(self) -> MatchedLevels:
        if self.listening_face is None:
            raise ControlError("nobody listens to this run; start with a device as --output to compare by ear")
        return self.listening_face

    @property
    def _devices(self) -> Devices:
        if self.devices_face is None:
            raise ControlError("devices: this run goes from file to file; start with a device as --input or --output")
        return self.devices_face

    @property
    def _models(self) -> Models:
        if self.models_face is None:
            raise ControlError("models: this run keeps the one that it began with")
        return self.models_face

    @property
    def _midi(self) -> Midi:
        if self.midi_face is None:
            raise ControlError("midi: this run has no MIDI port; start with --midi NAME or --midi virtual")
        return self.midi_face
