"""Nothing unverified leaves: the graph against PyTorch, frame by frame, output and states."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import Tensor

from apollo_rt.errors import ParityError
from apollo_rt.stream.stft import carrier_frames
from export.step_module import StepModule
from export.to_onnx import output_names
from training.nets.framing import TorchFraming

_TOLERANCE_DB = -80.0  # float32 sums in another order; measured -110 to -125 dB on trained nets

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Parity:
    """What was compared, and how far apart it was at most.

    Attributes:
        n_frames: frames compared.
        offline_error_db: PyTorch, frame by frame, against PyTorch in one call, relative to the signal.
        graph_error_db: the graph against PyTorch frame by frame; output and states, the worst of them.
    """

    n_frames: int
    offline_error_db: float
    graph_error_db: float


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
def reference(step: StepModule, signal: Array) -> tuple[Tensor, Tensor, Tensor]:
    """PyTorch over the whole signal in one call.

    Returns:
        spectrum, carrier and restored frames, each (frames, 2, bins, 2).
    """
    framing = TorchFraming(step.net.config.framing)
    spectrum = framing.analyse(torch.from_numpy(signal)[None])
    carrier = torch.view_as_real(torch.from_numpy(carrier_frames(0, spectrum.shape[1], step.net.config.framing.n_bins)))
    restored, _ = step.net(spectrum, carrier[None], step.net.initial_state(1))
    return spectrum[0], carrier, restored[0]


def engine_output(step: StepModule, restored: Tensor) -> Array:
    """What the streaming engine must put out for these frames, from a fresh state.

    Shape:
        (frames, 2, bins, 2) -> (frames, hop_length, 2)
    """
    samples = TorchFraming(step.net.config.framing).synthesise(restored[None])[0]
    return samples.T.reshape(len(restored), -1, 2).numpy()


def verify(step: StepModule, model: onnx.ModelProto, n_hops: int = 600, resets: tuple[int, ...] = (0, 211)) -> Parity:
    """Compare PyTorch offline, PyTorch step by step, and the graph step by step, from several fresh starts.

    Raises:
        ParityError: a tensor differs by more than -80 dB of its own level; graph, frame and tensor are named.
    """
    signal = music_like(n_hops, step.net.config.framing.hop_length)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    offline_db = graph_db = -200.0
    for begin, end in zip(resets, (*resets[1:], n_hops), strict=True):
        piece = signal[:, begin * (signal.shape[1] // n_hops) : end * (signal.shape[1] // n_hops)]
        spectrum, carrier, restored = reference(step, piece)
        step_db, piece_db = _verify_piece(step, session, spectrum, carrier, restored)
        offline_db, graph_db = max(offline_db, step_db), max(graph_db, piece_db)
    return Parity(n_hops, offline_db, graph_db)


@torch.no_grad()
def _verify_piece(
    step: StepModule, session: onnxruntime.InferenceSession, spectrum: Tensor, carrier: Tensor, restored: Tensor
) -> tuple[float, float]:
    """One fresh start: worst errors in dB of the PyTorch step against `restored`, and of the graph against the step."""
    state = step.initial_state()
    graph_state = [tensor.numpy() for tensor in state]
    level = float(restored.abs().max())
    names = output_names(len(state))
    offline_db = graph_db = -200.0
    for frame, (x, c) in enumerate(zip(spectrum, carrier, strict=True)):
        wanted, *state = step(x, c, *state)
        feed = {"spectrum": x.numpy(), "carrier": c.numpy()}
        got, *graph_state = session.run(names, feed | {f"state_{i}": value for i, value in enumerate(graph_state)})
        offline_db = max(offline_db, _check("PyTorch step", frame, "restored", wanted, restored[frame], level))
        graph_db = max(graph_db, _check("ONNX step", frame, "restored", torch.from_numpy(got), wanted, level))
        for name, value, theirs in zip(names[1:], graph_state, state, strict=True):
            reach = float(theirs.abs().max())
            graph_db = max(graph_db, _check("ONNX step", frame, name, torch.from_numpy(value), theirs, reach))
    return offline_db, graph_db


def _check(graph: str, frame: int, tensor: str, got: Tensor, wanted: Tensor, level: float) -> float:
    """Greatest difference in dB of `level`.

    Raises:
        ParityError: it is above the tolerance, or not a number.
    """
    error = float((got - wanted).abs().max())
    error_db = 20 * np.log10(max(error / (level + 1e-12), 1e-10)) if np.isfinite(error) else np.inf
    if error_db > _TOLERANCE_DB:
        raise ParityError(
            f"{graph}: frame {frame}: {tensor} differs by {error_db:.1f} dB of its level, "
            f"at most {_TOLERANCE_DB:.0f} dB are allowed"
        )
    return float(error_db)
