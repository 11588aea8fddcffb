"""`python -m benchmarks.programs.radio_sound START URL`: when each stage up to the first sound of a radio is reached.

A process of its own, for a start is only a first time once. START is the monotonic clock at the moment of the command;
URL is a stream, or a file to compare with.
"""

import json
import sys
import threading
import time

import numpy as np

from apollo_rt.stream.stft import Samples

_PATIENCE_S = 60.0
_AUDIBLE = 1e-3


class FirstSound:
    """A sink that notes when the first sound leaves."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.moment_s = 0.0

    def write(self, samples: Samples) -> None:
        """Poll for sound."""
        if not self.reached.is_set() and np.abs(samples).max(initial=0.0) > _AUDIBLE:
            self.moment_s = time.monotonic()
            self.reached.set()

    def commit(self) -> None:
        """Nothing is to be done."""

    def abort(self) -> None:
        """Nothing is to be done."""


def main(start_s: float, name: str) -> None:
    """Play until sound is there, and print the seconds since the start at each stage as JSON."""
    stages = {"Python": time.monotonic() - start_s}

    def reached(stage: str) -> None:
        stages[stage] = time.monotonic() - start_s

    import apollo_rt
    from apollo_rt.live.endpoints.file_feed import Source
    from apollo_rt.live.endpoints.live_source import LiveSource
    from apollo_rt.live.endpoints.virtual_device import VirtualDevice
    from apollo_rt.live.engine import Engine
    from apollo_rt.live.engine_settings import EngineSettings

    model = apollo_rt.load_model()
    reached("model loaded")
    rate, sink = model.framing.sample_rate, FirstSound()
    source: Source | LiveSource
    if "://" in name:
        from apollo_rt.radio.radio_source import RadioSource

        source = RadioSource(name, rate, is_held=True)
    else:
        from apollo_rt.files.audio_reader import AudioReader

        source = AudioReader(name, rate)
    reached("connected")
    engine = Engine(model, VirtualDevice(rate), EngineSettings(), source, sink)
    engine.prepare()
    reached("ready to play")
    with engine:
        assert sink.reached.wait(_PATIENCE_S), "nothing was heard"
    stages["first sound"] = sink.moment_s - start_s
    print(json.dumps(stages))


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2])
