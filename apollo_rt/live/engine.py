"""The live engine: source or device -> callback -> worker -> callback -> device or sink, wired and supervised."""

import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self

from apollo_rt.control.parameters import Parameters
from apollo_rt.inference.model import Model
from apollo_rt.latency import LatencyReport, rebuffering_latency
from apollo_rt.live.clock_bridge.callbacks import compile_callbacks
from apollo_rt.live.endpoints.driver import Driver, clock_gauges, clocks_of, conversion_latency_s
from apollo_rt.live.endpoints.file_endpoints import FileEndpoints
from apollo_rt.live.endpoints.file_feed import Nowhere, Silence, Sink, Source
from apollo_rt.live.endpoints.live_source import LiveSource
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine_settings import EngineSettings, budget_of, check_blocks, check_fit, new_state
from apollo_rt.live.entry_modules import expect_entries
from apollo_rt.live.monitoring.gauges import Gauges
from apollo_rt.live.monitoring.incident import IncidentWriter
from apollo_rt.live.monitoring.snapshot import Snapshot
from apollo_rt.live.monitoring.spectra import Spectra, SpectrumAnalyser
from apollo_rt.live.monitoring.stats_reader import StatsReader
from apollo_rt.live.monitoring.tap import Tap
from apollo_rt.live.realtime.callback import callback_address
from apollo_rt.live.realtime.shared_state import SharedState, ring_gauges
from apollo_rt.live.supervision.connection import Connection
from apollo_rt.live.supervision.level_match import LevelMatch
from apollo_rt.live.supervision.model_runner import ModelRunner
from apollo_rt.live.supervision.reopening import Reopening
from apollo_rt.live.supervision.supervisor import Supervisor
from apollo_rt.plugins.live_plugins import LivePlugins
from apollo_rt.system.scheduling import AudioScheduling

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) while something long goes on."""

expect_entries()  # whoever knows this module will start an engine, and its model is the first to need one

_PREFILL_S, _POLL_S = 0.25, 0.02


class Engine:
    """Live restoration between a driver, and a file on either side of it.

    A file that is written is aligned with the input to the sample and has its length: the constant latency that leads
    the engine's output is cut off, and what is still inside the engine at the input's end is played out.

    Args:
        model: from `model.load`.
        driver: what calls back; block size, channels and latency are read from it.
        settings: frozen.
        source: where samples come from if the driver has no input; the caller closes it.
        sink: where samples go if the driver has no output; committed by `stop`, or aborted after an error.
        reopening: how to come back to a device that is lost; None: losing it is an error.
        lighter: further tiers of the model by name, better ones first, to go down to when the worker can't keep up.
        plugins: before and after the model, loaded for its rate and hop; the caller ends them after the engine.

    Attributes:
        parameters: what may be changed while it runs.
        plugins: as given.

    Raises:
        ValueError: driver, source, sink and model don't fit together.
    """

    def __init__(
        self,
        model: Model,
        driver: Driver,
        settings: EngineSettings,
        source: Source | LiveSource | None = None,
        sink: Sink | None = None,
        reopening: Reopening | None = None,
        lighter: Mapping[str, Model] | None = None,
        plugins: LivePlugins | None = None,
    ) -> None:
        """Check that all fits and wire it; nothing runs or compiles yet."""
        check_fit(model, driver, source, sink)
        self.parameters = settings.parameters.copy() if settings.parameters else Parameters()
        self._framing, self._settings, self.plugins = model.framing, settings, plugins
        self._rebuffering = rebuffering_latency(driver.block_size, model.framing.hop_length, driver.varying_block)
        self._shared = self._new_state(driver)
        self._analyser = SpectrumAnalyser(self._shared)
        self._scheduling = AudioScheduling(settings.realtime and getattr(driver, "pace", True))
        fits = partial(check_blocks, hop_length=model.framing.hop_length, rebuffering=self._rebuffering)
        self._connection = Connection(driver, self._shared, reopening, self._scheduling.device, fits)
        self._stats_reader = StatsReader(self._shared.stats)
        self._may_be_lost = reopening is not None
        self._gauges = Gauges(lambda: {**ring_gauges(self._shared), **clock_gauges(self._connection.driver)})
        self._files = FileEndpoints(source, sink, self._shared, self.latency.stream)
        self._runner = ModelRunner(self._shared, model, lighter or {})
        self._incidents: IncidentWriter | None = None
        self._supervisor = Supervisor(self.snapshot, self._poll)
        self._is_prepared, self._is_stopped, self._start_s, self._stop_s = False, False, 0.0, 0.0

    @property
    def latency(self) -> LatencyReport:
        """The latency in named terms; the device's are known after `start`."""
        framing, driver = self._framing, self._connection.driver
        ours = framing.algorithmic_latency, self._rebuffering, self._settings.headroom
        of_devices = *driver.device_latency_s, *conversion_latency_s(driver)
        return LatencyReport(framing.sample_rate, *ours, *of_devices, *self._plugin_latencies)

    @property
    def _plugin_latencies(self) -> tuple[int, int, int]:
        return self.plugins.latencies if self.plugins else (0, 0, 0)

    def prepare(self, progress: Progress | None = None) -> None:
        """Compile everything (or read it from the cache) and run the model once; `start` does it if it wasn't done.

        Args:
            progress: called with (stage, done, total) before each stage and at the end.
        """
        stages: list[tuple[str, Callable[[], object]]] = [
            ("audio callback", callback_address),
            ("worker", lambda: self._runner.compile(self._new_state(self._connection.driver))),
            ("rehearsal", self._rehearse),
            ("spectra", self.spectra),
        ]
        if self._may_be_lost:
            # A device may come back at another rate: from an empty cache nothing was heard for 47 s then.
            stages.insert(1, ("clock bridge", compile_callbacks))
        for number, (name, stage) in enumerate(stages):
            if progress:
                progress(name, number, len(stages))
            stage()
        if progress:
            progress("ready", len(stages), len(stages))
        self._is_prepared = True

    def start(self) -> None:
        """Start file threads, worker and driver.

        Raises:
            ApolloError: a device can't be opened.
        """
        try:
            if not self._is_prepared:
                self.prepare()
            self._start_s = time.monotonic()
            self._stats_reader = StatsReader(self._shared.stats)
            self._files.start(int(_PREFILL_S * self._framing.sample_rate) + self._connection.driver.block_size)
            self._start_restoring()
            self._connection.start()
        except BaseException:
            self._halt(complete=False)
            raise
        self._supervisor.start()
        self._supervisor.say(self.plugins.notes() if self.plugins else [])

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the source's end has been played, tail included.

        Returns:
            Whether it has; False after `timeout_s`.

        Raises:
            ApolloError: a file broke off, or the device stopped by itself.
        """
        give_up_s = time.monotonic() + (math.inf if timeout_s is None else timeout_s)
        while True:
            is_over = self._connection.is_over
            if error := self._error():
                raise error
            if is_over or time.monotonic() >= give_up_s:
                return is_over
            time.sleep(_POLL_S)

    def swap_model(self, model: Model, lighter: Mapping[str, Model] | None = None) -> None:
        """Go on with another model, faded over from what is heard; it is made ready before anything changes.

        Args:
            model: of the framing of the present one, so that the latency stays.
            lighter: see above.

        Raises:
            ValueError: the framing is another, or nothing runs.
        """
        self._runner.swap(model, lighter or {})

    def choose_devices(self, wanted: Reopening, back: Reopening) -> None:
        """Go to other devices, faded out and in; the latency stays. What comes of it, or goes back, is logged.

        Args:
            wanted: leads to them; when they are lost later, too.
            back: leads to those of the start, where these can't be opened or need more latency.
        """
        self._connection.go_to(wanted, back)

    @property
    def chosen(self) -> Reopening | None:
        """Choice of the present devices while it ran; None for those of the start."""
        return self._connection.chosen

    @property
    def awaited(self) -> Reopening | None:
        """Choice that isn't decided yet, if any."""
        return self._connection.awaited

    def stop(self) -> None:
        """Stop all and complete the written file; after an error one made from a file goes. May be called twice.

        Raises:
            AudioFileError: the file can't be completed.
        """
        self._halt(complete=self._error() is None)

    def snapshot(self) -> Snapshot:
        """Counters, meters, times and latency at this moment; cheap enough for 30 times a second."""
        return Snapshot(
            elapsed_s=(self._stop_s or time.monotonic()) - self._start_s if self._start_s else 0.0,
            running=self._connection.driver.active,
            finished=self._connection.is_over,
            device_state=self._connection.state.value,
            tier=self._runner.tier,
            parameters=self.parameters.as_dict() | (self.plugins.as_dict() if self.plugins else {}),
            latency=self.latency,
            clocks=clocks_of(self._connection.driver),
            scheduling=str(self._scheduling.report),
            plugins=self.plugins.states() if self.plugins else (),
            gauges=self._gauges.read(),
            unrecorded_samples=self._files.n_unrecorded,
            radio=self._files.radio,
            **self._stats_reader.read(),
        )

    @property
    def tap(self) -> Tap:
        """A tap of input and output, read beside the audio path; each caller gets one of its own."""
        return Tap(self._shared)

    @property
    def level_match(self) -> LevelMatch:
        """A match of levels in bypass, which acts as long as it is polled; of a run there is one."""
        return LevelMatch(self._shared)

    def take_titles(self) -> list[tuple[int, str]]:
        """Titles of a radio, with the output sample, as `tap` counts them, at which each begins; told once."""
        return self._files.take_titles()

    def spectra(self) -> Spectra:
        """Spectra of input and output, of the same moment; 0.3 ms. Any thread may ask."""
        return self._analyser.measure()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop; a file made from a file is thrown away if the block ended with an error, and kept after Ctrl-C."""
        self._halt(complete=self._error() is None and (kind is None or not issubclass(kind, Exception)))

    def _halt(self, complete: bool) -> None:
        if self._is_stopped:
            return
        self._is_stopped = True
        self._connection.stop()
        self._stop_s = time.monotonic()
        self._runner.stop()
        self._supervisor.stop()
        self._supervisor.say(self._incidents.finish() if self._incidents else [])
        self._supervisor.say(self._files.stop(complete, self._connection.is_over))

    def _error(self) -> Exception | None:
        return self._files.error or self._connection.error

    def _poll(self) -> list[str]:
        """Mend what can be mended, ten times a second; returns lines for the user."""
        self._gauges.poll()
        lines = self._connection.poll() + (self.plugins.poll() if self.plugins else [])
        lines += self._files.poll() + self._runner.poll()
        return lines + (self._incidents.poll() if self._incidents else [])

    def _new_state(self, driver: Driver) -> SharedState:
        values, latencies = self.parameters.values, (self._rebuffering, sum(self._plugin_latencies))
        return new_state(self._settings, self._framing, driver, values, *latencies)

    def _start_restoring(self) -> None:
        settings = self._settings
        budget_ns = budget_of(self._connection.driver, self._framing, settings.headroom)
        chains = self.plugins.chains if self.plugins else None
        self._runner.start(budget_ns, self._scheduling.run_worker, self._scheduling.lock, chains)
        if settings.incidents:
            self._incidents = IncidentWriter(settings.incidents, self._shared, self._about)

    def _about(self) -> dict[str, Any]:
        """Facts that an incident is told with."""
        plugins = [plugin.label for plugin in self.plugins.states()] if self.plugins else []
        return {**self._runner.about(), "plugins": plugins, "snapshot": self.snapshot().to_dict()}

    def _rehearse(self) -> None:
        """Restore a moment of silence with an engine of its own: all is compiled then, and the model is warm."""
        source, device = Silence(8 * self._framing.hop_length), VirtualDevice(self._framing.sample_rate, pace=False)
        engine = Engine(self._runner.model, device, EngineSettings(), source, Nowhere())
        engine._is_prepared = True
        with engine:
            engine.wait()
