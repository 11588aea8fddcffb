"""Sections of the report: rows of tables from the entries of runs, and the pictures beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report import plots
from benchmarks.report.runs import PERCENTILES, Measured, SavedRun
from benchmarks.report.tables import markdown

Row = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        heading: of it.
        text: Markdown above the tables.
        tables: Markdown.
        pictures: PNG by the name of a file.
    """

    heading: str
    text: str
    tables: tuple[str, ...]
    pictures: dict[str, bytes]


@dataclass(frozen=True)
class _Part:
    """A part of the report: which entries make it, and how."""

    heading: str
    text: str
    kinds: tuple[str, ...]
    row: Callable[[Measured], Row]
    drawings: tuple[Callable[[SavedRun], bytes | None], ...] = ()
    by_group: bool = False
    chosen: Callable[[Measured], bool] = lambda _: True


def sections(runs: Sequence[SavedRun]) -> list[Section]:
    """All parts of which a run has anything, the machines first."""
    parts = [_section(part, runs) for part in _PARTS]
    return [_machines(runs), *(part for part in parts if part.tables)]


def _section(part: _Part, runs: Sequence[SavedRun]) -> Section:
    rows: dict[str, list[Row]] = {}
    for run in runs:
        for entry in (entry for kind in part.kinds for entry in run.of(kind) if part.chosen(entry)):
            lead = {"run": run.label} if len(runs) > 1 else {}
            rows.setdefault(entry.group if part.by_group else "", []).append(lead | part.row(entry))
    if part.by_group:
        rows = {group: _with_ratios(own) for group, own in rows.items()}
    tables = tuple((f"**{group}**\n\n" if group else "") + markdown(own) for group, own in rows.items())
    pictures = {}
    for number, run in enumerate(runs, 1):
        for draw in part.drawings:
            if picture := draw(run):
                suffix = f"_{number}" if len(runs) > 1 else ""
                pictures[f"{draw.__name__}{suffix}.png"] = picture
    return Section(part.heading, part.text, tables, pictures)


def _machines(runs: Sequence[SavedRun]) -> Section:
    """A column for each run."""
    columns = {}
    for run in runs:
        own = {name.replace("_", " "): value for name, value in run.machine.items() if name != "versions"}
        own["model"] = f"{run.model.get('name', '')} {run.model.get('sha256', '')[:12]}"
        columns[run.label] = own | run.versions
    names = dict.fromkeys(name for own in columns.values() for name in own)
    rows = [{"": name, **{label: own.get(name) for label, own in columns.items()}} for name in names]
    return Section("Machine, versions, model", "", (markdown(rows, ["", *columns]),), {})


def _with_ratios(rows: list[Row]) -> list[Row]:
    """Ratios to ours, which comes first; what stands before a colon is done by all in turn."""
    ours: dict[tuple[str, str], float] = {}
    for row in rows:
        before, colon, _ = row["what"].partition(":")
        own = ours.setdefault((row.get("run", ""), before if colon else ""), row["p50, ms"])
        row["of ours"] = f"{row['p50, ms'] / own:.2f}" if own and row["p50, ms"] else None
    return rows


def percentile_columns(entry: Measured) -> Row:
    """Percentiles of the events."""
    return {f"{name}, ms": entry.percentiles_ms.get(name) for name in PERCENTILES}


def _micro(entry: Measured) -> Row:
    return {"what": entry.title, **percentile_columns(entry), "deadline, ms": entry.deadline_ms, **_plain_facts(entry)}


def _cadence(entry: Measured) -> Row:
    jitter, facts = entry.facts["jitter_ms"], entry.facts
    return {
        "load": entry.load, "what": entry.title, "hops": entry.events, **percentile_columns(entry),
        "load of a core, %": entry.load_percent, "longer than a hop": entry.misses, "missed": facts["missed_hops"],
        "device dry": facts["ran_dry"], "callback late p50, ms": jitter["p50"], "p99": jitter["p99"],
        "p99.9": jitter["p99.9"], "max": jitter["max"], "callback takes p50": facts["callback_ms"]["p50"],
        "p99 ": facts["callback_ms"]["p99"], "priority": facts.get("scheduling", "normal"),
        "tier at end": facts.get("tier_at_end"), "load average": entry.load_average,
    }  # fmt: skip


def _hop(entry: Measured) -> Row:
    return {"tier: back end": entry.title, **percentile_columns(entry), "load of a core, %": entry.load_percent,
            "longer than a hop": entry.misses}  # fmt: skip


