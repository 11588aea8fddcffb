"""Apollo RT as an effect with Pedalboard's call contract, for scripts that use Pedalboard's own effects beside it.

Pedalboard (0.9.26) lets no Python class into a `Pedalboard([...])`; `Board` takes both. This needs no Pedalboard.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from apollo_rt.control.parameters import PARAMETERS, Parameters, with_parameters
from apollo_rt.effects.effect import Effect, Samples
from apollo_rt.effects.resampled_stream import ResampledStream
from apollo_rt.inference.model import Model
from apollo_rt.inference.model_choice import open_model, open_tier
from apollo_rt.stream.dry_line import DryLine
from apollo_rt.stream.restoration_stream import RestorationStream


@with_parameters
class ApolloEffect(Effect):
    """Restore audio in memory, at once or block by block.

    Every parameter of the table is an attribute and a keyword: `ApolloEffect(strength=0.8).air_db = -3`. A change is
    heard from the next block on, and never clicks. Several effects may work in several threads at once; calls of one
    effect wait for each other. An effect can be copied and pickled: its settings and its model, not its stream.

    Args:
        mix: how much of the restored signal, 0 (the input) to 1.
        model: a model file, a model's name or a loaded model; None for the one that ships with the package.
        provider: what runs the model, `auto`, `cpu`, `cuda` or `tensorrt` (see `model_choice.open_model`); a loaded
            model has its own.
        parameters: further ones of the table, by name.

    Raises:
        ModelFileError: the model file is not usable.
        ProviderError: the provider can't be used.
        TypeError: there is no such parameter, or its value is no number.
        ValueError: a parameter is out of bounds, or there is no such provider.
    """

    __slots__ = ("_given", "_line", "_model", "_parameters", "_resampled", "_restoration")

    def __init__(
        self,
        mix: float = 1.0,
        model: Model | str | os.PathLike[str] | None = None,
        provider: str = "auto",
        **parameters: float,
    ) -> None:
        """Load the model and make a stream at its sample rate."""
        super().__init__()
        names = [row.name for row in PARAMETERS]
        for name in parameters:
            if name not in names:
                raise TypeError(f"ApolloEffect takes model, provider, {', '.join(names)}, got {name!r}")
        self._parameters = Parameters(mix=mix, **parameters)
        self._model = model if isinstance(model, Model) else open_model(model, provider)
        self._given = (str(self._model.card.path) if model is not None else None, provider)
        self._restoration = RestorationStream(self._model, self._parameters)
        self._start(self._model.framing.sample_rate, 2)

    if TYPE_CHECKING:  # the attributes of the table, which type checkers can't see

        def __getattr__(self, name: str) -> Any: ...

    @property
    def parameters(self) -> Parameters:
        """The live values, all of them."""
        return self._parameters

    def get(self, name: str) -> float:
        """The value of one parameter."""
        return self._parameters.get(name)

    def set(self, name: str, value: float) -> None:
        """Change one parameter, as its attribute does.

        Raises:
            ValueError: an unknown name, or a value out of bounds.
        """
        self._parameters.set(name, value)

    def __repr__(self) -> str:
        """Name and settings of the effect."""
        values = " ".join(f"{name}={value:g}" for name, value in self._parameters.as_dict().items())
        return f"<apollo_rt.ApolloEffect {values} model={self._model.card.name!r} at {id(self):#x}>"

    def __copy__(self) -> Self:
        """An effect with the same settings and model, and a stream of its own."""
        return _with_values(type(self), self._model, self._parameters.as_dict())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """As a copy: a model never changes, so that there is nothing to copy deeper."""
        return self.__copy__()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """For pickle: the settings, and where the model's file lies."""
        model, provider = self._given
        chosen = str(self._model.provider) if model is not None else provider
        return _reopened, (type(self), model, chosen, self._model.tier, self._parameters.as_dict())

    def _start(self, sample_rate: float, n_channels: int) -> int:
        self._resampled = ResampledStream(self._restoration, sample_rate)
        self._line = DryLine(self._resampled.latency_samples, self._parameters, sample_rate)
        return self._resampled.latency_samples

    def _push(self, block: Samples) -> Samples:
        samples = np.ascontiguousarray(np.broadcast_to(block, (2, block.shape[1])).T)
        return self._mixed(samples, self._resampled.process(samples), len(block))

    def _end(self, n_channels: int, latency: int, buffer_size: int) -> Samples:
        return self._mixed(np.zeros((latency, 2), np.float32), self._resampled.finish(), n_channels)

    def _mixed(self, dry: Samples, wet: Samples, n_channels: int) -> Samples:
        restored = self._line.mixed(dry, wet)
        return restored.T if n_channels == 2 else restored.mean(axis=1, dtype=np.float32)[None]

    def _forget(self) -> None:
        pass  # a stream starts afresh by itself


Kind = TypeVar("Kind", bound=ApolloEffect)


def _reopened(
    kind: type[ApolloEffect], model: str | None, provider: str, tier: str, parameters: dict[str, float]
) -> ApolloEffect:
    return _with_values(kind, open_tier(open_model(model, provider), tier), parameters)


def _with_values(kind: type[Kind], model: Model, values: dict[str, float]) -> Kind:
    effect = kind(model=model)
    for name, value in values.items():
        effect.set(name, value)
    return effect
