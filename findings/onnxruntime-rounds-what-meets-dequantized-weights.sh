#!/bin/sh
# A graph of the ONNX standard that only stores its weights in 8 bits (DequantizeLinear, one scale a column, before Gemm)
# is not computed in float32 by ONNX Runtime 1.31.1 on a CPU: by default both nodes become one MatMulNBits of the domain
# com.microsoft with accuracy_level 4, which rounds the *other* operand to 8 bits too, 32 numbers of a row at a time.
# Nothing in the graph asks for that. The entry session.qdq_matmulnbits_accuracy_level = 1 of the session's configuration
# gives float32 sums; the product of one row is then many times slower than with rounding.
# Seen (AMD EPYC, AVX-512 VNNI): -45 dB of the output by default, -130 dB with level 1; 6 and 228 microseconds a product.
# Exits with 0 while it is so, with 1 once it isn't any more.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
cd "$folder"
ORT_DISABLE_TELEMETRY=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

N = 512
random = np.random.default_rng(0)
weights = (random.standard_normal((N, N)) / N**0.5).astype(np.float32)
scale = (np.abs(weights).max(0) / 127).astype(np.float32)
whole = np.round(weights / scale).astype(np.int8)
nodes = [
    helper.make_node("DequantizeLinear", ["whole", "scale"], ["weights"], axis=1),
    helper.make_node("Gemm", ["x", "weights", "bias"], ["y"]),
]
stored = {"whole": whole, "scale": scale, "bias": np.zeros(N, np.float32)}
tensors = [numpy_helper.from_array(value, name) for name, value in stored.items()]
ends = [[helper.make_tensor_value_info(name, 1, [1, N])] for name in "xy"]
model = helper.make_model(helper.make_graph(nodes, "g", *ends, tensors), opset_imports=[helper.make_opsetid("", 20)])
model.ir_version = 10
onnx.checker.check_model(model, full_check=True)
x = random.standard_normal((1, N)).astype(np.float32)
wanted = x.astype(np.float64) @ (whole.astype(np.float64) * scale)


def run(level):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.optimized_model_filepath = f"optimised{level}.onnx"
    if level:
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", str(level))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    took = []
    for _ in range(200):
        begin = time.perf_counter()
        (y,) = session.run(None, {"x": x})
        took.append(time.perf_counter() - begin)
    error_db = 10 * np.log10(((y - wanted) ** 2).mean() / (wanted**2).mean())
    (node,) = onnx.load(options.optimized_model_filepath).graph.node
    levels = [attribute.i for attribute in node.attribute if attribute.name == "accuracy_level"]
    print(f"{node.domain}.{node.op_type}, accuracy_level {levels}: {error_db:.0f} dB, {min(took) * 1e6:.0f} us")
    return (node.op_type, levels), error_db, min(took)


default, exact = run(None), run(1)
as_seen = (
    default[0] == ("MatMulNBits", [4])
    and exact[0] == ("MatMulNBits", [1])
    and -60 < default[1] < -35
    and exact[1] < -110
    and exact[2] > 3 * default[2]
)
sys.exit(0 if as_seen else 1)
PYTHON
