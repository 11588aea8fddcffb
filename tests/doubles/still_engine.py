"""A stand-in for a running engine, for the tests of its interfaces."""

from dataclasses import replace

import numpy as np

from apollo_rt.control.parameters import Parameters
from apollo_rt.errors import ApolloError
from apollo_rt.latency import LatencyReport
from apollo_rt.live.endpoints.live_source import RadioState
from apollo_rt.live.monitoring.durations import Durations
from apollo_rt.live.monitoring.snapshot import Meter, Recent, Snapshot
from apollo_rt.live.monitoring.spectra import Spectra
from apollo_rt.live.monitoring.stats_reader import read_stats
from apollo_rt.live.realtime.counters import make_stats
from apollo_rt.session.running_session import LiveSession, SessionInfo

LATENCY = LatencyReport(44_100, 512, 128, 320, 0.0112, 0.0167)


QUIET = Snapshot(
    elapsed_s=0.0,
    running=True,
    finished=False,
    device_state="playing",
    tier="full",
    scheduling="worker normal, memory not locked",
    parameters=Parameters().as_dict(),
    latency=LATENCY,
    **read_stats(make_stats()),
)
"""Nothing has happened yet."""

BUSY = {
    "elapsed_s": 12.0,
    "load_percent": 23.4,
    "step_ms": Durations(900, 1.21, 1.4, 2.34, 3.0, 4.56),
    "deadline_misses": 7,
    "output_underflow": 2,
    "input_overflow": 1,
    "input": Meter((0.5, 0.25), (0.1, 0.1)),
    "output": Meter((1.0, 0.0), (0.1, 0.1)),
    "recent": Recent(
        10.2,
        Durations(90, 1.2, 1.4, 3.21, 3.3, 3.4),
        Durations(90, 5.8, 5.8, 5.9, 6.0, 6.1),
        {**QUIET.recent.counts, "deadline_misses": 2, "output_underflow": 1},
    ),
}
"""Much has."""


class StillEngine:
    """Is called back, and counts nothing else by itself; a test moves it on."""

    def __init__(self) -> None:
        self.parameters = Parameters()
        self.plugins = None
        self.latency = LATENCY
        self.ends = False
        self.calls_back = True
        self.error: ApolloError | None = None
        self.state = QUIET

    def move_on(self, **values: object) -> None:
        """Change what snapshots show."""
        self.state = replace(self.state, **values)

    def snapshot(self) -> Snapshot:
        if self.calls_back:
            self.move_on(callbacks=self.state.callbacks + 1)
        return replace(self.state, parameters=self.parameters.as_dict())

    def spectra(self) -> Spectra:
        bands = np.arange(3.0)
        return Spectra(bands, np.arange(4.0), bands - 100, bands - 50)

    def wait(self, timeout_s: float | None = None) -> bool:
        assert timeout_s is not None, "an interface that waits for the end can't show anything"
        if self.error:
            raise self.error
        return self.ends


RADIO = RadioState(
    url="http://host/live",
    station="C",
    title="A - B",
    codec="mp3float",
    sample_rate=44_100,
    channels=2,
    connected=True,
    reserve_s=0.25,
    buffered_s=0.2,
    correction_ppm=12.3,
    reconnections=1,
    stalls=2,
    jumps=0,
    dropped_s=7.5,
    faults=0,
)


def session_of(engine: StillEngine, has_device: bool = True, duration_s: float | None = None) -> LiveSession:
    return LiveSession(engine, SessionInfo("radio [mono]", "speakers (ALSA)", "small", has_device, duration_s))
