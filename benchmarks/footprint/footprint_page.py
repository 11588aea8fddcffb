"""The tables of `docs/footprint.md`, written between its marks."""

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.footprint.turns import Found, ratio

PAGE = Path(__file__).parents[2] / "docs/footprint.md"

ROWS = {
    "cold.sound_s": ("first sound after an install, s", 2),
    "cold.processor_s": ("its processor time, s", 2),
    "wheel.sound_s": ("first sound after an install of our wheel, s", 2),
    "wheel.processor_s": ("its processor time, s", 2),
    "warm.sound_s": ("first sound at later starts, s", 2),
    "rest.pss_mb": ("memory at rest, MB (PSS)", 0),
    "rest.private_mb": ("of it this process's alone, MB", 0),
    "rest.locked_mb": ("of it locked, MB", 0),
    "rest.silence_percent": ("silence, % of a core", 1),
    "realtime.p50_ms": ("a hop at cadence, p50, ms", 2),
    "realtime.p999_ms": ("a hop at cadence, p99.9, ms", 2),
    "normal.p50_ms": ("without real-time priority, p50, ms", 2),
    "normal.p999_ms": ("without real-time priority, p99.9, ms", 2),
    "realtime.hop_cpu_ms": ("processor time of all threads a hop, ms", 2),
    "realtime.switches": ("switches between threads a hop", 1),
}
"""Of each figure what it is, and its digits behind the point."""


def ratios_table(found: Found, origin: str) -> str:
    """Rows of before, after and their ratio.

    Args:
        found: of both trees.
        origin: commits, rounds and machine, in one sentence.
    """
    lines = [origin, "", "| | before | after | ratio |", "|---|---|---|---|"]
    for figure, (title, digits) in ROWS.items():
        before, after, quotient = ratio(found, figure)
        lines.append(f"| {title} | {before:.{digits}f} | {after:.{digits}f} | {quotient:.2f} |")
    return "\n".join(lines)


def weights_table(rows: Sequence[tuple[str, float, str]]) -> str:
    """Rows of packages; those below a megabyte are one."""
    heavy = [row for row in rows if row[1] >= 1.0]
    rest = [row for row in rows if row[1] < 1.0]
    lines = ["| package | MB | what for |", "|---|---|---|"]
    lines += [f"| {name} | {weight:.0f} | {purpose} |" for name, weight, purpose in heavy]
    if rest:
        lines.append(f"| {len(rest)} more | {sum(row[1] for row in rest):.0f} | each below 1 MB |")
    lines.append(f"| **all** | **{sum(row[1] for row in rows):.0f}** | |")
    return "\n".join(lines)


def fill(place: str, content: str, page: Path = PAGE) -> None:
    """Write a table between `<!-- footprint: PLACE -->` and `<!-- end of footprint -->`.

    Raises:
        ValueError: the page has no such place, or more than one.
    """
    pattern = rf"(<!-- footprint: {re.escape(place)} -->\n).*?(<!-- end of footprint -->)"
    text, n_places = re.subn(pattern, lambda m: f"{m[1]}{content}\n{m[2]}", page.read_text(), flags=re.DOTALL)
    if n_places != 1:
        raise ValueError(f"{page} must have one place for {place!r}, it has {n_places}")
    page.write_text(text)
