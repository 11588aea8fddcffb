"""The framing of `stream.stft` in PyTorch: the same windows, so that a trained net hears what the engine hears."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from apollo_rt.config import Framing
from apollo_rt.stream.stft import windows_of


class TorchFraming(nn.Module):
    """Samples to frames and back, over a whole clip.

    Args:
        framing: window and hop lengths.
    """

    analysis_window: Tensor
    synthesis_window: Tensor

    def __init__(self, framing: Framing) -> None:
        """Take the windows from the engine's own module."""
        super().__init__()
        self.framing = framing
        analysis, synthesis = windows_of(framing)
        self.register_buffer("analysis_window", torch.from_numpy(np.asarray(analysis, np.float32)), persistent=False)
        self.register_buffer("synthesis_window", torch.from_numpy(np.asarray(synthesis, np.float32)), persistent=False)

    def analyse(self, audio: Tensor, every: int = 1) -> Tensor:
        """Cut audio into frames; frame k ends with sample `(k + 1) * hop_length - 1`, zeros stand before the start.

        Args:
            audio: samples, a whole number of hops.
            every: frames from one that is wanted to the next; the last of so many is the first.

        Returns:
            Spectra without normalisation, real and imaginary part last.

        Shape:
            (batch, 2, samples) -> (batch, frames, 2, bins, 2)
        """
        batch, channels, _ = audio.shape
        n, hop = self.framing.analysis_length, self.framing.hop_length * every
        padded = functional.pad(audio.flatten(0, 1), (n - hop, 0))
        spectrum = torch.stft(padded, n, hop, n, self.analysis_window, center=False, return_complex=True)
        return torch.view_as_real(spectrum.unflatten(0, (batch, channels)).permute(0, 3, 1, 2))

    def newest(self, audio: Tensor) -> Tensor:
        """Cut out what a frame can change: the newest two hops of samples of each frame, under no window.

        Shape:
            (batch, 2, samples) -> (batch, frames, 2, synthesis length)
        """
        length, hop = self.framing.synthesis_length, self.framing.hop_length
        return functional.pad(audio, (length - hop, 0)).unfold(-1, length, hop).transpose(1, 2)

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """Overlap-add frames as the engine does: each frame completes the hop before its newest one.

        Args:
            spectrum: as `analyse` gives it.

        Returns:
            As many samples as were analysed, `hop_length` later.

        Shape:
            (batch, frames, 2, bins, 2) -> (batch, 2, frames * hop_length)
        """
        n, hop = self.framing.analysis_length, self.framing.hop_length
        frames = torch.fft.irfft(torch.view_as_complex(spectrum.contiguous()), n)[..., n - 2 * hop :]
        older, newer = (frames * self.synthesis_window).split(hop, dim=-1)
        return (older + functional.pad(newer[:, :-1], (0, 0, 0, 0, 1, 0))).transpose(1, 2).flatten(2)
