"""From what a user says, the name of a model and of a provider, to a loaded model."""

import os
import time
import warnings
from typing import Literal

import numpy as np

from apollo_rt.errors import ProviderError
from apollo_rt.inference.accelerator import NoGpuError, find_gpu
from apollo_rt.inference.execution_provider import engine_cache
from apollo_rt.inference.model import Backend, Model, load
from apollo_rt.inference.model_file import ModelFile, bundled_model_paths, read_model_file
from apollo_rt.inference.model_library import find_model
from apollo_rt.inference.onnx_c_api import runtime
from apollo_rt.inference.probe import probe_model
from apollo_rt.inference.provider import Provider, is_prepared, parse_provider

_N_STEPS = 64


def open_model(
    model: str | os.PathLike[str] | ModelFile | None = None,
    provider: str | Provider = "auto",
    backend: Backend | Literal["auto"] = "auto",
) -> Model:
    """Find and load a model.

    Args:
        model: a file or its path, the name of a model (see `model_library`), or None for the one that ships with the
            package.
        provider: `cpu`, `cuda` or `tensorrt`, with options as in `tensorrt+fp16+graph`; it is used or there is an
            error. `auto`: the fastest of those that this machine has, as measured now; TensorRT only where `apollo-rt
            build-engine` has built its engine.
        backend: as in `model.load`.

    Raises:
        ModelFileError: the file is no model, or contradicts itself, or there is no model of that name.
        ProviderError: the provider can't be used; the message gives the reason.
        ValueError: there is no such provider or back end.
    """
    file = model if isinstance(model, ModelFile) else read_model_file(find_model(model))
    if file.card.path not in bundled_model_paths():
        probe_model(file)
    wanted = parse_provider(provider) if isinstance(provider, str) else provider
    if wanted is None:
        return _fastest(file, backend)
    if wanted.name == "tensorrt" and not _has_engine(file, wanted):
        warnings.warn(
            f"{wanted}: building the engine of {file.card.path.name} now, which takes minutes; "
            f"`apollo-rt build-engine --provider {wanted}` does it beforehand",
            RuntimeWarning,
            stacklevel=2,
        )
    return load(file, backend, wanted)


def open_tier(model: Model, tier: str | None) -> Model:
    """The tier of that name of a loaded model's file; None for the one that is loaded.

    Raises:
        ValueError: there is none.
    """
    return model if tier in (None, model.tier) else load(model.file, model.backend, model.provider, tier)


def open_tiers(model: Model) -> dict[str, Model]:
    """A loaded model and the lighter tiers of its file, by name, better ones first."""
    names = model.card.tiers[model.card.tiers.index(model.tier) + 1 :]
    return {model.tier: model, **{name: load(model.file, model.backend, model.provider, name) for name in names}}


def step_time_s(model: Model, n_steps: int = _N_STEPS) -> float:
    """Median time of a step on silence, in seconds, one after the other."""
    step, times = model.new_step(), []
    try:
        step.bound.warm_up()
        for number in range(n_steps):
            begin_s = time.perf_counter()
            step.bound.run(number & 1)
            times.append(time.perf_counter() - begin_s)
    finally:
        step.bound.close()
    return float(np.median(times))


def _fastest(file: ModelFile, backend: Backend | Literal["auto"]) -> Model:
    """The model on the provider with the shortest step; a step is short, and a launch on a GPU is not free."""
    best = load(file, backend)
    for provider in _accelerators(file):
        try:
            rival = load(file, backend, provider)
            slower, best = sorted((best, rival), key=step_time_s, reverse=True)
            slower.close()
        except ProviderError as error:
            warnings.warn(f"{error}; {best.provider} serves in its place", RuntimeWarning, stacklevel=3)
    return best


def _accelerators(file: ModelFile) -> list[Provider]:
    """Providers that `auto` tries beside the CPU: none where there is no GPU, since none was asked for."""
    try:
        find_gpu()
    except NoGpuError:
        return []
    tensorrt = Provider("tensorrt")
    try:
        return [Provider("cuda"), *([tensorrt] if _has_engine(file, tensorrt) else [])]
    except ProviderError:  # TensorRT is not installed: again nothing was asked for
        return [Provider("cuda")]


def _has_engine(file: ModelFile, provider: Provider) -> bool:
    """Whether TensorRT's engine of a model was built by an earlier program."""
    return is_prepared(engine_cache(runtime(), provider, file.content))
