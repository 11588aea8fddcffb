"""The nets of checkpoints as streams, in PyTorch, in memory that doesn't grow with the music.

Two kinds of nets, one interface: `PublishedApollo` sees chunks with as much music on either side as its output depends
on, so that a chunk's edge can't be heard or measured; the causal `Restorer` is given block after block and keeps its
state.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from apollo_rt.errors import ApolloError
from apollo_rt.stream.stft import carrier_frames
from training.nets import checkpoint
from training.nets.apollo_published import PublishedApollo
from training.nets.causal_restorer import Restorer
from training.nets.framing import TorchFraming
from training.nets.level_restorer import LevelRestorer

Samples = npt.NDArray[np.float32]
Read = Callable[[int], Samples]
"""Gives so many samples `(samples, channels)`, fewer only where the music ends."""

CHUNK_S = 5.0
"""What the published net costs at its full size: 1.5 GB (measured), and a fifth more time than without chunks."""


class CheckpointError(ApolloError):
    """A checkpoint can't be used; the message names the file and the reason."""


class Restoration(Protocol):
    """A net as a stream whose output lies on its input.

    Attributes:
        sample_rate: Hz, of what comes in and goes out.
        needs_stereo: both channels are one signal to it; if not, it takes any number.
    """

    sample_rate: int
    needs_stereo: bool

    def restored(self, read: Read) -> Iterator[Samples]:
        """Restore all that `read` gives. Shape: blocks of (samples, channels)."""
        ...


class ChunkedRestoration:
    """The published net over music of any length; the same numbers as all at once.

    ```
     read:   [context |   chunk   | context]
     next:               [context |   chunk   | context]
    ```

    Args:
        net: takes and gives (batch, channels, samples).
        chunk_s: length of a chunk in seconds, greater than 0.
    """

    needs_stereo = False

    def __init__(self, net: PublishedApollo, chunk_s: float = CHUNK_S) -> None:
        self.sample_rate = net.sample_rate
        self._net = net
        hop = net.hop_length  # chunks begin where a frame does, so that frames are those of the whole
        self._chunk = max(round(chunk_s * self.sample_rate / hop), 1) * hop

    def restored(self, read: Read) -> Iterator[Samples]:
        """Restore all that `read` gives. Shape: blocks of (samples, channels)."""
        context, chunk = self._net.context_samples, self._chunk
        held, n_before = read(chunk + context), 0
        while len(held) == n_before + chunk + context:
            yield self._restore(held)[n_before : n_before + chunk]
            held = held[max(n_before + chunk - context, 0) :]
            n_before = min(n_before + chunk, context)
            held = np.concatenate((held, read(n_before + chunk + context - len(held))))
        if len(held) > n_before:
            yield self._restore(held)[n_before:]

    @torch.inference_mode()
    def _restore(self, audio: Samples) -> Samples:
        """One channel after the other: half the memory."""
        device = self._net.window.device
        channels = [torch.from_numpy(np.ascontiguousarray(channel))[None, None] for channel in audio.T]
        return np.stack([self._net(channel.to(device))[0, 0].cpu().numpy() for channel in channels], axis=1)


class CausalRestoration:
    """Our net over music of any length, as the engine does it: state and carrier go on from block to block.

    Args:
        net: frames and state in, frames and state out.
        block_s: length of a block in seconds, greater than 0.
    """

    needs_stereo = True

    def __init__(self, net: Restorer | LevelRestorer, block_s: float = CHUNK_S) -> None:
        framing = net.config.framing
        self.sample_rate = framing.sample_rate
        self._net = net
        self._block = max(round(block_s * framing.sample_rate / framing.hop_length), 1) * framing.hop_length

    def restored(self, read: Read) -> Iterator[Samples]:
        """Restore all that `read` gives. Shape: blocks of (samples, 2)."""
        one_pass, framing = _CausalPass(self._net), self._net.config.framing
        n_early, n_owed, at_end = framing.hop_delay, 0, False
        while not at_end:
            music = read(self._block)
            n_owed += len(music)
            at_end = len(music) < self._block
            n_more = -len(music) % framing.hop_length + framing.hop_delay if at_end else 0
            out = one_pass.process(np.pad(music, ((0, n_more), (0, 0))))
            ready = out[n_early:][:n_owed]
            n_early = max(n_early - len(out), 0)
            n_owed -= len(ready)
            yield ready


class _CausalPass:
    """One run of the causal net over one piece of music: what it remembers between blocks."""

    def __init__(self, net: Restorer | LevelRestorer) -> None:
        framing = net.config.framing
        self._net = net
        self._device = next(net.parameters()).device
        self._framing = TorchFraming(framing).to(self._device)
        self._n_past = -(
            -(framing.analysis_length - framing.hop_length) // framing.hop_length
        )  # they reach into a block
        self._past = np.zeros((self._n_past * framing.hop_length, 2), np.float32)
        self._state = net.initial_state(1)
        self._n_frames = 0
        self._last = torch.zeros(1, 1, 2, framing.n_bins, 2, device=self._device)

    @torch.inference_mode()
    def process(self, block: Samples) -> Samples:
        """Restore whole hops; as many come out, late by the framing's `hop_delay`. Shape: (samples, 2)."""
        framing = self._framing.framing
        known = np.concatenate((self._past, block))
        self._past = known[len(known) - len(self._past) :]
        audio = _as_batch(known).to(self._device)
        n_frames = len(block) // framing.hop_length
        carrier = torch.from_numpy(carrier_frames(self._n_frames, n_frames, framing.n_bins))
        self._n_frames += n_frames
        inputs = {
            "spectrum": self._framing.analyse(audio)[:, self._n_past :],
            "carrier": torch.view_as_real(carrier)[None].to(self._device),
            "recent": self._framing.newest(audio)[:, self._n_past :],
        }
        frames, self._state = self._net(*(inputs[name] for name in self._net.frame_inputs), self._state)
        samples = self._framing.synthesise(torch.cat((self._last, frames), dim=1))[0, :, framing.hop_length :]
        self._last = frames[:, -1:]
        return np.ascontiguousarray(samples.T.cpu().numpy())


def _as_batch(audio: Samples) -> Tensor:
    """(samples, channels) -> (1, channels, samples)."""
    return torch.from_numpy(np.ascontiguousarray(audio.T))[None]


def load_restoration(path: Path, device: str = "cpu", chunk_s: float = CHUNK_S) -> Restoration:
    """Read a checkpoint: the published Apollo's, bare or in a dict with `state_dict`, or one of ours.

    Nothing but tensors and plain values is read, so that a file from a stranger runs no code.

    Raises:
        CheckpointError: it can't be read, or holds no net that we know.
    """
    try:
        content = checkpoint.load(path)
        if checkpoint.is_published(content):
            return ChunkedRestoration(checkpoint.published_of(path, content).to(device), chunk_s)
        return CausalRestoration(checkpoint.load_restorer(path)[0].to(device), chunk_s)
    except ValueError as error:
        raise CheckpointError(" ".join(str(error).split())) from None
