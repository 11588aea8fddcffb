"""A running engine, for its interfaces: screen and plain lines ask here what there is to show and when it is over."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from apollo_rt.control.commands import Commander
from apollo_rt.errors import ApolloError
from apollo_rt.latency import LatencyReport
from apollo_rt.live.monitoring.snapshot import Snapshot
from apollo_rt.live.monitoring.spectra import Spectra
from apollo_rt.session.controls import LiveControls, RunningEngine
from apollo_rt.session.device_picker import DevicePicker
from apollo_rt.session.model_picker import ModelPicker


@dataclass(frozen=True)
class SessionInfo:
    """Facts of a session that do not change while it runs.

    Attributes:
        input_name: for people.
        output_name: for people.
        model_name: for people.
        is_endless: a device or a radio is an endpoint; it has no end of its own.
        duration_s: when to stop; None: at the source's end, or when the user wants to.
    """

    input_name: str
    output_name: str
    model_name: str
    is_endless: bool
    duration_s: float | None = None


class LiveSession:
    """Watches a started engine.

    Args:
        engine: started, and stopped, by the caller.
        info: what is shown beside it.
        devices: lets a user choose others; None where there are none to choose.
        models: the same for the model.

    Attributes:
        devices: see above.
        models: see above.
        is_over: nothing more to wait for: the end is played, the time is up, the user wants it, or it failed.
        error: why it failed, if it did.
        notes: what a user should know from the start.
        messages: what the engine logged and no interface has taken away yet.
        controls: what the commands act upon.
        log: gets each message when it is taken.
        commands: runs what a user wants done, whichever interface it comes from.
    """

    def __init__(
        self,
        engine: RunningEngine,
        info: SessionInfo,
        devices: DevicePicker | None = None,
        models: ModelPicker | None = None,
    ) -> None:
        self.info = info
        self.devices, self.models = devices, models
        self.is_over = False
        self.error: ApolloError | None = None
        self.notes: list[str] = []
        self.messages: list[str] = []
        self.log: Callable[[str], None] | None = None
        self._engine = engine
        self.controls = LiveControls(engine, self.stop)
        self.controls.devices_face, self.controls.models_face = devices, models
        self.commands = Commander(self.controls)

    @property
    def latency(self) -> LatencyReport:
        """In named terms."""
        return self._engine.latency

    @property
    def end_names(self) -> tuple[str, str]:
        """Input and output for people, as they are now."""
        return self.devices.names if self.devices else (self.info.input_name, self.info.output_name)

    @property
    def model_name(self) -> str:
        """Of the model that plays now, for people."""
        return self.models.name if self.models else self.info.model_name

    @property
    def is_playing(self) -> bool:
        """Whether the devices call back now."""
        return self._engine.snapshot().running

    def spectra(self) -> Spectra:
        """Of what came in and what is heard, of the same moment."""
        return self._engine.spectra()

    def update(self) -> Snapshot:
        """Poll at the engine; sets `is_over` and `error`.

        Returns:
            Its state.
        """
        snapshot = self._engine.snapshot()
        try:
            self.is_over |= self._engine.wait(0.0)
        except ApolloError as error:
            self.error, self.is_over = error, True
        duration_s = self.info.duration_s
        if duration_s is not None and snapshot.samples >= duration_s * snapshot.latency.sample_rate:
            self.is_over |= self.info.is_endless
        return snapshot

    def stop(self) -> None:
        """The user wants to end it."""
        self.is_over = True

    def take_messages(self) -> list[str]:
        """Messages since the last call; the list stays the same one, since others keep its `append`."""
        taken = self.messages[:]
        del self.messages[: len(taken)]
        for message in taken:
            if self.log:
                self.log(message)
        return taken


class SessionLog(logging.Handler):
    """Hands what the engine logs to the session, for an interface to show."""

    def __init__(self, session: LiveSession) -> None:
        super().__init__(logging.WARNING)
        self._session = session

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self._session.messages.append(record.getMessage())
