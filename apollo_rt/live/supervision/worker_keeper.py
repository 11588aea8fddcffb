"""The worker's keeper: starts it, replaces it where it died or hangs, and has it relieved when a model is swapped.

A new worker is built away from the audio path, stands by in compiled code, and takes over between two hops, with the
processor that is heard; then it fades to its own (`tier_switch`). So neither a swap nor a restart needs the interpreter
at the moment that counts. Until a worker that died is replaced the dry signal is heard, at the same latency.
"""

import threading
import time
from collections.abc import Callable, Mapping

from apollo_rt.compiled.records import add, load, store
from apollo_rt.errors import ApolloError
from apollo_rt.inference.model import Model
from apollo_rt.live.realtime.shared_state import SharedState
from apollo_rt.live.realtime.tier_switch import (
    DRY,
    N_SLOTS,
    NEVER,
    NONE,
    Tiers,
    make_tiers,
)
from apollo_rt.live.realtime.worker import run_worker
from apollo_rt.live.supervision.supervisor import POLL_S
from apollo_rt.plugins.plugin_chains import Chains, reset_plugins
from apollo_rt.stream.processor import Processor
from apollo_rt.system.guarded_thread import GuardedThread

_HUNG_POLLS = 50
"""Polls, of 0.1 s, in which a worker that has work does none of it, until another takes its place."""
_LONGEST_PAUSE_POLLS, _HEALTHY_POLLS = 50, 100
_HELD = N_SLOTS - 1
_PATIENCE_S = 10.0
_POLL_S = 0.002


