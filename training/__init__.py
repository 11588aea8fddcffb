"""Training of the causal restorer: damage, data, model, loop, evaluation."""

import apollo_rt  # noqa: F401  # before any onnxruntime: see `apollo_rt.usage_reports`
