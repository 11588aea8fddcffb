"""A model's card as lines for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from apollo_rt.inference.model_file import ModelCard
from apollo_rt.printable import printable

_WIDTH = 12


def card_lines(card: ModelCard, graph_hash: str) -> Iterator[str]:
    """What it is, trained on what, how good, latency, licence and hash; how fast is for the caller to measure.

    Args:
        card: from the file.
        graph_hash: SHA-256 of the main graph, hexadecimal.
    """
    framing = card.framing
    latency_ms = 1e3 * framing.algorithmic_latency / framing.sample_rate
    yield printable(card.name)
    yield _line("file", f"{card.path} ({card.path.stat().st_size / 1e6:.1f} MB)")
    yield _line(
        "takes",
        f"stereo at {framing.sample_rate} Hz, hops of {framing.hop_length} samples "
        f"({1e3 * framing.hop_period_s:.1f} ms), analysis of {framing.analysis_length}",
    )
    yield _line(
        "latency",
        f"{framing.algorithmic_latency} samples ({latency_ms:.1f} ms) when compute is free, "
        f"{framing.lookahead_frames} frames of it lookahead",
    )
    yield _line("tiers", ", ".join(card.tiers))
    yield from _facts("trained", card.training)
    yield from _facts("quality", card.quality)
    yield _line("licence", card.licence)
    yield _line("sha256", graph_hash)


def _facts(name: str, facts: Mapping[str, Any]) -> Iterator[str]:
    """Each fact on a line of its own, the name before the first."""
    for key, value in facts.items():
        for text in _texts(key, value):
            yield _line(name, text)
            name = ""


def _texts(key: str, value: Any) -> Iterator[str]:
    """A fact; a table becomes a line for each row, however deep, a list one for each item."""
    if _is_table(value):
        for row, figures in value.items():
            yield from (f"{row}, {text}" if _is_table(figures) else text for text in _texts(row, figures))
    elif isinstance(value, list):
        yield from (f"{key}: {_value(item)}" for item in value)
    else:
        yield f"{key}: {_value(value)}"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(row, Mapping) for row in value.values())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items() if item is not None)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _line(name: str, text: str) -> str:
    return f"  {name:<{_WIDTH}}{printable(text)}"
