"""Music files as arrays: stereo, 44.1 kHz, float32, full scale 1.0."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import welch

SAMPLE_RATE = 44_100
"""Sample rate of everything here, in hertz."""

Audio = NDArray[np.float32]


def load(file: Path) -> Audio:
    """Read any music file as stereo at 44.1 kHz; a peak above full scale is kept.

    Shape:
        result: ``(samples, 2)``

    Raises:
        soundfile.SoundFileError: The file can't be read.
    """
    audio, rate = soundfile.read(file, dtype="float32", always_2d=True)
    return resample(np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio[:, :2], rate, SAMPLE_RATE)


def resample(audio: Audio, rate: int, new_rate: int) -> Audio:
    """Change the sample rate with a linear-phase filter, so that nothing moves."""
    if rate == new_rate:
        return audio
    return cast("Audio", soxr.resample(audio, rate, new_rate, quality="VHQ"))


def measure_cut_hz(audio: Audio) -> float:
    """The highest frequency within 75 dB of the peak of the long-term spectrum, in hertz.

    Shape:
        audio: ``(samples, channels)`` at 44.1 kHz
    """
    frequency, power = welch(audio.mean(axis=1), SAMPLE_RATE, nperseg=4096)
    return float(frequency[np.flatnonzero(power >= power.max() * 10**-7.5)[-1]])


def active_level_db(audio: Audio) -> float:
    """Root mean square level of the parts where something is heard, in decibels of full scale.

    Those are blocks of 0.1 s above -50 dB of the loudest one; silence is -120 dB.

    Shape:
        audio: ``(samples, 2)``
    """
    block = SAMPLE_RATE // 10
    blocks = (
        audio[: len(audio) // block * block].reshape(-1, block * 2) if len(audio) >= block else audio.reshape(1, -1)
    )
    power = np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64) / blocks.shape[1]
    heard = power[power > 1e-5 * power.max(initial=0.0)]
    return 10 * float(np.log10(heard.mean())) if len(heard) and heard.mean() > 1e-12 else -120.0
