"""`live latency`: the latency as it is, beside the latency as it is reported."""

import logging
import time
from collections.abc import Callable

from apollo_rt.console.say import say
from apollo_rt.console.signals import interruptible
from apollo_rt.errors import ApolloError
from apollo_rt.inference.model import Model
from apollo_rt.latency import LatencyReport
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.latency_probe import N_BURSTS, ProbeDriver, RoundTrip
from apollo_rt.session.endpoints import Endpoints

_PATIENCE_S = 30.0
_POLL_S = 0.05


def measure_latency(model: Model, endpoints: Endpoints, settings: EngineSettings) -> None:
    """Play the probe, print what came back.

    Args:
        model: restores the probe on its way.
        endpoints: a device at both.
        settings: of the engine.

    Raises:
        ApolloError: there is no loop from the output to the input.
    """
    if endpoints.reader or endpoints.writer:
        endpoints.discard()
        raise ApolloError("a measurement of the latency needs a device at both endpoints, got a file")
    driver = ProbeDriver(endpoints.driver)
    logging.getLogger("apollo_rt").addHandler(logging.NullHandler())  # one line at the end says it
    with interruptible() as check, Engine(model, driver, settings) as engine:
        _wait(engine, driver, check)
        snapshot = engine.snapshot()
    measured = driver.round_trip()
    if len(measured.lags) < N_BURSTS // 2:
        raise ApolloError(
            f"{len(measured.lags)} of {N_BURSTS} bursts that were played to {endpoints.output_name} were heard at "
            f"{endpoints.input_name}: lead a cable from output to input, or choose the output's monitor as input"
        )
    say(*report_lines(endpoints, snapshot.latency, measured, endpoints.driver.block_size))
    if snapshot.deadline_misses or snapshot.xruns:
        say(f"warning: {snapshot.deadline_misses} deadline misses, {snapshot.xruns} xruns meanwhile", err=True)


def report_lines(endpoints: Endpoints, reported: LatencyReport, measured: RoundTrip, block_size: int) -> list[str]:
    """The terms, their sum, what was measured, and how far they are apart."""
    rate = reported.sample_rate
    measured_ms, block_ms = measured.median / rate * 1e3, block_size / rate * 1e3
    difference_ms = measured_ms - reported.total_ms
    shortest_ms, longest_ms = (lag / rate * 1e3 for lag in (min(measured.lags), max(measured.lags)))
    how = "within" if abs(difference_ms) <= block_ms + 1e3 / rate else "NOT within"
    return [
        f"{endpoints.output_name} -> {endpoints.input_name}, {len(measured.lags)} of {N_BURSTS} bursts heard, "
        f"likeness {measured.likeness:.2f}",
        *(f"{term.name:<16}{term.ms:>8.2f} ms" for term in reported.terms()),
        f"{'reported':<16}{reported.total_ms:>8.2f} ms",
        f"{'measured':<16}{measured_ms:>8.2f} ms  ({shortest_ms:.2f} to {longest_ms:.2f})",
        f"{'difference':<16}{difference_ms:>+8.2f} ms  {how} one block of {block_ms:.2f} ms",
    ]


def _wait(engine: Engine, driver: ProbeDriver, check: Callable[[], None]) -> None:
    give_up_s = time.monotonic() + _PATIENCE_S
    while not driver.is_done:
        check()
        engine.wait(0.0)
        if time.monotonic() > give_up_s:
            raise ApolloError(f"{driver.name}: the probe was not played to its end in {_PATIENCE_S:.0f} s")
        time.sleep(_POLL_S)
