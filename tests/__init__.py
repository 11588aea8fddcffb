"""Tests; what they share stands in modules beside them."""

import apollo_rt  # noqa: F401  # before any onnxruntime: see `apollo_rt.usage_reports`
