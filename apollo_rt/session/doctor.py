"""`live doctor`: what this machine can do, measured: settings that will hold, and those that won't, and why."""

import itertools
import logging
import os
import platform
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.console.progress import progress_bar
from apollo_rt.console.say import say
from apollo_rt.devices.device import Direction
from apollo_rt.errors import DeviceError
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.inference.installed_runtime import runtime_lines
from apollo_rt.inference.model import Model
from apollo_rt.inference.model_choice import open_model, open_tiers
from apollo_rt.live.settings_trial import Setting, Trial, try_all
from apollo_rt.session.capture_advice import capture_lines
from apollo_rt.session.named_files import DEMO, input_file
from apollo_rt.system.scheduling import Priority, lock_memory, raise_this_thread

_MUSIC_S = 10.0
_ASKING_S = 5.0


def choose_settings(model: str | None, provider: str, duration_s: float) -> dict[str, Any]:
    """Measure, print, and give the options of a live run that hold.

    Args:
        model: see `model_choice.open_model`.
        provider: the same.
        duration_s: how long to measure.
    """
    setting = examine(open_tiers(open_model(model, provider)), duration_s).setting
    return {"block_size": setting.block_size, "least_headroom": setting.headroom, "tier": setting.tier}


def examine(models: Mapping[str, Model], duration_s: float) -> Trial:
    """Measure and print everything.

    Args:
        models: the tiers, best first.
        duration_s: how long to measure.

    Returns:
        How the setting that is best did in the end.
    """
    logging.getLogger("apollo_rt").addHandler(logging.NullHandler())  # what the trials miss is in the table
    lines = (capture_lines(), machine_lines(), runtime_lines(), scheduling_lines(), limit_lines(), device_lines())
    for line in itertools.chain(*lines):
        say(line)
    music = _music(next(iter(models.values())).framing.sample_rate)
    n_tried = 0
    with progress_bar() as report:

        def show(setting: Setting) -> None:
            nonlocal n_tried
            n_tried += 1
            report(f"measuring tier {setting.tier} with blocks of {setting.block_size}", n_tried, None)

        trials, proof = try_all(models, music, duration_s, report=show)
    for line in (*trial_lines(trials), *advice_lines(proof)):
        say(line)
    return proof


def machine_lines() -> Iterator[str]:
    """Processor, cores, clock and load."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield f"machine      {_processor()}, {cores} cores, {platform.system()} {platform.release()}"
    governor = _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor and governor != "performance":
        yield f"clock        governor {governor}: it may slow down between hops; `performance` does not"
    if hasattr(os, "getloadavg"):
        yield f"load         {os.getloadavg()[0]:.1f} in the last minute, by all programs"


def scheduling_lines() -> Iterator[str]:
    """Lines on what the audio threads can have; tried in a thread of its own."""
    got: list[Priority] = []
    thread = threading.Thread(target=lambda: got.append(raise_this_thread()), daemon=True)
    thread.start()
    thread.join(_ASKING_S)
    yield f"priority     {got[0] if got else 'unknown: the system bus does not answer'}"
    yield f"memory       {lock_memory([np.zeros(1 << 20, np.uint8)])}"


def limit_lines() -> Iterator[str]:
    """Lines on what the system lets this user have of priority and of memory that stays in place."""
    try:
        import resource
    except ImportError:  # Windows
        return
    names = {"RLIMIT_RTPRIO": "real-time priority", "RLIMIT_MEMLOCK": "locked memory"}
    limits = [
        f"{what} {_limit(resource.getrlimit(getattr(resource, name))[0], name, resource.RLIM_INFINITY)}"
        for name, what in names.items()
        if hasattr(resource, name)
    ]
    if limits:
        yield f"limits       {', '.join(limits)}"


def device_lines() -> Iterator[str]:
    """The sound server, and the default devices' rates."""
    try:
        from apollo_rt.devices import pulse
        from apollo_rt.devices.portaudio import list_devices, offered_rates

        devices = list_devices()
        server = pulse.read_server()
    except DeviceError as error:
        yield f"devices      none: {error}"
        return
    systems = sorted({device.system for device in devices})
    sinks = f"; server with {len(server.sinks)} sinks, {len(server.sources)} sources" if server else ""
    yield f"audio        {', '.join(systems) or 'no devices; from file to file it works without'}{sinks}"
    directions: tuple[Direction, ...] = ("input", "output")
    for direction in directions:
        for device in devices:
            if device.is_default(direction):
                rates = ", ".join(str(rate) for rate in offered_rates(device, direction)) or "none of the usual"
                yield f"{direction:<12} {device}: {rates} Hz"


def trial_lines(trials: list[Trial]) -> Iterator[str]:
    """A table: each setting, its tails, whether it holds and why not."""
    yield ""
    yield "tier     block  headroom  latency    step p50    p99   p99.9     max   missed"
    for trial in trials:
        setting, step = trial.setting, trial.step_ms
        yield (
            f"{setting.tier:<8} {setting.block_size:>5}  {setting.headroom:>8}  {trial.latency_ms:>4.1f} ms  "
            f"{step.p50:>7.2f} {step.p99:>7.2f} {step.p999:>7.2f} {step.max:>7.2f} ms {trial.n_missed:>4} of "
            f"{trial.n_hops:<5} {'holds' if trial.holds else 'does not hold: ' + trial.trouble}"
        )


def advice_lines(proof: Trial) -> Iterator[str]:
    """Lines on what to start with."""
    setting = proof.setting
    options = f"--block-size {setting.block_size} --headroom {setting.headroom} --tier {setting.tier}"
    yield ""
    if proof.holds:
        yield f"run_live.py {options}   holds, at {proof.latency_ms:.1f} ms beside the devices"
        yield "Devices behind ALSA, PulseAudio too, call back unevenly: leave --headroom away there, and it is chosen."
    else:
        yield f"No setting held to the end on this machine now. Nearest: {options}: {proof.trouble}."
        yield "Close other programs, or restore files instead: `apollo-rt restore` takes the time it needs."


def _music(sample_rate: int) -> NDArray[np.float32]:
    """Music that is restored meanwhile: silence would not be computed."""
    path = input_file(DEMO)
    assert path is not None
    with AudioReader(path, sample_rate) as reader:
        return np.ascontiguousarray(reader.read(round(_MUSIC_S * sample_rate)))


def _processor() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _limit(value: int, name: str, unlimited: int) -> str:
    if value == unlimited:
        return "unlimited"
    return f"{value / 2**20:.0f} MiB" if name == "RLIMIT_MEMLOCK" else str(value)


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
