"""`python -m benchmarks.programs.radio_load SECONDS URL`: processor time of a device's run and of a radio's, in turns.

Both play to a device that keeps time; one captures what the other is sent.
"""

import json
import sys
import time

import numpy as np

from apollo_rt.inference.model import Model, load
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.radio.radio_source import RadioSource
from benchmarks.measuring.recording_device import RecordingDevice

_BLOCK_SIZE = 256
_TURNS = 3


class Player(RecordingDevice):
    """The same without an input."""

    input_channels = 0


def processor_s(model: Model, seconds: float, url: str | None) -> dict[str, float]:
    """Processor seconds that a second of the run takes, and what was missed."""
    rate = model.framing.sample_rate
    noise = 0.1 * np.random.default_rng(0).standard_normal((round((seconds + 60) * rate), 2)).astype(np.float32)
    device = (Player if url else RecordingDevice)(noise, _BLOCK_SIZE, rate)
    source = RadioSource(url, rate, is_held=True) if url else None
    engine = Engine(model, device, EngineSettings(), source)
    engine.prepare()
    with engine:
        while source and not source.state(0).buffered_s:
            time.sleep(0.01)
        time.sleep(2.0)  # the first moments are none to go by
        begin, hops, begin_s = time.process_time(), engine.snapshot().hops, time.monotonic()
        time.sleep(seconds)
        used = (time.process_time() - begin) / (time.monotonic() - begin_s)
        snapshot = engine.snapshot()
        assert snapshot.hops > hops, "nothing was restored"
    return {"processor_s": used, "missed_hops": snapshot.deadline_misses}


def main(seconds: float, url: str) -> None:
    """Take turns, and print both as JSON."""
    model = load()
    runs = [(processor_s(model, seconds, None), processor_s(model, seconds, url)) for _ in range(_TURNS)]
    device, radio = (float(np.median([run[which]["processor_s"] for run in runs])) for which in (0, 1))
    missed = {
        f"{name}_missed_hops": sum(run[k]["missed_hops"] for run in runs) for k, name in ((0, "device"), (1, "radio"))
    }
    ratios = [run[1]["processor_s"] / run[0]["processor_s"] for run in runs]
    print(json.dumps({"device": device, "radio": radio, "ratio": float(np.median(ratios)), **missed}))


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2])
