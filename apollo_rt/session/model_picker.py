"""Choosing another model while the engine runs, for whichever interface the wish comes from."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from apollo_rt.errors import ApolloError, ControlError
from apollo_rt.inference.model import Model
from apollo_rt.inference.model_choice import open_model, open_tier, open_tiers
from apollo_rt.inference.model_file import ModelCard
from apollo_rt.inference.model_library import list_models
from apollo_rt.system.guarded_thread import GuardedThread

_LOADING_S = 60.0


class SwappableEngine(Protocol):
    """An engine that can go on with another model, as a picker needs it."""

    def swap_model(self, model: Model, lighter: Mapping[str, Model] | None = None) -> None:
        """Go on with another model."""


class ModelPicker:
    """Tells which models there are and goes to others; any thread may ask.

    A model is loaded beside the music, by a thread of its own. Only models of the library can be chosen, and the one
    that the run began with: a control socket is no way to have any file read.

    Args:
        engine: running.
        model: what it began with.
        provider: what runs a model, see `model_choice.open_model`.
        tier: the best tier that is wanted of a model that has it; None: the best of each.
        say: tells a user something.
    """

    def __init__(
        self, engine: SwappableEngine, model: Model, provider: str, tier: str | None, say: Callable[[str], None]
    ) -> None:
        self._engine, self._provider, self._tier, self._say = engine, provider, tier, say
        self._first, self._card, self._framing = model.card, model.card, model.framing
        self._lock = threading.Lock()  # between those who ask and the thread that loads
        self._loading: GuardedThread | None = None

    @property
    def name(self) -> str:
        """Of the model that plays, for people."""
        return self._card.name

    def describe(self) -> dict[str, Any]:
        """As plain values: the model that plays, and those that fit this run, by the names that `choose` takes."""
        models = [
            {"name": name, "title": card.name, "is_used": card.path == self._card.path}
            for name, card in self._known().items()
        ]
        return {"model": self.name, "models": models}

    def choose(self, name: str) -> None:
        """Go to a model; returns at once, and what came of it is said.

        Raises:
            ControlError: there is none of that name that fits this run, or another is on its way.
        """
        known = self._known()
        if name not in known:
            fitting = ", ".join(known)
            raise ControlError(
                f"model must be one of {fitting} (the library's, of this run's framing: another would change the "
                f"latency), got {name!r}"
            )
        with self._lock:
            if self._loading and self._loading.is_alive:
                raise ControlError("model: another one is being made ready; try again when it plays")
            self._loading = GuardedThread("model", self._go_to, known[name])
            self._loading.start()

    def wait(self) -> None:
        """Wait until no model is on its way any more."""
        with self._lock:
            if self._loading:
                self._loading.join(_LOADING_S)

    def _go_to(self, card: ModelCard) -> None:
        try:
            best = open_model(card.path, self._provider)
            best = open_tier(best, self._tier if self._tier in best.card.tiers else None)
            lighter = {tier: model for tier, model in open_tiers(best).items() if tier != best.tier}
            self._engine.swap_model(best, lighter)
        except (ApolloError, ValueError, OSError) as error:
            self._say(f"model {card.name}: {error}; {self.name} goes on")
            return
        self._card = best.card
        self._say(f"model {self.name} plays now")

    def _known(self) -> dict[str, ModelCard]:
        """By file name: what the run began with, then what `--model` would take by that name."""
        cards = [entry.card for entry in list_models() if entry.card]
        found: dict[str, ModelCard] = {}
        for card in (self._first, *cards):
            if card.framing == self._framing:
                found.setdefault(card.path.stem, card)
        return found