def _latency(entry: Measured) -> Row:
    facts = entry.facts
    terms = {f"{name}, ms": value for name, value in facts.get("terms_ms", {}).items() if value}
    return {"device": facts["device"], "block size": facts["block_size"], "reported, ms": facts.get("reported_ms"),
            "measured, ms": facts.get("measured_ms"), "difference, ms": facts.get("difference_ms"), **terms,
            "missed hops": facts.get("missed_hops"), "failed": facts.get("failed")}  # fmt: skip


def _start_up(entry: Measured) -> Row:
    return {"start": entry.title, **{f"{stage}, s": value for stage, value in entry.facts["stages_s"].items()}}


def _plain_facts(entry: Measured) -> Row:
    """All facts that are one value."""
    return {name.replace("_", " "): value for name, value in entry.facts.items() if not isinstance(value, list | dict)}


def _titled(entry: Measured) -> Row:
    return {"what": entry.title, **_plain_facts(entry)}


def _streams(entry: Measured) -> Row:
    return {**_plain_facts(entry), **(percentile_columns(entry) if entry.deadline_ms else {})}


def _peer(entry: Measured) -> Row:
    return {"what": entry.title, "version": entry.facts["version"], "does": entry.facts["what"],
            "channels": entry.facts["channels"], "s a second": entry.facts["s_per_s"],
            "fastest": entry.facts["s_per_s_fastest"], "s a second and channel": entry.facts["s_per_s_channel"],
            "frame, ms": entry.facts.get("frame_ms"), **percentile_columns(entry),
            "sees ahead, ms": entry.facts.get("sees_ahead_ms")}  # fmt: skip


def _size(entry: Measured) -> Row:
    facts = entry.facts
    return {
        "what": entry.title, "parameters": facts["parameters"], "GMAC/s": facts["gmac_per_s"],
        "load, fastest, %": facts.get("load_percent_fastest", 100 * facts.get("s_per_s_fastest", 0)),
        "load, median, %": facts.get("load_percent_median", 100 * facts.get("s_per_s", 0)),
        "latency, ms": facts.get("latency_ms", "the whole file"),
    }  # fmt: skip


def _quality(entry: Measured) -> Row:
    facts = entry.facts
    return {
        "what": entry.title, "SI-SDR, dB": facts.get("si_sdr_db"), "LSD": facts.get("lsd"),
        "ViSQOL": facts.get("visqol"), "load of a core, %": entry.load_percent,
        "step p50, ms": entry.percentiles_ms.get("p50"), "p99, ms": entry.percentiles_ms.get("p99"),
        "shortest latency, ms": facts.get("latency_ms"), "test set": facts["test_set"], "clips": facts["clips"],
        "failed": facts.get("failed"),
    }  # fmt: skip


_PARTS = (
    _Part(
        "Latency from end to end",
        "Impulses through the engine; on servers, `live latency` through a loop. Terms are those of the report.",
        ("latency",), _latency, (plots.latency_waterfall,),
    ),
    _Part(
        "At real cadence", "One hop each period. A percentile is given where at least one event lies beyond it.",
        ("cadence",), _cadence, (plots.tail_curves, plots.jitter_timeline),
    ),
    _Part("A hop by tier, at real cadence", "Called from Python, nothing else going on.", ("hop",), _hop),
    _Part(
        "Quality for cost",
        "Each point is a tier in a precision, its step at real cadence. Latency is the shortest that 99 of 100 of its "
        "steps allow, in blocks of 64 samples.",
        ("quality",), _quality, (plots.quality_for_cost,),
    ),
    _Part(
        "Peers", "Processor seconds for a second of sound, back to back on one core, called from Python.",
        ("peer",), _peer,
    ),
    _Part(
        "Model sizes",
        "The net that ships, narrower and wider, with random weights, one core; Apollo as published in PyTorch.",
        ("size", "peer"), _size, (plots.cost_by_size,), chosen=lambda entry: "gmac_per_s" in entry.facts,
    ),
    _Part("Streams at once", "", ("streams",), _streams),
    _Part("Files over cores", "", ("files",), _titled),
    _Part("Efficiency", "", ("efficiency",), _titled),
    _Part("Start-up", "Since the command, medians.", ("start-up",), _start_up),
    _Part(
        "Radio",
        "To the first sound of a paced stream without a burst; processor seconds of a second beside a device's run.",
        ("radio",), _titled,
    ),
    _Part("Memory", "", ("memory",), _titled),
    _Part(
        "Parts, one by one",
        "Back to back: caches are warm, so these compare ways to do a thing; what it costs in life is above.",
        ("micro",), _micro, by_group=True,
    ),
)  # fmt: skip
