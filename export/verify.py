"""Nothing unverified leaves: PyTorch over a piece = PyTorch frame by frame = step graph = batch graph, states too.

```
 piece (random length, fresh start)
   net, one call ------------------------ restored
   net, frame by frame ------------------ restored, states           "PyTorch streaming"
   step graph, frame by frame ----------- restored, states           "full.step"
   batch graph, the rest by the step ---- restored, states           "full.batch"
```
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime  # type: ignore[import-untyped]  # ships no type hints
import torch
from torch import Tensor

from apollo_rt.errors import ParityError
from apollo_rt.stream.stft import carrier_frames
from export.graphs.small_weights import EXACT
from export.graphs.to_onnx import ExportedGraph, Net, output_names
from training.nets.framing import TorchFraming

_TOLERANCE_DB = -80.0  # float32 sums in another order; measured -110 to -125 dB on trained nets

_EIGHT_BITS_DB = -15.0
"""Where products round what goes into them to 8 bits; states are what differs most, -26 to -40 dB on trained nets."""

_SILENCE_DB = -200.0  # no difference at all

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Parity:
    """Parity of two outputs: what was compared, and how far apart it was at most.

    Attributes:
        n_frames: frames compared.
        n_starts: fresh starts among them.
        offline_error_db: PyTorch, frame by frame, against PyTorch in one call, relative to the signal.
        graph_error_db: each graph against PyTorch frame by frame; output and states, the worst of them.
    """

    n_frames: int
    n_starts: int
    offline_error_db: float
    graph_error_db: dict[str, float]

    @property
    def worst_graph_error_db(self) -> float:
        """Of all graphs."""
        return max(self.graph_error_db.values())


def music_like(n_hops: int, hop_length: int, seed: int = 0) -> Array:
    """Something like music: chords with attacks, noise bursts, silence, near-mono and wide, from soft to clipping.

    Shape:
        (2, n_hops * hop_length)
    """
    random = np.random.default_rng(seed)
    time_s = np.arange(n_hops * hop_length) / 44_100
    signal = np.zeros((2, time_s.size))
    for start_s in np.arange(0, time_s[-1], 0.21):
        age = np.clip(time_s - start_s, 0, None)
        envelope = (age > 0) * np.exp(-age * random.uniform(3, 30)) * 10 ** random.uniform(-2.5, -0.4)
        tone = sum(np.sin(2 * np.pi * random.uniform(60, 9000) * age) for _ in range(4)) / 4
        noise = random.standard_normal(time_s.size) * random.choice([0.0, 0.3])
        pan = random.uniform(-1, 1)
        signal += np.array([[1 - pan], [1 + pan]]) * envelope * (tone + noise)
    signal[:, (time_s % 1.7) > 1.6] = 0
    return np.clip(4 * signal, -1, 1).astype(np.float32)


@torch.no_grad()
def reference(net: Net, signal: Array, tier: int = -1) -> tuple[dict[str, Tensor], Tensor]:
    """PyTorch over the whole signal in one call.

    Returns:
        What the net takes of each frame, by name, (frames, ...) each; and restored frames, (frames, 2, bins, 2).
    """
    framing, audio = TorchFraming(net.config.framing), torch.from_numpy(signal)[None]
    spectrum = framing.analyse(audio)
    carrier = torch.view_as_real(torch.from_numpy(carrier_frames(0, spectrum.shape[1], net.config.framing.n_bins)))
    known = {"spectrum": spectrum, "carrier": carrier[None], "recent": framing.newest(audio)}
    frames = {name: known[name] for name in net.frame_inputs}
    restored, _ = net(*frames.values(), net.initial_state(1, tier), tier)
    return {name: values[0] for name, values in frames.items()}, restored[0]


def engine_output(net: Net, restored: Tensor) -> Array:
    """Output that the streaming engine must have for these frames, from a fresh state.

    Shape:
        (frames, 2, bins, 2) -> (frames, hop_length, 2)
    """
    samples = TorchFraming(net.config.framing).synthesise(restored[None])[0]
    return samples.T.reshape(len(restored), -1, 2).numpy()


def verify(net: Net, graphs: Sequence[ExportedGraph], n_frames: int = 2000, seed: int = 0) -> Parity:
    """Compare PyTorch offline, PyTorch step by step and all graphs, over pieces of random lengths from fresh starts.

    Raises:
        ParityError: a tensor differs by more than -80 dB of its own level; graph, frame and tensor are named. Or what
            8 bits cost is more than -15 dB.
    """
    exact = _compare(net, graphs, n_frames, seed, EXACT, _TOLERANCE_DB)
    if not any(node.op_type == "DequantizeLinear" for graph in graphs for node in graph.model.graph.node):
        return exact
    return _compare(net, graphs, n_frames, seed, {}, _EIGHT_BITS_DB)


def _compare(
    net: Net, graphs: Sequence[ExportedGraph], n_frames: int, seed: int, config: dict[str, str], tolerance_db: float
) -> Parity:
    """See `verify`; sessions with these entries of their configuration."""
    random = np.random.default_rng(seed)
    hop_length = net.config.framing.hop_length
    signal = music_like(n_frames, hop_length, seed)
    starts = sorted({0, *(int(frame) for frame in random.integers(0, n_frames, size=1 + n_frames // 200))})
    sessions = {graph.name: session_of(graph.model, config) for graph in graphs}
    offline_db, graph_db = _SILENCE_DB, dict.fromkeys(sessions, _SILENCE_DB)
    for begin, end in zip(starts, (*starts[1:], n_frames), strict=True):
        for tier in {graph.module.tier: None for graph in graphs}:
            piece = _Piece(net, tier, signal[:, begin * hop_length : end * hop_length], begin, tolerance_db)
            offline_db = max(offline_db, piece.offline_error_db)
            steps = {graph.tier: sessions[graph.name] for graph in graphs if graph.module.n_frames == 1}
            for graph in graphs:
                if graph.module.tier == tier:
                    error_db = piece.compare(graph, sessions[graph.name], steps[graph.tier])
                    graph_db[graph.name] = max(graph_db[graph.name], error_db)
    return Parity(n_frames, len(starts), offline_db, graph_db)


def session_of(model: onnx.ModelProto, config: Mapping[str, str] | None = None) -> onnxruntime.InferenceSession:
    """A session of one thread on the CPU, with these entries of its configuration."""
    options = onnxruntime.SessionOptions()
    for key, value in (config or {}).items():
        options.add_session_config_entry(key, value)
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # that a graph leaves weights of the others unused is meant
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class _Piece:
    """One fresh start: what PyTorch makes of it, frame by frame, which is checked against one call.

    Args:
        net: the trained net.
        tier: index of the exit.
        signal: samples of the piece.
        first_frame: its place in the whole signal, for messages.
        tolerance_db: how far a graph may be from it.
    """

    @torch.no_grad()
    def __init__(self, net: Net, tier: int, signal: Array, first_frame: int, tolerance_db: float) -> None:
        self.first_frame, self.tolerance_db = first_frame, tolerance_db
        inputs, offline = reference(net, signal, tier)
        self.inputs = {name: values.numpy() for name, values in inputs.items()}
        self.level = float(offline.abs().max())
        self.offline_error_db = _SILENCE_DB
        self.restored, self.states = [], []
        state = net.initial_state(1, tier)
        for frame, values in enumerate(zip(*inputs.values(), strict=True)):
            restored, state = net(*(value[None, None] for value in values), state, tier)
            self.restored.append(restored[0, 0].numpy())
            self.states.append([tensor.flatten().numpy() for tensor in state])
            error_db = self._check("PyTorch streaming", frame, "restored", self.restored[-1], offline[frame].numpy())
            self.offline_error_db = max(self.offline_error_db, error_db)

    def compare(
        self,
        graph: ExportedGraph,
        session: onnxruntime.InferenceSession,
        step: onnxruntime.InferenceSession,
    ) -> float:
        """Worst error in dB of a graph; frames that fill no batch are left to the step, from the batch's states."""
        state = [tensor.numpy() for tensor in graph.module.initial_state()]
        names, n_batch, begin, worst_db = output_names(len(state)), graph.module.n_frames, 0, _SILENCE_DB
        while begin < len(self.restored):
            is_batch = n_batch > 1 and begin + n_batch <= len(self.restored)
            frames = slice(begin, begin + n_batch) if is_batch else begin
            feed = {name: values[frames] for name, values in self.inputs.items()}
            feed |= {f"state_{i}": value for i, value in enumerate(state)}
            got, *state = (session if is_batch or n_batch == 1 else step).run(names, feed)
            for offset, restored in enumerate(got if is_batch else got[None]):
                wanted = self.restored[begin + offset]
                worst_db = max(worst_db, self._check(graph.name, begin + offset, "restored", restored, wanted))
            begin += len(got) if is_batch else 1
            for name, value, wanted in zip(names[1:], state, self.states[begin - 1], strict=True):
                reach = float(np.abs(wanted).max())
                worst_db = max(worst_db, self._check(graph.name, begin - 1, name, value.ravel(), wanted, reach))
        return worst_db

    def _check(
        self, graph: str, frame: int, tensor: str, got: Array, wanted: Array, level: float | None = None
    ) -> float:
        """Greatest difference in dB of `level`.

        Raises:
            ParityError: it is above the tolerance, or not a number.
        """
        error, level = float(np.abs(got - wanted).max()), self.level if level is None else level
        error_db = 20 * np.log10(max(error / (level + 1e-12), 1e-10)) if np.isfinite(error) else np.inf
        if error_db > self.tolerance_db:
            raise ParityError(
                f"{graph}: frame {self.first_frame + frame}: {tensor} differs by {error_db:.1f} dB of its level, "
                f"at most {self.tolerance_db:.0f} dB are allowed"
            )
        return float(error_db)
