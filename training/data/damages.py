"""Damages are drawn for items, anew for each one."""

from __future__ import annotations

import click
import numpy as np

from training.data.damage_kinds import Damage, ServerResampler, Stage
from training.data.encoders import PACKAGES, can_encode

DAMAGES: tuple[tuple[Damage, float], ...] = (
    (Damage("mp3", 24_000), 6.0),
    (Damage("mp3", 24_000, mode="stereo"), 1.0),
    (Damage("mp3", 24_000, encode_rate=22_050), 7.0),
    (Damage("mp3", 48_000, encode_rate=22_050), 5.0),
    (Damage("mp3", 64_000, encode_rate=24_000), 5.0),
    (Damage("mp3", 96_000, encode_rate=32_000), 5.0),
    (Damage("mp3", 24_000, encode_rate=8_000), 1.0),
    (Damage("mp3", 32_000, encode_rate=16_000), 3.0),
    (Damage("mp3", 80_000, encode_rate=32_000), 1.5),
    (Damage("mp3", 65_000, encode_rate=22_050, mode="vbr"), 1.0),
    (Damage("mp3", 85_000, encode_rate=24_000, mode="vbr"), 1.0),
    (Damage("mp3", 100_000, encode_rate=32_000, mode="vbr"), 1.0),
    (Damage("mp3", 32_000), 12.0),
    (Damage("mp3", 32_000, mode="stereo"), 1.5),
    (Damage("mp3", 32_000, mode="abr"), 1.5),
    (Damage("mp3", 48_000), 12.0),
    (Damage("mp3", 48_000, mode="fast"), 1.0),
    (Damage("mp3", 48_000, mode="stereo"), 1.5),
    (Damage("mp3", 48_000, mode="abr"), 1.5),
    (Damage("mp3", 64_000), 12.0),
    (Damage("mp3", 64_000, mode="best"), 1.0),
    (Damage("mp3", 64_000, mode="stereo"), 1.5),
    (Damage("mp3", 65_000, mode="vbr"), 2.5),
    (Damage("mp3", 96_000), 8.0),
    (Damage("mp3", 96_000, mode="stereo"), 1.5),
    (Damage("mp3", 85_000, mode="vbr"), 2.0),
    (Damage("mp3", 128_000), 12.0),
    (Damage("mp3", 128_000, mode="fast"), 1.0),
    (Damage("mp3", 128_000, mode="stereo"), 1.0),
    (Damage("mp3", 115_000, mode="vbr"), 4.0),
    (Damage("aac", 32_000), 1.5),
    (Damage("aac", 48_000), 2.0),
    (Damage("aac", 64_000), 3.0),
    (Damage("aac", 96_000), 5.0),
    (Damage("aac", 128_000), 3.0),
    (Damage("opus", 24_000, encode_rate=48_000), 1.5),
    (Damage("opus", 48_000, encode_rate=48_000), 2.0),
    (Damage("opus", 64_000, encode_rate=48_000), 1.0),
    (Damage("opus", 96_000, encode_rate=48_000), 1.0),
    (Damage("vorbis", 45_000), 1.0),
    (Damage("vorbis", 64_000), 2.0),
    (Damage("vorbis", 96_000), 2.0),
    (Damage("mp2", 96_000), 1.0),
    (Damage("mp2", 128_000), 1.5),
    (Damage("mp2", 192_000), 1.0),
    (Damage("ac3", 96_000), 1.0),
    (Damage("ac3", 128_000), 1.0),
    (Damage("wma", 48_000), 1.5),
    (Damage("wma", 64_000), 1.5),
    (Damage("wma", 96_000), 1.0),
    (Damage("sbc", 96_000), 0.5),
    (Damage("sbc", 128_000), 1.0),
    (Damage("sbc", 192_000), 1.5),
    (Damage("musepack", 60_000), 0.5),
    (Damage("musepack", 90_000), 1.0),
    (Damage("musepack", 130_000), 1.0),
)
"""What is drawn from, with weights: mostly MP3 at the published bit rates (24 kbps both as MPEG-2 at 22.05 kHz and as
32 kbps frames under a low-pass) and as the `lame` command makes them (by LAME 3.100's own words: -b 24 at 8 kHz, -b 32
at 16, -b 48 and -V 9 at 22.05, -b 64 and -V 8 at 24, -b 80, -b 96 and -V 7 at 32 kHz), joint and plain stereo,
constant, average and variable rates, other -q; then what radio, films, DAB, old players and Bluetooth (SBC) use."""

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


SERVER_SHARE = 0.1
"""Of all items, behind the codecs: what is captured from a sound server has been through its resampler."""


def say_missing() -> None:
    """Name what this machine has no encoder for: what `draw` leaves out."""
    missing = [damage.label for damage, _ in DAMAGES if not can_encode(damage)]
    if missing:
        click.echo(
            f"no encoder for {', '.join(missing)}: left out; on Debian: apt-get install {' '.join(PACKAGES.values())}"
        )


def draw(random: np.random.Generator) -> tuple[Stage, ...]:
    """Draw the damage of one item.

    `TWICE_SHARE` of the items are encoded twice, `SERVER_SHARE` end behind a sound server's resampler. One that this
    machine can't make is drawn again, so that all others stay the same whatever is installed.
    """
    weights = np.array([weight for _, weight in DAMAGES])
    while not can_encode(last := DAMAGES[int(random.choice(len(DAMAGES), p=weights / weights.sum()))][0]):
        pass
    stages: list[Stage] = [last]
    if random.random() < TWICE_SHARE:
        stages.insert(0, BEFORE[int(random.integers(len(BEFORE)))])
    if random.random() < SERVER_SHARE:
        stages.append(ServerResampler())
    return tuple(stages)
