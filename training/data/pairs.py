"""Pairs on disk: long stretches of clean music, each beside a damaged copy of itself.

    pairs/train/<group>__<track>__<start s>__<damage>.npy   int16 (2, samples, 2)
    pairs/valid/...                                          [clean, damaged][sample][left, right]
    pairs/manifest.jsonl                                     one line a pair

A stretch is encoded with a second of real music before it, which is cut off afterwards, so that the
codec has settled when the stretch begins. Which damage a stretch gets follows from its name and a
seed alone, so an interrupted run goes on where it stopped and two runs make the same pairs.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from training.data import corpus
from training.data.alignment import MAX_MISALIGNMENT, AlignmentError, alignment_samples
from training.data.audio import SAMPLE_RATE, Audio
from training.data.degrade import Damage, Mode, degrade

STRETCH_S = 38.0
"""Length aimed at; a track is cut into equal parts near it."""

MAX_STRETCH_S = 45.0
MIN_STRETCH_S = 12.0
CONTEXT_S = 1.0
"""Music encoded before a stretch and cut off: 38 MP3 frames, far more than a bit reservoir holds."""

DAMAGES: tuple[tuple[Damage, float], ...] = (
    (Damage("mp3", 24_000), 8.0),
    (Damage("mp3", 24_000, encode_rate=22_050), 8.0),
    (Damage("mp3", 32_000), 18.0),
    (Damage("mp3", 48_000), 18.0),
    (Damage("mp3", 64_000), 18.0),
    (Damage("mp3", 96_000), 12.0),
    (Damage("mp3", 128_000), 8.0),
    (Damage("aac", 32_000), 1.5),
    (Damage("aac", 48_000), 1.5),
    (Damage("aac", 64_000), 1.5),
    (Damage("opus", 24_000, encode_rate=48_000), 1.5),
    (Damage("opus", 48_000, encode_rate=48_000), 1.5),
    (Damage("vorbis", 64_000), 1.5),
)
"""What is drawn from, with weights in percent."""

MODES: tuple[tuple[Mode, float], ...] = (("joint", 0.8), ("stereo", 0.1), ("abr", 0.1))
"""Stereo and rate modes of MP3 at 44.1 kHz, with their probabilities."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stretch:
    """A part of a track, in samples."""

    track: corpus.Track
    start: int
    length: int

    @property
    def name(self) -> str:
        """Group, track and start in seconds."""
        return f"{self.track.group}__{self.track.name}__{self.start // SAMPLE_RATE:03d}"


@dataclass(frozen=True)
class Job:
    """One pair to be made: the ``turn``-th damage of a stretch."""

    stretch: Stretch
    turn: int
    damage: Damage

    @property
    def name(self) -> str:
        """File name of the pair, without its ending."""
        return f"{self.stretch.name}__{self.damage.label}"

    def path(self, out: Path) -> Path:
        """Where the pair goes below the folder of pairs."""
        return out / self.stretch.track.split / f"{self.name}.npy"


def build(clean: Path, out: Path, turns: int = 2, seed: int = 0, limit: int | None = None) -> dict[str, str]:
    """Make all pairs that are missing, the first damage of every stretch before any second one.

    Tracks that are admitted while this runs are picked up.

    Args:
        clean: Folder of clean music, with `tracks.jsonl`.
        out: Folder of pairs.
        turns: Number of damages per stretch.
        seed: Of the damages and of the order.
        limit: Stop after this many new pairs.

    Returns:
        The pairs that could not be made, and why.
    """
    done = {line["name"] for line in manifest(out)}
    failed: dict[str, str] = {}
    made = 0
    while limit is None or made < limit:
        waiting = (job for job in plan(corpus.tracks(clean), turns, seed) if job.name not in failed)
        job = next((job for job in waiting if job.name not in done or not job.path(out).exists()), None)
        if job is None:
            break
        try:
            _make(job, clean, out)
            done.add(job.name)
            made += 1
        except (AlignmentError, OSError, ValueError, soundfile.SoundFileError) as error:
            failed[job.name] = str(error)
            _LOG.warning("%s: left out: %s", job.name, error)
    return failed


def manifest(out: Path) -> list[dict[str, str | int | float]]:
    """The lines of the manifest, as they were written."""
    listing = out / "manifest.jsonl"
    return [json.loads(line) for line in listing.read_text().splitlines()] if listing.exists() else []


