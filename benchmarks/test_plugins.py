"""A busy Python thread beside plugins: in a process of their own, as the engine runs them, and in the one that plays.

The same engine restores the same music at real cadence without plugins, with `HighpassFilter` before and
`BrickwallLimiter` after the model in their own process, and with both served by a thread of the process that plays:
what one writes first.
"""

import mmap
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import StringIO

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from apollo_rt.config import Framing
from apollo_rt.inference.model import Model
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.plugins.live_plugins import LivePlugins
from apollo_rt.plugins.plugin_chains import link
from apollo_rt.plugins.plugin_host import PluginHost
from apollo_rt.plugins.plugin_spec import parse_spec
from apollo_rt.stream.stft import Samples
from benchmarks.measuring.cadence import facts_of, signal, wait_for
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.load import LOADS
from benchmarks.measuring.note import note
from benchmarks.measuring.recording_device import RecordingDevice
from benchmarks.measuring.times import REPLAY, Times

BEFORE, AFTER = ["HighpassFilter(cutoff_frequency_hz=30)"], ["BrickwallLimiter(ceiling_db=-1)"]


@contextmanager
def no_plugins(_: Framing) -> Iterator[None]:
    yield None


@contextmanager
def own_process(framing: Framing) -> Iterator[LivePlugins]:
    plugins = LivePlugins(
        [*map(parse_spec, BEFORE)], [*map(parse_spec, AFTER)], framing.sample_rate, framing.hop_length
    )
    try:
        yield plugins
    finally:
        plugins.stop()


@contextmanager
def same_process(framing: Framing) -> Iterator[LivePlugins]:
    """The host's own loop, in a thread of this process."""
    with own_process(framing) as plugins:
        ours, theirs = socket.socketpair()
        host = PluginHost(theirs, mmap.mmap(-1, 1), StringIO())
        host.load(plugins.order() | {"priority": 0})
        thread = threading.Thread(target=host.run, daemon=True)
        thread.start()
        link(plugins.chains, ours.fileno(), is_at_start=True)
        try:
            yield plugins
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            thread.join()
            ours.close()
            theirs.close()


CHAINS: dict[str, Callable[[Framing], AbstractContextManager[LivePlugins | None]]] = {
    "no plugins": no_plugins,
    "plugins in their own process": own_process,
    "plugins in a thread of the playing process": same_process,
}


@pytest.mark.benchmark(group="plugins, at real cadence", timer=REPLAY)
@pytest.mark.parametrize("load_name", ["quiet", "busy Python thread"])
@pytest.mark.parametrize("chain", CHAINS)
def test_plugins(
    benchmark: BenchmarkFixture, plan: Extent, model: Model, music: Samples, chain: str, load_name: str
) -> None:
    """The worker's hop is timed, plugins included."""
    n_hops = max(plan.n_hops // 4, 100)
    samples = signal(music, n_hops, model.framing.hop_length)
    device = RecordingDevice(samples, model.framing.hop_length, model.framing.sample_rate)
    with CHAINS[chain](model.framing) as plugins:
        engine = Engine(model, device, EngineSettings(), plugins=plugins)
        engine.prepare()
        with LOADS[load_name](), engine:
            wait_for(device)
            snapshot = engine.snapshot()
    assert snapshot.hops + snapshot.skipped_hops >= 0.7 * n_hops  # a worker that lags has some left when music ends
    assert snapshot.latency.plugins_after == (220 if plugins else 0)
    assert {state.state for state in snapshot.plugins} <= {"playing"}
    times = Times.of_histogram(snapshot.step_ms, model.framing.hop_period_s)
    REPLAY.play(benchmark, times)
    note(
        benchmark, "cadence", f"engine, {chain}", times, model, load_name, missed_hops=snapshot.deadline_misses,
        scheduling=snapshot.scheduling, **facts_of(device),
    )  # fmt: skip
