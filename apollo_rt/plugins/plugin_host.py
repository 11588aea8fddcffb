"""The process in which plugins run: started with AUDIO and MARKER by `plugin_process`.

It is told what to load by the first line of its standard input, and about parameters by the later ones; it answers on
its standard output, a JSON object a line. Hops come and go through the socket AUDIO. Before a plugin's code is called
its number is written into the shared byte of the file MARKER: what kills this process leaves there who it was.

Only the main thread calls plugins. Whatever ends the process that plays ends this one, too: its socket closes.
"""

import gc
import json
import mmap
import os
import socket
import sys
import threading
from typing import Any, TextIO

import numpy as np

from apollo_rt.errors import PluginError
from apollo_rt.plugins.hosted_plugin import AbsentPlugin, Block, HostedPlugin
from apollo_rt.plugins.plugin_spec import PluginSpec
from apollo_rt.system.scheduling import raise_this_thread

NOBODY = 255
"""What the marker holds while no plugin's code runs."""

HEADER_BYTES = 32
RESET = 1
"""As in `plugin_chains`, which this process doesn't load: it compiles nothing."""

BYPASS = "bypass"
"""Name of the switch that each plugin has beside its own parameters."""


class PluginHost:
    """The plugins' process: loads plugins, and passes hops through them.

    Args:
        audio: where hops come from and go to.
        marker: one byte, shared.
        answers: where lines go.
    """

    def __init__(self, audio: socket.socket, marker: mmap.mmap, answers: TextIO) -> None:
        self._audio, self._marker, self._answers = audio, marker, answers
        self._lock = threading.Lock()
        self._changes: dict[tuple[int, str], Any] = {}
        self._plugins: list[HostedPlugin | AbsentPlugin] = []
        self._sides: tuple[list[int], list[int]] = ([], [])

    def load(self, order: dict[str, Any]) -> None:
        """Load what is ordered: `sample_rate`, `hop_length`, `priority`, and `plugins`, each with what is known of it.

        Raises:
            PluginError: one of them can't be had.
        """
        self._hop_length = order["hop_length"]
        for number, row in enumerate(order["plugins"]):
            self._marker[0] = number
            self._plugins.append(self._loaded(number, row, order["sample_rate"]))
            self._marker[0] = NOBODY
            self._sides[row["side"]].append(number)
        if order["priority"]:
            raise_this_thread(order["priority"])
        gc.collect()
        gc.freeze()
        self.answer(ready=True)

    def follow(self, orders: TextIO) -> None:
        """Take changes of parameters until nobody sends any more; only the newest of each counts."""
        for line in orders:
            order = json.loads(line)
            with self._lock:
                self._changes[order["plugin"], order["name"]] = order["value"]

    def run(self) -> None:
        """Process hops until nobody sends any more."""
        message = bytearray(HEADER_BYTES + 8 * self._hop_length)
        header = np.frombuffer(message, np.int64, 3)
        hop = np.frombuffer(message, np.float32, offset=HEADER_BYTES).reshape(self._hop_length, 2)
        while self._has_received(message):
            if self._changes:
                self._take_changes()
            block = np.ascontiguousarray(hop.T)
            for number in self._sides[int(header[1])]:
                block = self._passed(number, block, must_reset=bool(header[2] & RESET))
            hop[:] = block.T
            self._audio.sendall(message)

    def answer(self, **what: Any) -> None:
        """Send a line."""
        self._answers.write(json.dumps(what) + "\n")
        self._answers.flush()

    def _loaded(self, number: int, row: dict[str, Any], sample_rate: int) -> HostedPlugin | AbsentPlugin:
        if row["is_absent"]:
            return AbsentPlugin(row["latency"], self._hop_length)
        spec = PluginSpec(row["kind"], row["values"], row["part"])
        plugin = HostedPlugin(spec, sample_rate, self._hop_length)
        for name, value in row["changes"].items():
            self._change(plugin, name, value)
        plugin.reset()
        self.answer(loaded=number, latency=plugin.latency, arrival=plugin.arrival, rows=plugin.rows)
        return plugin

    def _passed(self, number: int, block: Block, must_reset: bool) -> Block:
        """One hop through one plugin."""
        plugin, was_well = self._plugins[number], not self._plugins[number].failure
        self._marker[0] = number
        if must_reset:
            plugin.reset()
        out = plugin.process(block)
        self._marker[0] = NOBODY
        if was_well and plugin.failure:
            self.answer(failed=number, reason=plugin.failure)
        return out

    def _take_changes(self) -> None:
        with self._lock:
            changes, self._changes = self._changes, {}
        for (number, name), value in changes.items():
            plugin = self._plugins[number]
            self._marker[0] = number
            if isinstance(plugin, HostedPlugin):
                try:
                    self._change(plugin, name, value)
                except PluginError as error:
                    self.answer(refused=number, reason=str(error))
            self._marker[0] = NOBODY

    @staticmethod
    def _change(plugin: HostedPlugin, name: str, value: Any) -> None:
        if name == BYPASS:
            plugin.is_bypassed = bool(value)
        else:
            plugin.set_value(name, value)

    def _has_received(self, message: bytearray) -> bool:
        view = memoryview(message)
        while view:
            n_bytes = self._audio.recv_into(view, len(view), socket.MSG_WAITALL)
            if n_bytes == 0:
                return False
            view = view[n_bytes:]
        return True


def main(audio_number: int, marker_number: int) -> None:
    """Be the process."""
    # What plugins print goes to standard error; the lines on standard output are ours alone.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    audio = socket.socket(fileno=audio_number)
    host = PluginHost(audio, mmap.mmap(marker_number, 1), answers)
    try:
        host.load(json.loads(sys.stdin.readline()))
        threading.Thread(target=host.follow, args=(sys.stdin,), daemon=True).start()
        host.run()
    except PluginError as error:
        host.answer(error=str(error))
    except (BrokenPipeError, ConnectionResetError):
        pass  # who plays has ended
    sys.stderr.flush()
    os._exit(0)  # a plugin that is taken down in the interpreter's last moments may crash


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
