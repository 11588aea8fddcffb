"""Ten-second excerpts of the evaluation tracks, in places where something is playing.

LMMS doesn't render the same bits twice, so the excerpts are cut once and kept; a number in the
README is only comparable with another one that was measured on the same files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from training.data import corpus
from training.data.audio import SAMPLE_RATE, Audio

LENGTH = 10 * SAMPLE_RATE
PER_SONG = 3
"""Excerpts of a rendered LMMS song, one from each third of it."""

RECORDED = 6
"""Excerpts of all recorded evaluation tracks together, one from each of so many tracks."""


def write(clean: Path, out: Path) -> list[Path]:
    """Cut the excerpts of all evaluation tracks; what is there already is left as it is.

    Args:
        clean: Folder of clean music, with `tracks.jsonl`.
        out: Folder for ``<track>__<start s>.wav``, 16 bit.

    Returns:
        The excerpts written now.
    """
    tracks = [track for track in corpus.tracks(clean) if track.split == "eval"]
    rendered = [track for track in tracks if track.group.startswith("lmms-")]
    recorded = [track for track in tracks if track not in rendered]
    spread = np.linspace(0, len(recorded) - 1, min(RECORDED, len(recorded))).round().astype(int)
    chosen = [(track, PER_SONG) for track in rendered] + [(recorded[index], 1) for index in spread]
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for track, count in chosen:
        if any(out.glob(f"{track.name}__*.wav")):
            continue
        audio = corpus.load(track.path(clean))
        for start in find_lively(audio, count):
            written.append(out / f"{track.name}__{start // SAMPLE_RATE:03d}.wav")
            soundfile.write(written[-1], audio[start : start + LENGTH], SAMPLE_RATE, "PCM_16")
    return written


def find_lively(audio: Audio, count: int) -> Iterator[int]:
    """Find one excerpt in each of so many equal parts: the one whose quietest second is loudest.

    Args:
        audio: A track, longer than the excerpts together.
        count: Number of excerpts.

    Yields:
        First sample of each, a whole second.

    Shape:
        audio: ``(samples, 2)``
    """
    seconds = len(audio) // SAMPLE_RATE
    power = (audio[: seconds * SAMPLE_RATE].reshape(seconds, -1) ** 2).mean(axis=1)
    span = LENGTH // SAMPLE_RATE
    quietest = np.lib.stride_tricks.sliding_window_view(power, span).min(axis=1)
    for part in range(count):
        first, last = (seconds * edge // count for edge in (part, part + 1))
        starts = quietest[first : max(first + 1, last - span + 1)]
        yield (first + int(np.argmax(starts))) * SAMPLE_RATE
