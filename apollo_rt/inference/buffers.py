"""The arrays that a model reads and writes: frames, and two rows of states that take turns."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.inference.model_file import Graph, ModelCard

Zeros = Callable[[int], NDArray[np.uint8]]
"""What makes so many bytes of memory."""

_ALIGNMENT = 256  # bytes; four cache lines, what TensorRT wants of a tensor's address
_Tensors = dict[str, NDArray[np.float32]]


class Buffers(NamedTuple):
    """Arrays that a step or a batch reads and writes.

    Shape:
        spectrum, restored: (2, n_bins); carrier: the same, or (2, 0) where the model takes none; for batches with
        (frames,) before. states: (2, values), of which a run with parity p reads row p and writes the other. recent:
        (2, samples), none where the model takes none; present: (1,), or (0,) where the model isn't told which frames
        there are; both for batches with (frames,) before.
    """

    spectrum: Annotated[NDArray[np.complex64], 2, "n_bins"]
    carrier: Annotated[NDArray[np.complex64], 2, "n_carrier"]
    restored: Annotated[NDArray[np.complex64], 2, "n_bins"]
    states: Annotated[NDArray[np.float32], 2, "n_values"]
    recent: Annotated[NDArray[np.float32], 2, "n_recent"]
    present: Annotated[NDArray[np.float32], "n_present"]


def allocate(card: ModelCard, graph: Graph | None, zeros: Zeros) -> tuple[Buffers, list[_Tensors], list[_Tensors]]:
    """The buffers of a graph, in memory from `zeros`; and for each parity its inputs and its outputs by name."""
    lead = () if graph is None or graph.n_frames == 1 else (graph.n_frames,)
    of_graph = card.states_of(graph)
    per_line = _ALIGNMENT // 4
    starts = np.cumsum([0] + [-(-int(np.prod(state.shape)) // per_line) * per_line for state in of_graph])
    states = _aligned((2, int(starts[-1])), np.float32, zeros)
    views = [
        [
            row[start : start + int(np.prod(state.shape))].reshape(state.shape)
            for state, start in zip(of_graph, starts[:-1], strict=True)
        ]
        for row in states
    ]
    n_bins = card.framing.n_bins
    sizes = (n_bins, 0 if card.carrier == "none" else n_bins, n_bins)
    spectrum, carrier, restored = (_aligned((*lead, 2, size), np.complex64, zeros) for size in sizes)
    recent = _aligned((*lead, 2, card.recent_samples), np.float32, zeros)
    frame = {"spectrum": _as_parts(spectrum)} | ({} if card.carrier == "none" else {"carrier": _as_parts(carrier)})
    present = _aligned((*lead, int(card.takes_present)), np.float32, zeros)
    frame |= ({"recent": recent} if card.recent_samples else {}) | ({"present": present} if card.takes_present else {})
    inputs = [frame | {state.input: view for state, view in zip(of_graph, row, strict=True)} for row in views]
    outputs = [
        {"restored": _as_parts(restored)} | {state.output: view for state, view in zip(of_graph, row, strict=True)}
        for row in views[::-1]
    ]
    return Buffers(spectrum, carrier, restored, states, recent, present), inputs, outputs


def _aligned(shape: tuple[int, ...], dtype: Any, zeros: Zeros) -> Any:
    """Zeros whose first element starts a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = zeros(size + _ALIGNMENT)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _as_parts(frame: NDArray[np.complex64]) -> NDArray[np.float32]:
    """A view with real and imaginary part last: (2, n_bins) -> (2, n_bins, 2)."""
    return frame.view(np.float32).reshape(*frame.shape, 2)
