"""Voice and solo instruments that can be had by the name of a Debian package; nothing of them is committed.

| package | what | licence |
|---|---|---|
| alsa-utils | a woman's voice that names loudspeakers, 48 kHz | GPL-2 |
| fluid-soundfont-gm | instruments, each note recorded | MIT |
| sonic-pi-samples | recorded guitar, piano, choir, tabla, drums | CC0 |
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from training.corpus import debian_packages, soundfont
from training.corpus.scores import Note, Part
from training.data.audio import Audio, load

_INSTRUMENTS = {"glockenspiel": (9, 84), "soprano": (53, 72), "violin": (40, 67), "piano": (0, 60), "flute": (73, 74)}
"""General MIDI program, and the key that its melody begins with."""

_RECORDED = {"guitar": "guit_em9", "choir": "ambi_choir", "tabla": "loop_tabla", "drums": "loop_amen_full"}
_STEPS = (0, 4, 7, 12, 11, 7, 5, 9, 2, 7, 4, 0)


def by_kind(work: Path) -> tuple[dict[str, Audio], dict[str, str]]:
    """Fetches the packages, and makes of them what can be made.

    Args:
        work: folder for packages, such as that of the open corpus; what is there is used.

    Returns:
        Sounds by kind, and what could not be made, with the reasons.
    """
    made: dict[str, Audio] = {}
    missing: dict[str, str] = {}
    jobs: dict[str, Callable[[Path], dict[str, Audio]]] = {
        "alsa-utils": _voice,
        "fluid-soundfont-gm": _played,
        "sonic-pi-samples": _recorded,
    }
    for package, make in jobs.items():
        try:
            made |= make(debian_packages.fetch(package, work))
        except (RuntimeError, OSError) as error:
            missing[package] = str(error)
    return made, missing


def melody(program: int, key: int) -> Part:
    """Twelve notes up and down, as one part."""
    notes = (Note(0.8 * step, 0.75, key + interval, 70 + 4 * (step % 5)) for step, interval in enumerate(_STEPS))
    return Part(program, False, tuple(notes))


def _voice(folder: Path) -> dict[str, Audio]:
    spoken = sorted(file for file in folder.rglob("sounds/alsa/*.wav") if file.stem != "Noise")
    return {"voice": np.concatenate([load(file) for file in spoken])}


def _played(folder: Path) -> dict[str, Audio]:
    soundfont.check()
    font = soundfont.load(next(folder.rglob("*.sf2")))
    return {f"solo-{name}": font.render(melody(*how)) for name, how in _INSTRUMENTS.items()}


def _recorded(folder: Path) -> dict[str, Audio]:
    return {f"solo-{name}": load(next(folder.rglob(f"{file}.flac"))) for name, file in _RECORDED.items()}
