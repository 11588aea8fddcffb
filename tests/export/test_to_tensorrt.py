"""Building a TensorRT plan: what TensorRT is asked, refused, written. TensorRT itself is stood in for."""

import json
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from apollo_rt.errors import ProviderError
from apollo_rt.inference.accelerator import Gpu, NoGpuError
from apollo_rt.inference.model_file import read_card
from export import to_tensorrt
from export.to_tensorrt import build_plan, main
from tests.doubles import tiny_models


class FakeTensorRT:
    """TensorRT's names and their answers; what differs from a good day is given by name."""

    __version__ = "10.16.1.11"
    BuilderFlag = SimpleNamespace(FP16="FP16", TF32="TF32")
    MemoryPoolType = SimpleNamespace(WORKSPACE="WORKSPACE")

    def __init__(self, card, plan=b"plan", parses=True, shapes=None):
        self.shapes = card.inputs | card.outputs if shapes is None else shapes
        self.plan, self.parses, self.flags, self.log = plan, parses, {"TF32"}, []

    class Logger:
        WARNING = 2

        def __init__(self, level):
            pass

    def Builder(self, logger):  # noqa: N802 - TensorRT's names
        return SimpleNamespace(
            create_network=lambda flags: "network",
            create_builder_config=lambda: self.config(),
            build_serialized_network=lambda network, config: self.plan,
        )

    def OnnxParser(self, network, logger):  # noqa: N802
        error = SimpleNamespace(desc=lambda: "no such operator")
        return SimpleNamespace(parse=lambda content: self.parses, num_errors=1, get_error=lambda index: error)

    def config(self):
        return SimpleNamespace(
            set_memory_pool_limit=lambda kind, size: self.log.append((kind, size)),
            set_flag=self.flags.add,
            clear_flag=self.flags.discard,
            create_timing_cache=lambda content: self.log.append(("timings", content)),
            set_timing_cache=lambda cache, ignore_mismatch: self.log.append(("ignore_mismatch", ignore_mismatch)),
            get_timing_cache=lambda: SimpleNamespace(serialize=lambda: b"timings"),
        )

    def Runtime(self, logger):  # noqa: N802
        names = list(self.shapes)
        engine = SimpleNamespace(
            num_io_tensors=len(names), get_tensor_name=lambda i: names[i], get_tensor_shape=self.shapes.get
        )
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: engine)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(to_tensorrt, "find_gpu", lambda: Gpu("A GPU", "9.0", "13.0", 8 << 30, 4 << 30))
    return tiny_models.delay_one_frame(tmp_path)


def fake(monkeypatch, path, **differing):
    tensorrt = FakeTensorRT(read_card(path), **differing)
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)
    return tensorrt


def test_a_plan_is_written_with_what_it_is_for_and_full_float32(monkeypatch, path, tmp_path):
    tensorrt = fake(monkeypatch, path)
    build_plan(path, tmp_path / "a.plan")
    assert (tmp_path / "a.plan").read_bytes() == b"plan"
    facts = json.loads((tmp_path / "a.plan.json").read_text())
    assert (facts["gpu"], facts["tensorrt"], facts["fp16"]) == ("A GPU", "10.16.1.11", False)
    assert tensorrt.flags == set()


def test_half_precision_is_asked_for_by_name(monkeypatch, path, tmp_path):
    tensorrt = fake(monkeypatch, path)
    build_plan(path, tmp_path / "a.plan", fp16=True)
    assert tensorrt.flags == {"FP16"}


def test_timings_are_kept_for_the_next_build_and_never_taken_from_another_gpu(monkeypatch, path, tmp_path):
    first = fake(monkeypatch, path)
    build_plan(path, tmp_path / "a.plan")
    second = fake(monkeypatch, path)
    build_plan(path, tmp_path / "a.plan")
    assert ("timings", b"") in first.log
    assert ("timings", b"timings") in second.log
    assert ("ignore_mismatch", False) in second.log


@pytest.mark.parametrize(
    ("differing", "said"),
    [
        ({"parses": False}, "can't read the graph of .*: no such operator"),
        ({"plan": None}, "could not build a plan"),
        ({"shapes": {"spectrum": (1, 2)}}, r"the plan's tensor 'restored' is None, the card says \(2, 129, 2\)"),
    ],
)
def test_what_tensorrt_refuses_or_gets_wrong_leaves_no_plan(monkeypatch, path, tmp_path, differing, said):
    fake(monkeypatch, path, **differing)
    with pytest.raises(ProviderError, match=said):
        build_plan(path, tmp_path / "a.plan")
    assert not (tmp_path / "a.plan").exists()
    assert not list(tmp_path.glob("*.part"))


def test_without_the_python_package_or_a_gpu_the_reason_is_one_line(monkeypatch, path, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    result = CliRunner().invoke(main, ["--model", str(path), "--out", str(tmp_path / "a.plan")])
    assert result.exit_code == 1
    assert "tensorrt: its Python package can't be imported" in result.output
    fake(monkeypatch, path)

    def no_gpu():
        raise NoGpuError("there is no NVIDIA driver")

    monkeypatch.setattr(to_tensorrt, "find_gpu", no_gpu)
    with pytest.raises(ProviderError, match="no NVIDIA driver; a plan is built on the GPU that will run it"):
        build_plan(path, tmp_path / "a.plan")
