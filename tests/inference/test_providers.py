"""Execution providers: what is asked for, what it is told, what a machine has, and what is said where it isn't there.

None of these tests needs a GPU: the driver and ONNX Runtime's provider functions are stood in for. Those that need one
are in `test_providers_gpu.py`.
"""

import ctypes
import dataclasses
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from apollo_rt.commands.cli import apollo_rt
from apollo_rt.control.parameters import Parameters
from apollo_rt.errors import ModelFileError, ProviderError
from apollo_rt.inference import accelerator, execution_provider, model, model_choice, onnx_session
from apollo_rt.inference.accelerator import Gpu, NoGpuError, find_gpu, missing_library, pinned_zeros
from apollo_rt.inference.execution_provider import (
    append_provider,
    available_providers,
    check_assignment,
    engine_cache,
    reason,
)
from apollo_rt.inference.onnx_c_api import OnnxRuntimeError, runtime
from apollo_rt.inference.onnx_session import OnnxSession
from apollo_rt.inference.provider import (
    CPU,
    CacheKey,
    Provider,
    cache_folder,
    cuda_options,
    is_prepared,
    mark_prepared,
    parse_provider,
    tensorrt_options,
)
from tests.doubles import tiny_models

CUDA, TENSORRT = Provider("cuda"), Provider("tensorrt")
GPU = Gpu("A GPU", "9.0", "13.0", 8 << 30, 1 << 30)
KEY = CacheKey("A GPU, compute capability 9.0", "101601", "1.31.1", "0" * 64, False)


# --- what is asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["cpu", "cuda", "cuda+graph", "tensorrt", "tensorrt+fp16", "tensorrt+fp16+graph"])
def test_a_provider_reads_as_it_is_written(text):
    assert str(parse_provider(text)) == text
    assert parse_provider(text.upper()) == parse_provider(text)


def test_auto_is_no_provider_of_its_own():
    assert parse_provider("auto") is None


@pytest.mark.parametrize("text", ["", "gpu", "cuda+fp16", "cpu+graph", "auto+fp16", "tensorrt+int8", "tensorrt+"])
def test_what_is_no_provider_is_refused_with_what_there_is(text):
    with pytest.raises(ValueError, match=r"provider (must be|\w+ takes no option)"):
        parse_provider(text)


@pytest.mark.parametrize("command", [["restore", "a.wav", "b.wav"], ["live"], ["build-engine"], ["model", "verify"]])
def test_the_command_line_refuses_what_is_no_provider_as_wrong_usage(command):
    result = CliRunner().invoke(apollo_rt, [*command, "--provider", "npu"])
    assert result.exit_code == 2
    assert "provider must be auto, cpu, cuda or tensorrt, got 'npu'" in result.output


# --- what providers are told ------------------------------------------------------------------------------------------


def test_cuda_computes_in_full_precision_and_records_graphs_only_when_asked():
    assert cuda_options(CUDA)["use_tf32"] == "0"
    assert cuda_options(CUDA)["enable_cuda_graph"] == "0"
    assert cuda_options(Provider("cuda", cuda_graph=True))["enable_cuda_graph"] == "1"


def test_under_tensorrt_the_graph_is_recorded_by_tensorrt_and_not_twice():
    provider = Provider("tensorrt", cuda_graph=True)
    assert tensorrt_options(provider, Path("c"))["trt_cuda_graph_enable"] == "1"
    assert cuda_options(provider)["enable_cuda_graph"] == "0"


def test_engine_and_timings_are_kept_in_the_folder_of_the_key(tmp_path):
    options = tensorrt_options(TENSORRT, tmp_path)
    assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "1"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)


def test_half_precision_is_on_only_when_asked_and_norms_stay_in_full():
    half = tensorrt_options(Provider("tensorrt", fp16=True), Path("c"))
    assert (half["trt_fp16_enable"], half["trt_layer_norm_fp32_fallback"]) == ("1", "1")
    assert tensorrt_options(TENSORRT, Path("c"))["trt_fp16_enable"] == "0"


