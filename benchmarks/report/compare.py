"""Runs beside each other: percentiles by benchmark, their ratios, and whether they may be compared at all."""

from collections.abc import Sequence
from typing import Any

from benchmarks.report.runs import Measured, SavedRun
from benchmarks.report.tables import markdown

_NAMES = ("p50", "p99", "p99.9", "max")


def compare(runs: Sequence[SavedRun]) -> str:
    """Markdown: what differs between the runs' machines, versions and models, then every benchmark that all have.

    Args:
        runs: the first is what the others are measured by.
    """
    first = runs[0]
    shared = [e.name for e in first.entries if e.percentiles_ms and all(_has(run, e.name) for run in runs)]
    rows = []
    for name in shared:
        for number, run in enumerate(runs):
            entry, base = _entry(run, name), _entry(first, name)
            row: dict[str, Any] = {"benchmark": name if not number else "", "run": run.label}
            for percentile in _NAMES:
                value, wanted = entry.percentiles_ms.get(percentile), base.percentiles_ms.get(percentile)
                row[f"{percentile}, ms"] = value
                row[f"x {percentile}"] = f"{value / wanted:.2f}" if number and value and wanted else None
            rows.append(row | {"longer than the deadline": entry.misses})
    return "\n\n".join([*_warnings(runs), markdown(rows) if rows else "The runs have no benchmark in common."])


def _warnings(runs: Sequence[SavedRun]) -> list[str]:
    """One line for each thing in which a run differs from the first so that its times can't be laid to the code."""
    first, lines = _surroundings(runs[0]), []
    for run in runs[1:]:
        own = _surroundings(run)
        names = sorted(name for name in {*first, *own} if first.get(name) != own.get(name))
        lines += [f"- {name}: {first.get(name)} in {runs[0].label}, {own.get(name)} in {run.label}" for name in names]
    return ["Not the same in all runs:\n\n" + "\n".join(lines)] if lines else []


def _surroundings(run: SavedRun) -> dict[str, object]:
    machine = {name: run.machine.get(name) for name in ("cpu", "cores", "governor", "system")}
    return machine | run.versions | {"model": run.model.get("sha256", "")[:12]}


def _has(run: SavedRun, name: str) -> bool:
    return any(entry.name == name and entry.percentiles_ms for entry in run.entries)


def _entry(run: SavedRun, name: str) -> Measured:
    return next(entry for entry in run.entries if entry.name == name)