class WorkerKeeper:
    """The worker of the moment.

    Args:
        shared: with the callback.
        models: the tiers of a model by name, best first, one to three.
        wait_ns: see `run_worker`.
        run_with_priority: calls the worker in its thread, see `scheduling.AudioScheduling.run_worker`.
        chains: the plugins before and after the model; they outlive a worker. None: there are none.

    Attributes:
        tiers: shared with it.
    """

    def __init__(
        self,
        shared: SharedState,
        models: Mapping[str, Model],
        wait_ns: int,
        run_with_priority: Callable[..., None] = lambda target, *arguments: target(*arguments),
        chains: Chains | None = None,
    ) -> None:
        self._run_with_priority, self._chains = run_with_priority, chains
        self._shared, self._wait_ns = shared, wait_ns
        self._lock = threading.Lock()
        self._thread: GuardedThread | None = None
        self._generation = 0
        self._pause_polls = 1
        self._seen = (0, 0)
        self._idle_polls = self._healthy_polls = 0
        self._take(models)
        self.tiers = self._fresh_tiers()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the tiers, best first."""
        return tuple(self._models)

    @property
    def memory(self) -> tuple[object, ...]:
        """Arrays that its worker uses, as tuples."""
        return (self.tiers, *(processor.compiled for processor in self._processors))

    @property
    def tier(self) -> str:
        """Name of the tier that is heard, `dry` for none; during a swap already that of the new model."""
        active = int(self.tiers.control.active)
        return "dry" if active == DRY else self.names[active if active < len(self._models) else 0]

    @property
    def error(self) -> Exception | None:
        """Error that the worker died of, if it did."""
        return self._thread.error if self._thread else None

    def start(self) -> None:
        """Start the first worker."""
        self._launch()

    def stop(self) -> None:
        """End it, after its present hop; one that hangs is left behind."""
        self._shared.control.stop = 1
        with self._lock:
            if self._thread:
                self._thread.join(_PATIENCE_S)

    def want(self, slot: int) -> None:
        """Fade to a tier by its number, or to `DRY`, as soon as it is warm."""
        with self._lock:
            if slot == DRY or slot < len(self._models):
                self._set("wanted", slot)

    def probe(self, slot: int) -> None:
        """Run a tier unheard, to be timed in `tiers.shadow_ns`; `NONE` ends it."""
        with self._lock:
            self.tiers.shadow_ns[:] = 0
            self._set("probed", slot if slot < len(self._models) else NONE)

    def poll(self) -> list[str]:
        """Replace a worker that died or hangs; returns what a user should know, one line each."""
        if self._thread is None or self._shared.control.stop or not self._lock.acquire(blocking=False):
            return []
        try:
            reason = self._trouble()
            return [self._replace(reason)] if reason else []
        finally:
            self._lock.release()

    def swap(self, models: Mapping[str, Model]) -> None:
        """Fade to another model, from whatever is heard; returns when its worker has taken over.

        Args:
            models: its tiers, best first; of the framing of the one before.
        """
        with self._lock:
            self._set("probed", NONE)
            self._set("wanted", self._get("active"))
            before, position = self._thread, int(self._shared.control.consumed)
            give_up_s = time.monotonic() + 0.2
            while int(self._shared.control.consumed) == position and time.monotonic() < give_up_s:
                time.sleep(_POLL_S)  # a fade that had begun is over with this hop
            held = self._processors[min(self._get("active"), _HELD)]
            self._take(models, held)
            self._set("takeover", DRY if self._get("active") == DRY else _HELD)
            self._launch()
            if before:
                before.join(_PATIENCE_S)

    def _take(self, models: Mapping[str, Model], held: Processor | None = None) -> None:
        """Build what is needed to work; some of it may fail, so nothing is changed before."""
        processors = [Processor(model) for model in models.values()]
        padding = [held or processors[-1]] * (N_SLOTS - len(processors))
        self._models, self._processors = dict(models), [*processors, *padding]

    def _launch(self) -> None:
        self._generation += 1
        arguments = (self._shared, self._processors, self.tiers, self._wait_ns, self._generation)
        self._thread = GuardedThread("worker", self._run_with_priority, run_worker, *arguments)
        self._thread.start()
        while self._get("standing_by") != self._generation and self._thread.is_alive:
            time.sleep(_POLL_S)
        self._set("generation", self._generation)

    def _fresh_tiers(self) -> Tiers:
        """Tiers on which nobody works; the next worker begins at once."""
        tiers = make_tiers(self._processors[0].framing.hop_length, self._chains)
        tiers.control.relieved = self._generation
        return tiers

    def _trouble(self) -> str:
        """Reason why the worker must be replaced now; empty for none."""
        assert self._thread is not None
        seen = (int(self._shared.control.consumed), int(self._shared.history.marks.written))
        has_worked, has_work = seen[0] != self._seen[0], seen[1] != self._seen[1]
        self._seen = seen
        if self._thread.is_alive:
            self._healthy_polls += has_worked
            if self._healthy_polls >= _HEALTHY_POLLS:
                self._pause_polls = 1
            self._idle_polls = 0 if has_worked else self._idle_polls + has_work
            return f"hung for {_HUNG_POLLS * POLL_S:.0f} s" if self._idle_polls >= _HUNG_POLLS else ""
        self._idle_polls += 1
        error = self._thread.error
        reason = f"died ({type(error).__name__}: {error})" if error else "ended by itself"
        return reason if self._idle_polls >= self._pause_polls else ""

    def _replace(self, reason: str) -> str:
        self._idle_polls = self._healthy_polls = 0
        self._pause_polls = min(2 * self._pause_polls, _LONGEST_PAUSE_POLLS)
        wanted = self._get("wanted")
        self._set("generation", NEVER)  # should one that hangs come back, it leaves without a trace
        try:
            self._take(self._models)
        except ApolloError as error:
            return f"the worker {reason} and can't be replaced yet: {error}"
        self.tiers = self._fresh_tiers()
        reset_plugins(self.tiers.chains)
        self.tiers.control.active = self.tiers.control.wanted = wanted
        self._shared.control.unfit_hops = self._shared.control.hop_delay // self.tiers.buffers.shape[1]
        self._launch()
        add(self._shared.stats.counters, "worker_restarts", 1)
        return f"the worker {reason} and was replaced; the input was heard meanwhile"

    def _get(self, field: str) -> int:
        return int(load(self.tiers.control, field))

    def _set(self, field: str, value: int) -> None:
        store(self.tiers.control, field, value)
