"""Which damage an item gets: drawn anew for each one."""

from __future__ import annotations

import numpy as np

from training.data.degrade import Damage

DAMAGES: tuple[tuple[Damage, float], ...] = (
    (Damage("mp3", 24_000), 6.0),
    (Damage("mp3", 24_000, mode="stereo"), 1.0),
    (Damage("mp3", 24_000, encode_rate=22_050), 7.0),
    (Damage("mp3", 48_000, encode_rate=22_050), 5.0),
    (Damage("mp3", 64_000, encode_rate=24_000), 5.0),
    (Damage("mp3", 96_000, encode_rate=32_000), 5.0),
    (Damage("mp3", 32_000), 13.0),
    (Damage("mp3", 32_000, mode="stereo"), 1.5),
    (Damage("mp3", 32_000, mode="abr"), 1.5),
    (Damage("mp3", 48_000), 13.0),
    (Damage("mp3", 48_000, mode="stereo"), 1.5),
    (Damage("mp3", 48_000, mode="abr"), 1.5),
    (Damage("mp3", 64_000), 13.0),
    (Damage("mp3", 64_000, mode="stereo"), 1.5),
    (Damage("mp3", 65_000, mode="vbr"), 2.5),
    (Damage("mp3", 96_000), 8.0),
    (Damage("mp3", 96_000, mode="stereo"), 1.5),
    (Damage("mp3", 85_000, mode="vbr"), 2.0),
    (Damage("mp3", 128_000), 6.0),
    (Damage("mp3", 128_000, mode="stereo"), 1.0),
    (Damage("mp3", 115_000, mode="vbr"), 2.0),
    (Damage("aac", 32_000), 1.5),
    (Damage("aac", 48_000), 2.0),
    (Damage("aac", 64_000), 2.0),
    (Damage("aac", 96_000), 1.0),
    (Damage("opus", 24_000, encode_rate=48_000), 1.5),
    (Damage("opus", 48_000, encode_rate=48_000), 2.0),
    (Damage("opus", 64_000, encode_rate=48_000), 1.0),
    (Damage("vorbis", 64_000), 2.5),
    (Damage("vorbis", 96_000), 1.0),
    (Damage("mp2", 96_000), 1.0),
    (Damage("mp2", 128_000), 1.5),
    (Damage("mp2", 192_000), 1.0),
    (Damage("ac3", 96_000), 1.0),
    (Damage("ac3", 128_000), 1.0),
    (Damage("wma", 48_000), 1.5),
    (Damage("wma", 64_000), 1.5),
    (Damage("wma", 96_000), 1.0),
)
"""What is drawn from, with weights: mostly MP3 at the published bit rates (24 kbps both as MPEG-2 at 22.05 kHz and as
32 kbps frames under a low-pass) and as the `lame` command makes them (48 kbps at 22.05, 64 at 24, 96 at 32 kHz), joint
and plain stereo, constant, average and variable rates; then what radio, films, DAB and old players use."""

BEFORE: tuple[Damage, ...] = (
    Damage("mp3", 128_000),
    Damage("mp3", 192_000),
    Damage("mp3", 115_000, mode="vbr"),
    Damage("aac", 128_000),
    Damage("vorbis", 128_000),
    Damage("opus", 96_000, encode_rate=48_000),
)
"""What music that is encoded twice has been through before."""

TWICE_SHARE = 0.06


def draw(random: np.random.Generator) -> tuple[Damage, ...]:
    """Draw the damage of one item; `TWICE_SHARE` of the items are encoded twice."""
    weights = np.array([weight for _, weight in DAMAGES])
    last = DAMAGES[int(random.choice(len(DAMAGES), p=weights / weights.sum()))][0]
    if random.random() < TWICE_SHARE:
        return BEFORE[int(random.integers(len(BEFORE)))], last
    return (last,)
