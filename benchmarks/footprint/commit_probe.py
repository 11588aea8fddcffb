"""Measures one commit in a process of its own: `python commit_probe.py start|rest|cadence SECONDS`.

Its tree stands on the path. It asks for what both commits have, and prints what it found as JSON.
"""

import contextlib
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_POLL_S = 0.002
_REST_S = 3.0


def started_engine(source: Any, settings: dict[str, Any]) -> Any:
    """An engine on a virtual device in real time, playing."""
    from apollo_rt import load_model
    from apollo_rt.live.endpoints.file_feed import Nowhere
    from apollo_rt.live.endpoints.virtual_device import VirtualDevice
    from apollo_rt.live.engine import Engine
    from apollo_rt.live.engine_settings import EngineSettings

    model = load_model()
    device = VirtualDevice(model.framing.sample_rate)
    engine = Engine(model, device, EngineSettings(**settings), source, Nowhere())
    engine.prepare()
    engine.start()
    return engine


def music() -> Any:
    """The demo, over and over."""
    import apollo_rt
    from apollo_rt.files.audio_reader import AudioReader
    from apollo_rt.live.settings_trial import Repeated

    with AudioReader(Path(apollo_rt.__file__).parent / "data/demo.mp3", 44_100) as reader:
        return Repeated(reader.read(8 * 44_100))


def start(begin_s: float) -> dict[str, float]:
    """Seconds from the command to the first restored sound, and of all processors, those of its children included."""
    engine = started_engine(music(), {})
    while (snapshot := engine.snapshot()).samples <= engine.latency.stream or not snapshot.hops:
        time.sleep(_POLL_S)
    found = {"sound_s": time.monotonic() - begin_s, "processor_s": sum(resource.getrusage(resource.RUSAGE_SELF)[:2])}
    engine.stop()
    with contextlib.suppress(ChildProcessError):  # there is none any more
        while True:
            os.wait()
    found["processor_s"] += sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    return found


def rest() -> dict[str, float]:
    """Megabytes of a process that plays silence, and what it takes of a core."""
    from apollo_rt.live.endpoints.file_feed import Silence

    engine = started_engine(Silence(10**9), {})
    time.sleep(_REST_S)
    begin_s, spent_s = time.monotonic(), time.process_time()
    time.sleep(_REST_S)
    share = (time.process_time() - spent_s) / (time.monotonic() - begin_s)
    rows = dict(re.findall(r"^(\w+): +(\d+) kB$", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE))
    engine.stop()
    private = int(rows["Private_Clean"]) + int(rows["Private_Dirty"])
    return {"pss_mb": int(rows["Pss"]) / 1e3, "private_mb": private / 1e3, "locked_mb": int(rows["Locked"]) / 1e3,
            "silence_percent": 100 * share}  # fmt: skip


def cadence(seconds: float, is_realtime: bool) -> dict[str, float]:
    """Milliseconds of a hop while music plays in real time, switches between threads and processor time a hop."""
    engine = started_engine(music(), {"realtime": is_realtime})
    time.sleep(1.0)
    before, hops = resource.getrusage(resource.RUSAGE_SELF), engine.snapshot().hops
    time.sleep(seconds)
    after, snapshot = resource.getrusage(resource.RUSAGE_SELF), engine.snapshot()
    engine.stop()
    n_hops = max(snapshot.hops - hops, 1)
    switches = after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw
    spent_s = sum(after[:2]) - sum(before[:2])
    return {"p50_ms": snapshot.step_ms.p50, "p999_ms": snapshot.step_ms.p999, "switches": switches / n_hops,
            "hop_cpu_ms": 1e3 * spent_s / n_hops, "missed": float(snapshot.deadline_misses)}  # fmt: skip


def main(what: str, number: float) -> None:
    """Do it and print it."""
    probes: dict[str, Callable[[], dict[str, float]]] = {
        "start": lambda: start(number),
        "rest": rest,
        "cadence": lambda: cadence(number, is_realtime=True),
        "cadence-normal": lambda: cadence(number, is_realtime=False),
    }
    print(json.dumps(probes[what]()))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
