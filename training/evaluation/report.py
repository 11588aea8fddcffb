"""A report tells measures as text: a CSV of all rows, and Markdown tables of means, spreads and worst clips."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from apollo_rt.atomic_file import whole_path
from training.evaluation import summary
from training.evaluation.judge import NAMES
from training.evaluation.kinds import UNKNOWN
from training.evaluation.measure import Row
from training.evaluation.summary import Figures, Statistic, Table
from training.evaluation.systems import System


@dataclass(frozen=True)
class Measure:
    """Form in which a measure is shown.

    Attributes:
        title: its heading.
        digits: behind the point.
        worst: where the worst value lies: lowest, highest, or farthest from 0.
    """

    title: str
    digits: int = 2
    worst: Literal["lowest", "highest", "farthest"] = "lowest"


MEASURES = {
    "lsd": Measure("LSD", worst="highest"),
    "lsd_in_band": Measure("LSD in band", worst="highest"),
    "lsd_above": Measure("LSD above", worst="highest"),
    "lsd_worst": Measure("LSD, worse channel", worst="highest"),
    "visqol": Measure("ViSQOL"),
    "visqol_worst": Measure("ViSQOL, worse channel"),
    "zimtohrli": Measure("Zimtohrli"),
    "zimtohrli_worst": Measure("Zimtohrli, worse channel"),
    "sdr_db": Measure("SDR, dB"),
    "si_sdr_db": Measure("SI-SDR, dB"),
    "si_sdr_worst_db": Measure("SI-SDR, worse channel, dB"),
    "si_snr_db": Measure("SI-SNR, dB"),
    "level_above_db": Measure("level above, dB", 1, "farthest"),
    "level_above_abs_db": Measure("level above, abs., dB", 1, "highest"),
    "level_error_db": Measure("level error, dB", 1, "highest"),
    "level_clip_db": Measure("of it a clip", 1, "highest"),
    "level_slow_db": Measure("slow", 1, "highest"),
    "level_frame_db": Measure("from frame to frame", 1, "highest"),
    "movement": Measure("correlation of movements"),
    "image_db": Measure("level difference L/R, error, dB", worst="highest"),
    "image_share": Measure("of a plain centre's", worst="highest"),
    "coherence_error": Measure("coherence, error", worst="highest"),
    "side_to_mid_db": Measure("side to mid, error, dB", 1, "farthest"),
    "leakage_db": Measure("leakage, dBFS", 1, "highest"),
    "change_db": Measure("change, dB", 1, "highest"),
}

QUALITY = (
    *("lsd", "lsd_in_band", "lsd_above", "visqol", "visqol_worst", "zimtohrli", "sdr_db", "si_sdr_db"),
    *("si_sdr_worst_db", "change_db"),
)
HIGHS = (
    *("level_above_db", "level_error_db", "level_clip_db", "level_slow_db", "level_frame_db", "movement"),
    *("image_db", "image_share", "coherence_error", "side_to_mid_db", "leakage_db"),
)
HARM = ("change_db", "visqol", "visqol_worst", "zimtohrli_worst", "lsd", "si_sdr_worst_db", "leakage_db")
TRUTH = ("level_above_db", "image_db", "image_share", "coherence_error", "side_to_mid_db", "leakage_db", "visqol_worst")
ARROWS = ("visqol", "lsd", "si_sdr_db", "level_error_db", "movement", "image_share")

_LEGEND = """\
Means over clips ± the standard deviation over clips; of each clip the mean over left and right, "worse channel" the
worse of the two; a silent channel is judged by leakage alone. LSD: log-spectral distance in decades, lower is better
(log10 power, n_fft 2048, hop 512, floor 1e-8), over the whole spectrum, below the codec's cut (in band) and above it.
ViSQOL (audio mode) and Zimtohrli: opinion scores from 1 to 5 of models of hearing, at 48 kHz. Change: energy of what a
system changed against that of its input. Level above: how much too loud everything above the cut is. Level error: root
mean square over the bands (eighths of an octave) that lost more than 6 dB, taken apart; correlation of the movements
around each band's mean. Level difference between the channels in these bands: mean error, and as a share of what a
plain centre without any image would have (1: no image was restored). Leakage: what is heard where there is silence.
"""


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """One line a row; a measure without meaning is empty."""
    with whole_path(path) as whole, whole.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["clip", "part", "kind", "damage", "system", "cut_hz", *NAMES])
        for row in rows:
            values = [getattr(row.scores, name) for name in NAMES]
            texts = ["" if value is None else f"{value:.6g}" for value in (row.cut_hz, *values)]
            writer.writerow([row.clip, row.part, row.kind, row.damage, row.system, *texts])


def as_json(rows: Sequence[Row]) -> list[dict[str, object]]:
    """The rows, each with its scores beside what they are of."""
    return [
        {name: value for name, value in asdict(row).items() if name != "scores"} | asdict(row.scores) for row in rows
    ]


def markdown(rows: Sequence[Row], systems: Sequence[System], pictures: Sequence[str] = ()) -> str:
    """The whole report.

    Args:
        rows: what was measured.
        systems: what they were measured on.
        pictures: names of files beside the report, to be shown.
    """
    sections = [
        "# Evaluation",
        f"{len({row.clip for row in rows})} clips.",
        "\n".join(f"- **{system.name}**: {_said(system)}" for system in systems),
        _LEGEND,
        *_of_music(summary.of_part(rows, "music"), systems),
        *overview(summary.of_part(rows, "undamaged") + summary.of_part(rows, "probes"), systems, spread=True),
        *(f"![{name}]({name})" for name in pictures),
    ]
    return "\n\n".join(section.rstrip() for section in sections if section) + "\n"


def overview(rows: Sequence[Row], systems: Sequence[System], spread: bool = False) -> list[str]:
    """The shortest answer: by damage from decoded to restored; what is harmed; the probes."""
    music, undamaged, probes = (summary.of_part(rows, part) for part in ("music", "undamaged", "probes"))
    sections = []
    for system in [one.name for one in systems if one.path] if music else []:
        sections += [f"## {system}: decoded -> restored", arrows(summary.by_damage(music), system)]
    if undamaged:
        restored = [row for row in undamaged if row.system in {one.name for one in systems if one.path}]
        harm = summary.by_kind(restored)
        sections += ["## Undamaged", table(harm, "kind", HARM, "change_db", spread)]
    if probes:
        sections += ["## Probes", table(summary.by_probe(probes), "probe", TRUTH, "", spread=False)]
    return sections


def arrows(groups: Table, system: str) -> str:
    """A Markdown table of one system, one line a group: untouched -> restored, and the clip that it does worst by."""
    names = [name for name in ARROWS if any(own[system][name] for own in groups.values())]
    lines = [
        f"| damage | {' | '.join(MEASURES[name].title for name in names)} | worst clip: ViSQOL |",
        "|" + "---|" * (len(names) + 2),
    ]
    for group, systems in groups.items():
        before, after = systems["untouched"], systems[system]
        cells = [f"{cell(before, name, spread=False)} -> {cell(after, name, spread=False)}" for name in names]
        lines.append(f"| {group} | {' | '.join(cells)} | {_worst(after, 'visqol')} |")
    return "\n".join(lines)


def table(groups: Table, heading: str, names: Sequence[str], worst_by: str, spread: bool = True) -> str:
    """A Markdown table, one line for each group and system; measures that mean nothing anywhere are left out.

    Args:
        groups: from `summary`.
        heading: what the groups are.
        names: of the measures.
        worst_by: the measure whose worst item is named in the last column; empty for no such column.
        spread: show the spreads.
    """
    figures = [own for systems in groups.values() for own in systems.values()]
    names = [name for name in names if any(own[name] for own in figures)]
    titles = [MEASURES[name].title for name in names] + ([f"worst: {MEASURES[worst_by].title}"] if worst_by else [])
    lines = [f"| {heading} | system | {' | '.join(titles)} |", "|" + "---|" * (len(titles) + 2)]
    for group, systems in groups.items():
        for system, own in systems.items():
            cells = [cell(own, name, spread) for name in names] + ([_worst(own, worst_by)] if worst_by else [])
            lines.append(f"| {group} | {system} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(figures: Figures, name: str, spread: bool) -> str:
    """Mean, and spread where there is one to tell."""
    figure, digits = figures[name], MEASURES[name].digits
    if figure is None:
        return ""
    return f"{figure.mean:.{digits}f}" + (_spread(figure, digits) if spread else "")


def worst_of(figure: Statistic, name: str) -> tuple[str, float]:
    """The item that does worst by a measure, and its figure."""
    if MEASURES[name].worst == "farthest":
        return max(figure.lowest, figure.highest, key=lambda item: abs(item[1]))
    return figure.lowest if MEASURES[name].worst == "lowest" else figure.highest


def _of_music(rows: Sequence[Row], systems: Sequence[System]) -> list[str]:
    if not rows:
        return []
    by_damage, hurt = summary.by_damage(rows), summary.damaged(rows)
    by_kind, codecs = summary.by_kind(hurt), summary.by_codec(rows)
    sections = overview(rows, systems)
    sections += ["## By damage", table(by_damage, "damage", QUALITY, "visqol_worst")]
    sections += ["## Highs and image", table(by_damage, "damage", HIGHS, "movement")]
    if len(codecs) > 1:
        sections += ["## By codec", table(codecs, "codec", QUALITY, "visqol_worst")]
    if set(by_kind) - {UNKNOWN, summary.OVERALL}:
        sections += ["## By kind of music", table(by_kind, "kind", QUALITY, "visqol_worst")]
    sections += ["## By clip", "Means over the damages ± the standard deviation over them.", ""]
    return [*sections, table(summary.by_clip(hurt), "clip", QUALITY + HIGHS, "visqol_worst")]


def _worst(figures: Figures, name: str) -> str:
    figure = figures[name]
    if figure is None:
        return ""
    item, value = worst_of(figure, name)
    return f"{item} ({value:.{MEASURES[name].digits}f})"


def _spread(figure: Statistic, digits: int) -> str:
    return f" ± {figure.spread:.{digits}f}" if figure.n_items > 1 else ""


def _said(system: System) -> str:
    return {
        "untouched": "the damaged clip as it is",
        "exciter": "the octave below the codec's cut moved up, softer by a fixed slope; told where the cut is",
        "onnx": f"`{system.path and system.path.name}` through the streaming engine, hop by hop",
        "checkpoint": f"`{system.path and system.path.name}` in PyTorch",
    }[system.kind]
