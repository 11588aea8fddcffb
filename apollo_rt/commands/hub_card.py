"""A model's card as Hugging Face's hub wants it: YAML for its search, then a page for people."""

from collections.abc import Iterator
from typing import Any

from apollo_rt.control.yaml_file import yaml_text
from apollo_rt.inference.model_file import ModelFile, graph_sha256


def hub_card(file: ModelFile) -> str:
    """Text of a README.md for a repository of the hub that holds the model file.

    Args:
        file: as it was read.

    Source: the hub's model card specification (huggingface_hub, `ModelCardData`).
    """
    return "".join(f"{line}\n" for line in (*_metadata(file), "", *_page(file)))


def _metadata(file: ModelFile) -> Iterator[str]:
    card = file.card
    head: dict[str, Any] = {
        "license": card.licence.lower(),
        "library_name": "apollo-rt",
        "pipeline_tag": "audio-to-audio",
        "tags": ["audio", "music", "audio-restoration", "codec-artifacts", "real-time", "onnx"],
        "model-index": [{"name": card.name, "results": list(_results(file))}],
    }
    yield from ("---", *yaml_text(head).rstrip().splitlines(), "---")


def _grids(file: ModelFile) -> dict[str, dict[str, Any]]:
    """Tables of figures of the card: damage to system to measure."""
    return {
        key: value
        for key, value in file.card.quality.items()
        if isinstance(value, dict) and all(isinstance(row, dict) for row in value.values()) and value
        and all(isinstance(cell, dict) for row in value.values() for cell in row.values())
    }  # fmt: skip


def _results(file: ModelFile) -> Iterator[dict[str, Any]]:
    best = f"{file.card.name} {file.card.tiers[0]}"
    for grid in _grids(file).values():
        for damage, systems in grid.items():
            figures = systems.get(best, {})
            metrics = [{"type": name, "value": value} for name, value in figures.items() if isinstance(value, float)]
            if metrics:
                yield {
                    "task": {"type": "audio-to-audio"},
                    "dataset": {"name": f"{damage}, {file.card.quality.get('set', 'not said')}", "type": damage},
                    "metrics": metrics,
                }


def _page(file: ModelFile) -> Iterator[str]:
    card, framing = file.card, file.card.framing
    latency_ms = 1e3 * framing.algorithmic_latency / framing.sample_rate
    yield from (f"# {card.name}", "")
    yield from (
        "Restores music that a lossy codec damaged, live: a causal net as one ONNX file, for Apollo RT.",
        "",
        f"- **Takes** {framing.sample_rate} Hz, hop {framing.hop_length}, window {framing.analysis_length}; "
        f"algorithmic latency {framing.algorithmic_latency} samples ({latency_ms:.1f} ms)",
        f"- **Tiers** {', '.join(card.tiers)}; weights of {card.weight_bits} bits, {len(file.content) / 1e6:.1f} MB",
        f"- **Licence** {card.licence}",
        f"- **SHA-256 of the graph** `{graph_sha256(file.content)}`",
        "",
        "## Use",
        "",
        "```bash",
        f"apollo-rt live --model {card.path.name}                  # live, between devices",
        f"apollo-rt restore --model {card.path.name} song.mp3 restored.flac",
        "```",
        "",
        "## Training",
        "",
    )
    yield from (f"- {key}: {_words(value)}" for key, value in card.training.items())
    yield from ("", "## Quality", "")
    for grid in _grids(file).values():
        yield from (*_table(grid), "")
    grids = _grids(file)
    yield from (f"- {key}: {_words(value)}" for key, value in card.quality.items() if key not in grids)


def _table(grid: dict[str, Any]) -> Iterator[str]:
    """A table of figures, one row for each damage and system."""
    measures = list(dict.fromkeys(name for systems in grid.values() for row in systems.values() for name in row))
    yield f"| damage | system | {' | '.join(measures)} |"
    yield f"|---|---|{'---|' * len(measures)}"
    for damage, systems in grid.items():
        for system, row in systems.items():
            yield f"| {damage} | {system} | {' | '.join(_words(row.get(name, '')) for name in measures)} |"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(part)}" for key, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(_words, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
