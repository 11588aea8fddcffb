"""Which of ONNX Runtime's packages is there is told, and an installation of both is named as what it is."""

from importlib.metadata import PackageNotFoundError

import pytest

from apollo_rt.inference import installed_runtime
from apollo_rt.inference.installed_runtime import WITH_GPU, WITHOUT_GPU, installed_packages, lines_of, runtime_lines

CPU, GPU = ("CPUExecutionProvider",), ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")


@pytest.mark.parametrize(
    ("name", "providers", "built_for"), [(WITHOUT_GPU, CPU, "CPU"), (WITH_GPU, GPU, "Tensorrt, CUDA, CPU")]
)
def test_one_package_is_one_line_with_what_its_library_can_use(name, providers, built_for):
    lines = list(lines_of({name: "1.31.1"}, "1.31.1", providers))
    assert lines == [f"inference    ONNX Runtime 1.31.1 of {name} 1.31.1, for {built_for}"]


@pytest.mark.parametrize(("providers", "won"), [(CPU, "the one without GPUs"), (GPU, "the one for GPUs")])
def test_a_mixed_installation_is_named_with_the_one_that_won_and_the_way_out(providers, won):
    lines = list(lines_of({WITH_GPU: "1.31.1", WITHOUT_GPU: "1.31.1"}, "1.31.1", providers))
    assert len(lines) == 2
    assert f"mixed: both packages fill one folder, and what lies there now is {won}" in lines[1]
    assert "pip uninstall -y onnxruntime-gpu onnxruntime" in lines[1]


@pytest.mark.parametrize("there", [(), (WITH_GPU,), (WITHOUT_GPU,), (WITH_GPU, WITHOUT_GPU)])
def test_packages_are_found_by_their_names(monkeypatch, there):
    def version(name):
        if name not in there:
            raise PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(installed_runtime, "version", version)
    assert installed_packages() == dict.fromkeys(there, "1.2.3")


def test_what_is_installed_here_is_told():
    first = next(runtime_lines())
    assert first.startswith("inference")
    assert "CPU" in first


def test_an_installation_without_the_library_is_told_too(monkeypatch):
    def missing():
        raise installed_runtime.LibraryMissingError("no libonnxruntime.so* in the onnxruntime package")

    monkeypatch.setattr(installed_runtime, "runtime", missing)
    monkeypatch.setattr(installed_runtime, "installed_packages", dict)
    assert list(runtime_lines()) == [
        "inference    ONNX Runtime no library (no libonnxruntime.so* in the onnxruntime package) of no package that "
        "pip knows of, for nothing"
    ]
