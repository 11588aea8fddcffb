"""Several graphs over one set of weights: every weight stands once, in the main graph, and is named by what it is."""

from collections.abc import Sequence

import onnx


def share_weights(models: Sequence[onnx.ModelProto]) -> list[onnx.GraphProto]:
    """Move all initializers into the first model; equal ones become one.

    Args:
        models: the main one first; all are changed in place.

    Returns:
        The graphs of the others, without initializers.
    """
    names: dict[tuple[object, ...], str] = {}
    stored: list[onnx.TensorProto] = []
    for model in models:
        renamed = {}
        for tensor in model.graph.initializer:
            key = (tensor.data_type, tuple(tensor.dims), onnx.numpy_helper.to_array(tensor).tobytes())
            if key not in names:
                names[key] = _new_name(tensor.name, set(names.values()))
                stored.append(onnx.TensorProto())
                stored[-1].CopyFrom(tensor)
                stored[-1].name = names[key]
            renamed[tensor.name] = names[key]
        for node in model.graph.node:
            node.input[:] = [renamed.get(name, name) for name in node.input]
        del model.graph.initializer[:]
        # Shapes of values are inferred again by whoever needs them, and half a graph without weights are names.
        del model.graph.value_info[:]
    models[0].graph.initializer.extend(stored)
    return [model.graph for model in models[1:]]


def _new_name(name: str, taken: set[str]) -> str:
    """A parameter's path in the module, or a number; never what a graph may call one of its own values."""
    wanted = name if "." in name else f"constant.{len(taken)}"
    return wanted if wanted not in taken else f"{wanted}.{len(taken)}"


def with_weights_of(main: onnx.ModelProto, graph: onnx.GraphProto) -> onnx.ModelProto:
    """A further graph as a model of its own, as `protobuf.merged_model` makes it."""
    model = onnx.ModelProto()
    model.CopyFrom(main)
    del model.metadata_props[:]
    model.graph.CopyFrom(graph)
    model.graph.initializer.extend(main.graph.initializer)
    return model
