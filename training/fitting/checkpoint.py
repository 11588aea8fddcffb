"""Checkpoints: everything a run needs to go on, in one file, written beside and renamed."""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from apollo_rt.config import Framing
from training.nets.model import ModelConfig, Restorer


def config_to_dict(config: ModelConfig) -> dict[str, Any]:
    """A plain dictionary, safe to load anywhere."""
    return dataclasses.asdict(config)


def config_from_dict(values: dict[str, Any]) -> ModelConfig:
    """The way back.

    Raises:
        ValueError: a value is outside its bounds.
        TypeError: a field is unknown or missing.
    """
    values = dict(values)
    values["framing"] = Framing(**values.get("framing", {}))
    values["band_groups"] = tuple(tuple(group) for group in values["band_groups"])
    values["dilations"] = tuple(values["dilations"])
    return ModelConfig(**values)


def save(path: Path, **content: Any) -> None:
    """Write beside, then rename: a run that is killed leaves the last whole checkpoint."""
    beside = path.with_suffix(path.suffix + ".part")
    torch.save(content, beside)
    beside.replace(path)


def prune(source: Path, target: Path) -> None:
    """Keep what the export needs, and a new run to begin with: a third of the size."""
    content = load(source)
    save(target, **{key: content[key] for key in ("config", "averaged", "step", "trained_s")})


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint; tensors and plain values only, so that a file from a stranger runs no code."""
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def load_restorer(path: Path) -> tuple[Restorer, dict[str, Any]]:
    """The averaged net of a checkpoint, ready for inference, and what else the file says."""
    content = load(path)
    model = Restorer(config_from_dict(content["config"]))
    model.load_state_dict(content["averaged"])
    return model.eval(), content
