"""Training of the causal restorer: each step of the work is one command.

A command is imported when it is asked for. `apollo_rt` never imports anything of it.
"""

import apollo_rt  # noqa: F401  # before any onnxruntime: see `apollo_rt.usage_reports`
