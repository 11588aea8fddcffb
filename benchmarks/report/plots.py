"""The report's pictures, each from the entries of one run, as PNG."""

import io
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.report.runs import Measured, SavedRun

TERMS = (
    "device input",
    "ring",
    "input resampling",
    "algorithmic",
    "rebuffering",
    "headroom",
    "output resampling",
    "device output",
)
_MEASURES = (
    ("si_sdr_db", "SI-SDR, dB (higher is better)"),
    ("lsd", "LSD, decades (lower is better)"),
    ("visqol", "ViSQOL (higher is better)"),
)


def latency_waterfall(run: SavedRun) -> bytes | None:
    """Bars of the reported terms by device and block size, and a mark where the impulse came back."""
    entries = [entry for entry in run.of("latency") if "terms_ms" in entry.facts]
    if not entries:
        return None
    figure, axes = _figure(1, 1, (10, 1.2 + 0.32 * len(entries)))
    terms = list(dict.fromkeys([*TERMS, *(name for entry in entries for name in entry.facts["terms_ms"])]))
    left = np.zeros(len(entries))
    for term in terms:
        lengths = np.array([entry.facts["terms_ms"].get(term, 0.0) for entry in entries])
        if lengths.any():
            axes.barh(range(len(entries)), lengths, left=left, label=term, height=0.7)
            left += lengths
    measured = [entry.facts["measured_ms"] for entry in entries]
    axes.plot(measured, range(len(entries)), "kD", markersize=4, label="measured")
    axes.set_yticks(range(len(entries)), [f"{e.facts['device']}, {e.facts['block_size']}" for e in entries])
    axes.invert_yaxis()
    axes.set(xlabel="ms", title="Latency: reported terms, and what was measured; device and block size")
    figure.legend(loc="outside right upper", fontsize=8)
    return _png(figure)


def tail_curves(run: SavedRun) -> bytes | None:
    """For each load: how many of the events took longer than so much, both axes logarithmic."""
    entries = [entry for entry in run.of("cadence") if entry.tail]
    return _by_load(entries, _draw_tail, "of a hundred events, so many take longer", "ms", logarithmic=True)


def _draw_tail(axes: Any, entry: Measured) -> None:
    shares, values = np.array(entry.tail).T
    axes.loglog(100 * (1 - shares), values, label=_short(entry.title))
    if entry.deadline_ms:
        axes.axhline(entry.deadline_ms, color="grey", linestyle=":", linewidth=1)


def jitter_timeline(run: SavedRun) -> bytes | None:
    """For each load: by how much the callback came late, the worst of each stretch of the run."""
    entries = [entry for entry in run.of("cadence") if entry.facts.get("jitter_timeline_ms")]
    return _by_load(entries, _draw_timeline, "s", "callback late by, ms")


def _draw_timeline(axes: Any, entry: Measured) -> None:
    late = np.array(entry.facts["jitter_timeline_ms"])
    places = np.linspace(0, entry.facts["seconds"], len(late))
    axes.semilogy(places, np.maximum(late, 1e-3), label=_short(entry.title), linewidth=0.8)


def quality_for_cost(run: SavedRun) -> bytes | None:
    """SI-SDR, LSD and ViSQOL over load; a point says tier, precision and the shortest latency that its steps allow."""
    entries = [entry for entry in run.of("quality") if entry.facts.get("lsd") is not None]
    if len(entries) < 2:
        return None
    figure, panels = _figure(1, 3, (14, 4.2))
    for axes, (name, label) in zip(panels, _MEASURES, strict=True):
        for number, entry in enumerate(entries):
            value = entry.facts[name]
            if entry.title == "untouched":
                axes.axhline(value, color="grey", linestyle=":", label=entry.title)
                continue
            latency_ms = entry.facts["latency_ms"]
            latency = f"{latency_ms:g} ms" if latency_ms else "too slow"
            axes.plot(entry.load_percent, value, "osD^vP*X"[number % 8], label=f"{entry.title}: {latency}")
        axes.set(xlabel="load of a core, %", title=label)
        axes.set_xlim(left=0)
        axes.margins(y=0.2)
        axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return _png(figure)


def cost_by_size(run: SavedRun) -> bytes | None:
    """Load over multiplications a second, both logarithmic, from the smallest net to the published one."""
    sizes = [(entry.facts["gmac_per_s"], entry.facts["load_percent_fastest"], entry.title) for entry in run.of("size")]
    sizes += [
        (entry.facts["gmac_per_s"], 100 * entry.facts["s_per_s_fastest"], entry.title)
        for entry in run.of("peer")
        if "gmac_per_s" in entry.facts
    ]
    if len(sizes) < 2:
        return None
    figure, axes = _figure(1, 1, (7, 4))
    for gmac, load, title in sizes:
        axes.loglog(gmac, load, "o")
        axes.annotate(f" {title}", (gmac, load), fontsize=8)
    axes.axhline(100, color="grey", linestyle=":")
    axes.set(
        xlabel="10^9 multiplications for a second of stereo",
        ylabel="load of a core, %",
        title="Cost against model size",
    )
    axes.margins(x=0.25)
    axes.grid(alpha=0.3)
    return _png(figure)


def _by_load(
    entries: list[Measured],
    draw: Callable[[Any, Measured], None],
    x_label: str,
    y_label: str,
    logarithmic: bool = False,
) -> bytes | None:
    loads = list(dict.fromkeys(entry.load for entry in entries))
    if not loads:
        return None
    figure, panels = _figure(1, len(loads), (4 * len(loads), 4), sharey=True)
    for axes, load in zip(np.atleast_1d(panels), loads, strict=True):
        for entry in entries:
            if entry.load == load:
                draw(axes, entry)
        axes.set(title=load, xlabel=x_label)
        axes.grid(alpha=0.3)
        if logarithmic:
            axes.invert_xaxis()
    first = np.atleast_1d(panels)[0]
    first.set_ylabel(y_label)
    first.legend(fontsize=8)
    return _png(figure)


def _short(title: str) -> str:
    return title.replace(", numpy and InferenceSession.run", "")


def _figure(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Any, Any]:
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    return plt.subplots(rows, columns, figsize=size, layout="constrained", **options)


def _png(figure: Any) -> bytes:
    from matplotlib import pyplot as plt

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    plt.close(figure)
    return file.getvalue()
