"""Rows to figures: means and spreads over clips, by damage, codec, kind of music and clip."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from statistics import fmean, stdev

from training.evaluation.damage_labels import CLEAN, codec_and_kbps
from training.evaluation.judge import NAMES
from training.evaluation.measure import Row
from training.evaluation.selection import Part

DAMAGED = "all damaged"
"""The group of all rows but those of undamaged clips."""

OVERALL = "overall"


@dataclass(frozen=True)
class Statistic:
    """Figures over items (clips, or damages), each of which counts once however many rows it has.

    Attributes:
        mean: over the items' means.
        spread: standard deviation over them; 0 of one alone.
        n_items: how many.
        lowest: name and mean of the item with the lowest one.
        highest: name and mean of the item with the highest one.
    """

    mean: float
    spread: float
    n_items: int
    lowest: tuple[str, float]
    highest: tuple[str, float]


Figures = dict[str, Statistic | None]
"""By the name of the measure; None where it has no meaning for any row."""

Table = dict[str, dict[str, Figures]]
"""Group, then system, in the order of the rows."""


def of_part(rows: Sequence[Row], part: Part) -> list[Row]:
    """Those of one part of the set."""
    return [row for row in rows if row.part == part]


def damaged(rows: Iterable[Row]) -> list[Row]:
    """Those that a codec made."""
    return [row for row in rows if row.damage != CLEAN]


def by_damage(rows: Sequence[Row]) -> Table:
    """Groups: each damage, all damaged rows together, the undamaged ones."""
    hurt = damaged(rows)
    table = _grouped(hurt, lambda row: row.damage)
    if len(table) > 1:
        table |= _grouped(hurt, lambda _: DAMAGED)
    return table | _grouped([row for row in rows if row.damage == CLEAN], lambda row: row.damage)


def by_codec(rows: Sequence[Row]) -> Table:
    """Groups: codecs, over all their bit rates."""
    return _grouped(damaged(rows), lambda row: codec_and_kbps(row.damage)[0])


def by_kind(rows: Sequence[Row]) -> Table:
    """Groups: kinds, then all together."""
    return _grouped(rows, lambda row: row.kind) | _grouped(rows, lambda _: OVERALL)


def by_clip(rows: Sequence[Row]) -> Table:
    """Groups: clips; mean and spread over damages."""
    return {
        clip: {name: _figures(chosen, lambda row: row.damage) for name, chosen in _split(own, _system).items()}
        for clip, own in _split(rows, lambda row: row.clip).items()
    }


def by_probe(rows: Sequence[Row]) -> Table:
    """Groups: probes, each with each damage."""
    return _grouped(rows, lambda row: f"{row.kind}, {row.damage}")


def as_json(table: Table, names: Sequence[str] = NAMES) -> dict[str, dict[str, dict[str, float | None]]]:
    """Means alone, rounded, as a model file's card takes them."""
    return {
        group: {
            system: {name: round(figure.mean, 3) if (figure := figures[name]) else None for name in names}
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
    parts = _split(rows, item)
    return {name: _statistic({key: _values(part, name) for key, part in parts.items()}) for name in NAMES}


def _statistic(parts: Mapping[str, Sequence[float]]) -> Statistic | None:
    means = {item: fmean(values) for item, values in parts.items() if values}
    if not means:
        return None
    values, by_value = list(means.values()), sorted(means.items(), key=itemgetter(1))
    spread = stdev(values) if len(values) > 1 else 0.0
    return Statistic(fmean(values), spread, len(values), lowest=by_value[0], highest=by_value[-1])


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
