"""Fills the figures of README and docs: marked places, from the run that the repository keeps.

A place is `<!-- figures: NAME -->`, what is filled in, `<!-- end of figures -->`, each mark on a line of its own.
"""

import json
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring.machine import ROOT
from benchmarks.report.runs import Measured, SavedRun, read_json, read_runs, reduced
from benchmarks.report.tables import markdown, text

PAGES = (ROOT / "README.md", ROOT / "docs/benchmarks.md")
KEPT = ROOT / "benchmarks" / "reference_run.json"
_WAYS = {
    "engine": "**engine**",
    "engine, normal priority": "engine, normal priority",
    "Python callback, numpy and InferenceSession.run": "Python callback",
}
"""To run the model, as they are called in the README."""
_PLACE = re.compile(r"(<!-- figures: ([a-z ]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def keep(runs: Sequence[Path], kept: Path = KEPT) -> None:
    """Make saved runs what the README's figures come from, without what is only drawn.

    Args:
        runs: parts of one, such as one file of benchmarks each; what several have is taken from the last of them.
        kept: where to.

    Raises:
        ValueError: a file is no run, they were taken on different machines or with different models, or together they
            lack what the README says.
    """
    contents = [reduced(read_json(run)) for run in runs]
    whole = contents[-1] | {
        "benchmarks": list({one["fullname"]: one for c in contents for one in c["benchmarks"]}.values())
    }
    part = kept.with_suffix(".part")
    part.write_text(json.dumps(whole, indent=0) + "\n")
    try:
        _refuse_mixture(read_runs(list(runs)))
        for write in PLACES.values():
            write(read_runs([part])[0])
        part.replace(kept)
    finally:
        part.unlink(missing_ok=True)


def _refuse_mixture(runs: Sequence[SavedRun]) -> None:
    for name, values in (
        ("processor", {run.machine.get("cpu") for run in runs}),
        ("model", {run.model["sha256"] for run in runs if run.model}),
    ):
        if len(values) > 1:
            raise ValueError(f"parts of a run must be of one {name}, got {', '.join(sorted(map(str, values)))}")


def fill(pages: Sequence[Path] = PAGES, kept: Path = KEPT, write: bool = True) -> bool:
    """Fill the marked places.

    Args:
        pages: hold each place once, all together.
        kept: the run.
        write: or only look.

    Returns:
        Whether anything differed.

    Raises:
        ValueError: a place has an unknown name, or there is none.
    """
    before, run = {page: page.read_text() for page in pages}, read_runs([kept])[0]
    names = [match[2] for content in before.values() for match in _PLACE.finditer(content)]
    if unknown := sorted({*names} ^ {*PLACES}):
        where = ", ".join(map(str, pages))
        raise ValueError(f"{where}: marks and figures must be {', '.join(PLACES)}; too many or missing: {unknown}")
    after = {
        page: _PLACE.sub(lambda match: match[1] + PLACES[match[2]](run) + "\n" + match[3], content)
        for page, content in before.items()
    }
    for page in pages if write else ():
        if after[page] != before[page]:
            part = page.with_name(f".{page.name}.part")
            part.write_text(after[page])
            part.replace(page)
    return after != before


def headline(run: SavedRun) -> str:
    """Latency and load in a sentence."""
    latency, hop = _wanted(run, "latency", "virtual, 256"), _wanted(run, "cadence", "engine", "quiet")
    terms, p = latency.facts["terms_ms"], hop.percentiles_ms
    return _wrapped(
        f"Measured on {_place(run, hop)}: "
        f"**{latency.facts['measured_ms']:.1f} ms** from input to output at the default block of 256 samples, by "
        f"impulse through the running engine ({terms['algorithmic']:.1f} ms algorithmic, "
        f"{terms['headroom']:.1f} ms headroom), plus what the devices add; a hop of {hop.deadline_ms:.1f} ms costs "
        f"{_ms(p['p50'])} ms at real cadence (p50; p99 {_ms(p['p99'])} ms, longest of {hop.events} hops "
        f"{_ms(p['max'])} ms; **load {hop.load_percent:.0f} %** of a core; `pytest benchmarks --benchmark-only`)."
    )


def cadence(run: SavedRun) -> str:
    """Engine and plain Python under every load, as a table."""
    rows: list[dict[str, Any]] = []
    for entry in (entry for entry in run.of("cadence") if entry.title in _WAYS):
        own, title = entry.percentiles_ms, _WAYS[entry.title]
        rows.append({
            "meanwhile": entry.load, "": title,
            **{f"{name}, ms": _ms(own.get(name)) for name in ("p50", "p99", "p99.9", "p99.99", "max")},
            "hops missed": f"{text(entry.facts['missed_hops'])} of {text(entry.events)}",
            "callback late, p99.9, ms": _ms(entry.facts["jitter_ms"].get("p99.9")),
            "load average": entry.load_average,
        })  # fmt: skip
    rows.sort(key=lambda row: list(dict.fromkeys(e.load for e in run.of("cadence"))).index(row["meanwhile"]))
    return markdown(rows)


def beside(run: SavedRun) -> str:
    """Start-up, streams, files, and the peers in their own terms, as a list."""
    warm, cold = run.one("start-up", "warm cache"), run.one("start-up", "cold cache")
    memory, published = run.of("memory")[0].facts, _wanted(run, "peer", "Apollo as published")
    files = max(run.of("files"), key=lambda entry: entry.facts["times_real_time"]).facts
    peers = [entry for entry in run.of("peer") if entry.facts["what"].startswith("net") and entry is not published]
    figures = ", ".join(f"{e.title} {e.facts['version']} {_seconds(e)}".replace(" apollo-rt ", " ") for e in peers)
    rows = [
        f"first sound {_after(warm)} after the command, once compiled"
        + (f"; after an install {_after(cold)}" if cold else ""),
        f"memory {memory['at_rest_mb']:.0f} MB at rest, {memory['after_mb']:.0f} MB after {memory['minutes']:g} "
        f"virtual minutes of music, {memory['grown_in_second_half_mb']:.1f} MB of them grown in the second half",
        f"{_held(run)} engines at once without a missed hop on {run.machine['cores']} cores, at normal priority; "
        f"files {files['times_real_time']:.0f} times real time on {files['threads']} cores",
        f"processor seconds for a second of sound and channel: {figures}, the published Apollo (PyTorch, one thread, "
        f"random weights) {_seconds(published)}",
    ]
    return "\n".join(_wrapped(f"- {row}", "  ") for row in rows)


PLACES: dict[str, Callable[[SavedRun], str]] = {"headline": headline, "cadence": cadence, "beside": beside}


def _wrapped(line: str, indent: str = "") -> str:
    """As the docs are, at 120 columns."""
    return textwrap.fill(line, 120, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def _held(run: SavedRun) -> int:
    """The most streams of which none missed a hop."""
    held = [entry.facts["streams"] for entry in run.of("streams") if entry.facts.get("missed_hops") == 0]
    return max(held, default=0)


def _wanted(run: SavedRun, kind: str, title: str, load: str | None = None) -> Measured:
    entry = run.one(kind, title, load)
    if entry is None:
        raise ValueError(f"the run has no {kind} benchmark {title!r}, whose figures the README holds; take a full run")
    return entry


def _place(run: SavedRun, entry: Measured) -> str:
    own = run.machine
    cpu = re.sub(r"\s*(\d+-Core)? Processor$", "", own["cpu"])
    kind = "a shared virtual machine" if own.get("virtual") else "a machine"
    return f"{kind} with {own['cores']} cores of an {cpu} (load average {entry.load_average} meanwhile)"


def _after(entry: Measured | None) -> str:
    return "-" if entry is None else f"{entry.facts['stages_s']['first sound']:.1f} s"


def _seconds(entry: Measured) -> str:
    return f"{text(float(entry.facts['s_per_s_channel']))} s"


def _ms(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
