"""A session, as the screen sees it."""

from collections.abc import Sequence
from typing import Protocol

from apollo_rt.control.commands import Commander
from apollo_rt.control.parameter_row import Parameter
from apollo_rt.live.monitoring.snapshot import Snapshot
from apollo_rt.live.monitoring.spectra import Spectra


class Controls(Protocol):
    """A session's controls, as the screen reads them; see `control.controllable`."""

    def rows(self) -> Sequence[Parameter]:
        """The parameters there are."""

    def get(self, name: str) -> float:
        """A parameter's value."""

    def current_preset(self) -> str | None:
        """The preset that was loaded or saved last, if any."""

    @property
    def is_blind(self) -> bool:
        """A blind test is running: nothing may show what is heard."""

    @property
    def bypass_gain_db(self) -> float:
        """Gain of the input in bypass."""


class Session(Protocol):
    """A session as the screen needs it, `session.running_session` for one."""

    is_over: bool

    @property
    def model_name(self) -> str:
        """For people."""

    @property
    def commands(self) -> Commander:
        """Does what the user wants."""

    @property
    def controls(self) -> Controls:
        """The parameters."""

    @property
    def end_names(self) -> tuple[str, str]:
        """Input and output for people."""

    def update(self) -> Snapshot:
        """Poll the engine."""

    def spectra(self) -> Spectra:
        """Before and after."""

    def take_messages(self) -> list[str]:
        """Messages since the last call."""

    def stop(self) -> None:
        """The user wants to end it."""
