"""The plugins of a live run: loaded in a process of their own, watched, bypassed where they fail, reached by name.

A process that dies, or that lets the worker wait for too long, is replaced by one without the plugin whose code it was
in; until that is ready all plugins are bypassed. The latency stays what it was at the start.
"""

import importlib.util
import threading
import time
from collections.abc import Sequence
from typing import Any

from apollo_rt.control.parameter_row import Parameter
from apollo_rt.errors import PluginError
from apollo_rt.plugins.live_plugin import LivePlugin, PluginState
from apollo_rt.plugins.plugin_chains import AFTER, BEFORE, NO_LINK, Chains, is_broken, link, make_chains
from apollo_rt.plugins.plugin_process import PluginProcess
from apollo_rt.plugins.plugin_rows import BYPASS, bypass_row, parameter_row, unique_names
from apollo_rt.plugins.plugin_spec import PluginSpec
from apollo_rt.system.scheduling import HOST_PRIORITY

_PATIENCE_S, _PATIENCE_WITHOUT_PACE_S = 1.0, 20.0
_MOST_RESTARTS, _CALM_S = 3, 60.0
_DYING_S = 0.2
"""One that has crashed needs a moment until it is dead; one that is alive after that has hung."""
_POLL_S = 0.02


class LivePlugins:
    """The plugins before and after the model.

    Args:
        before: what the user said, in the order of the signal.
        after: as `before`.
        sample_rate: Hz.
        hop_length: samples that are processed at once.
        pace: it runs in real time; else a hop may take as long as it needs, within reason.

    Attributes:
        chains: what the worker passes.

    Raises:
        PluginError: one of them can't be had.
    """

    def __init__(
        self,
        before: Sequence[PluginSpec],
        after: Sequence[PluginSpec],
        sample_rate: int,
        hop_length: int,
        pace: bool = True,
    ) -> None:
        if importlib.util.find_spec("pedalboard") is None:
            raise PluginError('plugins need Pedalboard: pip install "apollo-rt[pedalboard]"')
        specs, names = [*before, *after], unique_names([*before, *after])
        sides = [BEFORE] * len(before) + [AFTER] * len(after)
        self._plugins = [
            LivePlugin(spec, side, name, number)
            for number, (spec, side, name) in enumerate(zip(specs, sides, names, strict=True))
        ]
        self._by_name = {plugin.name: plugin for plugin in self._plugins}
        self._rate, self._hop_length, self._pace = sample_rate, hop_length, pace
        self._patience_s = _PATIENCE_S if pace else _PATIENCE_WITHOUT_PACE_S
        self._rows: dict[str, Parameter] = {}
        self._lock = threading.Lock()
        self._left: list[PluginProcess] = []
        self._next: PluginProcess | None = None
        self._n_restarts, self._restarted_s = 0, 0.0
        self._process: PluginProcess | None = self._new_process()
        self._load()
        latencies = [sum(plugin.latency for plugin in self._plugins if plugin.side == side) for side in (BEFORE, AFTER)]
        self.chains: Chains = make_chains(hop_length, (len(before), len(after)), (latencies[BEFORE], latencies[AFTER]))
        link(self.chains, self._process.connection, is_at_start=True)

    @property
    def latencies(self) -> tuple[int, int, int]:
        """Samples of the plugins before the model, of those after it, and of what makes whole hops of both."""
        before, after, padding = (int(length) for length in self.chains.lengths)
        return before, after, padding

    def rows(self) -> list[Parameter]:
        """The parameters there are."""
        return list(self._rows.values())

    def get(self, name: str) -> float:
        """The value of a parameter.

        Raises:
            ValueError: there is none of that name.
        """
        plugin, parameter = self._find(name)
        return plugin.values[parameter]

    def set(self, name: str, value: float) -> None:
        """Change a parameter; heard from the next hop on. A plugin that failed is tried again when `bypass` becomes 0.

        Raises:
            ValueError: there is none of that name, or the value is out of bounds.
        """
        plugin, parameter = self._find(name)
        checked = self._rows[name].check(value)
        with self._lock:
            plugin.values[parameter] = checked
            if parameter == BYPASS and not checked and plugin.failure:
                plugin.failure = ""
                self._begin_next()
            for process in (self._process, self._next):
                if process:
                    process.change(plugin.number, parameter, checked)

    def as_dict(self) -> dict[str, float]:
        """All values by name."""
        return {name: self.get(name) for name in self._rows}

    def states(self) -> tuple[PluginState, ...]:
        """All of them, in the order of the signal."""
        return tuple(
            PluginState(
                plugin.name, plugin.spec.label, plugin.side_name, plugin.latency,
                plugin.failure or ("bypassed" if plugin.values[BYPASS] else "playing"),
            )
            for plugin in self._plugins
        )  # fmt: skip

    def notes(self) -> list[str]:
        """Notes for the user of what was measured when they were loaded, one line each."""
        return [
            f"{plugin.place}: an impulse comes out {plugin.arrival} samples late, it says {plugin.latency}; the dry "
            "signal is delayed by what it says"
            for plugin in self._plugins
            if plugin.arrival != plugin.latency and plugin.spec.is_file
        ]

    def order(self) -> dict[str, Any]:
        """Order that tells a process what to load, see `plugin_host.PluginHost.load`."""
        return {
            "sample_rate": self._rate,
            "hop_length": self._hop_length,
            "priority": HOST_PRIORITY if self._pace else 0,
            "plugins": [self._ordered(plugin) for plugin in self._plugins],
        }

    def poll(self) -> list[str]:
        """See to them; returns what a user should know, one line each."""
        with self._lock:
            lines = self._read_answers() + self._replace_if_dead()
            return lines + (self._change_over() if self._next else [])

    def stop(self) -> None:
        """End their processes; the worker must have left."""
        with self._lock:
            link(self.chains, NO_LINK)
            for process in (self._process, self._next, *self._left):
                if process:
                    process.end()
            self._process = self._next = None

    def _find(self, name: str) -> tuple[LivePlugin, str]:
        if name not in self._rows:
            raise ValueError(f"parameter must be one of {', '.join(self._rows)}, got {name!r}")
        plugin, parameter = name.split(".", 1)
        return self._by_name[plugin], parameter

    # --- the process -------------------------------------------------------------------------------------------------

    def _new_process(self) -> PluginProcess:
        return PluginProcess(self.order(), self._patience_s)

    @staticmethod
    def _ordered(plugin: LivePlugin) -> dict[str, Any]:
        spec = plugin.spec
        return {"side": plugin.side, "kind": spec.kind, "values": dict(spec.values), "part": spec.part,
                "changes": plugin.values, "latency": plugin.latency, "is_absent": bool(plugin.failure)}  # fmt: skip

    def _load(self) -> None:
        """Wait for the first process, and take what it says of the plugins."""
        assert self._process is not None
        process = self._process
        try:
            while not process.is_ready():
                time.sleep(_POLL_S)
        except BaseException as error:
            process.end()
            if isinstance(error, PluginError) and process.culprit is not None and process.has_crashed:
                label = self._plugins[process.culprit].spec.label
                raise PluginError(f"{label}: {process.death} while it was loaded") from None
            raise
        for answer in process.take_answers():
            if "loaded" in answer:
                self._take_in(self._plugins[answer["loaded"]], answer)

    def _take_in(self, plugin: LivePlugin, answer: dict[str, Any]) -> None:
        plugin.latency, plugin.arrival = answer["latency"], answer["arrival"]
        plugin.values = {BYPASS: 0.0, **{row["name"]: row["value"] for row in answer["rows"]}}
        rows = [bypass_row(plugin.name, plugin.spec.label)]
        rows += [parameter_row(plugin.name, plugin.spec.label, row) for row in answer["rows"] if row["name"] != BYPASS]
        self._rows |= {row.name: row for row in rows}

    def _read_answers(self) -> list[str]:
        lines = []
        for answer in self._process.take_answers() if self._process else []:
            if "failed" in answer:
                plugin = self._plugins[answer["failed"]]
                plugin.failure = answer["reason"]
                lines.append(f"{plugin.place} {plugin.failure}: it is bypassed")
            elif "refused" in answer:
                lines.append(f"{self._plugins[answer['refused']].place}: {answer['reason']}")
        return lines

    def _replace_if_dead(self) -> list[str]:
        process = self._process
        if process is None or not (process.exit_code is not None or is_broken(self.chains, process.connection)):
            return []
        link(self.chains, NO_LINK)
        self._process = None
        self._left.append(process)
        culprit, has_hung = process.culprit, process.kill(after_s=_DYING_S)
        lines = [self._blame(culprit, f"did not answer for {self._patience_s:g} s" if has_hung else process.death)]
        if all(plugin.failure for plugin in self._plugins):
            return lines
        self._n_restarts = 1 if time.monotonic() > self._restarted_s + _CALM_S else self._n_restarts + 1
        self._restarted_s = time.monotonic()
        if self._n_restarts > _MOST_RESTARTS + len(self._plugins):
            return [*lines, "the plugins' process keeps dying: all plugins stay bypassed"]
        self._begin_next()
        return lines

    def _blame(self, culprit: int | None, death: str) -> str:
        """Take a plugin out; the line that says so."""
        if culprit is None:
            return f"the plugins' process {death}: plugins are bypassed until there is another"
        self._plugins[culprit].failure = death
        return f"{self._plugins[culprit].place} {death}: it is bypassed"

    def _begin_next(self) -> None:
        if self._next:
            self._next.end()
        self._next = self._new_process()

    def _change_over(self) -> list[str]:
        """Go over to the next process as soon as it is ready; the worker fades."""
        assert self._next is not None
        following = self._next
        try:
            if not following.is_ready():
                return []
        except PluginError as error:
            self._next = None
            following.end()
            return self._give_up_on(following.culprit, str(error))
        changed = self._changed(following)
        if changed:
            changed.failure = "has another latency than before"
            self._begin_next()
            return [f"{changed.place} {changed.failure}: it is bypassed"]
        if self._process:
            self._left.append(self._process)
        self._process, self._next = following, None
        link(self.chains, following.connection)
        return ["plugins play again: " + ", ".join(plugin.place for plugin in self._plugins if not plugin.failure)]

    def _give_up_on(self, culprit: int | None, reason: str) -> list[str]:
        """The next process can't be had."""
        if culprit is None:
            return [f"plugins can't be loaded again, they stay bypassed: {reason}"]
        line = self._blame(culprit, f"can't be loaded again ({reason})")
        if not all(plugin.failure for plugin in self._plugins):
            self._begin_next()
        return [line]

    def _changed(self, process: PluginProcess) -> LivePlugin | None:
        """A plugin whose latency is another in the new process; the engine's is constant."""
        answers = [answer for answer in process.take_answers() if "loaded" in answer]
        return next(
            (self._plugins[answer["loaded"]] for answer in answers
             if answer["latency"] != self._plugins[answer["loaded"]].latency),
            None,
        )  # fmt: skip
