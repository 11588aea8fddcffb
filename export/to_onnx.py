"""The step as an ONNX graph, by PyTorch's current exporter."""

import logging
import warnings

import onnx
import torch

from export.step_module import StepModule

OPSET = 20


def input_names(n_states: int) -> list[str]:
    """Names of the graph's inputs in order."""
    return ["spectrum", "carrier", *(f"state_{i}" for i in range(n_states))]


def output_names(n_states: int) -> list[str]:
    """Names of the graph's outputs in order."""
    return ["restored", *(f"state_{i}_next" for i in range(n_states))]


def to_onnx(step: StepModule) -> onnx.ModelProto:
    """Trace the step and check the graph.

    Raises:
        onnx.checker.ValidationError: the exporter made an invalid graph.
    """
    n_states = len(step.initial_state())
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter itself
        program = torch.onnx.export(
            step.eval(),
            step.example_inputs(),
            dynamo=True,
            opset_version=OPSET,
            input_names=input_names(n_states),
            output_names=output_names(n_states),
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
