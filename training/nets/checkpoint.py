"""Checkpoints: what a net is and has learnt, in files that are written beside and renamed, and that run no code.

Three kinds are read: a run's own (`last.ckpt`, everything it needs to go on), one pruned to the averaged net, and the
published Apollo's.
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch.torch_version import TorchVersion

from apollo_rt.atomic_file import whole_path
from apollo_rt.config import Framing
from training.nets import apollo_published
from training.nets.apollo_published import PublishedApollo
from training.nets.causal_restorer import Restorer
from training.nets.level_bands import LevelBands
from training.nets.level_net import LevelNet, LevelNetConfig
from training.nets.level_restorer import LevelRestorer
from training.nets.net_config import ModelConfig

RUN = "apollo_rt_run"
"""Where a run's own checkpoint holds what Lightning doesn't know: what the net is, steps, seconds trained."""

LEVELS = "levels"
"""Where a checkpoint of a level net holds its sizes."""

_AVERAGED = "averaged.module.net."
_WINDOW_MS = 20  # of the published net, where `model_args` says a rate but no window


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


def refuse_other(path: Path, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    """Compare what two nets are.

    Raises:
        ValueError: they differ; one line says in what.
    """
    ours, theirs = _flat(wanted), _flat(found)
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    if names:
        reason = ", ".join(
            f"{name} is {theirs.get(name)} there and {ours.get(name)} in the configuration" for name in names
        )
        raise ValueError(f"{path} holds another net: {reason}")


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Nested dictionaries as one, with the innermost names; what an older program's framing lacks has its default."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if name == "framing":
            flat |= dataclasses.asdict(Framing(**value))
            continue
        flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return flat


def save(path: Path, **content: Any) -> None:
    """Write a checkpoint whole: a run that is killed leaves the last one."""
    with whole_path(path) as whole:
        torch.save(content, whole)


def pruned(content: dict[str, Any]) -> dict[str, Any]:
    """Of a run's own checkpoint what the export needs, and a new run to begin with: less than a third of the size."""
    run = content[RUN]
    names = [name for name in content["state_dict"] if name.startswith(_AVERAGED)]
    weights = {name.removeprefix(_AVERAGED): content["state_dict"][name] for name in names}
    return {**run["head"], run["weights_name"]: weights, "step": run["step"], "trained_s": run["trained_s"]}


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint; tensors and plain values only, so that a file from a stranger runs no code.

    Returns:
        What the file holds; of a run's own checkpoint what a pruned one would hold.

    Raises:
        ValueError: it can't be read; one line says why.
    """
    content = _read(path)
    return pruned(content) if RUN in content else content


def load_run(path: Path) -> dict[str, Any]:
    """Read a run's own checkpoint, all of it.

    Raises:
        ValueError: it can't be read, or is none of a run.
    """
    content = _read(path)
    if RUN not in content:
        raise ValueError(f"{path}: is no checkpoint of a run")
    return content


def _read(path: Path) -> dict[str, Any]:
    try:
        # The published checkpoints note the version of PyTorch in a type of its own, a kind of text.
        with torch.serialization.safe_globals([TorchVersion]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"{path}: can't be read: {error.strerror or error}") from None
    except Exception:  # a file of another kind makes the unpickler fail in any way
        raise ValueError(f"{path}: is no checkpoint, is damaged, or holds more than tensors and plain values") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must hold a dictionary, it holds a {type(content).__name__}")
    return content


def load_restorer(path: Path) -> tuple[Restorer | LevelRestorer, dict[str, Any]]:
    """The averaged causal net of a checkpoint, ready for inference, and what else the file says.

    Raises:
        ValueError: the file can't be read, or holds another net.
    """
    content = load(path)
    try:
        if LEVELS in content:
            return load_levels(content), content
        model = Restorer(config_from_dict(content["config"]))
        model.load_state_dict(content["averaged"])
    except (KeyError, TypeError, RuntimeError):
        raise ValueError(f"{path}: holds no net that this version knows, but {kind_of(content)}") from None
    return model.eval(), content


def load_levels(content: dict[str, Any]) -> LevelRestorer:
    """The restorer around the level net of a checkpoint.

    Args:
        content: of a file that `save_levels` wrote.

    Raises:
        KeyError, TypeError, RuntimeError: it holds another net.
    """
    values = dict(content[LEVELS])
    bands = dict(values.pop("bands"))
    framing = Framing(**bands.pop("framing"))
    net = LevelRestorer(LevelNetConfig(bands=LevelBands(framing, **bands), **values))
    net.levels.load_state_dict({name: weight.float() for name, weight in content["averaged"].items()})
    return net.eval()


def save_levels(path: Path, net: LevelNet, **content: Any) -> None:
    """Write a level net, its weights in half precision: what is rounded off lies 60 dB below them."""
    weights = {name: weight.half() for name, weight in net.state_dict().items()}
    save(path, **{LEVELS: dataclasses.asdict(net.config)}, averaged=weights, **content)


def load_published(path: Path) -> PublishedApollo:
    """The published net of a checkpoint, ready for inference.

    Raises:
        ValueError: the file can't be read, or holds another net.
    """
    return published_of(path, load(path))


def is_published(content: dict[str, Any]) -> bool:
    """Whether a checkpoint holds the published net: bare, or under `state_dict`."""
    state = content.get("state_dict", content)
    return isinstance(state, dict) and apollo_published.is_state(state)


def published_of(path: Path, content: dict[str, Any]) -> PublishedApollo:
    """The published net of what was read; its sizes are those of its tensors.

    Args:
        path: for messages.
        content: with `model_args` beside `state_dict` or without; where they are, they must agree with the tensors.

    Raises:
        ValueError: it holds another net, or contradicts itself.
    """
    state, arguments = content.get("state_dict", content), content.get("model_args")
    try:
        if not isinstance(state, dict):
            raise ValueError(f"its state_dict is a {type(state).__name__}")  # a fault of the file
        said = arguments if isinstance(arguments, dict) else {}
        sample_rate = said.get("sr", apollo_published.SAMPLE_RATE)
        if type(sample_rate) is not int or not 8000 <= sample_rate <= 384_000:
            raise ValueError(f"model_args says sr {sample_rate!r}, which must be from 8000 to 384000 Hz")
        net = apollo_published.from_state(state, sample_rate)
        wanted = net.sizes | ({"win": 1e3 * net.window_length / sample_rate} if said.keys() & {"sr", "win"} else {})
        for name, size in wanted.items():
            if (given := said.get(name, _WINDOW_MS if name == "win" else size)) != size:
                raise ValueError(f"model_args says {name} {given!r} at sr {sample_rate}, its tensors are of {size:g}")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return net


def kind_of(content: dict[str, Any]) -> str:
    """The kind of a checkpoint that we don't know: some names of what it holds."""
    state = content.get("state_dict", content)
    names = [str(name) for name in (state if isinstance(state, dict) else content)]
    return f"{len(names)} entries: {', '.join(names[:4])}{' ...' if len(names) > 4 else ''}"
