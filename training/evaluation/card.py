"""Quality in a model file's card: few figures, of few groups, that fit on one screen."""

from collections.abc import Sequence
from typing import Any

from training.evaluation import summary
from training.evaluation.measure import Row
from training.evaluation.report import worst_of

_MUSIC = ("visqol", "lsd", "si_sdr_db", "movement", "image_share")
_UNDAMAGED = ("visqol", "change_db")


def quality(rows: Sequence[Row]) -> dict[str, Any]:
    """The means over the clips of music by damage and system, and what is done to undamaged clips, the worst named."""
    music, undamaged = summary.of_part(rows, "music"), summary.of_part(rows, "undamaged")
    facts: dict[str, Any] = {"clips": len({row.clip for row in music})}
    if music:
        facts["summary"] = summary.as_json(summary.by_damage(music), _MUSIC)
    if undamaged:
        overall = summary.by_kind(undamaged)[summary.OVERALL]
        facts["undamaged"] = {name: _harm(figures) for name, figures in overall.items() if figures["change_db"]}
    return facts


def _harm(figures: summary.Figures) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name in _UNDAMAGED:
        if figure := figures[name]:
            clip, value = worst_of(figure, name)
            facts |= {name: round(figure.mean, 3), f"{name}_worst": round(value, 3), f"{name}_worst_clip": clip}
    return facts
