"""A flood of MIDI beside the audio, and what it costs: `python -m benchmarks.programs.midi_flood [SECONDS]`.

The model that ships plays at real cadence, beside a port's process that is quiet and one that says 10^5 controller
messages a second, all bound to parameters. Both runs alternate, three times each; the best of each is shown, for other
work on the machine disturbs both.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from apollo_rt.control.midi.control import MidiControl
from apollo_rt.control.midi.host_process import PortProcess
from apollo_rt.control.midi.map import JUMP, MidiMap, default_map
from apollo_rt.control.midi.port import Port
from apollo_rt.control.parameters import PARAMETERS
from apollo_rt.inference.model import Model, load
from apollo_rt.live.endpoints.file_feed import Nowhere
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.session.running_session import LiveSession, SessionInfo
from benchmarks.measuring import machine

_BATCH = 500
"""Messages in 5 ms: 10^5 in a second."""

_ROUNDS = 3

_PROCESS = """
import sys, threading, time
messages = "".join(f"b0{20 + index % 6:02x}{index // 6 % 128:02x}\\n" for index in range(int(sys.argv[1])))
print('{"name": "flood"}', flush=True)
def pour():
    due_s = report_s = time.monotonic()
    while True:
        print(messages, end="", flush=True)
        if time.monotonic() >= report_s:
            print('{"ports": ["flood"]}', flush=True)
            report_s += 2
        due_s += 0.005
        time.sleep(max(due_s - time.monotonic(), 0.0))
threading.Thread(target=pour, daemon=True).start()
sys.stdin.read()
"""


@dataclass(frozen=True)
class FloodOutcome:
    """One run: times of a step in milliseconds, misses among hops, messages, and the interpreter's share of a core."""

    p50_ms: float
    p99_ms: float
    n_misses: int
    n_hops: int
    messages_per_s: float
    cores: float


class Noise:
    """A source of so many samples, quiet enough that nothing clips."""

    def __init__(self, n_samples: int) -> None:
        self._left, self._random = n_samples, np.random.default_rng(0)

    def read(self, n_samples: int) -> np.ndarray:
        n_read = min(n_samples, self._left)
        self._left -= n_read
        return self._random.uniform(-0.1, 0.1, (n_read, 2)).astype(np.float32)


def open_flood(_: str) -> Port:
    """A port whose process says so many messages in a second."""
    return PortProcess([sys.executable, "-c", _PROCESS, str(_BATCH)])


def open_quiet(_: str) -> Port:
    """The same, without a message."""
    return PortProcess([sys.executable, "-c", _PROCESS, "0"])


def run(model: Model, seconds: float, is_flooded: bool) -> FloodOutcome:
    """Play for so long."""
    rate = model.framing.sample_rate
    engine = Engine(model, VirtualDevice(rate), EngineSettings(), Noise(round(seconds * rate)), Nowhere())
    engine.prepare()
    session = LiveSession(engine, SessionInfo("noise", "nowhere", model.card.name, False))
    opener, midi_map = open_flood if is_flooded else open_quiet, MidiMap(default_map(PARAMETERS).bindings, JUMP)
    with tempfile.TemporaryDirectory() as folder, engine:
        control = MidiControl(
            "flood", session.commands, session.controls, midi_map, Path(folder) / "map.yaml", print, opener
        )
        control.start()
        begin_s, begin_cpu_s = time.monotonic(), time.process_time()
        engine.wait()
        elapsed_s, cpu_s = time.monotonic() - begin_s, time.process_time() - begin_cpu_s
        control.close()
        n_received = control.describe()["n_received"]
        snapshot = engine.snapshot()
    step = snapshot.step_ms
    per_s = n_received / elapsed_s
    return FloodOutcome(step.p50, step.p99, snapshot.deadline_misses, snapshot.hops, per_s, cpu_s / elapsed_s)


def main(seconds: float) -> None:
    """Print the table."""
    model = load()
    outcomes: dict[bool, list[FloodOutcome]] = {False: [], True: []}
    for _ in range(_ROUNDS):
        for is_flooded, found in outcomes.items():
            found.append(run(model, seconds, is_flooded))
    print(f"{machine.line()}\n{_ROUNDS} runs of {seconds:g} s each way; the one with the fewest misses is shown\n")
    print("| | messages / s | step p50 | step p99 | hops missed | process, cores |\n|---|---|---|---|---|---|")
    for is_flooded, found in outcomes.items():
        best = min(found, key=lambda outcome: (outcome.n_misses, outcome.p99_ms))
        print(
            f"| {'flooded' if is_flooded else 'quiet'} | {best.messages_per_s:.0f} | {best.p50_ms:.2f} ms | "
            f"{best.p99_ms:.2f} ms | {best.n_misses} of {best.n_hops} | {best.cores:.2f} |"
        )
        print(f"<!-- all: {[(outcome.n_misses, round(outcome.p99_ms, 2)) for outcome in found]} -->", file=sys.stderr)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
