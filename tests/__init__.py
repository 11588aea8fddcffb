"""Tests, each beside the others of its package: `tests/PACKAGE/test_MODULE.py`; what they share is in `tests/doubles`.

The folders are packages, so that two of them may hold files of one name (`control/test_presets.py`,
`live/test_presets.py`) and everything is imported by the one name that processes which tests start know too.
"""

from pathlib import Path

import apollo_rt  # noqa: F401  # before any onnxruntime: see `apollo_rt.usage_reports`

ROOT = Path(__file__).parents[1]
"""The repository."""

DATA = ROOT / "tests" / "data"
