"""The plain way, which one writes first: numpy and `InferenceSession.run`, rings of Python objects, PyTorch.

Each is written as well as its kind allows, and gives what ours gives; every benchmark checks that.
"""

import inspect
import queue
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # ships no type hints
from numpy.typing import NDArray

from apollo_rt.inference.model import Model
from apollo_rt.stream.stft import Samples, asymmetric_windows, carrier_frames
from benchmarks.measuring.machine import ROOT

CHECKPOINT = ROOT / "training" / "checkpoints" / "shipped.pt"
Feed = dict[str, NDArray[np.float32]]


def step_graph(model: Model, batch: bool = False) -> bytes:
    """The tier's graph of one frame, or of a batch of them, as a model of its own."""
    return model.file.graph(model.card.graph_of(model.tier, batch))


class PlainStep:
    """`InferenceSession.run` with a dictionary in and new arrays out; states are kept in Python.

    Args:
        graph: of one frame, or of a batch.
    """

    def __init__(self, graph: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        shapes = {value.name: tuple(value.shape) for value in self._session.get_inputs()}
        self.takes_carrier, self.recent_shape = "carrier" in shapes, shapes.get("recent")
        self._states = {name: np.zeros(shape, np.float32) for name, shape in shapes.items() if "state" in name}
        self._outputs = ["restored", *(f"{name}_next" for name in self._states)]

    def __call__(
        self, spectrum: NDArray[np.float32], carrier: NDArray[np.float32], recent: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """The next frame or batch, restored; `recent` of a model that takes it. Shape: ([frames,] 2, bins, 2)."""
        feed = {"spectrum": spectrum, **self._states} | ({"carrier": carrier} if self.takes_carrier else {})
        feed |= {} if recent is None else {"recent": recent}
        restored: NDArray[np.float32]
        restored, *states = self._session.run(self._outputs, feed)
        self._states = dict(zip(self._states, states, strict=True))
        return restored


class PlainProcessor:
    """Hop in, hop out, as `Processor`, with numpy's FFT around `PlainStep`; without guard, for causal models.

    Args:
        model: whose graph and framing are used.
        graph: another graph of the same shapes, in another precision for one.
    """

    def __init__(self, model: Model, graph: bytes | None = None) -> None:
        self._framing, self._n_recent = model.framing, model.card.recent_samples
        self._step = PlainStep(graph or step_graph(model))
        self._window, self._synthesis = (window[:, None] for window in asymmetric_windows(model.framing))
        self._past = np.zeros((model.framing.analysis_length, 2), np.float32)
        self._tail: NDArray[np.floating] = np.zeros((model.framing.hop_length, 2), np.float32)
        self._frame = 0

    def process(self, hop: Samples) -> Samples:
        """The hop before, restored. Shape: (hop_length, 2)."""
        hop_length = self._framing.hop_length
        self._past = np.concatenate((self._past[hop_length:], hop))
        spectrum = np.fft.rfft(self._past * self._window, axis=0).astype(np.complex64)
        carrier = carrier_frames(self._frame, 1, self._framing.n_bins)[0]
        recent = [np.ascontiguousarray(self._past[-self._n_recent :].T)] if self._n_recent else []
        restored = self._step(_as_floats(spectrum.T), carrier.view(np.float32).reshape(2, -1, 2), *recent)
        frame = np.fft.irfft(restored[..., 0] + 1j * restored[..., 1], axis=1).T[-2 * hop_length :] * self._synthesis
        out = self._tail + frame[:hop_length]
        self._tail = frame[hop_length:]
        self._frame += 1
        return out.astype(np.float32)


def _as_floats(spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
    return np.ascontiguousarray(spectrum).view(np.float32).reshape(*spectrum.shape, 2)


class DequeRing:
    """Samples in a `collections.deque`, one tuple of two each: the ring that comes to mind first."""

    def __init__(self, capacity: int) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=capacity)

    def put(self, block: Samples) -> None:
        self._samples.extend(map(tuple, block.tolist()))

    def take(self, out: Samples) -> None:
        out[:] = [self._samples.popleft() for _ in range(len(out))]


class QueueOfBlocks:
    """Blocks in a `queue.Queue`: the ring of most examples."""

    def __init__(self, capacity: int) -> None:
        self._blocks: queue.Queue[Samples] = queue.Queue(capacity)

    def put(self, block: Samples) -> None:
        self._blocks.put_nowait(block.copy())

    def take(self, out: Samples) -> None:
        out[:] = self._blocks.get_nowait()


class PlainCallback:
    """A callback's work in numpy: input into a queue, what was queued D samples ago mixed with it, clipped.

    Args:
        delay: D in samples, whole blocks.
        block_size: samples.
        mix: gain of the wet signal, which here is the delayed input as well.
    """

    def __init__(self, delay: int, block_size: int, mix: float = 0.5) -> None:
        self._blocks: queue.Queue[Samples] = queue.Queue()
        self._mix = np.float32(mix)
        for _ in range(delay // block_size):
            self._blocks.put(np.zeros((block_size, 2), np.float32))

    def __call__(self, block: Samples, out: Samples) -> None:
        self._blocks.put(block.copy())
        dry = wet = self._blocks.get()
        np.clip(self._mix * wet + (1 - self._mix) * dry, -1, 1, out=out)


def shipped_net(model: Model, checkpoint: Path = CHECKPOINT) -> Any:
    """The net that the model was exported from, turned and rounded as that was (`python -m export`)."""
    from export.graphs.small_weights import round_weights
    from training.nets.checkpoint import load_restorer
    from training.nets.level_restorer import LevelRestorer

    net, _ = load_restorer(checkpoint)
    settings = inspect.signature(net.turn).parameters
    net.turn(**{name: value for name, value in model.card.training.items() if name in settings})
    if isinstance(net, LevelRestorer) and model.card.weight_bits == 8:
        round_weights(net)
    return net.eval()


class TorchStep:
    """A step of the net in PyTorch, eager or compiled, with `no_grad` and one thread's worth of work.

    Args:
        net: from `shipped_net`, or any other.
        exit_index: which exit; the best is the last.
        compiler: of `torch.compile`, `inductor` or one of its others; none: eager.
    """

    def __init__(self, net: Any, exit_index: int = -1, compiler: str | None = None) -> None:
        import torch

        self._torch, self._exit = torch, exit_index
        self._net = torch.compile(net, backend=compiler) if compiler else net
        self._state = net.initial_state(1, exit_index)

    def __call__(self, *parts: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next frame of all that the net takes, restored. Shape: (2, bins, 2)."""
        torch = self._torch
        with torch.inference_mode():
            frames = (torch.from_numpy(part)[None, None] for part in parts)
            restored, self._state = self._net(*frames, self._state, self._exit)
        frame: NDArray[np.float32] = restored[0, 0].numpy()
        return frame
