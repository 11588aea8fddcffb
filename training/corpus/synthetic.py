"""Songs without a recording: bands, electronic music and drum loops, as stems and a mixture.

    MMA, MIDI files -> scores -> soundfonts, oscillators --\
    drum kits -> patterns ---------------------------------+-> stems -> mixture

Song number n of a seed is always the same song, whatever was made before it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from apollo_rt.atomic_file import whole_path
from training.corpus import drums, oscillators, soundfont
from training.corpus.scores import Accompanist, Note, Part, Score, read, vary
from training.data import mixing
from training.data.audio import SAMPLE_RATE, Audio, active_level_db
from training.data.recordings import MIXTURE

STEM_LEVEL_DB = -22.0
"""Every stem is brought to this level where it sounds, so that the gains of a mixture mean something."""

_BRIGHT_PROGRAMS = (*range(80, 88), *range(88, 96), *range(56, 64), 52, 53, 54, 29, 30, *range(48, 52), *range(16, 21))
_BASS_PROGRAMS = (33, 34, 36, 38, 38, 39, 39, 87)
_BASS_KEY = 50
_LONGEST_S = 90.0


@dataclass(frozen=True)
class Song:
    """A finished song: stems at `STEM_LEVEL_DB` by name, and their mixture."""

    group: str
    name: str
    stems: dict[str, Audio]
    mixture: Audio


@dataclass(frozen=True)
class Studio:
    """Sounds and settings that songs are made with.

    Args:
        accompanist: Writes the bands.
        songs: MIDI files of whole songs.
        fonts: Soundfonts.
        kits: Drum kits.
    """

    accompanist: Accompanist
    songs: tuple[Path, ...]
    fonts: tuple[Path, ...]
    kits: tuple[drums.Kit, ...]

    def make(self, number: int, seed: int) -> Song:
        """Make one song.

        Args:
            number: Of the song. One in eight is a MIDI song, one in eight a drum loop; of the others
                half are electronic.
            seed: Of the whole set.

        Raises:
            ValueError: The draw gave a song without notes; the next number will do.
            OSError: MMA refused its style.
        """
        random = np.random.default_rng((seed, number))
        group, make = self._kind(number)
        name, stems = make(random)
        stems = {part: _levelled(stem) for part, stem in stems.items() if np.abs(stem).max(initial=0.0) > 1e-4}
        if not stems:
            raise ValueError(f"song {number} is silent")
        mixed, _ = mixing.mix([mixing.treat(stem, random) for stem in stems.values()], random)
        return Song(group, f"{seed}-{number:05d}-{name}", stems, mixing.master(mixed, random))

    def _kind(self, number: int) -> tuple[str, Callable[[np.random.Generator], tuple[str, dict[str, Audio]]]]:
        turn = number % 8
        if turn == 0:
            return "synthetic-songs", self._song
        if turn == 1:
            return "synthetic-drums", self._loop
        return ("synthetic-bands", self._band) if turn % 2 else ("synthetic-electronic", self._electronic)

    def _song(self, random: np.random.Generator) -> tuple[str, dict[str, Audio]]:
        score = read(self.songs[random.integers(len(self.songs))])
        return score.name, self._played(_cut(vary(score, random), random), 0.5, 0.2, random)

    def _band(self, random: np.random.Generator) -> tuple[str, dict[str, Audio]]:
        score = self._accompany(random)
        return score.name, self._played(score, 0.3, 0.1, random)

    def _electronic(self, random: np.random.Generator) -> tuple[str, dict[str, Audio]]:
        score = self._accompany(random)
        pitched = [part for part in score.parts if not part.drums]
        if pitched:
            score = Score(score.name, (*score.parts, arpeggio(pitched[random.integers(len(pitched))], random)))
        stems = self._played(score, 0.8, 0.6, random)
        if random.random() < 0.5:
            stems |= {f"kit-{role}": stem for role, stem in self._loop(random)[1].items()}
        return score.name, stems

    def _loop(self, random: np.random.Generator) -> tuple[str, dict[str, Audio]]:
        kit = self.kits[random.integers(len(self.kits))]
        stems = drums.render(kit, float(random.uniform(30, 50)), random)
        return kit.name, {str(index): stem for index, stem in enumerate(stems)}

    def _accompany(self, random: np.random.Generator) -> Score:
        styles = self.accompanist.styles
        with tempfile.TemporaryDirectory() as folder:
            style = styles[random.integers(len(styles))]
            return _cut(vary(read(self.accompanist.play(style, Path(folder), random)), random), random)

    def _played(
        self, score: Score, new_programs: float, oscillator: float, random: np.random.Generator
    ) -> dict[str, Audio]:
        """The stems of a score; some parts get another instrument, some the synthesizer."""
        stems = {}
        for index, part in enumerate(score.parts):
            if not part.drums and random.random() < oscillator:
                stems[f"{index}-synthesizer"] = oscillators.render(part, oscillators.draw(random), random)
                continue
            font = soundfont.load(self.fonts[random.integers(len(self.fonts))])
            if random.random() < new_programs:
                part = replace(part, program=_another_program(part, font, random))
            stems[f"{index}-{'drums' if part.drums else part.program}"] = font.render(part)
        return stems


def arpeggio(part: Part, random: np.random.Generator) -> Part:
    """A new part: the keys of another one, one after the other in quick even steps.

    Args:
        part: Where the harmony comes from.
        random: Decides on speed, range and length of the notes.
    """
    step_s = float(random.choice([0.11, 0.125, 0.15, 0.25]))
    octaves = int(random.integers(0, 3))
    starts = np.array([note.start_s for note in part.notes])
    notes = []
    for step in range(int(part.seconds / step_s)):
        now_s = step * step_s
        last = int(np.searchsorted(starts, now_s, "right"))
        sounding = sorted({note.key for note in part.notes[max(0, last - 6) : last]})
        if sounding and random.random() < 0.85:
            key = sounding[step % len(sounding)] + 12 * int(random.integers(0, octaves + 1))
            notes.append(
                Note(now_s, step_s * float(random.uniform(0.4, 1.2)), min(key, 110), int(random.integers(60, 120)))
            )
    return Part(81, False, tuple(notes) or part.notes)


def _another_program(part: Part, font: soundfont.Soundfont, random: np.random.Generator) -> int:
    """A kit for drums, a bass for low notes, mostly something bright for the others."""
    if part.drums:
        return int(random.choice(font.programs(drums=True)))
    if np.median([note.key for note in part.notes]) < _BASS_KEY:
        return int(random.choice(_BASS_PROGRAMS))
    return int(random.choice(_BRIGHT_PROGRAMS) if random.random() < 0.7 else random.integers(0, 104))


def _cut(score: Score, random: np.random.Generator) -> Score:
    """At most `_LONGEST_S` of a score, from a place drawn at random."""
    seconds = max(part.seconds for part in score.parts)
    start_s = float(random.uniform(0, max(0.0, seconds - _LONGEST_S)))
    parts = []
    for part in score.parts:
        notes = tuple(
            replace(note, start_s=note.start_s - start_s)
            for note in part.notes
            if start_s <= note.start_s < start_s + _LONGEST_S
        )
        if notes:
            parts.append(replace(part, notes=notes))
    return Score(score.name, tuple(parts))


def _levelled(stem: Audio) -> Audio:
    """Bring a stem to `STEM_LEVEL_DB`, or as near as full scale allows."""
    gain = 10 ** ((STEM_LEVEL_DB - active_level_db(stem)) / 20)
    return stem * np.float32(min(gain, 0.99 / float(np.abs(stem).max())))


def save(song: Song, folder: Path) -> Path:
    """Write a song as a folder of FLAC files, moved to its place when it is whole.

    Args:
        song: What is written.
        folder: A folder for its group is made here.

    Returns:
        The song's folder: its stems, and `mixture.flac`.
    """
    target = folder / song.group / song.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_path(target) as whole:
        whole.mkdir()
        for name, audio in {**song.stems, MIXTURE: song.mixture}.items():
            soundfile.write(whole / f"{name}.flac", audio, SAMPLE_RATE, "PCM_16")
    return target
