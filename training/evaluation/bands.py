"""Powers of both channels in eighths of an octave, many times a second: what the image and the movements are read from.

```
 waveform -> spectra (Hann, 512 samples every 256) -> left, right, and what they have in common, by band
```
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from training.data.audio import SAMPLE_RATE

WINDOW = 512
HOP = 256
FRAMES_A_SECOND = SAMPLE_RATE / HOP

FLOOR = 1e-10
"""Of powers: -100 dB of full scale, under which nothing is heard."""

_LOWEST_HZ = 2_000.0  # an eighth of an octave is two bins there
_N_BANDS = 27  # up to 20.7 kHz
_FAINTEST = 10**-7.5  # of the power of all bands: one below is not heard beside the rest
_LOST = 4.0  # 6 dB


@dataclass(frozen=True)
class BandPowers:
    """Power of a stereo signal, full scale 1.0.

    Attributes:
        channels: of left and right. Shape: (2, frames, bands).
        common: real part of the product of left and the conjugate of right. Shape: (frames, bands).
    """

    channels: Tensor
    common: Tensor

    @property
    def both(self) -> Tensor:
        """Power of left and right together. Shape: (frames, bands)."""
        return self.channels.sum(0)


def band_powers(clip: Tensor) -> BandPowers:
    """Measures a clip. Shape: (2, samples)."""
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(clip, WINDOW, HOP, window=window, return_complex=True).transpose(1, 2)
    scale = 2 / WINDOW / float(window.square().sum())
    left, right = spectrum
    return BandPowers(
        channels=scale * spectrum.abs().square() @ _matrix(),
        common=scale * (left * right.conj()).real @ _matrix(),
    )


def lost(damaged: Tensor, clean: Tensor) -> Tensor:
    """Says which bands lost more than 6 dB, of those in which there was something to be heard.

    Shape:
        (..., frames, bands), the same -> (..., bands)
    """
    kept, whole = damaged.mean(-2), clean.mean(-2)
    heard = whole > (_FAINTEST * whole.sum(-1, keepdim=True)).clamp(min=10 * FLOOR)
    return heard & (whole > _LOST * kept)


@cache
def edges_hz() -> Tensor:
    """Limits of the bands. Shape: (bands + 1,)."""
    return _LOWEST_HZ * 2 ** (torch.arange(_N_BANDS + 1) / 8)


@cache
def _matrix() -> Tensor:
    """Share of each bin that belongs to each band. Shape: (bins, bands)."""
    bins = torch.arange(WINDOW // 2 + 1)[:, None]
    edges = edges_hz() * WINDOW / SAMPLE_RATE
    low, high = torch.maximum(bins - 0.5, edges[:-1]), torch.minimum(bins + 0.5, edges[1:])
    return (high - low).clamp(min=0.0)