def test_every_option_is_known_to_the_provider_that_ships():
    """The names stand in the libraries; one of ours that doesn't would be refused on a machine with a GPU."""
    folder = runtime().folder
    for kind, options in (("tensorrt", tensorrt_options(TENSORRT, Path("c"))), ("cuda", cuda_options(CUDA))):
        library = folder / f"libonnxruntime_providers_{kind}.so"
        if not library.exists():
            pytest.skip("the installed ONNX Runtime has no NVIDIA providers")
        content = library.read_bytes()
        # Compilers put short constants into the code itself: what is sure to be in the data is a beginning of 16 bytes.
        assert [key for key in options if key.encode() not in content and key[:16].encode() not in content] == []


# --- cache keys -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", CacheKey._fields)
def test_an_engine_belongs_to_gpu_tensorrt_onnx_runtime_model_and_precision(tmp_path, field):
    other = KEY._replace(**{field: True if field == "fp16" else "other"})
    assert cache_folder(other, tmp_path) != cache_folder(KEY, tmp_path)


def test_the_same_key_finds_the_same_folder_and_says_in_words_what_it_is_for(tmp_path):
    folder = cache_folder(KEY, tmp_path)
    assert cache_folder(CacheKey(*KEY), tmp_path) == folder
    assert '"gpu": "A GPU, compute capability 9.0"' in (folder / "key.json").read_text()


def test_a_build_that_was_broken_off_is_no_engine(tmp_path):
    assert not is_prepared(tmp_path)
    (tmp_path / "apollo_rt_1_0_sm90.engine").write_bytes(b"half")
    assert not is_prepared(tmp_path)
    mark_prepared(tmp_path, TENSORRT)
    assert is_prepared(tmp_path)
    (tmp_path / "apollo_rt_1_0_sm90.engine").unlink()
    assert not is_prepared(tmp_path)


# --- the driver -------------------------------------------------------------------------------------------------------


class FakeDriver:
    """Answers as the CUDA driver does; `failing` names a call and the code that it returns."""

    def __init__(self, failing: tuple[str, int] = ("", 0), n_gpus: int = 1) -> None:
        self.failing, self.n_gpus, self.calls, self.kept = failing, n_gpus, [], []

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments):
            self.calls.append(name)
            if name == self.failing[0]:
                return self.failing[1]
            getattr(self, f"_{name}", lambda *_: None)(*arguments)
            return 0

        return call

    @staticmethod
    def _cuGetErrorString(code, text):  # noqa: N802 - the driver's names
        text._obj.value = b"no CUDA-capable device is detected"

    def _cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = self.n_gpus

    @staticmethod
    def _cuDeviceGetName(name, length, device):  # noqa: N802
        name.value = b"A GPU"

    @staticmethod
    def _cuDriverGetVersion(version):  # noqa: N802
        version._obj.value = 13020

    @staticmethod
    def _cuDeviceGetAttribute(value, number, device):  # noqa: N802
        value._obj.value = {75: 8, 76: 6}[number]

    @staticmethod
    def _cuMemGetInfo_v2(free, memory):  # noqa: N802
        free._obj.value, memory._obj.value = 3 << 30, 12 << 30

    def _cuMemHostAlloc(self, address, n_bytes, flags):  # noqa: N802
        assert flags == 3
        self.kept.append(ctypes.create_string_buffer(b"\xff" * n_bytes.value, n_bytes.value))
        address._obj.value = ctypes.addressof(self.kept[-1])


def test_a_gpu_is_described_by_its_driver():
    assert find_gpu(driver=FakeDriver()) == Gpu("A GPU", "8.6", "13.2", 12 << 30, 3 << 30)


def test_the_context_that_the_question_about_memory_needs_is_given_back():
    driver = FakeDriver(failing=("cuMemGetInfo_v2", 2))
    with pytest.raises(NoGpuError):
        find_gpu(driver=driver)
    assert (
        driver.calls[-2:] == ["cuCtxPopCurrent_v2", "cuDevicePrimaryCtxRelease_v2"]
        or "cuGetErrorString" in (driver.calls[-3])
    )
    assert driver.calls.count("cuCtxPushCurrent_v2") == driver.calls.count("cuCtxPopCurrent_v2") == 1


