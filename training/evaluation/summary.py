"""Rows to figures: means and spreads over clips, by damage, codec, kind of music and clip."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from training.evaluation.damages import CLEAN, codec_and_kbps
from training.evaluation.judge import NAMES
from training.evaluation.measure import Row

DAMAGED = "all damaged"
"""The group of all rows but those of undamaged clips."""


@dataclass(frozen=True)
class Statistic:
    """Mean over items (clips, or damages) of each one's mean, and the standard deviation over them (0 of one alone)."""

    mean: float
    spread: float
    n_items: int


Figures = dict[str, Statistic | None]
"""By the name of the measure; None where it has no meaning for any row."""

Table = dict[str, dict[str, Figures]]
"""Group, then system, in the order of the rows."""


def by_damage(rows: Sequence[Row]) -> Table:
    """Groups: each damage, all damaged rows together, the undamaged ones."""
    damaged = [row for row in rows if row.damage != CLEAN]
    table = _grouped(damaged, lambda row: row.damage)
    if len(table) > 1:
        table |= _grouped(damaged, lambda _: DAMAGED)
    return table | _grouped([row for row in rows if row.damage == CLEAN], lambda row: row.damage)


def by_codec(rows: Sequence[Row]) -> Table:
    """Groups: codecs, over all their bit rates."""
    return _grouped(_damaged(rows), lambda row: codec_and_kbps(row.damage)[0])


def by_kind(rows: Sequence[Row]) -> Table:
    """Groups: kinds of music, then all together."""
    return _grouped(_damaged(rows), lambda row: row.kind) | _grouped(_damaged(rows), lambda _: "overall")


def by_clip(rows: Sequence[Row]) -> Table:
    """Groups: clips; mean and spread over damages."""
    return {
        clip: {name: _figures(chosen, lambda row: row.damage) for name, chosen in _split(own, _system).items()}
        for clip, own in _split(_damaged(rows), lambda row: row.clip).items()
    }


def as_json(table: Table) -> dict[str, dict[str, dict[str, float | None]]]:
    """Means alone, rounded, as a model file's card takes them."""
    return {
        group: {
            system: {name: round(figure.mean, 3) if figure else None for name, figure in figures.items()}
            for system, figures in systems.items()
        }
        for group, systems in table.items()
    }


def _grouped(rows: Sequence[Row], key: Callable[[Row], str]) -> Table:
    return {
        group: {name: _figures(chosen, lambda row: row.clip) for name, chosen in _split(own, _system).items()}
        for group, own in _split(rows, key).items()
    }


def _figures(rows: Sequence[Row], item: Callable[[Row], str]) -> Figures:
    """Statistics over items, each of which counts once however many rows it has."""
    parts = list(_split(rows, item).values())
    return {name: _statistic([_values(part, name) for part in parts]) for name in NAMES}


def _statistic(parts: Iterable[Sequence[float]]) -> Statistic | None:
    means = [fmean(part) for part in parts if part]
    if not means:
        return None
    return Statistic(fmean(means), stdev(means) if len(means) > 1 else 0.0, len(means))


def _values(rows: Iterable[Row], name: str) -> list[float]:
    values = (getattr(row.scores, name) for row in rows)
    return [value for value in values if value is not None]


def _split(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _system(row: Row) -> str:
    return row.system


def _damaged(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.damage != CLEAN]
