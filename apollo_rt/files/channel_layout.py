"""Channels by name: what belongs together as a pair, how many become two, and how one layout goes on in another."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

STEREO = ("FL", "FR")
MONO = ("FC",)

_HALF_POWER = np.sqrt(0.5)
"""-3 dB, for centre and surround: ITU-R BS.775-4, table 2."""

_USUAL = {
    1: MONO,
    2: STEREO,
    3: ("FL", "FR", "FC"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
"""Order of the channels where a file doesn't name them, by number: that of WAVE_FORMAT_EXTENSIBLE's mask."""


def channel_names(names: Sequence[str]) -> tuple[str, ...]:
    """FFmpeg's names of a frame's channels, or the usual ones if there are none."""
    if len(set(names)) == len(names) and all(name and name not in ("NONE", "UNSD", "UNK") for name in names):
        return tuple(names)
    return _USUAL.get(len(names), tuple(f"CH{number + 1}" for number in range(len(names))))


def pairs(channels: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Pairs of channels that are restored together: left and right of one place; all others alone.

    Args:
        channels: names, in the file's order.

    Returns:
        Indices: one or two for each group, in the order of the file.
    """
    groups: list[tuple[int, ...]] = []
    for index, name in enumerate(channels):
        other = _other_side(name)
        if other not in channels:
            groups.append((index,))
        elif _is_left(name):
            groups.append((index, channels.index(other)))
    return tuple(groups)


def _other_side(name: str) -> str:
    """The same place on the other side: BL gives BR, FRC gives FLC; empty where it has none."""
    if name.startswith("CH"):
        number = int(name[2:])
        return f"CH{number + 1 if number % 2 else number - 1}"
    if name.startswith("LFE"):
        return ""
    return name.replace("L", "R") if "L" in name else name.replace("R", "L") if "R" in name else ""


def _is_left(name: str) -> bool:
    return int(name[2:]) % 2 == 1 if name.startswith("CH") else "L" in name


def mixing(source: Sequence[str], target: Sequence[str]) -> npt.NDArray[np.float32]:
    """Matrix that mixes a layout into another one.

    Mono is doubled and stereo averaged, as everywhere in this program. More channels become two by ITU-R BS.775-4
    without the LFE, scaled so that full scale in all of them doesn't clip.

    Args:
        source: names of the channels that there are.
        target: names of those that are wanted.

    Returns:
        Factors.

    Shape:
        `(source channels, target channels)`
    """
    if len(source) == 1 and len(target) <= 2:
        return np.ones((1, len(target)), np.float32)
    if tuple(source) == tuple(target):
        return np.diag(np.ones(len(source), np.float32))
    if len(target) == 1:
        averaging = np.full((2, 1), 0.5, np.float32)
        averaged: npt.NDArray[np.float32] = np.matmul(mixing(source, STEREO), averaging)
        return averaged
    if len(source) == 1:
        sides = [float(name in (MONO if "FC" in target else STEREO)) for name in target]
        return np.array([sides], np.float32)
    if len(target) == 2:
        return _to_stereo(source)
    return _by_name(source, target)


def _to_stereo(source: Sequence[str]) -> npt.NDArray[np.float32]:
    if len(source) == 2:
        return np.diag(np.ones(2, np.float32))
    factors = np.array([_sides(name) for name in source], np.float32)
    scaled: npt.NDArray[np.float32] = factors / max(float(factors.sum(axis=0).max()), 1.0)
    return scaled


def _sides(name: str) -> tuple[float, float]:
    """Gains of a channel in left and right."""
    if name in STEREO:
        return float(name == "FL"), float(name == "FR")
    if name.startswith("LFE"):
        return 0.0, 0.0
    if name.startswith("CH"):
        return float(int(name[2:]) % 2), float(1 - int(name[2:]) % 2)
    if "L" in name or "R" in name:
        return _HALF_POWER * ("L" in name), _HALF_POWER * ("R" in name)
    return _HALF_POWER, _HALF_POWER


def _by_name(source: Sequence[str], target: Sequence[str]) -> npt.NDArray[np.float32]:
    """Channels of the same name go on; if any has no place, all become the two in front."""
    if set(source) <= set(target):
        return np.array([[float(name == other) for other in target] for name in source], np.float32)
    stereo, front = _to_stereo(source), np.zeros((len(source), len(target)), np.float32)
    for side, name in enumerate(STEREO):
        front[:, list(target).index(name) if name in target else side] = stereo[:, side]
    return front
