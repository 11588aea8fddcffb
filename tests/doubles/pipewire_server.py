"""A private PipeWire for tests, with its session manager and its PulseAudio interface, beside whatever the machine has.

It is reached and listened to as `PulseServer` is. Of the session bus it needs one of its own: without any, WirePlumber
ends, and without WirePlumber nothing is linked and there is no default.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.doubles.audio_servers import PulseServer, need, running, unavailable, wait_for

GRAPH_RATE = 48_000
"""At which PipeWire runs, whatever its sinks say."""


class PipeWireServer(PulseServer):
    """A PipeWire daemon with a null sink `speakers`; `environment` leads PortAudio (by ALSA) and libpulse to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "pulse" / "native"
        self.environment = {
            "PULSE_SERVER": f"unix:{self.socket}",
            "PULSE_COOKIE": str(folder / "cookie"),
            "PIPEWIRE_RUNTIME_DIR": str(folder),
            "ALSA_CONFIG_PATH": "",
            "JACK_DEFAULT_SERVER": "apollo-test-none",
        }

    @contextlib.contextmanager
    def started(self) -> Iterator[subprocess.Popen]:
        need("pipewire", "pipewire-pulse", "wireplumber", "dbus-run-session", "pw-metadata", "pactl", "parec", "pacat")
        names = ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "PIPEWIRE_RUNTIME_DIR")
        env = {**os.environ, **{name: str(self.folder) for name in names}}
        commands = [["dbus-run-session", "--", "wireplumber"], ["pipewire-pulse"]]
        with contextlib.ExitStack() as stack:
            log = stack.enter_context((self.folder / "log").open("w"))
            options = {"env": env, "stdout": log, "stderr": log}
            daemon = stack.enter_context(running(["pipewire"], **options))
            if not wait_for(lambda: (self.folder / "pipewire-0").exists()):
                self._unavailable()
            for command in commands:
                stack.enter_context(running(command, **options))
            if not wait_for(lambda: b"PipeWire" in self._pactl("info")):
                self._unavailable()
            self.add_sink("speakers", rate=GRAPH_RATE)
            self._pactl("set-default-sink", "speakers")
            if not wait_for(lambda: b"Default Sink: speakers" in self._pactl("info")):
                self._unavailable()
            yield daemon

    def play_natively(self, file: Path) -> "contextlib.AbstractContextManager[subprocess.Popen]":
        """Play a file by PipeWire's own player, which knows nothing of PulseAudio's variables."""
        return running(["pw-play", str(file)], env=self._env)

    def rates(self) -> str:
        """The rates that the graph may run at, as PipeWire writes them."""
        command = ["pw-metadata", "-n", "settings", "0", "clock.allowed-rates"]
        text = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=60).stdout
        return text.rpartition("value:'")[2].partition("'")[0]

    def _unavailable(self) -> None:
        unavailable(f"PipeWire did not start: {(self.folder / 'log').read_text()[-2000:]}")
