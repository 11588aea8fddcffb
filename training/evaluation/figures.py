"""The figures of the published work: quality against bit rate, and the table by kind of music, as PNG."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.evaluation import summary
from training.evaluation.damage_labels import codec_and_kbps
from training.evaluation.measure import Row
from training.evaluation.report import MEASURES, cell
from training.evaluation.summary import DAMAGED, Table

_CURVES = ("sdr_db", "si_snr_db", "visqol", "zimtohrli", "lsd")
_COLUMNS = ("sdr_db", "si_snr_db", "visqol")  # of the published table


def draw_quality(rows: Sequence[Row]) -> Figure:
    """Quality against bit rate: a line of panels for each codec, a curve for each system, shaded by its spread."""
    by_damage = summary.by_damage(rows)
    lines: dict[str, Table] = {}
    for label, systems in by_damage.items():
        codec, kbps = codec_and_kbps(label)
        if label != DAMAGED and kbps:
            lines.setdefault(_variant(label, codec), {})[label] = systems
    figure, axes = _canvas(max(len(lines), 1), len(_CURVES))
    for row, (variant, groups) in zip(axes, lines.items(), strict=False):
        for axis, name in zip(row, _CURVES, strict=True):
            _draw_curves(axis, groups, name)
            axis.set_title(f"{variant}: {MEASURES[name].title}", fontsize=10, loc="left")
            axis.set_xlabel("kbps")
    if lines:
        axes[0][0].legend(fontsize=8)
    return figure


def draw_kinds(rows: Sequence[Row]) -> Figure:
    """The table by kind of music: SDR / SI-SNR / ViSQOL of each system."""
    rows = summary.damaged(rows)
    groups = summary.by_kind(rows)
    systems = list(dict.fromkeys(row.system for row in rows))
    cells = [
        [" / ".join(cell(groups[kind][name], column, spread=False) for column in _COLUMNS) for kind in groups]
        for name in systems
    ]
    figure = Figure(figsize=(2.4 * (len(groups) + 1), 0.45 * (len(systems) + 3)))
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.axis("off")
    axis.set_title(" / ".join(MEASURES[column].title for column in _COLUMNS), fontsize=10)
    drawn = axis.table(cells, rowLabels=systems, colLabels=list(groups), loc="center", cellLoc="center")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(9)
    drawn.scale(1, 1.5)
    return figure


def write(folder: Path, rows: Sequence[Row]) -> list[str]:
    """Write both. Returns: the names of the files."""
    figures = {"quality_by_bitrate.png": draw_quality(rows), "quality_by_kind.png": draw_kinds(rows)}
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=110, bbox_inches="tight")
    return list(figures)


def _canvas(n_rows: int, n_columns: int) -> tuple[Figure, list[list[Axes]]]:
    figure = Figure(figsize=(3.6 * n_columns, 3.2 * n_rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes: list[list[Axes]] = figure.subplots(n_rows, n_columns, squeeze=False).tolist()
    return figure, axes


def _draw_curves(axis: Axes, groups: Table, name: str) -> None:
    for system in next(iter(groups.values())):
        points = sorted(
            (codec_and_kbps(label)[1], figure.mean, figure.spread)
            for label, systems in groups.items()
            if (figure := systems[system][name])
        )
        if not points:
            continue
        kbps, means, spreads = zip(*points, strict=True)
        axis.plot(kbps, means, marker="o", markersize=4, label=system)
        low, high = ([mean + sign * spread for mean, spread in zip(means, spreads, strict=True)] for sign in (-1, 1))
        axis.fill_between(kbps, low, high, alpha=0.12)
    axis.set_xticks(sorted({codec_and_kbps(label)[1] for label in groups}))
    axis.grid(alpha=0.3)


def _variant(label: str, codec: str) -> str:
    """Variant that a curve is of: a codec in one of its modes."""
    if "+" in label:
        return codec
    _, _, *mode = label.split("-")
    return " ".join((codec, *mode))
