"""Weights of the level net's layers in 8 bits: a file of less than half the size, whose step stays in a core's cache.

A column of a weight is a scale and whole numbers from -127 to 127, in the standard's own `DequantizeLinear`. ONNX
Runtime's CPU provider (1.31) makes one product of that and of the Gemm behind it, and rounds what goes in as well, each
32 numbers of a row by themselves: steps and batches are the same to the bit. Other providers make floats of it.
"""

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.nets.level_net import LevelLayer
from training.nets.level_restorer import LevelRestorer

EXACT = {"session.qdq_matmulnbits_accuracy_level": "1"}
"""Of a session: what goes into such a product is not rounded, to see that nothing else is wrong. Many times slower."""

_STEPS = 127
_LAYERS = ".layers."


@torch.no_grad()
def round_weights(net: LevelRestorer) -> None:
    """Rounds the weights of all layers to what 8 bits hold."""
    layers = [one for one in net.modules() if isinstance(one, LevelLayer)]
    for weight in [part.weight for layer in layers for part in (layer.widen, layer.narrow)]:
        scale = _scale(weight)
        weight.copy_(torch.round(weight / scale) * scale)


def _scale(weight: Tensor) -> Tensor:
    return weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / _STEPS


def store_small(model: onnx.ModelProto) -> None:
    """Stores the layers' weights of a traced step in 8 bits; a net's must have been rounded.

    Args:
        model: changed in place.
    """
    graph = model.graph
    products = [node for node in graph.node if node.op_type in ("Gemm", "MatMul")]
    weights = {name for node in products for name in node.input[1:2] if _LAYERS in f".{name}"}
    small = {one.name: one for one in graph.initializer if one.name in weights}
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    kept = [onnx.TensorProto.FromString(one.SerializeToString()) for one in graph.initializer if one.name not in small]
    for name, stored in small.items():
        whole, scale = _whole(onnx.numpy_helper.to_array(stored))
        kept += [
            onnx.numpy_helper.from_array(whole, f"{name}.whole"),
            onnx.numpy_helper.from_array(scale, f"{name}.scale"),
        ]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(
        onnx.helper.make_node("DequantizeLinear", [f"{name}.whole", f"{name}.scale"], [name], f"{name}.float", axis=1)
        for name in small
    )
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    del graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)


def _whole(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A scale for each column, and numbers."""
    scale = np.maximum(np.abs(weight).max(0), np.float32(1e-12)) / np.float32(_STEPS)
    return np.round(weight / scale).astype(np.int8), scale.astype(np.float32)
