"""Sinks of a private PulseAudio that come and go."""

import subprocess

from tests.doubles.audio_servers import PulseServer


def pactl(server: PulseServer, *arguments: str) -> str:
    command = ["pactl", *arguments]
    return subprocess.run(command, env=server._env, capture_output=True, text=True, check=True, timeout=60).stdout


def unload_sink(server: PulseServer, name: str) -> None:
    modules = [line.split("\t")[0] for line in pactl(server, "list", "short", "modules").splitlines() if name in line]
    pactl(server, "unload-module", modules[-1])


def load_sink(server: PulseServer, name: str, rate: int) -> None:
    description = f"sink_properties=device.description={name}"
    pactl(server, "load-module", "module-null-sink", f"sink_name={name}", description, "norewinds=1", f"rate={rate}")
