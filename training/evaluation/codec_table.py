"""The table of docs/evaluation.md: one kind of damage a row, decoded -> restored, and where a system does harm.

It stands between two marks of a page, each on a line of its own, and is written anew by `evaluate --page`.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from apollo_rt.atomic_file import write_whole
from training.evaluation.measure import Row

HARMED = 0.02
"""Of ViSQOL: what is below the untouched input by more is marked."""

_MEASURES = {"visqol": "ViSQOL", "visqol_worst": "ViSQOL, worse channel", "lsd": "LSD", "si_sdr_db": "SI-SDR, dB"}
_PLACE = re.compile(r"(<!-- codecs -->\n).*?(<!-- end of codecs -->)", re.DOTALL)


def table(rows: Sequence[Row], system: str) -> str:
    """Markdown of one system.

    Args:
        rows: what was measured, of the untouched input too.
        system: whose.

    Returns:
        For each damage the means over clips, untouched -> restored, each the mean of left and right, and the clip that
        gains least by it. What is below untouched by more than `HARMED` is bold.
    """
    lines = [
        f"| damage | {' | '.join(_MEASURES.values())} | gains least: ViSQOL |",
        "|---" * (len(_MEASURES) + 2) + "|",
    ]
    before, after = (
        {(row.damage, row.clip): row for row in rows if row.system == name} for name in ("untouched", system)
    )
    for damage in dict.fromkeys(row.damage for row in rows):
        pairs = [(before[key], after[key]) for key in before if key[0] == damage and key in after]
        cells = [_cell(name, pairs) for name in _MEASURES]
        lines.append(f"| {damage} | {' | '.join(cells)} | {_least(pairs)} |")
    return "\n".join(lines)


def write(page: Path, text: str) -> None:
    """Put it into its place of a page.

    Raises:
        ValueError: the page has no such place.
    """
    content = page.read_text()
    if len(_PLACE.findall(content)) != 1:
        raise ValueError(f"{page} must have one place between <!-- codecs --> and <!-- end of codecs -->")
    write_whole(page, _PLACE.sub(lambda place: f"{place[1]}{text}\n{place[2]}", content))


def _cell(name: str, pairs: Sequence[tuple[Row, Row]]) -> str:
    """Means over the clips that have the measure."""
    values = [(getattr(one.scores, name), getattr(other.scores, name)) for one, other in pairs]
    known = [pair for pair in values if None not in pair]
    if not known:
        return ""
    before, after = fmean(pair[0] for pair in known), fmean(pair[1] for pair in known)
    is_harmed = name.startswith("visqol") and after < before - HARMED
    return f"{before:.2f} -> {_marked(f'{after:.2f}', is_harmed)}"


def _least(pairs: Sequence[tuple[Row, Row]]) -> str:
    """The clip that gains least, or loses most, and how much."""
    gains = [
        (after.scores.visqol - before.scores.visqol, after.clip)
        for before, after in pairs
        if before.scores.visqol is not None and after.scores.visqol is not None
    ]
    if not gains:
        return ""
    gain, clip = min(gains)
    return f"{clip} ({_marked(f'{gain:+.2f}', gain < -HARMED)})"


def _marked(text: str, is_harmed: bool) -> str:
    return f"**{text}**" if is_harmed else text
