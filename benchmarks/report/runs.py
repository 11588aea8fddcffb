"""Saved runs of pytest-benchmark, read: one entry for each benchmark, with what `note` wrote."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PERCENTILES = ("p50", "p90", "p99", "p99.9", "p99.99", "max")


@dataclass(frozen=True)
class Measured:
    """One benchmark of a run; what is not there is None or empty.

    Attributes:
        name: pytest's, the same in every run.
        group: of benchmarks that do the same thing in other ways.
        kind: which part of the report it belongs to; so `title`, `load` and the rest, see `note`.
        stats: pytest-benchmark's own, in seconds.
    """

    name: str
    group: str
    kind: str
    title: str
    load: str
    stats: dict[str, float]
    facts: dict[str, Any] = field(default_factory=dict)
    events: int | None = None
    percentiles_ms: dict[str, float | None] = field(default_factory=dict)
    deadline_ms: float | None = None
    misses: int | None = None
    load_percent: float | None = None
    tail: list[list[float]] = field(default_factory=list)
    machine: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    commit: str = ""
    model: dict[str, str] | None = None

    @property
    def load_average(self) -> str:
        """Of the machine at the end of this benchmark, see `machine.line`."""
        return self.machine.rpartition("load average ")[2] or "-"


@dataclass(frozen=True)
class SavedRun:
    """A saved run.

    Attributes:
        label: short, for tables.
        date: when it was taken.
        machine: see `machine.facts`.
        entries: in the order in which they ran.
    """

    label: str
    date: str
    machine: dict[str, Any]
    entries: tuple[Measured, ...]

    def of(self, kind: str) -> list[Measured]:
        """All entries of a kind."""
        return [entry for entry in self.entries if entry.kind == kind]

    def one(self, kind: str, title: str, load: str | None = None) -> Measured | None:
        """An entry by its title, and by its load where several have that title."""
        found = (e for e in self.of(kind) if e.title == title and load in (None, e.load))
        return next(found, None)

    @property
    def model(self) -> dict[str, str]:
        """The model of the first entry that had one."""
        return next((entry.model for entry in self.entries if entry.model), {})

    @property
    def versions(self) -> dict[str, str]:
        """Of packages."""
        versions: dict[str, str] = self.machine.get("versions", {})
        return versions


def read_runs(paths: list[Path]) -> list[SavedRun]:
    """Read saved runs; labels that are equal are numbered.

    Raises:
        ValueError: a file is no saved run, or one without what the report needs.
    """
    runs = [_run(path) for path in paths]
    labels = [run.label for run in runs]
    if len(set(labels)) == len(labels):
        return runs
    return [
        SavedRun(f"{run.label} ({number})", run.date, run.machine, run.entries) for number, run in enumerate(runs, 1)
    ]


def _run(path: Path) -> SavedRun:
    content = read_json(path)
    entries = tuple(_entry(one) for one in content["benchmarks"] if "kind" in one.get("extra_info", {}))
    if not entries:
        raise ValueError(f"{path}: holds no benchmark of this project; save one with --benchmark-json")
    machine = content["machine_info"].get("apollo_rt", {})
    date = content["datetime"][:16].replace("T", " ")
    return SavedRun(f"{machine.get('commit') or entries[0].commit} {date}", date, machine, entries)


def read_json(path: Path) -> dict[str, Any]:
    """A saved run as it is.

    Raises:
        ValueError: the file is none.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: can't be read as a saved run: {error}") from None
    if not isinstance(content, dict) or not {"benchmarks", "machine_info", "datetime"} <= content.keys():
        raise ValueError(f"{path}: is no saved run of pytest-benchmark (--benchmark-json, --benchmark-save)")
    return content


def _entry(one: dict[str, Any]) -> Measured:
    known = {name: value for name, value in one["extra_info"].items() if name in Measured.__dataclass_fields__}
    stats = {name: one["stats"][name] for name in ("min", "median", "mean", "max", "rounds")}
    return Measured(name=one["name"], group=one["group"] or "", stats=stats, **known)


def reduced(content: dict[str, Any]) -> dict[str, Any]:
    """A saved run without what is only drawn: small enough for a repository, and still a run for every tool."""
    small = content | {"benchmarks": []}
    for one in content["benchmarks"]:
        extra = {name: value for name, value in one["extra_info"].items() if name not in ("tail", "versions")}
        facts = {
            name: value
            for name, value in extra.get("facts", {}).items()
            if "timeline" not in name and "over_time" not in name
        }
        stats = {name: value for name, value in one["stats"].items() if name != "data"}
        small["benchmarks"].append(one | {"stats": stats, "extra_info": extra | ({"facts": facts} if facts else {})})
    return small
