"""The model at work: its worker, kept alive, on the tier that the load allows, until another model takes over."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from apollo_rt.inference.model import Model
from apollo_rt.live.realtime.shared_state import SharedState
from apollo_rt.live.supervision.load_shedding import LoadShedding
from apollo_rt.live.supervision.worker_keeper import WorkerKeeper
from apollo_rt.plugins.plugin_chains import Chains

_WORKER_WAIT_NS = 500_000
"""How long the worker sleeps between two polls, a twelfth of a hop; half of that costs 3 % of a core (measured)."""


class ModelRunner:
    """Runs a model behind the shared state of one engine: keeps its worker alive, on the tier that the load allows.

    Args:
        shared: state of callback and worker.
        model: restores.
        lighter: further tiers of the model by name, better ones first.

    Attributes:
        model: the present one.
    """

    def __init__(self, shared: SharedState, model: Model, lighter: Mapping[str, Model]) -> None:
        self.model = model
        self._models = {model.tier: model, **lighter}
        self._shared = shared
        self._workers: WorkerKeeper | None = None
        self._load_shedding: LoadShedding | None = None

    @property
    def tiers(self) -> list[str]:
        """Of the present model, best first."""
        return list(self._models)

    @property
    def tier(self) -> str:
        """Name of the tier that is heard; empty before the start."""
        return self._workers.tier if self._workers else ""

    @property
    def workers(self) -> WorkerKeeper:
        """The worker's keeper, once it has started."""
        assert self._workers is not None
        return self._workers

    def compile(self, shared: SharedState) -> None:
        """Compile the worker (or read it from the cache) by letting one run for no time.

        Args:
            shared: one that nothing runs on.

        Raises:
            BaseException: what ended that worker.
        """
        shared.control.stop = 1
        workers = WorkerKeeper(shared, self._models, _WORKER_WAIT_NS)
        workers.start()
        workers.stop()
        if workers.error:
            raise workers.error

    def start(
        self,
        budget_ns: float,
        run_with_priority: Callable[..., None],
        lock: Callable[..., None],
        chains: Chains | None = None,
    ) -> None:
        """Start a worker.

        Args:
            budget_ns: time that every step may take, `latency.step_budget`; infinite where nothing is ever late.
            run_with_priority: calls it in its thread, see `scheduling.AudioScheduling.run_worker`.
            lock: is given the shared state and what the worker uses, before it starts.
            chains: the plugins before and after the model; None: there are none.
        """
        workers = WorkerKeeper(self._shared, self._models, _WORKER_WAIT_NS, run_with_priority, chains)
        lock(self._shared, workers.memory)
        self._workers = workers
        if math.isfinite(budget_ns):
            self._load_shedding = LoadShedding(workers, self._shared.stats, budget_ns, chains)
        workers.start()

    def stop(self) -> None:
        """End the worker, if there is one."""
        if self._workers:
            self._workers.stop()

    def poll(self) -> list[str]:
        """Replace a worker that died and change tiers; returns what a user should know, one line each."""
        if self._workers is None:
            return []
        return self._workers.poll() + (self._load_shedding.poll() if self._load_shedding else [])

    def swap(self, model: Model, lighter: Mapping[str, Model]) -> None:
        """Go on with another model, faded over from what is heard; it is made ready before anything changes.

        Raises:
            ValueError: the framing is another, or nothing runs.
        """
        if model.framing != self.model.framing:
            raise ValueError(
                f"model must have the framing {self.model.framing}, got {model.framing}; start anew with it"
            )
        if self._workers is None:
            raise ValueError("engine must be running to swap its model, got one that isn't")
        models = {model.tier: model, **lighter}
        self._workers.swap(models)
        self.model, self._models = model, models
        if self._load_shedding:
            self._load_shedding.start_afresh()

    def about(self) -> dict[str, Any]:
        """Facts that an incident is told with."""
        card = self.model.card
        return {"model": str(card.path), "model_name": card.name, "model_sha256": self.model.file.sha256,
                "provider": str(self.model.provider), "tiers": self.tiers}  # fmt: skip
