"""A guard bounds what a graph may hold, by the file itself, before ONNX Runtime sees it.

A step has fixed shapes and runs from front to back, so nothing is lost by refusing what else ONNX can say: loops and
branches, which may never end; functions and operators of other domains; weights in other files; and operators whose
output is as large as a number in the file says.
"""

from apollo_rt.inference.protobuf import ProtobufError, message_fields

_GRAPH, _FUNCTIONS = 7, 25  # of ModelProto, onnx.proto3
_NODE, _INITIALIZER, _SPARSE_INITIALIZER = 1, 5, 15  # of GraphProto
_OPERATOR, _ATTRIBUTE, _DOMAIN = 4, 5, 7  # of NodeProto
_SUBGRAPH, _SUBGRAPHS, _SPARSE_TENSOR, _SPARSE_TENSORS = 6, 11, 22, 23  # of AttributeProto
_EXTERNAL_DATA = 13  # of TensorProto
_STANDARD = ("", "ai.onnx")
_MAX_NODES = 20_000  # a real step has some hundred

_SIZED_BY_VALUE = frozenset(
    """
    AffineGrid Bernoulli BlackmanWindow CenterCropPad ConstantOfShape EyeLike Expand HammingWindow HannWindow Loop
    MaxUnpool MelWeightMatrix Multinomial NonZero OneHot RandomNormal RandomNormalLike RandomUniform RandomUniformLike
    Range Resize Scan SequenceMap Tile Upsample
    """.split()  # noqa: SIM905 - two dozen quoted words are harder to read
)


def check_graph(model: bytes) -> None:
    """Refuse a serialised model whose graph holds what no step needs.

    Raises:
        ProtobufError: it does, or these bytes are no model; the message says what.
    """
    n_nodes = 0
    for number, content in message_fields(model):
        if number == _FUNCTIONS:
            raise ProtobufError("the graph has functions of its own, which are not allowed")
        if number != _GRAPH:
            continue
        for part, message in message_fields(content):
            if part == _NODE:
                n_nodes += 1
                _check_node(message)
            elif part == _SPARSE_INITIALIZER:
                raise ProtobufError("the graph has sparse weights, which are not allowed")
            elif part == _INITIALIZER and any(field == _EXTERNAL_DATA for field, _ in message_fields(message)):
                raise ProtobufError("the graph has weights in another file, which is not allowed")
    if n_nodes > _MAX_NODES:
        raise ProtobufError(f"the graph has {n_nodes} nodes, at most {_MAX_NODES} are allowed")


def _check_node(node: bytes) -> None:
    operator, domain = "", ""
    for number, content in message_fields(node):
        if number == _OPERATOR:
            operator = content.decode(errors="replace")
        elif number == _DOMAIN:
            domain = content.decode(errors="replace")
        elif number == _ATTRIBUTE:
            held = {field for field, _ in message_fields(content)}
            if held & {_SUBGRAPH, _SUBGRAPHS, _SPARSE_TENSOR, _SPARSE_TENSORS}:
                raise ProtobufError("a node of the graph holds a graph of its own, which is not allowed")
    if domain not in _STANDARD:
        raise ProtobufError(f"the operator {operator[:64]!r} is of the domain {domain[:64]!r}, not of the standard's")
    if operator in _SIZED_BY_VALUE:
        raise ProtobufError(f"the operator {operator} is not allowed in a step of fixed shapes")