def test_a_driver_that_fails_is_quoted():
    with pytest.raises(NoGpuError, match=r"no CUDA-capable device is detected \(cuInit, code 100\)"):
        find_gpu(driver=FakeDriver(failing=("cuInit", 100)))


def test_a_number_beyond_the_last_gpu_is_refused():
    with pytest.raises(NoGpuError, match="knows 1 GPUs, number 1 is not among them"):
        find_gpu(1, FakeDriver())


def test_a_machine_without_a_driver_is_told_so(monkeypatch):
    monkeypatch.setattr(accelerator, "_DRIVER", "libnothing.so.1")
    with pytest.raises(NoGpuError, match=r"no NVIDIA driver on this machine \(libnothing\.so\.1"):
        find_gpu()


def test_pinned_memory_is_zero_and_given_back_when_nobody_has_a_part_of_it():
    driver = FakeDriver()
    memory = pinned_zeros(1000, driver=driver)
    part = memory[10:20].view(np.uint8)
    assert memory.nbytes == 1000
    assert not memory.any()
    del memory
    assert "cuMemFreeHost" not in driver.calls
    del part
    assert driver.calls.count("cuMemFreeHost") == 1


# --- libraries --------------------------------------------------------------------------------------------------------


def test_the_library_that_a_loader_misses_is_read_from_its_message():
    message = (
        "Failed to load library /x/libonnxruntime_providers_cuda.so with error: "
        "libcublasLt.so.13: cannot open shared object file: No such file or directory"
    )
    assert missing_library(message) == "libcublasLt.so.13"
    assert missing_library("out of memory") is None


@pytest.mark.skipif(sys.platform != "linux", reason="wheels' libraries have other names there")
def test_a_library_is_loaded_from_the_wheel_that_brought_it(tmp_path, monkeypatch):
    import _ctypes

    folder = tmp_path / "nvidia" / "cu13" / "lib"
    folder.mkdir(parents=True)
    (folder / "libsome.so.13").write_bytes(Path(_ctypes.__file__).read_bytes())
    monkeypatch.syspath_prepend(str(tmp_path))
    assert accelerator.load_from_wheels("libsome.so.13")
    assert not accelerator.load_from_wheels("libother.so.13")


# --- what a session got -----------------------------------------------------------------------------------------------


def test_a_session_on_the_cpu_says_that_the_cpu_runs_all_its_nodes(tmp_path):
    session = OnnxSession(tiny_models.busy(tmp_path).read_bytes())
    assert set(session.assignment) == {"CPUExecutionProvider"}
    assert {"MatMul", "Tanh"} <= set(session.assignment["CPUExecutionProvider"])
    assert available_providers(session.runtime)[-1] == "CPUExecutionProvider"


def test_a_provider_that_runs_no_node_is_an_error():
    with pytest.raises(ProviderError, match=r"cuda: it runs none .* CPUExecutionProvider runs 3 \(3 Add\)"):
        check_assignment(CUDA, {"CPUExecutionProvider": Counter(Add=3)})


def test_nodes_that_others_run_are_named_in_a_warning():
    assignment = {"CUDAExecutionProvider": Counter(MatMul=7), "CPUExecutionProvider": Counter(Gather=2, Shape=1)}
    with pytest.warns(RuntimeWarning, match=r"cuda runs only 7 of the model's 10 .*CPU.* runs 3 \(2 Gather, 1 Shape\)"):
        check_assignment(CUDA, assignment)


def test_a_recorded_graph_must_have_all_nodes():
    assignment = {"CUDAExecutionProvider": Counter(MatMul=7), "CPUExecutionProvider": Counter(Gather=2)}
    with pytest.raises(ProviderError, match=r"leave out \+graph"):
        check_assignment(Provider("cuda", cuda_graph=True), assignment)


