"""`python -m benchmarks.programs.first_sound START`: when each stage up to the first sound is reached.

A process of its own, for a start is only a first time once. START is the monotonic clock at the moment of the command.
"""

import json
import sys
import time

_POLL_S = 0.002


def main(start_s: float) -> None:
    """Play a moment of the demo, and print the seconds since the start at each stage as JSON."""
    stages = {"Python": time.monotonic() - start_s}

    def reached(stage: str) -> None:
        stages[stage] = time.monotonic() - start_s

    import apollo_rt

    reached("import apollo_rt")
    model = apollo_rt.load_model()
    reached("model loaded")
    from apollo_rt.files.audio_reader import AudioReader
    from apollo_rt.live.endpoints.file_feed import Nowhere
    from apollo_rt.live.endpoints.virtual_device import VirtualDevice
    from apollo_rt.live.engine import Engine
    from apollo_rt.live.engine_settings import EngineSettings
    from apollo_rt.session.named_files import DEMO, input_file

    file = input_file(DEMO)
    assert file is not None
    rate = model.framing.sample_rate
    with AudioReader(file, rate) as reader:
        engine = Engine(model, VirtualDevice(rate), EngineSettings(), reader, Nowhere())
        engine.prepare()
        reached("ready to play")
        with engine:
            while (snapshot := engine.snapshot()).samples <= engine.latency.stream or not snapshot.hops:
                time.sleep(_POLL_S)
            reached("first sound")
    print(json.dumps(stages))


if __name__ == "__main__":
    main(float(sys.argv[1]))
