"""Checkpoints: what a net is and has learnt, in files that are written beside and renamed, and that run no code.

Three kinds are read: a run's own (`last.ckpt`, everything it needs to go on), one pruned to the averaged net, and the
published Apollo's.
"""

import dataclasses
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch.torch_version import TorchVersion

from apollo_rt.config import Framing
from training.nets import apollo_published
from training.nets.apollo_published import PublishedApollo
from training.nets.model import ModelConfig, Restorer

RUN = "apollo_rt_run"
"""Where a run's own checkpoint holds what is not Lightning's: sizes, step, seconds trained."""

_AVERAGED = "averaged.module.net."


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
    values["exits"] = tuple(values["exits"])
    return ModelConfig(**values)


def difference(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    """What two dictionaries of sizes don't agree in, in words."""
    names = [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]
    return ", ".join(f"{name} is {found.get(name)} in it, not {wanted.get(name)}" for name in names)


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
    """Read a checkpoint; tensors and plain values only, so that a file from a stranger runs no code.

    Returns:
        What the file holds; of a run's own checkpoint what a pruned one would hold.

    Raises:
        ValueError: it can't be read; one line says why.
    """
    try:
        # The published checkpoints note the version of PyTorch in a type of its own, a kind of text.
        with torch.serialization.safe_globals([TorchVersion]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"{path}: can't be read: {error.strerror or error}") from None
    except (UnpicklingError, RuntimeError, EOFError, ValueError):
        raise ValueError(f"{path}: is no checkpoint, is damaged, or holds more than tensors and plain values") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must hold a dictionary, it holds a {type(content).__name__}")
    return _of_run(content) if RUN in content else content


def _of_run(content: dict[str, Any]) -> dict[str, Any]:
    """The averaged net out of everything a run needs."""
    run = content[RUN]
    state = {name.removeprefix(_AVERAGED): tensor for name, tensor in content["state_dict"].items()
             if name.startswith(_AVERAGED)}  # fmt: skip
    return {"config": run["sizes"], "averaged": state, "step": run["step"], "trained_s": run["trained_s"]}


def load_restorer(path: Path) -> tuple[Restorer, dict[str, Any]]:
    """The averaged causal net of a checkpoint, ready for inference, and what else the file says.

    Raises:
        ValueError: the file can't be read, or holds another net.
    """
    content = load(path)
    try:
        model = Restorer(config_from_dict(content["config"]))
        model.load_state_dict(content["averaged"])
    except (KeyError, TypeError, RuntimeError):
        raise ValueError(f"{path}: holds no causal net that this version knows") from None
    return model.eval(), content


def load_published(path: Path, width: int | None = None, n_layers: int | None = None) -> PublishedApollo:
    """The published net of a checkpoint, ready for inference.

    Args:
        path: as published, or of a run that trained this net.
        width: what it must have, if given.
        n_layers: the same.

    Raises:
        ValueError: the file can't be read, holds another net, or one of other sizes.
    """
    content = load(path)
    state = content.get("averaged") or content.get("state_dict", content)
    try:
        net = apollo_published.from_state(state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    found = {"width": net.BN[0][1].out_channels, "n_layers": len(net.net)}
    wanted = {"width": width or found["width"], "n_layers": n_layers or found["n_layers"]}
    if wanted != found:
        raise ValueError(f"{path} doesn't fit the net's config: {difference(wanted, found)}")
    return net
