"""A note says what a benchmark is, beside its times: the one shape of `extra_info`, which the report reads.

kind        which part of the report it belongs to
title       what was timed, for people
load        what else went on meanwhile, see `load`
facts       any further columns of its table
events, percentiles_ms, deadline_ms, misses, load_percent, tail    see `times`
machine, versions, commit, model                                   see `machine`
"""

from typing import Any

import numpy as np

from apollo_rt.inference.model import Model
from benchmarks.measuring import machine
from benchmarks.measuring.times import Times


def note(
    benchmark: Any,
    kind: str,
    title: str,
    times: Times | None = None,
    model: Model | None = None,
    load: str = "as it was",
    deadline_s: float | None = None,
    **facts: Any,
) -> None:
    """Write it into a benchmark.

    Args:
        benchmark: pytest-benchmark's fixture.
        kind: see above.
        title: see above.
        times: None: those that the fixture has taken itself, if there is more than one.
        model: that was run, if one was.
        load: see above.
        deadline_s: of the times that the fixture has taken.
        facts: further columns; `tail`-like lists under names that the report knows.
    """
    own = times or _taken(benchmark, deadline_s)
    benchmark.extra_info.update(
        {"kind": kind, "title": title, "load": load, "facts": facts}
        | (own.facts() if own else {})
        | {"machine": machine.line(), "versions": machine.versions(), "commit": machine.commit()}
        | {"model": machine.model_facts(model) if model else None}
    )


def _taken(benchmark: Any, deadline_s: float | None) -> Times | None:
    seconds = np.array(benchmark.stats.stats.data)
    return Times(seconds, deadline_s) if len(seconds) > 1 else None
