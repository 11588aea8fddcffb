"""A model's card as lines for people: one screen, or everything that it says."""

from collections.abc import Iterator, Mapping
from typing import Any

from apollo_rt.config import WINDOWS
from apollo_rt.inference.model_file import ModelFile, graph_sha256
from apollo_rt.printable import printable

_WIDTH = 12
_SHORT = 16
"""Characters of a text that stands among figures, such as a date."""

_SHOWN_FIRST = ("visqol", "lsd", "si_sdr_db", "movement", "image_share")
"""Of the measures that a table of figures has, as far as a line has room for them."""

_LEFT_OUT = "exciter"
"""A baseline; the screen compares what was there with what the model makes of it."""


def card_lines(file: ModelFile, width: int | None = None) -> Iterator[str]:
    """Lines of a card: what it is, trained on what, how good, latency, licence, hash; the caller measures speed.

    Args:
        file: as it was read.
        width: of the screen in characters: figures become a table, and a line that is longer ends in three dots; None
            shows everything, each fact on a line of its own.
    """
    card = file.card
    framing = card.framing
    latency_ms = 1e3 * framing.algorithmic_latency / framing.sample_rate
    yield printable(f"{card.name}, licence: {card.licence}")
    bits = f", weights of {card.weight_bits} bits" if card.weight_bits != 32 else ""
    yield _line("file", f"{card.path} ({len(file.content) / 1e6:.1f} MB{bits}), tiers: {', '.join(card.tiers)}")
    window = "" if framing.window == WINDOWS[0] else f" ({framing.window})"
    lookahead = f", {framing.lookahead_frames} frames of it lookahead" if framing.lookahead_frames else ""
    yield _line(
        "takes",
        f"{framing.sample_rate} Hz, hop {framing.hop_length}, window {framing.analysis_length}{window}; latency "
        f"{framing.algorithmic_latency} samples ({latency_ms:.1f} ms){lookahead}",
    )
    for name, facts in (("trained", card.training), ("quality", card.quality)):
        yield from _facts(name, facts) if width is None else _screen(name, facts, width)
    yield _line("sha256", graph_sha256(file.content))


def card_record(file: ModelFile) -> dict[str, Any]:
    """A card as plain values, for JSON.

    Args:
        file: as it was read.
    """
    card, framing = file.card, file.card.framing
    return {
        "name": card.name,
        "path": str(card.path),
        "licence": card.licence,
        "size_bytes": len(file.content),
        "weight_bits": card.weight_bits,
        "tiers": list(card.tiers),
        "sample_rate": framing.sample_rate,
        "hop_length": framing.hop_length,
        "analysis_length": framing.analysis_length,
        "lookahead_frames": framing.lookahead_frames,
        "algorithmic_latency": framing.algorithmic_latency,
        "training": card.training,
        "quality": card.quality,
        "sha256": graph_sha256(file.content),
    }


def _screen(name: str, facts: Mapping[str, Any], width: int) -> Iterator[str]:
    """The facts on as few lines as can be read: tables of figures as such, short facts together."""
    short = {key: value for key, value in facts.items() if _is_short(value)}
    lines = [line for key, value in facts.items() if key not in short for line in _shown(key, value, width)]
    lines += [("", _value(short))] if short else []
    for index, (group, text) in enumerate(lines):
        yield _shortened(_line(group or ("" if index else name), text), width)


def _shown(key: str, value: Any, width: int) -> Iterator[tuple[str, str]]:
    """A fact as what stands in the column of names, and what stands behind it."""
    if not _is_grid(value):
        yield from (("", text) for text in _texts(key, value))
        return
    first = next(iter(value.values()))
    systems = [system for system in first if system != _LEFT_OUT]
    known = list(dict.fromkeys(measure for figures in first.values() for measure in figures))
    measures = [measure for measure in _SHOWN_FIRST if measure in known] or known
    cell_width = 6 * max(len(systems), 2) + 2
    measures = measures[: max(1, (width - _WIDTH - 2) // cell_width)]
    yield "", f"in each column: {'; '.join(systems)}"
    yield "", "".join(f"{measure:<{cell_width}}" for measure in measures)
    for group, figures in value.items():
        cells = (
            " ".join(f"{_two_digits(figures.get(system, {}).get(measure)):<5}" for system in systems)
            for measure in measures
        )
        yield group, "".join(f"{cell:<{cell_width}}" for cell in cells)


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


def _is_short(value: Any) -> bool:
    return value is None or isinstance(value, int | float) or (isinstance(value, str) and len(value) < _SHORT)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(row, Mapping) for row in value.values())


def _is_grid(value: Any) -> bool:
    """Groups of systems of measures, nothing else."""
    return (
        _is_table(value)
        and all(_is_table(systems) for systems in value.values())
        and all(isinstance(figures, Mapping) for systems in value.values() for figures in systems.values())
    )


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items() if item is not None)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _two_digits(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "-" if value is None else str(value)


def _line(name: str, text: str) -> str:
    return f"  {printable(name):<{_WIDTH}}{printable(text)}".rstrip()


def _shortened(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 3] + "..."
