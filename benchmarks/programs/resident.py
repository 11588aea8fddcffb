"""`python -m benchmarks.programs.resident`: memory and processor time at rest, of more streams, and over hours."""

import json
import time

import click
import numpy as np

from apollo_rt import ApolloEffect
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.inference.model import Model, load
from apollo_rt.live.endpoints.file_feed import Nowhere, Silence
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.live.settings_trial import Repeated
from apollo_rt.session.named_files import DEMO, input_file
from apollo_rt.session.opened_source import FirstPart
from benchmarks.measuring.machine import resident_mb

_REST_S = 2.0
_BLOCK_SIZE = 4096
"""Hops come sixteen at a time, so that the worker, which looks every half millisecond, hardly waits."""
_N_LOOKS = 60
_N_STREAMS = 8


@click.command()
@click.option("--minutes", default=60.0, show_default=True, help="Of virtual time: as fast as the model goes.")
def main(minutes: float) -> None:
    """Print what was found as JSON."""
    model = load()
    found: dict[str, object] = {"loaded_mb": resident_mb()}
    found |= at_rest(model) | after(model, minutes) | for_each_stream(model)
    print(json.dumps(found))


def at_rest(model: Model) -> dict[str, float]:
    """An engine that hears nothing, in real time, once it has settled."""
    rate = model.framing.sample_rate
    engine = Engine(model, VirtualDevice(rate), EngineSettings(), Silence(1000 * rate), Nowhere())
    with engine:
        time.sleep(_REST_S)
        begin_s, spent_s = time.monotonic(), time.process_time()
        time.sleep(_REST_S)
        share = (time.process_time() - spent_s) / (time.monotonic() - begin_s)
        return {"at_rest_mb": resident_mb(), "silence_cpu_percent": round(100 * share, 1)}


def for_each_stream(model: Model) -> dict[str, float]:
    """Memory of one more running engine, and of one more effect, in a process that has some, on one model."""
    rate, before_mb = model.framing.sample_rate, resident_mb()
    engines = [
        Engine(model, VirtualDevice(rate), EngineSettings(realtime=False), Silence(1000 * rate), Nowhere())
        for _ in range(_N_STREAMS)
    ]
    for engine in engines:
        engine.start()
    time.sleep(_REST_S / 4)
    of_engine_mb = (resident_mb() - before_mb) / _N_STREAMS
    for engine in engines:
        engine.stop()
    before_mb, second = resident_mb(), np.zeros((2, rate), np.float32)
    effects = [ApolloEffect(model=model) for _ in range(_N_STREAMS)]
    for effect in effects:
        effect.process(second, rate, reset=False)
    of_effect_mb = (resident_mb() - before_mb) / _N_STREAMS
    return {"engine_more_mb": round(of_engine_mb, 2), "effect_more_mb": round(of_effect_mb, 2)}


def after(model: Model, minutes: float) -> dict[str, object]:
    """Music over and over, as fast as it goes; memory at equal distances of virtual time."""
    file, rate = input_file(DEMO), model.framing.sample_rate
    assert file is not None
    with AudioReader(file, rate) as reader:
        music = Repeated(reader.read(8 * rate))
    n_samples = round(60 * minutes * rate)
    source = FirstPart(music, n_samples)
    engine = Engine(model, VirtualDevice(rate, _BLOCK_SIZE, pace=False), EngineSettings(), source, Nowhere())
    seen: list[float] = []
    begin_s = time.monotonic()
    with engine:
        while not engine.wait(0.0):
            if engine.snapshot().samples >= len(seen) * n_samples / _N_LOOKS:
                seen.append(round(resident_mb(), 1))
            time.sleep(0.01)
        seen.append(round(resident_mb(), 1))
        hops = engine.snapshot().hops
    half = len(seen) // 2
    return {"minutes": minutes, "wall_s": round(time.monotonic() - begin_s, 1), "hops": hops, "after_mb": seen[-1],
            "grown_in_second_half_mb": round(seen[-1] - seen[half], 1), "over_time_mb": seen}  # fmt: skip


if __name__ == "__main__":
    main()
