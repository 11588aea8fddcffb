"""A General MIDI player: the notes of one part, rendered with a soundfont."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import numpy as np

from training.corpus.scores import DRUM_CHANNEL, Part
from training.data.audio import SAMPLE_RATE, Audio

TAIL_S = 2.0
"""Rendered after the last note has ended: releases and cymbals."""

_GAIN_DB = -12.0
"""So that a part of many voices stays below full scale; the mixer sets levels anyway."""

_GRID = 64
"""Notes start on multiples of so many samples (1.5 ms)."""

_VOICES = 256
_DRUM_BANK = 128


class Soundfont:
    """One soundfont in memory.

    Args:
        file: A `.sf2` file.
    """

    def __init__(self, file: Path) -> None:
        import tinysoundfont

        self._synth = tinysoundfont.Synth(gain=_GAIN_DB, samplerate=SAMPLE_RATE)
        self._id = self._synth.sfload(str(file), max_voices=_VOICES)

    def programs(self, drums: bool) -> list[int]:
        """The General MIDI programs, or drum kits, that this soundfont has."""
        bank = _DRUM_BANK if drums else 0
        return [program for program in range(128) if self._synth.sfpreset_name(self._id, bank, program)]

    def render(self, part: Part) -> Audio:
        """Play a part from its first second to the end of its last note and `TAIL_S` more.

        A program that the soundfont doesn't have is played by its first one.

        Shape:
            result: ``(samples, 2)``
        """
        channel = DRUM_CHANNEL if part.drums else 0
        programs = self.programs(part.drums)
        program = part.program if part.program in programs else programs[0]
        self._synth.sounds_off()
        self._synth.program_select(channel, self._id, _DRUM_BANK if part.drums else 0, program, part.drums)
        samples = round((part.seconds + TAIL_S) * SAMPLE_RATE / _GRID) * _GRID
        rendered = np.zeros((samples, 2), np.float32)
        done = 0
        for at, key, velocity in _events(part):
            self._generate(rendered[done:at])
            done = max(done, at)
            if velocity:
                self._synth.noteon(channel, key, velocity)
            else:
                self._synth.noteoff(channel, key)
        self._generate(rendered[done:])
        return rendered

    def _generate(self, block: Audio) -> None:
        if len(block):
            block[:] = np.frombuffer(self._synth.generate(len(block)), np.float32).reshape(-1, 2)


def check() -> None:
    """Find out whether soundfonts can be played, before much else is done.

    No extra has the package: it demands pyaudio, which isn't needed here and has to be compiled.

    Raises:
        RuntimeError: They can't.
    """
    if importlib.util.find_spec("tinysoundfont") is None:
        raise RuntimeError(
            "synthetic songs need `pip install --no-deps tinysoundfont==0.3.7`; --songs 0 leaves them out"
        )


@functools.cache
def load(file: Path) -> Soundfont:
    """Load a soundfont once for all parts; one takes up to half a gigabyte."""
    return Soundfont(file)


def _events(part: Part) -> list[tuple[int, int, int]]:
    """Sample, key and velocity (0 ends a note), in the order of time, ends before starts."""
    events = []
    for note in part.notes:
        start = round(note.start_s * SAMPLE_RATE / _GRID) * _GRID
        stop = max(start + _GRID, round((note.start_s + note.length_s) * SAMPLE_RATE / _GRID) * _GRID)
        events += [(start, note.key, note.velocity), (stop, note.key, 0)]
    return sorted(events, key=lambda event: (event[0], event[2] > 0))
