"""Frames: windows, analysis, carrier and synthesis (Numba)."""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.config import Framing


def asymmetric_windows(framing: Framing) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A long analysis window that ends with a short fall, and a synthesis window two hops long.

    Their product over the last two hops is sin^2, so that overlap-add of the frames gives the signal back; the length
    of the synthesis window alone is the latency.

    ```
     a[n]  ...slow rise over the past.../\\          N samples
     s[n]                              /\\ = sin^2/a  last 2H samples
                                     | H | H |
    ```

    Returns:
        analysis window (analysis_length,) and synthesis window (synthesis_length,), float32.

    Source: the idea is Mauler & Martin, "A low delay, variable resolution, perfect reconstruction spectral
    analysis-synthesis system", EUSIPCO 2007; the formula is that of the project's design.
    """
    N, H = framing.analysis_length, framing.hop_length
    past = np.arange(N - H) + 0.5
    newest = np.arange(H) + 0.5
    analysis = np.concatenate([np.sin(np.pi / 2 * past / (N - H)), np.cos(np.pi / 2 * newest / H)])
    product = np.sin(np.pi * (np.arange(2 * H) + 0.5) / (2 * H)) ** 2
    return analysis.astype(np.float32), (product / analysis[-2 * H :]).astype(np.float32)
