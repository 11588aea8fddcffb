"""A plain exciter, with no learning in it, moves the octave below the cut up.

Spectral band replication at its simplest (Dietz et al., AES 112, 2002, without its side information): the half of the
spectrum below the cut is copied above it, again and again, softer by a fixed slope. It is told where the cut is.
"""

import torch
from torch import Tensor

from training.evaluation.metrics import BIN_HZ, HOP_LENGTH, N_FFT

_SLOPE_DB = -8.0
"""Per octave: the median slope of 29 tracks of the training music from 4 to 16 kHz (quartiles -12.2 and -5.3)."""

_STEP = N_FFT // HOP_LENGTH
"""A shift by so many bins turns every frame's phase by whole turns: tones stay tones."""


def excite(damaged: Tensor, cut_hz: float | None) -> Tensor:
    """Fill what is above the cut.

    Args:
        damaged: music at 44.1 kHz.
        cut_hz: where it ends; None leaves it as it is.

    Shape:
        (channels, samples) -> the same
    """
    if cut_hz is None:
        return damaged
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(damaged, N_FFT, HOP_LENGTH, window=window, return_complex=True)
    n_bins, cut = spectrum.shape[1], round(cut_hz / BIN_HZ)
    width = max(cut // 2 // _STEP, 1) * _STEP
    bins = torch.arange(n_bins)
    source = torch.where(bins < cut, bins, bins - ((bins - cut) // width + 1) * width)
    octaves = torch.log2((bins.clamp(min=1)) / source.clamp(min=1))
    filled = spectrum[:, source] * 10 ** (octaves * _SLOPE_DB / 20)[:, None]
    return torch.istft(filled, N_FFT, HOP_LENGTH, window=window, length=damaged.shape[-1])
