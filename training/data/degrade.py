"""Music damaged: encoded with a lossy codec, decoded, and nothing moved.

The damaged half of a training pair must lie on the clean half to a fraction of a sample, or the
model learns a delay instead of a repair. So every codec is decoded with its own delay removed; what is
left is measured by `alignment`.

    clean -> [resample] -> encoder -> container in memory -> decoder -> [resample] -> damaged
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr

from training.data.alignment import AlignmentError
from training.data.audio import SAMPLE_RATE, Audio, resample
from training.data.damage_kinds import Damage, ServerResampler, Stage
from training.data.encoders import decode_own, encode


def degrade_in_turn(audio: Audio, stages: Sequence[Stage]) -> Audio:
    """Damage by each stage in turn: music that has been through several programs.

    Shape:
        audio and result: ``(samples, 2)``
    """
    for stage in stages:
        audio = through_server(audio) if isinstance(stage, ServerResampler) else degrade(audio, stage)
    return audio


def degrade(audio: Audio, damage: Damage) -> Audio:
    """Encode and decode once.

    Encode long stretches and cut afterwards: a short crop encoded alone has other edges and
    another bit reservoir than the same music inside a track.

    Args:
        audio: Music at 44.1 kHz, full scale 1.0.
        damage: What to do to it.

    Returns:
        The decoded signal, as long as the input and aligned with it.

    Shape:
        audio and result: ``(samples, 2)``

    Raises:
        ValueError: The audio isn't stereo, or is empty.
        AlignmentError: The decoder returned far fewer samples than were encoded.
        EncoderMissingError: This machine has nothing that writes the codec.
    """
    if audio.ndim != 2 or audio.shape[1] != 2 or not len(audio):
        raise ValueError(f"audio must be (samples, 2) and not empty, got shape {audio.shape}")
    decoded, rate = decode_own(encode(resample(audio, SAMPLE_RATE, damage.encode_rate), damage), damage)
    damaged = resample(decoded, rate, SAMPLE_RATE)
    if len(audio) - len(damaged) > SAMPLE_RATE // 10:
        raise AlignmentError(f"{damage.label}: the decoder returned {len(audio) - len(damaged)} samples too few")
    return _as_long(damaged, audio)


def through_server(audio: Audio) -> Audio:
    """Convert to a sound server's rate and back, as cheaply as one does.

    Shape:
        audio and result: ``(samples, channels)``
    """
    rate = ServerResampler().rate
    there = soxr.resample(audio, SAMPLE_RATE, rate, quality="LQ")
    return _as_long(soxr.resample(there, rate, SAMPLE_RATE, quality="LQ"), audio)


def _as_long(damaged: Audio, audio: Audio) -> Audio:
    """Cut, or followed by silence."""
    return np.pad(damaged[: len(audio)], ((0, max(0, len(audio) - len(damaged))), (0, 0)))
