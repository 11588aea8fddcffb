"""Stereo signals whose truth is known: what a restorer makes of them says where it puts what it generates.

| probe | what | asked |
|---|---|---|
| hat-left | centred music, soft above 8 kHz, and a hat in the left channel alone | level difference within 3 dB |
| left-alone | music in the left channel, nothing in the right one | at most -90 dBFS leak into it |
| side-only | music whose right channel is the left one turned over | as much above the cut as `centre` |
| centre | the same music in the middle | stays there |
| two-sides | another piece in each channel | stays apart |
"""

import numpy as np

from training.data.audio import SAMPLE_RATE, Audio
from training.evaluation import clip_making

_HIGHS_HZ = 8_000.0
_HAT_DB, _MUSIC_DB = -26.5, -43.6
"""Levels above 8 kHz, left: a hat 17 dB above the music that it is heard with."""

_BEAT = SAMPLE_RATE // 4


def probes(music: Audio, other: Audio) -> dict[str, Audio]:
    """All probes by name.

    Args:
        music: a piece.
        other: another one.

    Shape:
        (samples, 2) -> the same
    """
    left, right = (clip_making.at_level(piece.mean(1, keepdims=True), -20.0) for piece in (music, other))
    n_samples = min(len(left), len(right))
    silence = np.zeros_like(left)
    made = {
        "hat-left": _hat_left(left),
        "left-alone": np.hstack((left, silence)),
        "side-only": np.hstack((left, -left)),
        "centre": np.hstack((left, left)),
        "two-sides": np.hstack((left[:n_samples], right[:n_samples])),
    }
    return {name: audio / np.float32(max(1.0, float(np.abs(audio).max()))) for name, audio in made.items()}


def _hat_left(music: Audio) -> Audio:
    """A hat hard left over centred music. Shape: (samples, 1) -> (samples, 2)."""
    highs = clip_making.above(music, _HIGHS_HZ)
    centre = music - highs + clip_making.at_level(highs, _MUSIC_DB)
    hat = _hat(len(music))
    hat *= np.float32(10 ** ((_HAT_DB - clip_making.level_db(clip_making.above(hat, _HIGHS_HZ))) / 20))
    return np.hstack((centre + hat, centre))


def _hat(n_samples: int) -> Audio:
    """A closed hat on every quarter of a second: noise above 5 kHz that fades within 40 ms. Shape: (samples, 1)."""
    random = np.random.default_rng(20)
    fading = np.exp(-(np.arange(n_samples) % _BEAT) / (0.04 * SAMPLE_RATE))
    hiss = clip_making.above(random.standard_normal((n_samples, 1)).astype(np.float32), 5_000.0)
    return (hiss * fading[:, None]).astype(np.float32)
