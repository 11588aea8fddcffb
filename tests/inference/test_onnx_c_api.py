"""The C library of ONNX Runtime: found without its Python package, equal to it, and given back."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from apollo_rt.inference import onnx_c_api
from apollo_rt.inference.onnx_c_api import LibraryMissingError, OnnxRuntimeError, Runtime, runtime
from apollo_rt.inference.onnx_session import Binding, OnnxSession, run_step
from tests.doubles import tiny_models

FRAME = (2, 129, 2)


def bind(session: OnnxSession) -> tuple[Binding, dict[str, np.ndarray], list[np.ndarray], np.ndarray]:
    """A binding of `delay_one_frame` or `busy`, its inputs, both states and its output."""
    inputs = {name: np.zeros(FRAME, np.float32) for name in session.inputs if name != "state_0"}
    states = [np.zeros(FRAME, np.float32) for _ in range(2)]
    restored = np.zeros(FRAME, np.float32)
    return (
        session.bind(
            (inputs | {"state_0": states[0]}, inputs | {"state_0": states[1]}),
            ({"restored": restored, "state_0_next": states[1]}, {"restored": restored, "state_0_next": states[0]}),
        ),
        inputs,
        states,
        restored,
    )


def test_the_library_is_found_without_importing_its_package(tmp_path):
    code = (
        "import sys; from apollo_rt.inference.onnx_session import OnnxSession; "
        "OnnxSession(open(sys.argv[1], 'rb').read()); print('onnxruntime' in sys.modules, 'onnx' in sys.modules)"
    )
    path = tiny_models.identity(tmp_path)
    answer = subprocess.check_output([sys.executable, "-c", code, str(path)], text=True)
    assert answer.split() == ["False", "False"]


def test_names_and_shapes_are_those_of_the_graph(tmp_path):
    session = OnnxSession(tiny_models.busy(tmp_path).read_bytes())
    assert session.inputs == {"spectrum": FRAME, "carrier": FRAME, "state_0": FRAME}
    assert session.outputs == {"restored": FRAME, "state_0_next": FRAME}


def test_fifty_steps_are_bit_equal_to_an_inference_session(tmp_path):
    path = tiny_models.busy(tmp_path)
    binding, inputs, states, restored = bind(OnnxSession(path.read_bytes()))
    reference = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    random, state = np.random.default_rng(1), np.zeros(FRAME, np.float32)
    for step in range(50):
        for array in inputs.values():
            array[:] = random.standard_normal(FRAME)
        assert binding.run(step & 1) == 0
        expected, state = reference.run(["restored", "state_0_next"], inputs | {"state_0": state})
        assert np.array_equal(restored, expected)
        assert np.array_equal(states[1 - (step & 1)], state)


def test_two_bindings_of_one_session_do_not_disturb_each_other(tmp_path):
    session = OnnxSession(tiny_models.delay_one_frame(tmp_path).read_bytes())
    first, second = bind(session), bind(session)
    first[1]["spectrum"][:], second[1]["spectrum"][:] = 1, 2
    for parity in (0, 1):
        first[0].run(parity)
        second[0].run(parity)
    assert np.all(first[3] == 1)
    assert np.all(second[3] == 2)


@pytest.mark.parametrize("content", [b"", b"text", b"\x08\x08"])
def test_what_is_no_model_is_refused_in_one_line(content):
    with pytest.raises(OnnxRuntimeError) as caught:
        OnnxSession(content)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


def failing(directory: Path) -> tuple[OnnxSession, Binding, list[np.ndarray]]:
    """A model that fails while its state is above 1; its binding and states."""
    session = OnnxSession(tiny_models.refusing(directory).read_bytes())
    states = [np.zeros(1, np.float32), np.zeros(1, np.float32)]
    frame, restored = np.ones(FRAME, np.float32), np.zeros(FRAME, np.float32)
    binding = session.bind(
        ({"spectrum": frame, "state_0": states[0]}, {"spectrum": frame, "state_0": states[1]}),
        ({"restored": restored, "state_0_next": states[1]}, {"restored": restored, "state_0_next": states[0]}),
    )
    return session, binding, states


def test_a_step_that_fails_returns_minus_one_and_keeps_the_first_message(tmp_path):
    _, binding, states = failing(tmp_path)
    assert binding.run(0) == 0
    assert binding.error == ""
    states[1][:] = 7
    assert [binding.run(1) for _ in range(3)] == [-1, -1, -1]
    assert "indices" in binding.error
    assert "\n" not in binding.error
    states[1][:] = 1
    assert binding.run(1) == 0
    assert "indices" in binding.error


def test_a_closed_binding_refuses_instead_of_crashing(tmp_path):
    session = OnnxSession(tiny_models.delay_one_frame(tmp_path).read_bytes())
    binding, *_ = bind(session)
    session.close()
    session.close()
    assert binding.run(0) == -1
    assert run_step(binding.addresses, 1) == -1


@pytest.fixture
def ledger(monkeypatch):
    """All that is created and released, in order, as (kind, address)."""
    made: list[tuple[str, int]] = []
    given_back: list[tuple[str, int]] = []
    kinds = {
        "CreateSessionFromArray": "Session",
        "CreateSessionOptions": "SessionOptions",
        "CreateTensorWithDataAsOrtValue": "Value",
        "CreateCpuMemoryInfo": "MemoryInfo",
        "SessionGetInputTypeInfo": "TypeInfo",
        "SessionGetOutputTypeInfo": "TypeInfo",
        "SessionGetInputName": "name",
        "SessionGetOutputName": "name",
    }
    create, release, call = Runtime.create, Runtime.release, Runtime.call

    def recording_create(self, name, *arguments):
        address = create(self, name, *arguments)
        if name in kinds:
            made.append((kinds[name], address))
        return address

    def recording_call(self, name, *arguments):
        if name == "AllocatorFree":
            given_back.append(("name", arguments[1]))
        call(self, name, *arguments)

    def recording_release(self, kind, address):
        given_back.append((kind, address))
        release(self, kind, address)

    monkeypatch.setattr(Runtime, "create", recording_create)
    monkeypatch.setattr(Runtime, "call", recording_call)
    monkeypatch.setattr(Runtime, "release", recording_release)
    return made, given_back


def balanced(made: list[tuple[str, int]], given_back: list[tuple[str, int]]) -> bool:
    return sorted(made) == sorted(given_back)


def test_closing_releases_everything_values_first(tmp_path, ledger):
    made, given_back = ledger
    content = tiny_models.delay_one_frame(tmp_path).read_bytes()
    for _ in range(20):
        session = OnnxSession(content)
        binding, *_ = bind(session)
        assert binding.run(0) == 0
        assert not balanced(made, given_back)
        session.close()
        assert balanced(made, given_back)
    kinds = [kind for kind, _ in given_back if kind in ("Value", "Session")]
    assert kinds == (["Value"] * 8 + ["Session"]) * 20


def test_what_is_forgotten_is_released_too_values_first(tmp_path, ledger):
    made, given_back = ledger
    binding, *_ = bind(OnnxSession(tiny_models.delay_one_frame(tmp_path).read_bytes()))
    assert binding.run(0) == 0
    assert not balanced(made, given_back)
    del binding
    assert balanced(made, given_back)
    assert [kind for kind, _ in given_back if kind in ("Value", "Session")] == ["Value"] * 8 + ["Session"]


def test_the_message_of_a_failed_step_is_released_with_its_binding(tmp_path, ledger):
    _, given_back = ledger
    session, binding, states = failing(tmp_path)
    states[0][:] = 7
    assert [binding.run(0), binding.run(0)] == [-1, -1]
    assert "Status" not in [kind for kind, _ in given_back]
    session.close()
    assert [kind for kind, _ in given_back].count("Status") == 1
    assert binding.error == ""


def test_a_session_that_can_not_be_made_leaves_nothing_behind(ledger):
    made, given_back = ledger
    with pytest.raises(OnnxRuntimeError):
        OnnxSession(b"text")
    assert made
    assert balanced(made, [entry for entry in given_back if entry[0] != "Status"])


def test_a_missing_package_or_library_is_said_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(onnx_c_api.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LibraryMissingError, match=r"no .*onnxruntime"):
        runtime.__wrapped__()
    with pytest.raises(LibraryMissingError, match=r"none\.so"):
        Runtime(tmp_path / "none.so")


def test_a_library_of_something_else_is_refused():
    import _ctypes

    with pytest.raises(LibraryMissingError, match="OrtGetApiBase"):
        Runtime(Path(_ctypes.__file__))
