"""Ten-second excerpts of the recordings that nobody trains on, in places where something is playing.

LMMS doesn't render the same bits twice, so the excerpts are cut once and kept; a number in the
README is only comparable with another one that was measured on the same files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from training.data.audio import SAMPLE_RATE, Audio, measure_cut_hz
from training.data.recordings import Recording, load_sum

LENGTH = 10 * SAMPLE_RATE
PER_SONG = 3
"""Excerpts of a rendered LMMS song, one from each third of it."""

OWNERS = "LICENCES.tsv"
"""Says whose each excerpt of a validation recording is."""

_SHORTEST = 5 * SAMPLE_RATE

RECORDED = 6
"""Excerpts of all other test recordings together, one from each of so many."""


def write(recordings: Sequence[Recording], out: Path, min_cut_hz: float) -> list[Path]:
    """Cut the excerpts of the test recordings; what is there already is left as it is.

    Args:
        recordings: Those of other splits are passed over.
        out: Folder for ``<recording>__<start s>.flac``, 16 bit.
        min_cut_hz: Recordings whose spectrum ends below this are passed over.

    Returns:
        The excerpts written now.
    """
    tests = [recording for recording in recordings if recording.split == "test"]
    rendered = [recording for recording in tests if recording.group.startswith("lmms-")]
    recorded = [recording for recording in tests if recording not in rendered]
    out.mkdir(parents=True, exist_ok=True)
    written = [path for one in rendered for path in _cut(one, out, PER_SONG, min_cut_hz)]
    if any(_excerpts_of(one, out) for one in recorded):
        return written
    bright = [one for one in recorded if measure_cut_hz(load_sum(one.mixture)) >= min_cut_hz]
    spread = np.linspace(0, len(bright) - 1, min(RECORDED, len(bright))).round().astype(int)
    return written + [path for index in spread for path in _cut(bright[index], out, 1, min_cut_hz)]


def write_valid(recordings: Sequence[Recording], out: Path) -> list[Path]:
    """Cut one excerpt of each validation recording; what is there already is left as it is.

    Args:
        recordings: Those of other splits are passed over.
        out: Folder for ``<group>__<recording>.flac``, 16 bit, and for the list of whose they are.

    Returns:
        The excerpts, in the order of their names.
    """
    out.mkdir(parents=True, exist_ok=True)
    owners, written = {}, []
    for one in (recording for recording in recordings if recording.split == "valid"):
        path = out / f"{one.group}__{one.name}.flac"
        if not path.exists():
            audio = load_sum(one.mixture)
            if len(audio) < _SHORTEST:
                continue
            start = next(find_lively(audio, 1)) if len(audio) > LENGTH else 0
            _write(path, audio[start : start + LENGTH] / np.float32(max(1.0, float(np.abs(audio).max()))))
        owners[path.name] = f"{path.name}\t{one.group}\t{one.licence}\n"
        written.append(path)
    (out / OWNERS).write_text("file\tauthor\tlicence\n" + "".join(owners[name] for name in sorted(owners)))
    return sorted(written)


def find_lively(audio: Audio, count: int) -> Iterator[int]:
    """Find one excerpt in each of so many equal parts: the one whose quietest second is loudest.

    Args:
        audio: A recording, longer than the excerpts together.
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


def _excerpts_of(recording: Recording, out: Path) -> list[Path]:
    return sorted(out.glob(f"{recording.name}__*.flac"))


def _cut(recording: Recording, out: Path, count: int, min_cut_hz: float) -> list[Path]:
    """Write the excerpts of one recording, unless it has any."""
    if _excerpts_of(recording, out):
        return []
    audio = load_sum(recording.mixture)
    if len(audio) < count * LENGTH or measure_cut_hz(audio) < min_cut_hz:
        return []
    audio = audio / np.float32(max(1.0, float(np.abs(audio).max())))
    written = []
    for start in find_lively(audio, count):
        path = out / f"{recording.name}__{start // SAMPLE_RATE:03d}.flac"
        _write(path, audio[start : start + LENGTH])
        written.append(path)
    return written


def _write(path: Path, audio: Audio) -> None:
    soundfile.write(path, audio, SAMPLE_RATE, "PCM_16")
