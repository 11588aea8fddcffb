"""A page to listen on, and spectrograms to look at: one HTML file with everything inside, for a browser without a net.

Sounds are FLAC with 16 bits; full scale is clipped there, as a player would.
"""

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from apollo_rt.atomic_file import write_whole
from training.data.audio import SAMPLE_RATE, Audio
from training.evaluation import systems
from training.evaluation.measure import Task, damage, load
from training.evaluation.picture import spectrograms

CLEAN_NAME = "original"
_LONGEST_S = 15
_TEMPLATE = Path(__file__).with_name("listening.html")


@dataclass(frozen=True)
class Example:
    """One clip in all its versions.

    Attributes:
        title: clip and damage.
        versions: by the system's name, then the original. Shape: (samples, 2).
    """

    title: str
    versions: Mapping[str, Audio]

    @property
    def file_name(self) -> str:
        """Of its picture."""
        return f"{self.title.replace('/', '_').replace(', ', '__')}.png"


def choose(tasks: Sequence[Task], n_examples: int) -> list[Task]:
    """As many damaged clips of music, spread over the clips; the damages take turns."""
    tasks = [task for task in tasks if task.clip.part == "music"]
    clips = list(dict.fromkeys(task.clip for task in tasks))
    labels = list(dict.fromkeys(task.damage for task in tasks if task.damage != "clean"))
    if not labels:
        return []
    count = min(n_examples, len(clips))
    chosen = [(clips[index * len(clips) // count], labels[index % len(labels)]) for index in range(count)]
    found = {(task.clip, task.damage): task for task in tasks}
    return [found[pair] for pair in chosen]


def examples(tasks: Sequence[Task]) -> Iterator[Example]:
    """Restore the clips of tasks once more, for the ear."""
    for task in tasks:
        clean = load(task.folder / task.clip.path, task.seconds)
        damaged, cut_hz = damage(clean, task.damage)
        versions = {system.name: systems.load(system)(damaged, cut_hz) for system in task.systems}
        versions[CLEAN_NAME] = clean
        shown = {name: audio[: _LONGEST_S * SAMPLE_RATE] for name, audio in versions.items()}
        yield Example(f"{task.clip.path.with_suffix('').as_posix()}, {task.damage}", shown)


def write(folder: Path, chosen: Sequence[Task]) -> list[str]:
    """Write `listening.html`, and the spectrograms of each example beside it.

    Returns:
        The names of the pictures.
    """
    items, names = [], []
    for example in examples(chosen):
        items.append(_item(example))
        names.append(example.file_name)
        write_whole(folder / names[-1], base64.b64decode(items[-1]["png"]))
    write_whole(folder / "listening.html", page(items))
    return names


def page(items: Sequence[Mapping[str, Any]]) -> str:
    """The page with its items inside."""
    text = json.dumps(items).replace("<", "\\u003c")  # a name can't end the script that it stands in
    return _TEMPLATE.read_text().replace("ITEMS", text)


def _item(example: Example) -> dict[str, Any]:
    picture = io.BytesIO()
    mono = {name: audio.mean(1) for name, audio in example.versions.items()}
    spectrograms(mono).savefig(picture, dpi=70, format="png")
    versions = [{"name": name, "flac": _text(_flac(audio))} for name, audio in example.versions.items()]
    return {"title": example.title, "versions": versions, "png": _text(picture.getvalue())}


def _flac(audio: Audio) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.clip(audio, -1, 1), SAMPLE_RATE, "PCM_16", format="FLAC")
    return file.getvalue()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
