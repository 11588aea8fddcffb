"""A synthesizer of three oscillators: bright electronic sounds that no soundfont has.

Saws, pulses, noise and frequency modulation with a full spectrum up to half the sample rate; the
waveforms are the naive ones, whose aliasing is part of the sound of many music programs.

    three oscillators (detuned, left / middle / right) -> envelope -> notes added up -> low-pass
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.signal import lfilter

from training.corpus.scores import Part
from training.data.audio import SAMPLE_RATE, Audio

Wave = Literal["sine", "triangle", "saw", "pulse", "noise"]

TAIL_S = 1.0
_MAX_NOTE_S = 6.0
_A4_KEY, _A4_HZ = 69, 440.0


@dataclass(frozen=True)
class Patch:
    """The settings of the synthesizer.

    Args:
        waves: Of the three oscillators.
        detune_cents: Of the outer oscillators against the middle one, in opposite directions.
        octaves: Of the three oscillators, against the written key.
        pulse_width: Share of a period that a pulse is high, 0 to 1.
        modulation: Phase modulation of the middle oscillator by the first, in periods.
        attack_s: Rise of the envelope, in seconds.
        decay_s: Time constant of its fall, in seconds.
        sustain: Level held after the fall, 0 to 1.
        release_s: Time constant after the key is let go, in seconds.
        cutoff_hz: Of the low-pass over the whole part; at 20 kHz and above there is none.
        width: 0 is mono, 1 puts the outer oscillators left and right.
    """

    waves: tuple[Wave, Wave, Wave]
    detune_cents: float
    octaves: tuple[int, int, int]
    pulse_width: float
    modulation: float
    attack_s: float
    decay_s: float
    sustain: float
    release_s: float
    cutoff_hz: float
    width: float


def draw(random: np.random.Generator) -> Patch:
    """A patch at random: mostly saws and pulses, half of them without any low-pass."""
    names = get_args(Wave)
    first, middle, last = (names[index] for index in random.choice(5, 3, p=(0.1, 0.1, 0.45, 0.25, 0.1)))
    return Patch(
        waves=(first, middle, last),
        detune_cents=float(random.uniform(0, 25)),
        octaves=(int(random.integers(-1, 2)), 0, int(random.integers(-1, 2))),
        pulse_width=float(random.uniform(0.1, 0.5)),
        modulation=float(random.choice([0.0, 0.0, random.uniform(0.1, 2.0)])),
        attack_s=float(10 ** random.uniform(-3, -1)),
        decay_s=float(10 ** random.uniform(-1.5, 0.5)),
        sustain=float(random.choice([0.0, random.uniform(0.2, 1.0)])),
        release_s=float(10 ** random.uniform(-2, -0.5)),
        cutoff_hz=float(random.choice([20_000.0, 10 ** random.uniform(2.8, 4.2)])),
        width=float(random.uniform(0, 1)),
    )


def render(part: Part, patch: Patch, random: np.random.Generator) -> Audio:
    """Play a part from its first second to `TAIL_S` after its last note.

    Args:
        part: Notes; drums are not for this instrument.
        patch: How they sound.
        random: Of the noise and of the phases.

    Shape:
        result: ``(samples, 2)``
    """
    rendered = np.zeros((round((part.seconds + TAIL_S) * SAMPLE_RATE), 2), np.float32)
    for note in part.notes:
        start = round(note.start_s * SAMPLE_RATE)
        tone = _tone(note.key, min(note.length_s, _MAX_NOTE_S), patch, random)[: len(rendered) - start]
        rendered[start : start + len(tone)] += tone * np.float32(0.15 * (note.velocity / 127) ** 1.5)
    if patch.cutoff_hz >= 20_000:
        return rendered
    return _low_pass(rendered, patch.cutoff_hz)


def _tone(key: int, held_s: float, patch: Patch, random: np.random.Generator) -> Audio:
    """One note at full velocity."""
    envelope = _envelope(held_s, patch)
    time_s = np.arange(len(envelope)) / SAMPLE_RATE
    sides = ((1 - patch.width, 1.0), (1.0, 1.0), (1.0, 1 - patch.width))
    tone = np.zeros((len(envelope), 2))
    previous: np.ndarray | float = 0.0
    for index, (left, right) in enumerate(sides):
        cents = patch.detune_cents * (index - 1)
        hz = _A4_HZ * 2 ** ((key - _A4_KEY) / 12 + patch.octaves[index] + cents / 1200)
        bend = patch.modulation * previous if index == 1 else 0.0
        previous = _wave(patch.waves[index], hz * time_s + random.random() + bend, patch.pulse_width, random)
        tone += previous[:, None] * (left, right)
    sound: Audio = (tone * envelope[:, None]).astype(np.float32)
    return sound


def _wave(wave: Wave, periods: np.ndarray, pulse_width: float, random: np.random.Generator) -> np.ndarray:
    """A waveform between -1 and 1 at each position, counted in periods."""
    if wave == "noise":
        return random.uniform(-1, 1, len(periods))
    if wave == "sine":
        return np.sin(2 * np.pi * periods)
    position = periods % 1.0
    if wave == "saw":
        return 2 * position - 1
    if wave == "triangle":
        return 4 * np.abs(position - 0.5) - 1
    return np.where(position < pulse_width, 1.0, -1.0)


def _envelope(held_s: float, patch: Patch) -> np.ndarray:
    """Attack, decay to the held level, and release; it ends where 60 dB are gone."""
    held = max(1, round(held_s * SAMPLE_RATE))
    time_s = np.arange(held) / SAMPLE_RATE
    fall = patch.sustain + (1 - patch.sustain) * np.exp(-np.maximum(time_s - patch.attack_s, 0) / patch.decay_s)
    level = np.minimum(time_s / patch.attack_s, 1.0) * fall
    release = np.exp(-np.arange(round(min(7 * patch.release_s, TAIL_S) * SAMPLE_RATE)) / SAMPLE_RATE / patch.release_s)
    return np.concatenate([level, level[-1] * release])


def _low_pass(audio: Audio, cutoff_hz: float) -> Audio:
    """Two one-pole low-passes: 12 dB an octave."""
    pole = float(np.exp(-2 * np.pi * cutoff_hz / SAMPLE_RATE))
    for _ in range(2):
        audio = lfilter([1 - pole], [1, -pole], audio, axis=0)
    return audio.astype(np.float32)