@pytest.mark.filterwarnings("error")
def test_a_provider_that_runs_all_nodes_is_nothing_to_speak_of():
    check_assignment(TENSORRT, {"TensorrtExecutionProvider": Counter(MatMul=7)})


# --- refusal ----------------------------------------------------------------------------------------------------------


def no_gpu(*_):
    raise NoGpuError("there is no NVIDIA driver on this machine (libcuda.so.1 can't be loaded)")


@pytest.fixture
def without_gpu(monkeypatch):
    for module in (execution_provider, model_choice):
        monkeypatch.setattr(module, "find_gpu", no_gpu)


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
@pytest.mark.usefixtures("without_gpu")
def test_what_is_not_there_is_an_error_with_the_reason_in_one_line(tmp_path, name):
    with pytest.raises(ProviderError, match=f"{name}: there is no NVIDIA driver") as caught:
        model_choice.open_model(tiny_models.identity(tmp_path), name)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize("command", ["live", "restore", "build-engine"])
def test_every_command_ends_with_the_reason_and_writes_nothing(tmp_path, monkeypatch, capsys, command):
    from apollo_rt.commands.cli import main

    path, target = tiny_models.identity(tmp_path), tmp_path / "out.wav"
    arguments = {
        "live": ["live", "--input", "demo", "--output", str(target)],
        "restore": ["restore", "nothing.wav", str(target)],
        "build-engine": ["build-engine"],
    }[command]
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--model", str(path), "--provider", "tensorrt"])
    assert caught.value.code == 1
    assert "error: tensorrt: there is no NVIDIA driver" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.usefixtures("without_gpu")
def test_the_effect_refuses_too(tmp_path):
    from apollo_rt import ApolloEffect

    with pytest.raises(ProviderError, match="cuda: there is no NVIDIA driver"):
        ApolloEffect(model=tiny_models.identity(tmp_path), provider="cuda")


def test_a_build_without_the_provider_says_what_it_has(monkeypatch):
    monkeypatch.setattr(execution_provider, "available_providers", lambda _: ("CPUExecutionProvider",))
    with pytest.raises(ProviderError, match="has only CPUExecutionProvider; install onnxruntime-gpu in its place"):
        append_provider(runtime(), 0, CUDA, b"")


def test_a_missing_library_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(execution_provider, "find_gpu", lambda _: GPU)
    message = "with error: libcudnn.so.9: cannot open shared object file: No such file or directory"
    assert "cuda: the library libcudnn.so.9 is missing; install the package's extra `cuda`" in reason(CUDA, message)


def test_too_little_memory_is_said_in_figures(monkeypatch):
    monkeypatch.setattr(execution_provider, "find_gpu", lambda _: GPU)
    text = reason(CUDA, "CUDA failure 2: out of memory ; GPU=0")
    assert text == "cuda: A GPU has too little memory, 1024 of 8192 MiB are free"


def test_any_other_failure_is_quoted_with_gpu_and_driver(monkeypatch):
    monkeypatch.setattr(execution_provider, "find_gpu", lambda _: GPU)
    assert reason(CUDA, "invalid device function") == "cuda on A GPU (driver for CUDA 13.0): invalid device function"


def test_a_session_that_onnx_runtime_refuses_on_a_gpu_is_a_provider_error(tmp_path, monkeypatch):
    """ONNX Runtime's own refusal on this machine: of the first library that its provider misses."""
    monkeypatch.setattr(execution_provider, "find_gpu", lambda _: GPU)
    monkeypatch.setattr(execution_provider, "load_from_wheels", lambda _: False)
    if not any("CUDA" in name for name in available_providers(runtime())):
        pytest.skip("the installed ONNX Runtime has no NVIDIA providers")
    try:
        find_gpu()
    except NoGpuError:
        with pytest.raises(ProviderError, match="cuda"):
            OnnxSession(tiny_models.identity(tmp_path).read_bytes(), provider=CUDA)
    else:
        pytest.skip("this machine has a GPU")


