"""What was measured, as text: a CSV of all rows, and Markdown tables of means and spreads."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from apollo_rt.atomic_file import whole_path
from training.evaluation import summary
from training.evaluation.judge import NAMES
from training.evaluation.kinds import UNKNOWN
from training.evaluation.measure import Row
from training.evaluation.summary import Figures, Statistic, Table
from training.evaluation.systems import System


@dataclass(frozen=True)
class Measure:
    """How a measure is shown. Attributes: its heading, and its digits behind the point."""

    title: str
    digits: int = 2


MEASURES = {
    "lsd": Measure("LSD"),
    "lsd_in_band": Measure("LSD in band"),
    "lsd_above": Measure("LSD above"),
    "visqol": Measure("ViSQOL"),
    "zimtohrli": Measure("Zimtohrli"),
    "sdr_db": Measure("SDR, dB"),
    "si_sdr_db": Measure("SI-SDR, dB"),
    "si_snr_db": Measure("SI-SNR, dB"),
    "level_above_db": Measure("level above, dB", 1),
    "level_above_abs_db": Measure("level above, abs., dB", 1),
    "change_db": Measure("change, dB", 1),
}

_SHORT = (
    "lsd",
    "lsd_in_band",
    "lsd_above",
    "visqol",
    "zimtohrli",
    "sdr_db",
    "si_sdr_db",
    "level_above_db",
    "change_db",
)

_LEGEND = """\
Means over clips ± the standard deviation over clips. LSD: log-spectral distance in decades, lower is better (log10
power, n_fft 2048, hop 512, floor 1e-8), over the whole spectrum, below the codec's cut (in band) and above it. ViSQOL
(audio mode) and Zimtohrli: opinion scores from 1 to 5 of models of hearing, mono mix at 48 kHz. SDR, SI-SDR, SI-SNR:
both channels as one signal. Level above: how much too loud everything above the cut is; abs.: mean magnitude of that
over frames. Change: energy of what a system changed against that of its input.
"""


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """One line a row; a measure without meaning is empty."""
    with whole_path(path) as whole, whole.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["clip", "kind", "damage", "system", "cut_hz", *NAMES])
        for row in rows:
            values = ["" if value is None else f"{value:.6g}" for value in (row.cut_hz, *asdict(row.scores).values())]
            writer.writerow([row.clip, row.kind, row.damage, row.system, *values])


def markdown(rows: Sequence[Row], systems: Sequence[System], pictures: Sequence[str] = ()) -> str:
    """The whole report.

    Args:
        rows: what was measured.
        systems: what they were measured on.
        pictures: names of files beside the report, to be shown.
    """
    by_kind = summary.by_kind(rows)
    sections = [
        "# Evaluation",
        f"{len({row.clip for row in rows})} clips.",
        "\n".join(f"- **{system.name}**: {_said(system)}" for system in systems),
        _LEGEND,
        "## By damage",
        table(summary.by_damage(rows), "damage"),
    ]
    if len(codecs := summary.by_codec(rows)) > 1:
        sections += ["## By codec", table(codecs, "codec")]
    if set(by_kind) - {UNKNOWN, "overall"}:
        sections += ["## By kind of music", table(by_kind, "kind")]
    sections += ["## By clip", "Means over the damages ± the standard deviation over them.", ""]
    sections += [table(summary.by_clip(rows), "clip"), *(f"![{name}]({name})" for name in pictures)]
    return "\n\n".join(section.rstrip() for section in sections if section) + "\n"


def table(groups: Table, heading: str, spread: bool = True) -> str:
    """A Markdown table, one line for each group and system; measures that mean nothing anywhere are left out."""
    figures = [own for systems in groups.values() for own in systems.values()]
    names = [name for name in _SHORT if any(own[name] for own in figures)]
    lines = [
        f"| {heading} | system | {' | '.join(MEASURES[name].title for name in names)} |",
        "|" + "---|" * (len(names) + 2),
    ]
    for group, systems in groups.items():
        for system, own in systems.items():
            lines.append(f"| {group} | {system} | {' | '.join(cell(own, name, spread) for name in names)} |")
    return "\n".join(lines)


def cell(figures: Figures, name: str, spread: bool) -> str:
    """Mean, and spread where there is one to tell."""
    figure, digits = figures[name], MEASURES[name].digits
    if figure is None:
        return ""
    return f"{figure.mean:.{digits}f}" + (_spread(figure, digits) if spread else "")


def _spread(figure: Statistic, digits: int) -> str:
    return f" ± {figure.spread:.{digits}f}" if figure.n_items > 1 else ""


def _said(system: System) -> str:
    return {
        "untouched": "the damaged clip as it is",
        "exciter": "the octave below the codec's cut moved up, softer by a fixed slope; told where the cut is",
        "onnx": f"`{system.path and system.path.name}` through the streaming engine, hop by hop",
        "checkpoint": f"`{system.path and system.path.name}` in PyTorch",
    }[system.kind]
