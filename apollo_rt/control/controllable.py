"""A controllable run, as commands see it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from apollo_rt.control.blind_test import BlindTest
from apollo_rt.control.parameter_row import Parameter

Reply = dict[str, Any]
"""What a command answers; JSON can say it."""


class Controllable(Protocol):
    """A run that commands act on: a live session, or a stand-in. Any thread may call; nothing here waits for audio."""

    @property
    def changing(self) -> AbstractContextManager[object]:
        """Held while values change together, and for nothing that takes long; may be entered again inside."""

    def rows(self) -> Sequence[Parameter]:
        """The parameters there are."""

    def get(self, name: str) -> float:
        """A parameter's value; ValueError for an unknown one."""

    def set(self, name: str, value: float) -> None:
        """Change a parameter; ValueError for an unknown one, or a value out of bounds."""

    def swap_settings(self, slot: str | None) -> str:
        """Hear the settings A or B, or those that aren't heard; says which are heard now."""

    def level_match(self, is_on: bool | None) -> Reply:
        """Loudness of input and restoration; bypass is made as loud as the restoration, or isn't (None: as before)."""

    @property
    def blind_test(self) -> BlindTest:
        """The test of this run; ControlError if nobody listens."""

    def preset_names(self) -> Sequence[str]:
        """The presets there are."""

    def load_preset(self, name: str) -> Sequence[str]:
        """Take the values of a preset; says which of them are of plugins that this run doesn't have.

        ApolloError if it is missing or bad: then nothing changes.
        """

    def save_preset(self, name: str) -> None:
        """Keep the present values under a name."""

    def delete_preset(self, name: str) -> None:
        """Remove a preset."""

    def current_preset(self) -> str | None:
        """The preset that was loaded or saved last, if any."""

    def stats(self) -> Reply:
        """Counters, times and latency, as in `--stats-json`."""

    def meters(self) -> Reply:
        """Meters of input and output, full scale is 1."""

    def spectra(self) -> Reply:
        """The spectra of input and output."""

    def devices(self) -> Reply:
        """The devices there are, and which are used."""

    def choose_devices(self, source: str | None, target: str | None) -> None:
        """Go to other devices; ApolloError if they can't be had: then nothing changes."""

    def models(self) -> Reply:
        """The models that fit this run, and which one plays."""

    def choose_model(self, name: str) -> None:
        """Go to another model, made ready beside the music; ApolloError if there is none: then nothing changes."""

    def learn(self, parameter: str | None) -> None:
        """Bind the next MIDI controller that moves to a parameter; None: don't wait for one any more."""

    def learn_moved(self, parameter: str) -> None:
        """Bind the MIDI controller that moved last to a parameter; ApolloError if none can be bound."""

    def midi(self) -> Reply:
        """The MIDI ports there are, which is used, and what is bound to what."""

    def stop(self) -> None:
        """End the run."""
