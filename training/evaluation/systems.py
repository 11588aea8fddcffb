"""Systems are measured side by side: each makes a clip of a damaged one, aligned with it and as long."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from apollo_rt.compiled.code_cache import sources_digest
from apollo_rt.effects import apollo_effect
from apollo_rt.effects.apollo_effect import ApolloEffect
from apollo_rt.inference import model
from training.data.audio import SAMPLE_RATE, Audio
from training.evaluation import exciter
from training.evaluation.judge import as_tensor
from training.inference.restoration import Restoration, load_restoration

Kind = Literal["untouched", "exciter", "onnx", "checkpoint"]
Restore = Callable[[Audio, float | None], Audio]
"""Takes a damaged clip (samples, 2) and the codec's cut in Hz."""


@dataclass(frozen=True)
class System:
    """A system by name; it is loaded where it is needed.

    Attributes:
        name: in tables.
        kind: how it is run.
        path: of the file that it is in, if it is.
        tier: of a model file; None for its best.
    """

    name: str
    kind: Kind
    path: Path | None = None
    tier: str | None = None

    @property
    def identity(self) -> str:
        """Changes with everything that its output depends on: its file and the code that runs it."""
        digest = hashlib.sha256(self.path.read_bytes() if self.path else b"")
        digest.update(f"{self.tier} {_code_of(self.kind)}".encode())
        return f"{self.kind}-{digest.hexdigest()[:20]}"


BASELINES = (System("untouched", "untouched"), System("exciter", "exciter"))
"""Always measured beside a model."""


def of_file(path: Path, tiers: Sequence[str] = ()) -> list[System]:
    """The systems that a file holds: .onnx goes through the streaming engine, anything else is a checkpoint.

    Args:
        path: the file.
        tiers: of a model file, each one a system; none given: its best.
    """
    if path.suffix.lower() != ".onnx":
        return [System(path.stem, "checkpoint", path.resolve())]
    best = System(path.stem, "onnx", path.resolve())
    return [replace(best, name=f"{path.stem} {tier}", tier=tier) for tier in tiers] or [best]


def load(system: System) -> Restore:
    """Make a system ready, once while its file stays the same.

    Raises:
        ApolloError: its file is not usable; one line says why.
    """
    return _loaded(system, system.identity)


@cache
def _loaded(system: System, _identity: str) -> Restore:
    if system.kind == "onnx":
        effect = ApolloEffect(model=model.load(system.path, tier=system.tier))
        return lambda damaged, _: np.ascontiguousarray(effect(np.ascontiguousarray(damaged.T), SAMPLE_RATE).T)
    if system.kind == "checkpoint":
        assert system.path
        return _from_checkpoint(load_restoration(system.path))
    if system.kind == "exciter":
        return lambda damaged, cut_hz: np.ascontiguousarray(exciter.excite(as_tensor(damaged), cut_hz).numpy().T)
    return lambda damaged, _: damaged


def _from_checkpoint(restoration: Restoration) -> Restore:
    def restore(damaged: Audio, _: float | None) -> Audio:
        position = 0

        def read(n_samples: int) -> Audio:
            nonlocal position
            position += n_samples
            return damaged[position - n_samples : position]

        return np.concatenate(list(restoration.restored(read)))

    return restore


@cache
def _code_of(kind: Kind) -> str:
    if kind == "onnx":
        return sources_digest(Path(apollo_effect.__file__))
    sources = {"exciter": [Path(exciter.__file__)], "checkpoint": _net_sources(), "untouched": []}[kind]
    return "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in sources)


def _net_sources() -> list[Path]:
    root = Path(__file__).parents[1]
    return [root / "inference/restoration.py", *sorted((root / "nets").glob("*.py"))]
