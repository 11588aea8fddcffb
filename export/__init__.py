"""Export makes one verified ONNX file of a training checkpoint, or of a net of somebody else.

Nothing leaves unverified: `verify` compares every graph with PyTorch. An operator that a provider lacks is refused.
"""

import apollo_rt  # noqa: F401  # before any onnxruntime: see `apollo_rt.usage_reports`
