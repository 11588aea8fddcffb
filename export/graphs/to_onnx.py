"""The net as ONNX graphs, by PyTorch's current exporter: the full step, lighter tiers' steps, batches."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import onnx
import torch
from torch import nn

from apollo_rt.errors import ParityError
from export.graphs.level_step import LevelStep
from export.graphs.operators import check_operators
from export.graphs.published_step import PublishedStep
from export.graphs.shared_weights import share_weights, with_weights_of
from export.graphs.small_weights import round_weights, store_small
from export.graphs.step_module import StepModule
from training.nets.causal_restorer import Restorer
from training.nets.level_restorer import LevelRestorer

OPSET = 20
BATCH_FRAMES = 16
"""Of one call for files: as many as the second-level cache of a small core holds (`python -m export.trials.folds`)."""

_TIERS = ("full", "light", "lighter", "lightest")


Net = Restorer | LevelRestorer
Step = StepModule | LevelStep | PublishedStep


@dataclass(frozen=True)
class ExportedGraph:
    """One graph, with the module that it is of.

    Attributes:
        name: as in the file; `step` is the main graph.
        tier: which size of the model.
        module: what it must equal.
        model: the graph as a model of its own, with weights.
    """

    name: str
    tier: str
    module: Step
    model: onnx.ModelProto


def tier_names(net: Net) -> tuple[str, ...]:
    """Best first, the order of a file; the net's exits have the best last."""
    n_tiers = len(net.config.exits)
    return _TIERS[:n_tiers] if n_tiers <= len(_TIERS) else tuple(f"tier {i}" for i in range(n_tiers))


def step_of(net: Net, tier: int = -1, n_frames: int = 1) -> Step:
    """A net with the shapes of the model contract."""
    return LevelStep(net, tier, n_frames) if isinstance(net, LevelRestorer) else StepModule(net, tier, n_frames)


def input_names(step: Step) -> list[str]:
    """Names of the graph's inputs in order."""
    return [*step.frame_inputs, *(f"state_{i}" for i in range(len(step.initial_state())))]


def output_names(n_states: int) -> list[str]:
    """Names of the graph's outputs in order."""
    return ["restored", *(f"state_{i}_next" for i in range(n_states))]


def export_graphs(net: Net, batch_frames: int = BATCH_FRAMES, weight_bits: int = 32) -> list[ExportedGraph]:
    """All graphs of a net over one set of weights, the main one first.

    Args:
        net: the trained net; with 8 bits its weights are rounded.
        batch_frames: frames of a batch.
        weight_bits: of the layers' weights, 32 or 8.

    Raises:
        ParityError: the net has no layers whose weights can have 8 bits.
    """
    if weight_bits == 8:
        if not isinstance(net, LevelRestorer):
            raise ParityError("weights of 8 bits are those of a level net's layers, and this net is another")
        round_weights(net)
    parts = []
    for place, tier in enumerate(tier_names(net)):
        exit_index = len(net.config.exits) - 1 - place
        parts += [(f"{tier}.step", tier, step_of(net, exit_index))]
        parts += [(f"{tier}.batch", tier, step_of(net, exit_index, batch_frames))]
    return graphs_of(parts, weight_bits)


def graphs_of(parts: Sequence[tuple[str, str, Step]], weight_bits: int = 32) -> list[ExportedGraph]:
    """Steps and batches as checked graphs over one set of weights, that of the first.

    Args:
        parts: name, tier and module of each graph, the main one first.
        weight_bits: of the layers' weights, 32 or 8; for 8 they must have been rounded.

    Raises:
        ParityError: an operator isn't taken by all providers.
    """
    models = [to_onnx(module) for _, _, module in parts]
    if weight_bits == 8:
        for model in models:
            store_small(model)
    further = share_weights(models)
    models[1:] = [with_weights_of(models[0], graph) for graph in further]
    for (name, _, _), model in zip(parts, models, strict=True):
        onnx.checker.check_model(model, full_check=True)
        check_operators(name, model)
    return [ExportedGraph(*part, model) for part, model in zip(parts, models, strict=True)]


def to_onnx(step: Step) -> onnx.ModelProto:
    """Trace a step or a batch and check the graph.

    Raises:
        onnx.checker.ValidationError: the exporter made an invalid graph.
    """
    return trace(step, step.example_inputs(), input_names(step), output_names(len(step.initial_state())))


def trace(
    module: nn.Module, example_inputs: tuple[torch.Tensor, ...], inputs: list[str], outputs: list[str]
) -> onnx.ModelProto:
    """Any module as a graph without traces of where it came from, checked.

    Args:
        module: to trace; it is put into evaluation mode.
        example_inputs: of the shapes that the graph gets for good.
        inputs: their names.
        outputs: names of what it returns.

    Raises:
        RuntimeError: the exporter made no graph.
        onnx.checker.ValidationError: the exporter made an invalid graph.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter itself
        program = torch.onnx.export(
            module.eval(),
            example_inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            optimize=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model: onnx.ModelProto = program.model_proto
    # Names of source lines and of modules make the file larger and change with every checkout.
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return model
