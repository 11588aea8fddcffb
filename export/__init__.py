"""From a training checkpoint to one verified ONNX file."""

import apollo_rt  # noqa: F401  # before any onnxruntime: see `apollo_rt.usage_reports`
