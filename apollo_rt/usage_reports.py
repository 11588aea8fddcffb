"""Switches off what a library would report to its maker, before that library is loaded.

ONNX Runtime's wheels for Linux collect and send usage data from 1.29 on. What they look at is the environment, once,
when the library is loaded: `ORT_DISABLE_TELEMETRY`, or a `CI` of 1 or true. Later its own switch comes too late: the
report exists by then, with a permanent identifier in the user's cache folder, and so does a thread that sends it.
"""

import os
import sys
import warnings

_VARIABLE = "ORT_DISABLE_TELEMETRY"


def switch_off() -> None:
    """Say it in the environment, for this process and its children; the package does so before anything else."""
    if "onnxruntime" in sys.modules and _reports():
        warnings.warn(
            "onnxruntime was imported before apollo_rt and reports usage to its maker; import apollo_rt first, or "
            f"start with {_VARIABLE}=1",
            RuntimeWarning,
            stacklevel=3,
        )
    os.environ[_VARIABLE] = "1"


def _reports() -> bool:
    """Whether an ONNX Runtime that was loaded in this environment reports."""
    said = os.environ.get(_VARIABLE), os.environ.get("CI")
    return sys.platform == "linux" and not any(value in ("1", "true") for value in said)
