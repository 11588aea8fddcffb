"""A model, ready to run: its card, its session, and steps with buffers of their own.

Two back ends with one face: `c_api` runs without the interpreter (`onnx_session`); `python` is the Python package's
`InferenceSession` over the same buffers, for installations without the C library.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import flush_to_zero
from apollo_rt.config import Framing
from apollo_rt.errors import ModelFileError, ProviderError
from apollo_rt.inference.model_file import ModelCard, default_model_path, read_card
from apollo_rt.inference.onnx_c_api import LibraryMissingError, OnnxRuntimeError
from apollo_rt.inference.onnx_session import N_ADDRESSES, SESSION_CONFIG, Session, Shapes, Tensors
from apollo_rt.inference.provider import CPU, Provider, cuda_options

Backend = Literal["c_api", "python"]
Zeros = Callable[[int], NDArray[np.uint8]]
"""What makes so many bytes of memory."""

_ALIGNMENT = 256  # bytes; four cache lines, what TensorRT wants of a tensor's address


class Buffers(NamedTuple):
    """What a step reads and writes.

    Shape:
        spectrum, restored: (2, n_bins); carrier: the same, or (2, 0) where the model takes none; states: (2, values),
        of which a step with parity p reads row p and writes the other.
    """

    spectrum: NDArray[np.complex64]
    carrier: NDArray[np.complex64]
    restored: NDArray[np.complex64]
    states: NDArray[np.float32]


class BoundStep(Protocol):
    """What a back end makes of a session and two sets of arrays."""

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


class Model:
    """A loaded model; any number of processors may use it.

    Attributes:
        card: what its file says.
        backend: `c_api`, or `python` where the interpreter is needed for each step.
    """

    def __init__(self, card: ModelCard, session: "Session | _PythonSession", backend: Backend) -> None:
        """Check that the session is of the card's model.

        Raises:
            ModelFileError: names or shapes of inputs or outputs differ.
        """
        self.card, self.backend, self._session = card, backend, session
        _check(card, "input", card.inputs, session.inputs)
        _check(card, "output", card.outputs, session.outputs)

    @property
    def framing(self) -> Framing:
        """How the model wants its stream cut into frames."""
        return self.card.framing

    @property
    def provider(self) -> Provider:
        """What runs it."""
        return self._session.provider

    def new_step(self) -> Step:
        """Buffers of their own, with states at zero, bound to the session."""
        buffers, views = _allocate(self.card, self._session.zeros)
        frame = {"spectrum": _as_parts(buffers.spectrum)}
        if self.card.carrier != "none":
            frame["carrier"] = _as_parts(buffers.carrier)
        inputs: list[Tensors] = []
        outputs: list[Tensors] = []
        for parity in (0, 1):
            read, written = views[parity], views[1 - parity]
            inputs.append(frame | {state.input: read[state.input] for state in self.card.states})
            following = {state.output: written[state.input] for state in self.card.states}
            outputs.append({"restored": _as_parts(buffers.restored)} | following)
        return Step(buffers, self._session.bind((inputs[0], inputs[1]), (outputs[0], outputs[1])))

    def close(self) -> None:
        """Release the session and all steps; none may be running. Closing twice is fine."""
        self._session.close()


def load(
    path: str | os.PathLike[str] | None = None,
    backend: Backend | Literal["auto"] = "auto",
    provider: Provider = CPU,
) -> Model:
    """Load a model file. `model_choice.open_model` is the same for names of models and of providers.

    Args:
        path: None for the model that ships with the package.
        backend: `auto` takes `c_api` where the C library is found, else `python`, with a warning.
        provider: what shall run it.

    Raises:
        ModelFileError: the file is no model, or contradicts itself.
        LibraryMissingError: the back end isn't installed.
        ProviderError: the provider can't be used.
        ValueError: there is no such back end.
    """
    if backend not in ("auto", "c_api", "python"):
        raise ValueError(f"backend must be 'auto', 'c_api' or 'python', got {backend!r}")
    card = read_card(default_model_path() if path is None else path)
    try:
        if backend != "python":
            try:
                return Model(card, Session(card.path.read_bytes(), provider=provider), "c_api")
            except LibraryMissingError as error:
                if backend == "c_api":
                    raise
                warnings.warn(_what_is_lost(error), RuntimeWarning, stacklevel=2)
        return Model(card, _PythonSession(card.path, provider), "python")
    except (OnnxRuntimeError, OSError) as error:
        raise ModelFileError(f"{card.path}: ONNX Runtime can't load it: {error}") from error


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


def _allocate(card: ModelCard, zeros: Zeros) -> tuple[Buffers, list[dict[str, NDArray[np.float32]]]]:
    """The buffers, in memory from `zeros`, and for each row of the states a view of each state."""
    n_bins = card.framing.n_bins
    per_line = _ALIGNMENT // 4
    starts = np.cumsum([0] + [-(-int(np.prod(state.shape)) // per_line) * per_line for state in card.states])
    states = _aligned((2, int(starts[-1])), np.float32, zeros)
    views = [
        {
            state.input: row[start : start + int(np.prod(state.shape))].reshape(state.shape)
            for state, start in zip(card.states, starts[:-1], strict=True)
        }
        for row in states
    ]
    frames = [_aligned((2, n), np.complex64, zeros) for n in (n_bins, 0 if card.carrier == "none" else n_bins, n_bins)]
    return Buffers(frames[0], frames[1], frames[2], states), views


def _aligned(shape: tuple[int, ...], dtype: Any, zeros: Zeros) -> Any:
    """Zeros whose first element starts a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = zeros(size + _ALIGNMENT)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _as_parts(frame: NDArray[np.complex64]) -> NDArray[np.float32]:
    """A view with real and imaginary part last: (2, n_bins) -> (2, n_bins, 2)."""
    return frame.view(np.float32).reshape(*frame.shape, 2)


