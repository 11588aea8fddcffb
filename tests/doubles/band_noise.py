"""Noise in a band, in PyTorch."""

import torch
from torch import Tensor

RATE = 44_100


def noise(seconds: float = 1.0, low_hz: float = 0.0, high_hz: float = RATE / 2, seed: int = 0) -> Tensor:
    """Stereo noise with nothing outside its band."""
    n = int(seconds * RATE)
    spectrum = torch.fft.rfft(torch.randn(2, n, generator=torch.Generator().manual_seed(seed)) * 0.1)
    hz = torch.fft.rfftfreq(n, 1 / RATE)
    return torch.fft.irfft(spectrum * ((hz >= low_hz) & (hz < high_hz)), n)
