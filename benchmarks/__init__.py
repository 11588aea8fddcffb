"""Benchmarks: latency, tails, throughput, quality."""

import apollo_rt  # noqa: F401  # before any onnxruntime: see `apollo_rt.usage_reports`