class _PythonSession:
    """`InferenceSession` with the face of `onnx_session.Session`."""

    def __init__(self, path: Path, provider: Provider) -> None:
        self.provider = provider
        if provider.name == "tensorrt" or provider.cuda_graph:
            raise ProviderError(f"{provider}: needs ONNX Runtime's C library, which was not found")
        try:
            import onnxruntime  # type: ignore[import-untyped]  # ships no type hints
        except ImportError as error:
            raise LibraryMissingError(f"the onnxruntime package can't be imported: {error}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        for key, value in SESSION_CONFIG.items():
            options.add_session_config_entry(key, value)
        wanted = [(provider.ort_name, {} if provider == CPU else cuda_options(provider))]
        was_flushing = flush_to_zero(False)
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=wanted)
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise OnnxRuntimeError(" ".join(str(error).split())) from error
        finally:
            flush_to_zero(was_flushing)  # ONNX Runtime changes it for the thread that makes a session
        if provider.ort_name not in (has := self._session.get_providers()):
            raise ProviderError(f"{provider}: ONNX Runtime's Python package fell back to {', '.join(has)}")
        self.inputs = {value.name: _python_shape(value) for value in self._session.get_inputs()}
        self.outputs = {value.name: _python_shape(value) for value in self._session.get_outputs()}

    def zeros(self, n_bytes: int) -> NDArray[np.uint8]:
        return np.zeros(n_bytes, np.uint8)

    def bind(self, inputs: tuple[Tensors, Tensors], outputs: tuple[Tensors, Tensors]) -> "_PythonStep":
        return _PythonStep(self._session, inputs, outputs)

    def close(self) -> None:
        self._session = None


class _PythonStep:
    """`IOBinding` over the arrays of both parities."""

    def __init__(self, session: Any, inputs: tuple[Tensors, Tensors], outputs: tuple[Tensors, Tensors]) -> None:
        self.addresses = np.zeros(N_ADDRESSES, np.int64)  # compiled code can't run it, and says so
        self.error = ""
        self._session, self._arrays = session, (inputs, outputs)
        self._bindings = [session.io_binding(), session.io_binding()]
        for binding, read, written in zip(self._bindings, inputs, outputs, strict=True):
            for name, array in read.items():
                binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
            for name, array in written.items():
                binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

    def run(self, parity: int) -> int:
        try:
            self._session.run_with_iobinding(self._bindings[parity])
        except Exception as error:  # as above; a step never raises
            self.error = self.error or " ".join(str(error).split())
            return -1
        return 0

    def warm_up(self) -> None:
        self.run(0)

    def close(self) -> None:
        self._bindings.clear()


def _python_shape(value: Any) -> tuple[int, ...]:
    if value.type != "tensor(float)":
        raise OnnxRuntimeError(f"{value.name} is not a tensor of float32")
    return tuple(size if isinstance(size, int) else -1 for size in value.shape)
