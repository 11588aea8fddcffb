"""The operators that a model may use: those that ONNX Runtime's CPU, CUDA and TensorRT providers all take in float32.

Sources, read in November 2026: `docs/OperatorKernels.md` of microsoft/onnxruntime (generated from the registered
kernels; commit 001d12d2623f) for CPU and CUDA, and `docs/operators.md` of onnx/onnx-tensorrt (commit 009d6541b4ee,
TensorRT 8.4, the oldest that is asked of) for TensorRT. An operator that one of them lacks would be run on the CPU,
with copies in both directions at every step, and nobody would be told. Operators on shapes (Shape, Expand, Where and
the like) are left out too: a graph of fixed shapes has no use for them.
"""

from collections import Counter

import onnx

from apollo_rt.errors import ParityError

TAKEN_BY_ALL = frozenset(
    """
    Abs Add Clip Concat Conv Cos DequantizeLinear Div Erf Exp Gather Gemm Identity LeakyRelu Log MatMul Max Min Mul Neg
    Pad Pow ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape Sigmoid Sin Slice Softmax Split Sqrt Squeeze
    Sub Sum Tanh Transpose Unsqueeze
    """.split()  # noqa: SIM905  # fifty quoted words would be a page
)


def check_operators(graph: str, model: onnx.ModelProto) -> Counter[str]:
    """Count a model's operators.

    Args:
        graph: what to call it in an error.
        model: of which all operators must be taken by all providers.

    Raises:
        ParityError: one isn't.
    """
    counts = Counter(f"{node.domain}.{node.op_type}".lstrip(".") for node in model.graph.node)
    if strange := counts.keys() - TAKEN_BY_ALL:
        raise ParityError(f"{graph}: {', '.join(sorted(strange))}: not taken by CPU, CUDA and TensorRT providers alike")
    return counts
