"""Scores: who plays which notes, read from MIDI files or written by the accompaniment program MMA.

    chord chart --mma--> MIDI file --read--> Score --vary--> another Score

Only notes and instruments are kept. Everything else in a MIDI file (pedals, bends, volumes) is left
out: what a part sounds like is decided anew for every song.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import mido
import numpy as np

DRUM_CHANNEL = 9
"""General MIDI's channel of percussion, counted from zero."""

_NO_MUSIC = re.compile("metronome|none|count|intro|ending")
_MMA_TIMEOUT_S = 60
_PROGRESSIONS = (
    ("Am", "F", "C", "G"),
    ("C", "G", "Am", "F"),
    ("Em", "C", "G", "D"),
    ("Dm7", "G7", "CM7", "A7"),
    ("Cm", "Ab", "Eb", "Bb"),
    ("F#m", "D", "A", "E"),
    ("Bb", "Gm", "Eb", "F7"),
    ("E5", "G5", "A5", "D5"),
    ("Am", "Dm", "E7", "Am"),
    ("C7", "F7", "C7", "G7"),
    ("Fm9", "Bbm7", "Eb7", "AbM7"),
    ("D", "Asus4", "Bm", "G"),
)


@dataclass(frozen=True)
class Note:
    """One note.

    Args:
        start_s: When it begins, in seconds.
        length_s: How long it is held, in seconds.
        key: MIDI key, 0 to 127; 69 is 440 Hz.
        velocity: 1 to 127.
    """

    start_s: float
    length_s: float
    key: int
    velocity: int


@dataclass(frozen=True)
class Part:
    """Notes of one instrument.

    Args:
        program: General MIDI program, 0 to 127; of percussion, the kit.
        drums: Whether keys are percussion instruments.
        notes: In the order of their starts.
    """

    program: int
    drums: bool
    notes: tuple[Note, ...]

    @property
    def seconds(self) -> float:
        """End of the last note."""
        return max(note.start_s + note.length_s for note in self.notes)


@dataclass(frozen=True)
class Score:
    """The parts of one song."""

    name: str
    parts: tuple[Part, ...]


def read(file: Path) -> Score:
    """Read the notes of a MIDI file; a channel that changes its instrument becomes several parts.

    Args:
        file: A standard MIDI file.

    Raises:
        ValueError: It holds no notes.
        OSError: It is no MIDI file, or is cut off.
    """
    programs = [0] * 16
    held: dict[tuple[int, int], tuple[float, int, int]] = {}
    found: dict[tuple[int, int], list[Note]] = defaultdict(list)
    now_s = 0.0
    for message in mido.MidiFile(file, clip=True):
        now_s += message.time
        if message.type == "program_change":
            programs[message.channel] = message.program
        if message.type not in ("note_on", "note_off"):
            continue
        started = held.pop((message.channel, message.note), None)
        if started is not None:
            start_s, velocity, program = started
            note = Note(start_s, max(now_s - start_s, 0.02), message.note, velocity)
            found[message.channel, program].append(note)
        if message.type == "note_on" and message.velocity > 0:
            held[message.channel, message.note] = (now_s, message.velocity, programs[message.channel])
    if not found:
        raise ValueError(f"{file} holds no notes")
    parts = (
        Part(program, channel == DRUM_CHANNEL, tuple(sorted(notes, key=lambda note: note.start_s)))
        for (channel, program), notes in sorted(found.items())
    )
    return Score(file.stem, tuple(parts))


def vary(score: Score, random: np.random.Generator) -> Score:
    """Play a score at another tempo, in another key, louder or softer, each part a little uneven.

    Args:
        score: What is written.
        random: Decides.
    """
    tempo = float(random.uniform(0.8, 1.3))
    keys = int(random.integers(-6, 7))
    return Score(score.name, tuple(_vary_part(part, tempo, keys, random) for part in score.parts))


def _vary_part(part: Part, tempo: float, keys: int, random: np.random.Generator) -> Part:
    loudness = random.uniform(0.75, 1.4)
    notes = [
        replace(
            note,
            start_s=note.start_s / tempo,
            length_s=note.length_s / tempo,
            key=note.key if part.drums else min(max(note.key + keys, 0), 127),
            velocity=int(np.clip(note.velocity * loudness * random.uniform(0.85, 1.15), 1, 127)),
        )
        for note in part.notes
    ]
    return replace(part, notes=tuple(notes))


class Accompanist:
    """The program MMA: a whole band from a chord chart, in 354 styles.

    Args:
        root: Where the Debian package `mma` is unpacked; ``/`` if it is installed.
    """

    def __init__(self, root: Path) -> None:
        self._program = root / "usr" / "bin" / "mma"
        self._home = root / "usr" / "share" / "mma"
        files = (file.relative_to(self._home / "lib") for file in self._home.glob("lib/*/*.mma"))
        self.styles = tuple(sorted(file for file in files if not _NO_MUSIC.search(file.stem)))

    def play(self, style: Path, folder: Path, random: np.random.Generator, seconds: float = 80.0) -> Path:
        """Write a MIDI file: random chords in one style, its grooves taken in turn.

        Args:
            style: One of `styles`.
            folder: Where chart and MIDI file are written.
            random: Decides on chords, tempo and grooves.
            seconds: Length aimed at.

        Raises:
            OSError: MMA refused the style.
        """
        chart = folder / f"{style.parent.name}-{style.stem}.mma"
        chart.write_text("\n".join(self._chart(style, random, seconds)) + "\n")
        midi = chart.with_suffix(".mid")
        try:
            finished = subprocess.run(  # noqa: S603 (a program of our own corpus, and paths of our own)
                [sys.executable, str(self._program), "-f", str(midi), str(chart)],
                env={**os.environ, "MMA_HOME": str(self._home), "HOME": str(folder)},
                capture_output=True,
                text=True,
                timeout=_MMA_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise OSError(f"mma took longer than {_MMA_TIMEOUT_S} s for {style}") from error
        if finished.returncode or not midi.exists():
            raise OSError(f"mma refused {style}: {finished.stdout.strip()[-200:]}")
        return midi

    def _chart(self, style: Path, random: np.random.Generator, seconds: float) -> Iterator[str]:
        grooves = _grooves(self._home / "lib" / style)
        tempo = int(random.integers(80, 160))
        bars = max(8, round(seconds * tempo / 240))
        verse, chorus = (_PROGRESSIONS[index] for index in random.choice(len(_PROGRESSIONS), 2, replace=False))
        yield f"Tempo {tempo}"
        for bar in range(bars):
            if bar % 8 == 0:
                groove = grooves[0] if random.random() < 0.4 else grooves[random.integers(len(grooves))]
                yield f"Groove {style.with_suffix('')}:{groove}"
            chords = chorus if bar // 8 % 2 else verse
            yield f"{bar + 1} {chords[bar % len(chords)]}"


@functools.cache
def _grooves(style: Path) -> tuple[str, ...]:
    """The names a style defines, the main one first; introductions and endings are left out."""
    names = re.findall(r"(?im)^\s*DefGroove\s+(\S+)", style.read_text(errors="replace"))
    playing = [name for name in names if not re.search(r"(?i)intro|end|metro|count", name)]
    return tuple(playing or names)