def test_the_python_package_may_not_fall_back_in_silence(tmp_path, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda _: ["CPUExecutionProvider"])
    with pytest.raises(ProviderError, match="Python package fell back to CPUExecutionProvider"):
        model.load(tiny_models.identity(tmp_path), "python", CUDA)


def test_the_python_package_alone_builds_no_engines(tmp_path):
    with pytest.raises(ProviderError, match="needs ONNX Runtime's C library"):
        model.load(tiny_models.identity(tmp_path), "python", TENSORRT)


# --- appending, with ONNX Runtime's functions stood in for ------------------------------------------------------------


class FakeRuntime:
    """Notes what is called; `refusals` are messages with which updating options fails, one after the other."""

    version, folder = "1.31.1", Path()

    def __init__(self, *refusals: str) -> None:
        self.refusals, self.log, self.options = list(refusals), [], {}

    def create(self, name, *arguments):
        self.log.append(name)
        return len(self.log)

    def call(self, name, *arguments):
        self.log.append(name)
        if name.startswith("Update"):
            if self.refusals:
                raise OnnxRuntimeError(self.refusals.pop(0))
            _, keys, values, count = arguments
            self.options[name] = {keys[i].decode(): values[i].decode() for i in range(count)}

    def release(self, kind, address):
        self.log.append(f"Release{kind}")


@pytest.fixture
def with_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr(execution_provider, "find_gpu", lambda _: GPU)
    monkeypatch.setattr(execution_provider, "available_providers", lambda _: (TENSORRT.ort_name, CUDA.ort_name))
    monkeypatch.setattr(execution_provider, "_tensorrt_version", lambda _: "101601")
    monkeypatch.setattr(execution_provider, "load_late_libraries", lambda: None)
    monkeypatch.setattr(execution_provider, "cache_folder", lambda key: cache_folder(key, tmp_path))


@pytest.mark.usefixtures("with_gpu")
def test_tensorrt_comes_first_and_cuda_takes_what_it_leaves():
    fake = FakeRuntime()
    folder = append_provider(fake, 7, Provider("tensorrt", fp16=True), b"model")
    appended = [name for name in fake.log if name.startswith("SessionOptions")]
    assert [name.rsplit("_", 2)[1] for name in appended] == ["TensorRT", "CUDA"]
    assert fake.options["UpdateTensorRTProviderOptions"]["trt_fp16_enable"] == "1"
    assert fake.options["UpdateTensorRTProviderOptions"]["trt_engine_cache_path"] == str(folder)
    assert sum(name.startswith("Create") for name in fake.log) == sum(name.startswith("Release") for name in fake.log)


@pytest.mark.usefixtures("with_gpu")
def test_the_cache_is_that_of_the_model_and_the_precision():
    folders = {
        engine_cache(FakeRuntime(), provider, content)
        for provider in (TENSORRT, Provider("tensorrt", fp16=True))
        for content in (b"one model", b"another")
    }
    assert len(folders) == 4


@pytest.mark.usefixtures("with_gpu")
def test_libraries_are_taken_from_wheels_one_after_the_other(monkeypatch):
    loaded = []
    monkeypatch.setattr(execution_provider, "load_from_wheels", lambda name: not loaded.append(name))
    missing = "with error: {}: cannot open shared object file: No such file or directory"
    fake = FakeRuntime(missing.format("libcublas.so.13"), missing.format("libcurand.so.10"))
    append_provider(fake, 7, CUDA, b"")
    assert loaded == ["libcublas.so.13", "libcurand.so.10"]
    assert fake.log[-2] == "SessionOptionsAppendExecutionProvider_CUDA_V2"


@pytest.mark.usefixtures("with_gpu")
def test_a_library_that_no_wheel_brought_ends_the_search_and_leaks_nothing(monkeypatch):
    monkeypatch.setattr(execution_provider, "load_from_wheels", lambda _: False)
    fake = FakeRuntime("error: libcublas.so.13: cannot open shared object file: No such file")
    with pytest.raises(ProviderError, match=r"libcublas\.so\.13 is missing"):
        append_provider(fake, 7, CUDA, b"")
    assert fake.log[-1] == "ReleaseCUDAProviderOptions"


