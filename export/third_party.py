"""A model that somebody else trained, as a model file: any causal restorer of spectra, behind a small adapter.

The adapter is a module that takes one frame and the states, and returns the restored frame and the next states; see
`export/examples/somebody.py` and `docs/providers.md`. What leaves here is verified as our own models are.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # ships no type hints
import torch
from torch import Tensor, nn

from apollo_rt.config import Framing
from apollo_rt.errors import ParityError
from apollo_rt.inference.model_file import Golden, ModelCard, State, read_model_file
from apollo_rt.inference.probe import probe_model
from apollo_rt.stream.stft import carrier_frames
from export import bundle
from export.graphs.operators import check_operators
from export.graphs.to_onnx import ExportedGraph, output_names, trace
from export.verify import music_like
from training.nets.framing import TorchFraming

_TOLERANCE_DB = -80.0  # as in `verify`
_GOLDEN_HOPS = 24


class FrameRestorer(Protocol):
    """An adapter around somebody's net; it is a `torch.nn.Module` too.

    Attributes:
        framing: how its stream is cut into frames; `lookahead_frames` is how many frames late it answers.
        takes_carrier: whether it wants the noise carrier as a second input.
    """

    framing: Framing
    takes_carrier: bool

    def initial_state(self) -> list[Tensor]:
        """Zeros, one tensor for each thing it remembers; shapes are fixed."""

    def __call__(self, spectrum: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """One frame: spectrum, carrier if it takes one, states; returns restored and the next states.

        Shape:
            spectrum, carrier, restored: (2, bins, 2): channel, bin, (re, im)
        """


def export_restorer(
    restorer: FrameRestorer,
    out: Path,
    name: str,
    licence: str,
    training: dict[str, Any] | None = None,
    quality: dict[str, Any] | None = None,
    n_frames: int = 500,
) -> float:
    """Trace, verify and write.

    Returns:
        The greatest difference between graph and PyTorch, frame by frame, states too, in dB of each tensor's peak.

    Raises:
        ParityError: it is above -80 dB, the initial states aren't zeros, or an operator isn't taken by all providers.
        ModelFileError: the file as written would be refused.
    """
    assert isinstance(restorer, nn.Module)
    states = restorer.initial_state()
    if any(bool(state.any()) for state in states):
        raise ParityError("initial_state: all states must begin with zeros; let the adapter add what they begin with")
    frame = torch.zeros(2, restorer.framing.n_bins, 2)
    inputs = ["spectrum", *(["carrier"] * restorer.takes_carrier), *(f"state_{i}" for i in range(len(states)))]
    example = (frame, *([frame] * restorer.takes_carrier), *states)
    model = trace(restorer, example, inputs, output_names(len(states)))
    check_operators("step", model)
    feeds, wanted = _streamed(restorer, n_frames)
    error_db = _compared(model.SerializeToString(), inputs, feeds, wanted)
    card = _card(restorer, out, name, licence, training or {}, quality or {})
    bundle.write([ExportedGraph("step", "full", None, model)], card)  # type: ignore[arg-type]  # has no module of ours
    probe_model(read_model_file(out))
    return error_db


def _card(
    restorer: FrameRestorer, out: Path, name: str, licence: str, training: dict[str, Any], quality: dict[str, Any]
) -> ModelCard:
    """The card of the file."""
    shapes = [tuple(state.shape) for state in restorer.initial_state()]
    return ModelCard(
        path=out,
        name=name,
        framing=restorer.framing,
        states=tuple(State(f"state_{i}", f"state_{i}_next", shape) for i, shape in enumerate(shapes)),
        carrier="hash-uniform-1" if restorer.takes_carrier else "none",
        tiers=("full",),
        training=training,
        quality=quality,
        licence=licence,
        golden=_golden(restorer),
    )


@torch.no_grad()
def _streamed(restorer: FrameRestorer, n_frames: int) -> tuple[list[list[Tensor]], list[tuple[Tensor, ...]]]:
    """Inputs and outputs of PyTorch, frame by frame from fresh states."""
    framing, state = restorer.framing, restorer.initial_state()
    signal = music_like(n_frames, framing.hop_length, seed=7)
    spectra = TorchFraming(framing).analyse(torch.from_numpy(signal)[None])[0]
    carriers = torch.view_as_real(torch.from_numpy(carrier_frames(0, n_frames, framing.n_bins)))
    feeds, results = [], []
    for spectrum, carrier in zip(spectra, carriers, strict=True):
        feeds.append([spectrum, *([carrier] * restorer.takes_carrier), *state])
        results.append(restorer(*feeds[-1]))
        state = list(results[-1][1:])
    return feeds, results


def _compared(model: bytes, inputs: list[str], feeds: list[list[Tensor]], wanted: list[tuple[Tensor, ...]]) -> float:
    """The graph by itself, on its own states, against PyTorch."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    n_states, worst_db = len(wanted[0]) - 1, -200.0
    names, state = output_names(n_states), [tensor.numpy() for tensor in feeds[0][len(inputs) - n_states :]]
    peaks = [max(float(frame[i].abs().max()) for frame in wanted) + 1e-12 for i in range(n_states + 1)]
    for number, (feed, outputs) in enumerate(zip(feeds, wanted, strict=True)):
        given = [tensor.numpy() for tensor in feed[: len(inputs) - n_states]]
        got = session.run(names, dict(zip(inputs, [*given, *state], strict=True)))
        state = got[1:]
        for name, value, output, peak in zip(names, got, outputs, peaks, strict=True):
            error_db = 20 * float(np.log10(max(float(np.abs(value - output.numpy()).max()) / peak, 1e-10)))
            if not error_db <= _TOLERANCE_DB:
                raise ParityError(
                    f"step: frame {number}: {name} differs by {error_db:.1f} dB of its level from PyTorch"
                )
            worst_db = max(worst_db, error_db)
    return worst_db


def _golden(restorer: FrameRestorer) -> Golden:
    """Golden pairs: what an engine must return for some hops, from PyTorch."""
    framing = restorer.framing
    signal = music_like(_GOLDEN_HOPS, framing.hop_length, seed=7)
    _, results = _streamed(restorer, _GOLDEN_HOPS)
    samples = TorchFraming(framing).synthesise(torch.stack([result[0] for result in results])[None])[0]
    shape = (_GOLDEN_HOPS, framing.hop_length, 2)
    return Golden(np.ascontiguousarray(signal.T).reshape(shape), samples.T.reshape(shape).contiguous().numpy())
