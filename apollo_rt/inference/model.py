"""A model, ready to run: its card, its session, and steps with buffers of their own.

Two back ends, one interface: `c_api` runs without the interpreter (`onnx_session`); `python` is the Python package's
`InferenceSession` over the same buffers (`python_session`), for installations without the C library.
"""

import os
import warnings
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from apollo_rt.config import Framing
from apollo_rt.errors import ModelFileError
from apollo_rt.inference.buffers import Buffers as Buffers
from apollo_rt.inference.buffers import allocate
from apollo_rt.inference.model_file import Graph, ModelCard, ModelFile, default_model_path, read_model_file
from apollo_rt.inference.onnx_c_api import LibraryMissingError, OnnxRuntimeError, Shapes
from apollo_rt.inference.onnx_session import OnnxSession
from apollo_rt.inference.provider import CPU, Provider
from apollo_rt.inference.python_session import PythonSession

Backend = Literal["c_api", "python"]


class BoundStep(Protocol):
    """A session bound to two sets of arrays, as a back end makes it."""

    addresses: NDArray[np.int64]

    @property
    def error(self) -> str:
        """The message of the first step that failed, or nothing."""

    def run(self, parity: int) -> int:
        """One step, 0 when all is well."""

    def warm_up(self) -> None:
        """Let an accelerator make what belongs to the calling thread; leaves anything in the arrays."""

    def close(self) -> None:
        """Release what was bound."""


class Step(NamedTuple):
    """Buffers, and what runs the model on them."""

    buffers: Buffers
    bound: BoundStep


class Batch(NamedTuple):
    """As a step, for `n_frames` frames at once."""

    buffers: Buffers
    bound: BoundStep
    n_frames: int


class Model:
    """A loaded model; any number of processors may use it.

    Attributes:
        file: what it was loaded of.
        card: what that says.
        tier: which of the model's sizes.
        backend: `c_api`, or `python` where the interpreter is needed for each step.
        provider: what runs it.
    """

    def __init__(self, file: ModelFile, tier: str, backend: Backend, provider: Provider) -> None:
        """Make the session of the tier's step.

        Raises:
            ModelFileError: names or shapes of inputs or outputs differ from the card's.
            LibraryMissingError: the back end isn't installed.
            OnnxRuntimeError: ONNX Runtime refuses the graph.
        """
        self.file, self.card, self.tier, self.backend, self.provider = file, file.card, tier, backend, provider
        self._step_graph = self.card.graph_of(tier, batch=False)
        self._session = self._make_session(self._step_graph)
        self._batch_sessions: dict[int, OnnxSession | PythonSession] = {}

    @property
    def framing(self) -> Framing:
        """Framing that the model wants of its stream."""
        return self.card.framing

    @property
    def tiers(self) -> tuple[str, ...]:
        """The sizes that the file has, best first; `load` gives a model of each."""
        return self.card.tiers

    def new_step(self) -> Step:
        """Buffers of their own, with states at zero, bound to the session."""
        buffers, inputs, outputs = allocate(self.card, self._step_graph, self._session.zeros)
        return Step(buffers, self._session.bind((inputs[0], inputs[1]), (outputs[0], outputs[1])))

    def new_batch(self, threads: int = 1) -> Batch | None:
        """As `new_step`, for many frames at once, for files; the states are those of the step.

        Args:
            threads: that share one run.

        Returns:
            None where the file has no such graph for this tier.

        Raises:
            ModelFileError: the graph contradicts the card, or ONNX Runtime refuses it.
        """
        graph = self.card.graph_of(self.tier, batch=True)
        if graph is None:
            return None
        if threads not in self._batch_sessions:
            try:
                self._batch_sessions[threads] = self._make_session(graph, threads)
            except OnnxRuntimeError as error:
                raise _not_loadable(self.card, error) from error
        session = self._batch_sessions[threads]
        buffers, inputs, outputs = allocate(self.card, graph, session.zeros)
        return Batch(buffers, session.bind((inputs[0], inputs[1]), (outputs[0], outputs[1])), graph.n_frames)

    def close(self) -> None:
        """Release the sessions and all steps; none may be running. Closing twice is fine."""
        for session in (self._session, *self._batch_sessions.values()):
            session.close()

    def _make_session(self, graph: Graph | None, threads: int = 1) -> "OnnxSession | PythonSession":
        make = OnnxSession if self.backend == "c_api" else PythonSession
        session = make(self.file.graph(graph), threads=threads, provider=self.provider)
        _check(self.card, "input", self.card.inputs_of(graph), session.inputs)
        _check(self.card, "output", self.card.outputs_of(graph), session.outputs)
        return session


def load(
    model: str | os.PathLike[str] | ModelFile | None = None,
    backend: Backend | Literal["auto"] = "auto",
    provider: Provider = CPU,
    tier: str | None = None,
) -> Model:
    """Load a model file. `model_choice.open_model` is the same for names of models and of providers.

    Args:
        model: a path, or a file that was read; None for the model that ships with the package.
        backend: `auto` takes `c_api` where the C library is found, else `python`, with a warning.
        provider: what shall run it.
        tier: which of the file's tiers; None for the best.

    Raises:
        ModelFileError: the file is no model, or contradicts itself.
        LibraryMissingError: the back end isn't installed.
        ProviderError: the provider can't be used.
        ValueError: there is no such back end, or the file has no such tier.
    """
    if backend not in ("auto", "c_api", "python"):
        raise ValueError(f"backend must be 'auto', 'c_api' or 'python', got {backend!r}")
    file = model if isinstance(model, ModelFile) else read_model_file(default_model_path() if model is None else model)
    card = file.card
    tier = card.tiers[0] if tier is None else tier
    if tier != card.tiers[0] and card.graph_of(tier, batch=False) is None:
        raise ValueError(f"tier must be one of {', '.join(card.tiers)}, which {card.path} has, got {tier!r}")
    try:
        if backend != "python":
            try:
                return Model(file, tier, "c_api", provider)
            except LibraryMissingError as error:
                if backend == "c_api":
                    raise
                warnings.warn(_what_is_lost(error), RuntimeWarning, stacklevel=2)
        return Model(file, tier, "python", provider)
    except OnnxRuntimeError as error:
        raise _not_loadable(card, error) from error


def _not_loadable(card: ModelCard, error: Exception) -> ModelFileError:
    return ModelFileError(f"{card.path}: ONNX Runtime can't load it: {error}")


def _what_is_lost(error: LibraryMissingError) -> str:
    return (
        f"ONNX Runtime's C library can't be used ({error}): the model needs the interpreter for each hop, and a busy "
        "Python thread in the same process will interrupt the restoration"
    )


def _check(card: ModelCard, kind: str, expected: Shapes, actual: Shapes) -> None:
    for name in sorted(expected.keys() | actual.keys()):
        if expected.get(name) != actual.get(name):
            raise ModelFileError(
                f"{card.path}: graph {kind} {name!r}: the metadata says {_shape_text(expected.get(name))}, "
                f"the graph {_shape_text(actual.get(name))}"
            )


def _shape_text(shape: tuple[int, ...] | None) -> str:
    return "there is none" if shape is None else f"float32 {list(shape)}"
