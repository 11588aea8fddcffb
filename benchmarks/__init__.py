"""Benchmarks measure latency, tails, throughput and quality, one file a question.

Each checks its result too, and says on which machine it was had. Time is measured at real cadence wherever the figure
is about a live run.
"""

import apollo_rt  # noqa: F401  # before any onnxruntime: see `apollo_rt.usage_reports`