# --- recorded graphs --------------------------------------------------------------------------------------------------


def graphs_on_the_cpu(monkeypatch, tmp_path) -> model.Model:
    """A model that thinks it records graphs; its memory and its runs are those of the CPU."""
    monkeypatch.setattr(onnx_session, "append_provider", lambda *_: None)
    monkeypatch.setattr(onnx_session, "check_assignment", lambda *_: None)
    monkeypatch.setattr(onnx_session, "pinned_zeros", lambda n_bytes, _: np.zeros(n_bytes, np.uint8))
    cpu_memory = dataclasses.replace(CPU)
    real = onnx_session._memory

    def memory(session):
        graphs, session.provider = session.provider, cpu_memory
        try:
            return real(session)
        finally:
            session.provider = graphs

    monkeypatch.setattr(onnx_session, "_memory", memory)
    return model.load(tiny_models.delay_one_frame(tmp_path), provider=Provider("cuda", cuda_graph=True))


def test_each_parity_of_each_step_has_a_graph_of_its_own(monkeypatch, tmp_path):
    ids = []
    loaded = graphs_on_the_cpu(monkeypatch, tmp_path)
    real = type(loaded._session.runtime).call

    def call(self, name, *arguments):
        if name == "AddRunConfigEntry":
            ids.append((arguments[1], arguments[2]))
        real(self, name, *arguments)

    monkeypatch.setattr(type(loaded._session.runtime), "call", call)
    loaded.new_step()
    loaded.new_step()
    assert ids == [(b"gpu_graph_id", number) for number in (b"1", b"2", b"3", b"4")]


def test_warming_up_runs_both_parities_twice_and_keeps_what_it_reads(monkeypatch, tmp_path):
    step = graphs_on_the_cpu(monkeypatch, tmp_path).new_step()
    step.buffers.spectrum[:] = 3
    step.bound.warm_up()
    assert np.all(step.buffers.spectrum == 3)
    assert [np.count_nonzero(row == 3) for row in step.buffers.states] == [2 * 129] * 2
    assert np.isfinite(step.buffers.restored).all()


def test_a_graph_that_writes_to_the_other_paritys_arrays_is_found_out(monkeypatch, tmp_path):
    step = graphs_on_the_cpu(monkeypatch, tmp_path).new_step()
    monkeypatch.setattr(type(step.bound), "run", lambda self, parity: onnx_session.run_step(self.addresses, 0))
    with pytest.raises(ProviderError, match=r"left restored unwritten; leave out \+graph"):
        step.bound.warm_up()


def test_on_the_cpu_there_is_nothing_to_warm_up(monkeypatch, tmp_path):
    step = model.load(tiny_models.identity(tmp_path)).new_step()
    monkeypatch.setattr(type(step.bound), "run", lambda *_: pytest.fail("a step was run"))
    step.bound.warm_up()


# --- auto -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.filterwarnings("error")
def test_auto_takes_the_cpu_in_silence_where_there_is_no_gpu(tmp_path):
    assert model_choice.open_model(tiny_models.identity(tmp_path)).provider == CPU


@pytest.fixture
def rivals(monkeypatch, tmp_path):
    """A machine whose providers need so many seconds for a step, or refuse with a text."""
    path, real = tiny_models.identity(tmp_path), model.load

    def make(prepared=False, **times):
        def load(path, backend, provider=CPU):
            if isinstance(times[provider.name], str):
                raise ProviderError(f"{provider}: {times[provider.name]}")
            loaded = real(path, backend)
            loaded.provider = provider
            return loaded

        monkeypatch.setattr(model_choice, "find_gpu", lambda: GPU)
        monkeypatch.setattr(model_choice, "_has_engine", lambda *_: prepared)
        monkeypatch.setattr(model_choice, "load", load)
        monkeypatch.setattr(model_choice, "step_time_s", lambda loaded: times[loaded.provider.name])
        return path

    return make


