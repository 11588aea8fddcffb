"""Variants in other precisions: they run, and lose no more than their kind must."""

from pathlib import Path

import numpy as np
import pytest

from export.graphs.step_module import StepModule
from export.graphs.to_onnx import to_onnx
from export.trials.precision import Frames, _error_db, _feeds, _session, variants
from tests.doubles.tiny_nets import SMALL, lively


@pytest.fixture(scope="module")
def frames() -> Frames:
    random = np.random.default_rng(0)
    shape = (12, 2, SMALL.framing.n_bins, 2)
    return random.standard_normal(shape, np.float32), random.standard_normal(shape, np.float32)


def test_every_variant_runs_and_is_near_float32(frames: Frames, tmp_path: Path) -> None:
    models = variants(to_onnx(StepModule(lively())), frames, tmp_path)
    outputs = {
        name: np.stack([restored for _, restored in _feeds(_session(model), frames)]) for name, model in models.items()
    }
    errors_db = {name: _error_db(output - outputs["float32"], outputs["float32"]) for name, output in outputs.items()}
    assert errors_db.pop("float32") < -200
    # A power of 1e8 is an infinity in fp16, which the tool casts to between all nodes.
    assert np.isnan(errors_db.pop("fp16"))
    assert set(errors_db) == {"int8 dynamic", "int8 static QDQ"}
    assert max(errors_db.values()) < -3
    assert min(errors_db.values()) > -120, "nothing was quantised"
