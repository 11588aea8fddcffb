"""A checkpoint of the published Apollo as a model file: exact, though its net looks ahead and the stream does not wait.

Nothing leaves unverified: both graphs, in random turns, are held against PyTorch over whole pieces, which knows of no
streaming at all. `docs/published.md`.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from apollo_rt.errors import ParityError
from apollo_rt.inference.model_file import Golden, ModelCard
from export import bundle
from export.graphs.published_step import PublishedStep, framing_of
from export.graphs.to_onnx import ExportedGraph, graphs_of
from export.verify import Array, music_like, session_of
from training.nets.apollo_published import PublishedApollo

BATCH_FRAMES = 8
"""Of one call for files (`docs/published.md` says what others cost)."""

TOLERANCE_DB = -100.0
"""Of the peak of what PyTorch restores. Float32 sums in another order: measured -115 dB and less."""

_GOLDEN_HOPS = 16
_GOLDEN_NOISE = 1e-3
"""In bands of silence the net hears the rounding of whoever's FFT: PyTorch's in float32 and in float64 differ by -88 dB
of the peak there (measured), and this noise covers it."""
_LONGEST_FACT = 200


def export_graphs(net: PublishedApollo, batch_frames: int = BATCH_FRAMES) -> list[ExportedGraph]:
    """The step and the batch over one set of weights, the step first.

    Raises:
        ParityError: an operator isn't taken by all providers.
    """
    step, batch = (PublishedStep(net, n_frames) for n_frames in (1, batch_frames))
    return graphs_of([("full.step", "full", step), ("full.batch", "full", batch)])


@torch.no_grad()
def verify(net: PublishedApollo, graphs: Sequence[ExportedGraph], n_frames: int, seed: int = 0) -> float:
    """Run step and batch in random turns over pieces of random lengths, and compare with PyTorch over whole pieces.

    Args:
        net: the trained net.
        graphs: of `export_graphs`.
        n_frames: frames to compare, at least.
        seed: of lengths and turns.

    Returns:
        The greatest difference of a restored frame, in dB of its piece's peak.

    Raises:
        ParityError: it is above -100 dB; the frame is named.
    """
    random, done, worst_db = np.random.default_rng(seed), 0, -200.0
    sessions = {graph.module.n_frames: session_of(graph.model) for graph in graphs}
    while done < n_frames:
        n_hops = int(random.integers(2, max(net.context_frames, 3)))
        spectrum = _spectrum(net, music_like(n_hops, net.hop_length, int(random.integers(2**31))))
        wanted = net.restored_frames(spectrum).transpose(0, 1).numpy()
        got = _streamed(net, graphs[0].module, sessions, spectrum, random)
        errors = np.abs(got - wanted).max((1, 2)) / (np.abs(wanted).max() + 1e-12)
        error_db = 20 * float(np.log10(max(errors.max(), 1e-10)))
        if not error_db <= TOLERANCE_DB:
            raise ParityError(
                f"frame {int(errors.argmax())} of {len(errors)} differs by {error_db:.1f} dB of the piece's peak from "
                f"PyTorch over the whole piece, at most {TOLERANCE_DB:.0f} dB are allowed"
            )
        done, worst_db = done + len(errors), max(worst_db, error_db)
    return worst_db


def _spectrum(net: PublishedApollo, signal: Array) -> torch.Tensor:
    """(2, samples) -> (2, frames, bins), complex."""
    lengths = net.window_length, net.hop_length
    return torch.stft(torch.from_numpy(signal), *lengths, window=net.window, return_complex=True).transpose(1, 2)


def _streamed(
    net: PublishedApollo, step: Any, sessions: dict[int, Any], spectrum: torch.Tensor, random: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.complex64]]:
    """Frames in turns of random sizes, absent ones behind them. Shape: (2, frames, bins) -> (frames, 2, bins)."""
    n_frames, n_ahead = spectrum.shape[1], net.context_frames
    state = {f"state_{i}": tensor.numpy() for i, tensor in enumerate(step.initial_state())}
    frames = np.zeros((n_frames + n_ahead, 2, spectrum.shape[2], 2), np.float32)
    frames[:n_frames] = torch.view_as_real(spectrum.transpose(0, 1).contiguous()).numpy()
    frames[n_frames:] = random.standard_normal(frames[n_frames:].shape)  # what is absent may be anything
    present = (np.arange(len(frames)) < n_frames).astype(np.float32)[:, None]
    restored, begin = [], 0
    while begin < len(frames):
        fitting = [size for size in sessions if begin + size <= len(frames)]
        size = int(random.choice(fitting))
        turn = slice(begin, begin + size) if size > 1 else begin
        got, *newest = sessions[size].run(None, {"spectrum": frames[turn], "present": present[turn], **state})
        state = dict(zip(state, newest, strict=True))
        restored.append(got if size > 1 else got[None])
        begin += size
    return np.ascontiguousarray(np.concatenate(restored)[n_ahead:]).view(np.complex64)[..., 0]


def make_card(
    net: PublishedApollo,
    graphs: Sequence[ExportedGraph],
    path: Path,
    name: str,
    licence: str,
    training: dict[str, Any],
    quality: dict[str, Any],
) -> ModelCard:
    """Everything the file says of itself; the golden pair comes from PyTorch over a whole piece."""
    return ModelCard(
        path=path,
        name=name,
        framing=framing_of(net),
        states=bundle.states_of(graphs[0]),
        carrier="none",
        tiers=("full",),
        training=training,
        quality=quality,
        licence=licence,
        golden=golden_of(net),
        graphs=tuple(bundle.entry_of(graph) for graph in graphs[1:]),
    )


@torch.no_grad()
def golden_of(net: PublishedApollo) -> Golden:
    """The golden pair: an engine must return this for some hops of a piece that goes on."""
    n_late = framing_of(net).hop_delay // net.hop_length
    n_hops, hop = n_late + _GOLDEN_HOPS, net.hop_length
    noise = np.random.default_rng(7).standard_normal((2, n_hops * hop)) * _GOLDEN_NOISE
    signal = (music_like(n_hops, hop, seed=7) + noise).astype(np.float32)
    restored = net(torch.from_numpy(signal)[None])[0, :, : _GOLDEN_HOPS * hop].numpy()
    output = np.concatenate((np.zeros((2, n_late * hop), np.float32), restored), axis=1)
    given, wanted = (np.ascontiguousarray(one.T).reshape(n_hops, hop, 2) for one in (signal, output))
    return Golden(given, wanted)


def facts_of(content: dict[str, Any], checkpoint: Path, net: PublishedApollo) -> dict[str, Any]:
    """Facts of where the weights come from."""
    with checkpoint.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    n_parameters = sum(parameter.numel() for parameter in net.parameters())
    said: dict[str, Any] = {key: str(content[key])[:_LONGEST_FACT] for key in ("model_name", "infos") if key in content}
    return {"checkpoint": checkpoint.name, "checkpoint_sha256": sha256, "parameters": n_parameters, **said}
