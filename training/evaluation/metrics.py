"""Measures of restoration that need no perceptual model; each stands beside that of the untouched input.

A clip is `(2, samples)` or `(1, samples)` at full scale 1.0. ViSQOL comes from its own package (see `evaluate`).
"""

import torch
from torch import Tensor
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio


def si_sdr_db(estimate: Tensor, target: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al., arXiv 1811.02508), both channels as one signal."""
    return float(scale_invariant_signal_distortion_ratio(estimate.flatten(), target.flatten()))


def log_spectral_distance(estimate: Tensor, target: Tensor) -> float:
    """Mean over frames of the root mean squared difference of log10 powers over bins.

    n_fft 2048, hop 512, Hann, floor 1e-8: the terms of the published figures (data.md).
    """
    window = torch.hann_window(2048)
    power = [
        torch.stft(clip, 2048, 512, window=window, return_complex=True).abs().square() for clip in (estimate, target)
    ]
    ours, wanted = (torch.log10(p + 1e-8) for p in power)
    return float((ours - wanted).square().mean(-2).sqrt().mean())
