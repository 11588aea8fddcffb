"""A selection chooses what of a folder is measured: which clips, how much of each, damaged in which ways.

```
 FOLDER/*.flac              music, to be damaged
 FOLDER/undamaged/*.flac    what a system must leave as it is
 FOLDER/probes/*.flac       stereo signals whose truth is known
```
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from apollo_rt.files.music_names import MUSIC_SUFFIXES
from training.evaluation import damage_labels, kinds

Part = Literal["music", "undamaged", "probes"]
PARTS: tuple[Part, ...] = get_args(Part)

PROBE_LABELS = ("mp3-48", "mp3-128")

CODEC_LABELS = (
    *(f"mp3-{kbps}" for kbps in (24, 32, 48, 64, 96, 128)),
    *("mp3-24-8khz", "mp3-32-16khz", "mp3-24-mpeg2", "mp3-48-mpeg2", "mp3-64-24khz", "mp3-96-32khz"),
    *("mp3-65-vbr", "mp3-65-mpeg2-vbr", "mp3-85-24khz-vbr", "mp3-115-vbr", "mp3-64-stereo", "mp3-64-fast"),
    *("mp2-96", "mp2-128", "mp2-192", "ac3-96", "ac3-128", "wma-48", "wma-64", "wma-96"),
    *("aac-32", "aac-48", "aac-64", "aac-96", "opus-24", "opus-48", "opus-64", "vorbis-45", "vorbis-64", "vorbis-96"),
    *("sbc-128", "sbc-192", "musepack-60", "musepack-90", "musepack-130"),
    *("mp3-128+aac-64", "mp3-64+server"),
)
"""What people meet: `training.data.damages` says which of MP3 is what the `lame` command makes."""


@dataclass(frozen=True)
class Clip:
    """A clip of the folder. Attributes: its path below the folder, its part of the set, and its kind."""

    path: Path
    part: Part
    kind: str

    def labels(self, of_music: Sequence[str]) -> Sequence[str]:
        """Labels of its damages, given what is done to music."""
        return {"music": of_music, "undamaged": (damage_labels.CLEAN,), "probes": PROBE_LABELS}[self.part]


@dataclass(frozen=True)
class Preset:
    """A choice that is made often.

    Attributes:
        labels: damages of the music.
        limit: so many clips of music, and one of each kind of the undamaged; None is all.
        seconds: of each clip; None is all.
    """

    labels: tuple[str, ...]
    limit: int | None = None
    seconds: float | None = None


USUAL = Preset(("mp3-24", "mp3-32", "mp3-48", "mp3-64"))
QUICK = Preset(("mp3-32", "mp3-64", "mp3-128", "aac-96"), limit=8, seconds=5.0)
"""To choose among nets with: a few minutes on one core."""
CODECS = Preset(CODEC_LABELS, limit=8, seconds=5.0)


def find(data: Path, parts: Sequence[Part], limit: int | None) -> tuple[Path, list[Clip]]:
    """Lists the clips of a folder, or one clip.

    Args:
        data: folder or file.
        parts: those that are wanted.
        limit: so many clips of music, spread over the folder, and one of each kind of the undamaged; None is all.

    Returns:
        The folder, and its clips.

    Raises:
        ValueError: there are none.
    """
    folder = data if data.is_dir() else data.parent
    files = data.rglob("*") if data.is_dir() else [data]
    music = (path for path in files if path.suffix.lower() in MUSIC_SUFFIXES and path.is_file())
    relative = sorted(path.relative_to(folder) for path in music)
    paths = [path for path in relative if not any(part.startswith(".") for part in path.parts)]
    listed = kinds.read_list(folder)
    clips = [clip for clip in (_clip(path, listed) for path in paths) if clip.part in parts]
    if not clips:
        raise ValueError(
            f"--data must hold music ({' '.join(sorted(MUSIC_SUFFIXES))}), {data} holds none of {', '.join(parts)}"
        )
    by_part = {part: [clip for clip in clips if clip.part == part] for part in PARTS}
    if limit:
        by_part["music"] = _spread(by_part["music"], limit)
        by_part["undamaged"] = list({clip.kind: clip for clip in reversed(by_part["undamaged"])}.values())[::-1]
    return folder, [clip for part in PARTS for clip in by_part[part]]


def labels(kbps: str, more: str) -> tuple[str, ...]:
    """Reads what `--kbps` and `--damages` say.

    Raises:
        ValueError: it is no list of damages, or an empty one.
    """
    rates = [text.strip() for text in kbps.split(",") if text.strip()]
    for rate in rates:
        if not rate.isdigit():
            raise ValueError(f"--kbps must be whole numbers with commas between, got {rate!r}")
    found = [f"mp3-{int(rate)}" if int(rate) else damage_labels.CLEAN for rate in rates]
    found += [text.strip() for text in more.split(",") if text.strip()]
    for label in found:
        damage_labels.parse(label)
    if not found:
        raise ValueError("--kbps and --damages name no damage at all; 0 is the undamaged clip")
    return tuple(dict.fromkeys(found))


def _clip(path: Path, listed: dict[str, str]) -> Clip:
    for part in PARTS[1:]:
        if part in path.parts[:-1]:
            return Clip(path, part, path.stem.partition("__")[0])
    return Clip(path, "music", kinds.kind_of(path, listed))


def _spread(clips: list[Clip], limit: int) -> list[Clip]:
    return [clips[index * len(clips) // limit] for index in range(limit)] if limit < len(clips) else clips