def plan(tracks: list[corpus.Track], turns: int, seed: int) -> list[Job]:
    """All pairs of the tracks that are not for evaluation, in the order in which they are made."""
    jobs = [
        Job(stretch, turn, damage)
        for track in tracks
        if track.split != "eval"
        for stretch in stretches(track)
        for turn, damage in enumerate(draw_damages(stretch.name, turns, seed))
    ]
    return sorted(jobs, key=lambda job: (job.turn, _digest(f"{seed} {job.stretch.name}")))


def stretches(track: corpus.Track) -> Iterator[Stretch]:
    """Cut a track into equal stretches of about `STRETCH_S`, leaving context before the first."""
    usable_s = track.seconds - CONTEXT_S
    if usable_s < MIN_STRETCH_S:
        return
    count = max(1, round(usable_s / STRETCH_S))
    length_s = min(usable_s / count, MAX_STRETCH_S)
    for index in range(count):
        start_s = CONTEXT_S + index * length_s
        yield Stretch(track, int(start_s * SAMPLE_RATE), int(length_s * SAMPLE_RATE))


def draw_damages(name: str, count: int, seed: int) -> list[Damage]:
    """Draw different damages for one stretch.

    A weighted draw without replacement by exponential clocks (Efraimidis & Spirakis 2006): the
    first draws stay the same whatever the count.

    Args:
        name: Of the stretch.
        count: How many, 1 to ``len(DAMAGES)``.
        seed: Of the whole run.

    Returns:
        The damages, in order.
    """
    random = np.random.default_rng(_digest(f"{seed} {name}"))
    clocks = random.exponential(size=len(DAMAGES)) / [weight for _, weight in DAMAGES]
    modes = random.choice([mode for mode, _ in MODES], len(DAMAGES), p=[share for _, share in MODES])
    drawn = []
    for index in np.argsort(clocks)[:count]:
        damage = DAMAGES[index][0]
        plain = damage.codec != "mp3" or damage.encode_rate != SAMPLE_RATE
        drawn.append(Damage(damage.codec, damage.bitrate_bps, damage.encode_rate, "joint" if plain else modes[index]))
    return drawn


def make_pair(music: Audio, lead: int, length: int, damage: Damage) -> tuple[NDArray[np.int16], float]:
    """Damage a stretch inside its context and quantise both halves.

    Where the damaged half passes full scale, both halves are turned down together.

    Args:
        music: The stretch with its context.
        lead: Samples of context before the stretch.
        length: Samples of the stretch.
        damage: What to do to it.

    Returns:
        The pair, and its misalignment in samples.

    Shape:
        music: ``(samples, 2)``; pair: ``(2, length, 2)``

    Raises:
        AlignmentError: Clean and damaged are shifted against each other.
    """
    both = np.stack([music, degrade(music, damage)])[:, lead : lead + length]
    shift = alignment_samples(both[0], both[1])
    if abs(shift) > MAX_MISALIGNMENT:
        raise AlignmentError(f"misaligned by {shift:.2f} samples, more than {MAX_MISALIGNMENT}")
    gain = min(1.0, 1.0 / float(np.abs(both).max(initial=1e-9)))
    return np.round(both * (32767 * gain)).astype(np.int16), shift


def _make(job: Job, clean: Path, out: Path) -> None:
    """Make one pair, write it beside its place, move it there, and list it."""
    stretch = job.stretch
    lead = min(stretch.start, int(CONTEXT_S * SAMPLE_RATE))
    stop = stretch.start + stretch.length + SAMPLE_RATE // 2
    music, _ = soundfile.read(stretch.track.path(clean), start=stretch.start - lead, stop=stop, dtype="float32")
    if np.abs(music).max(initial=0.0) < 1e-3:
        raise ValueError("silent")
    pair, shift = make_pair(music, lead, stretch.length, job.damage)
    path = job.path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".part").open("wb") as file:
        np.save(file, pair)
    path.with_suffix(".part").replace(path)
    with (out / "manifest.jsonl").open("a") as listing:
        listing.write(json.dumps(_line(job, pair.shape[1], shift)) + "\n")


def _line(job: Job, length: int, shift: float) -> dict[str, str | int | float]:
    """What the manifest says of a pair."""
    track = job.stretch.track
    return {
        "name": job.name,
        "split": track.split,
        "source": f"{track.group}/{track.name}",
        "licence": track.licence,
        "start_s": round(job.stretch.start / SAMPLE_RATE, 3),
        "seconds": round(length / SAMPLE_RATE, 3),
        "cut_hz": track.cut_hz,
        "misalignment": round(shift, 4),
        **asdict(job.damage),
    }


def _digest(text: str) -> int:
    """A number that depends on a text alone, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