def test_auto_takes_the_fastest_that_was_measured(rivals):
    assert model_choice.open_model(rivals(cpu=2e-3, cuda=1e-3)).provider == CUDA
    assert model_choice.open_model(rivals(cpu=2e-3, cuda=3e-3)).provider == CPU


def test_auto_tries_tensorrt_only_where_its_engine_is_built(rivals):
    assert model_choice.open_model(rivals(cpu=2e-3, cuda=1e-3, tensorrt=1e-4)).provider == CUDA
    assert model_choice.open_model(rivals(prepared=True, cpu=2e-3, cuda=1e-3, tensorrt=1e-4)).provider == TENSORRT


def test_auto_says_why_a_gpu_that_is_there_does_not_serve(rivals):
    path = rivals(cpu=2e-3, cuda="the library libcudnn.so.9 is missing")
    with pytest.warns(RuntimeWarning, match=r"cuda: the library libcudnn\.so\.9 is missing; cpu serves in its place"):
        assert model_choice.open_model(path).provider == CPU


def test_an_engine_that_is_not_built_yet_is_announced(rivals):
    path = rivals(tensorrt=1e-3)
    with pytest.warns(RuntimeWarning, match="takes minutes; `apollo-rt build-engine --provider tensorrt` does it"):
        model_choice.open_model(path, "tensorrt")


@pytest.mark.filterwarnings("error")
def test_an_engine_that_is_built_is_used_without_a_word(rivals):
    assert model_choice.open_model(rivals(prepared=True, tensorrt=1e-3), "tensorrt").provider == TENSORRT


def test_a_model_that_is_no_model_is_refused_whatever_shall_run_it(tmp_path):
    with pytest.raises(ModelFileError):
        model_choice.open_model(tmp_path / "none.onnx", "cuda")


# --- cadence ----------------------------------------------------------------------------------------------------------


def test_an_accelerator_is_never_let_rest_on_silence_and_the_cpu_is(monkeypatch, tmp_path):
    from apollo_rt.stream.processor import Processor, has_settled

    silence = np.zeros((64, 2), np.float32)
    for loaded, rests in (
        (graphs_on_the_cpu(monkeypatch, tmp_path), False),
        (model.load(tmp_path / "delay.onnx"), True),
    ):
        processor = Processor(loaded)
        for _ in range(8):
            processor.process(silence)
        assert has_settled(processor.compiled) is rests


def test_a_processor_warms_up_before_its_first_hop_only(monkeypatch, tmp_path):
    from apollo_rt.stream.processor import Processor

    processor, n_runs = Processor(graphs_on_the_cpu(monkeypatch, tmp_path)), []
    real = type(processor._step.bound).run
    monkeypatch.setattr(
        type(processor._step.bound), "run", lambda self, parity: n_runs.append(parity) or real(self, parity)
    )
    processor.warm_up()
    assert n_runs == [0, 1, 0, 1]
    assert not processor.compiled.buffers.states.any()
    processor.process(np.zeros((64, 2), np.float32))
    processor.warm_up()
    assert n_runs == [0, 1, 0, 1]


def test_steps_go_on_in_bypass_and_in_silence_on_an_accelerator(monkeypatch, tmp_path):
    from apollo_rt.live.endpoints.file_feed import Nowhere, Silence
    from apollo_rt.live.endpoints.virtual_device import VirtualDevice
    from apollo_rt.live.engine import Engine
    from apollo_rt.live.engine_settings import EngineSettings

    n_hops = 300
    for loaded, rests in (
        (graphs_on_the_cpu(monkeypatch, tmp_path), False),
        (model.load(tmp_path / "delay.onnx"), True),
    ):
        device = VirtualDevice(loaded.framing.sample_rate, pace=False)
        with Engine(
            loaded, device, EngineSettings(parameters=Parameters(bypass=1)), Silence(n_hops * 64), Nowhere()
        ) as engine:
            assert engine.wait(120)
        snapshot = engine.snapshot()
        assert snapshot.hops >= n_hops
        assert (snapshot.silent_hops > 0) is rests
        assert snapshot.model_errors == 0
