"""Whatever is in a file, it is a model or it is refused: never a crash, a hang, or gigabytes of memory.

The cases and how they are loaded are in `model_fuzz`; each batch has a process of its own, which may die of it.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from apollo_rt.errors import ModelFileError
from apollo_rt.inference.model_choice import open_model
from tests import ROOT
from tests.doubles import tiny_models
from tests.inference import model_fuzz

pytestmark = pytest.mark.slow

MOST_CASES_S = 900
"""Far beyond what a batch needs (2 to 5 s of a core): only a hang takes so long."""

MOST_MIB = 256
"""What loading may take beyond a first model; the worst case has a file of 48 MiB, unpacked."""


@pytest.mark.skipif(sys.platform == "win32", reason="memory can't be bounded and measured there with `resource`")
@pytest.mark.parametrize("batch", model_fuzz.BATCHES)
def test_every_broken_file_is_loaded_or_refused_as_a_model_file(tmp_path: Path, batch: str) -> None:
    command = [sys.executable, "-m", "tests.inference.model_fuzz", batch, "1", str(tmp_path)]
    root = ROOT
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=MOST_CASES_S, check=False)
    *findings, loaded, peak, end = done.stdout.splitlines() or ["", "", ""]
    assert findings == []
    assert end.startswith("done "), f"{done.returncode}: {done.stderr[-2000:]}"
    assert int(end.split()[1]) > 150
    assert int(peak.split()[1]) < MOST_MIB
    assert int(loaded.split()[1]) < int(end.split()[1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("a loop that never ends", "holds a graph of its own"),
        ("a function that calls itself", "functions of its own|of the domain 'own'"),
        ("weights in /etc/passwd", "weights in another file"),
        ("an operator of another domain", "of the domain 'com.microsoft'"),
        ("Expand", "operator Expand is not allowed"),
        ("outer product of 2 GiB", "smaller than requested bytes|ailed to allocate|bad_alloc|vailable memory"),
        ("30000 nodes", r"3000\d nodes, at most 20000"),
    ],
)
def test_a_hostile_graph_under_a_right_hash_is_refused_with_the_reason(tmp_path: Path, change: str, said: str) -> None:
    import onnx

    path = tiny_models.delay_one_frame(tmp_path)
    model = onnx.load(path)
    model_fuzz.GRAPH_CHANGES[change](model)
    path.write_bytes(model_fuzz.rehashed(model))
    with pytest.raises(ModelFileError, match=said) as caught:
        open_model(path, "cpu")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_graph_that_takes_for_ever_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    import onnx
    from onnx import helper

    from apollo_rt.inference import probe

    monkeypatch.setattr(probe, "_PATIENCE_S", 0.5)
    path = tiny_models.delay_one_frame(tmp_path)
    model = onnx.load(path)
    chain = [helper.make_node("MatMul", [f"m{i}", "m0"], [f"m{i + 1}"]) for i in range(4000)]
    start = [helper.make_node("ReduceSum", ["spectrum"], ["sum"], keepdims=0)]
    start += [helper.make_node("Add", ["weights", "sum"], ["m0"])]
    end = helper.make_node("ReduceSum", ["m4000"], ["extra"], keepdims=0)
    model_fuzz.add_first(model, *start, *chain, end, weights=np.zeros((1000, 1000), np.float32))
    path.write_bytes(model_fuzz.rehashed(model))
    with pytest.raises(ModelFileError, match=r"the main graph is not usable: takes longer than any useful one"):
        open_model(path, "cpu")
