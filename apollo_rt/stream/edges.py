"""The edges of a stream reflect it where frames are centred, and say which frames there are.

```
 frame     0            1            2     ...    n_hops        n_hops + 1 ...
 sees   [2 1|0 1 2]  [hop 0|hop 1]  [hop 1|hop 2]   [.. w x|w v u]  absent: the model is told so
         reflected                                      reflected
```

It is the padding `reflect` of a centred STFT over a whole file (`torch.stft`). The sample that the first frame would
need of the second hop meets the zero of a window that begins with one.
"""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import realtime
from apollo_rt.stream.stft import Analysis, Frame, Samples, take_in, transform

FEWEST_HOPS = 2
"""A shorter file is lengthened by silence: a reflection has no more samples than lie before it."""


@realtime
def analyse_to_edges(
    analysis: Analysis, hop: Samples, spectrum: Frame, present: NDArray[np.float32], frame: int, n_hops: int
) -> int:
    """Take one hop in and write the spectrum of the frame centred where it begins, as `stft.analyse` else does.

    Args:
        analysis: its window is two hops long.
        hop: samples; any, beyond the stream's last one.
        spectrum: of the frame.
        present: 1 where there is such a frame, 0 beyond the last.
        frame: its number, from 0.
        n_hops: of the whole stream; 0 while nobody knows.

    Returns:
        the number of samples that were no audio and became zero.

    Shape:
        hop (hop_length, 2), spectrum (2, n_bins), present (1,)
    """
    is_beyond = 0 < n_hops <= frame
    present[0] = np.float32(0 if is_beyond and frame > n_hops else 1)
    n_zeroed = 0
    if is_beyond and frame == n_hops:
        _reflect_end(analysis.past)
    else:
        n_zeroed = take_in(analysis.past, hop)
        if frame == 0:
            _reflect_start(analysis.past)
    transform(analysis, spectrum)
    return n_zeroed


@realtime
def _reflect_start(past: Samples) -> None:
    """The first hop, backwards, in the place of what was before it."""
    middle = past.shape[1] // 2
    for channel in range(2):
        past[channel, 0] = np.float32(0)
        for n in range(1, middle):
            past[channel, middle - n] = past[channel, middle + n]


@realtime
def _reflect_end(past: Samples) -> None:
    """Move on by a hop that is what was before the last sample, backwards."""
    middle = past.shape[1] // 2
    for channel in range(2):
        furthest = past[channel, middle - 1]
        for n in range(middle):
            past[channel, n] = past[channel, middle + n]
        for n in range(middle - 1):
            past[channel, middle + n] = past[channel, middle - 2 - n]
        past[channel, 2 * middle - 1] = furthest
