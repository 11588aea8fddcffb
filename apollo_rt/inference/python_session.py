"""ONNX Runtime's Python package behind the interface of `onnx_session`, for installations without the C library."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import flush_to_zero
from apollo_rt.errors import ProviderError
from apollo_rt.inference.onnx_c_api import LibraryMissingError, OnnxRuntimeError
from apollo_rt.inference.onnx_session import N_ADDRESSES, SESSION_CONFIG, Tensors
from apollo_rt.inference.provider import CPU, Provider, cuda_options


class PythonSession:
    """`InferenceSession` with the interface of `onnx_session.OnnxSession`.

    Raises:
        LibraryMissingError: the onnxruntime package isn't installed.
        OnnxRuntimeError: the model can't be loaded.
        ProviderError: the provider needs the C library, or can't be used.
    """

    def __init__(self, model: bytes, threads: int = 1, provider: Provider = CPU) -> None:
        """Load a serialised model."""
        self.provider = provider
        if provider.name == "tensorrt" or provider.cuda_graph:
            raise ProviderError(f"{provider}: needs ONNX Runtime's C library, which was not found")
        try:
            import onnxruntime  # type: ignore[import-untyped]  # ships no type hints
        except ImportError as error:
            raise LibraryMissingError(f"the onnxruntime package can't be imported: {error}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4
        for key, value in SESSION_CONFIG.items():
            options.add_session_config_entry(key, value)
        wanted = [(provider.ort_name, {} if provider == CPU else cuda_options(provider))]
        was_flushing = flush_to_zero(False)
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=wanted)
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise OnnxRuntimeError(" ".join(str(error).split())) from error
        finally:
            flush_to_zero(was_flushing)  # ONNX Runtime changes it for the thread that makes a session
        if provider.ort_name not in (has := self._session.get_providers()):
            raise ProviderError(f"{provider}: ONNX Runtime's Python package fell back to {', '.join(has)}")
        self.inputs = {value.name: _python_shape(value) for value in self._session.get_inputs()}
        self.outputs = {value.name: _python_shape(value) for value in self._session.get_outputs()}

    def zeros(self, n_bytes: int) -> NDArray[np.uint8]:
        """Memory for tensors."""
        return np.zeros(n_bytes, np.uint8)

    def bind(self, inputs: tuple[Tensors, Tensors], outputs: tuple[Tensors, Tensors]) -> "_PythonStep":
        """Bind every tensor to an array, once for each of two parities."""
        return _PythonStep(self._session, inputs, outputs)

    def close(self) -> None:
        """Forget the session."""
        self._session = None


class _PythonStep:
    """`IOBinding` over the arrays of both parities."""

    def __init__(self, session: Any, inputs: tuple[Tensors, Tensors], outputs: tuple[Tensors, Tensors]) -> None:
        self.addresses = np.zeros(N_ADDRESSES, np.int64)  # compiled code can't run it, and says so
        self.error = ""
        self._session, self._arrays = session, (inputs, outputs)
        self._bindings = [session.io_binding(), session.io_binding()]
        for binding, read, written in zip(self._bindings, inputs, outputs, strict=True):
            for name, array in read.items():
                binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
            for name, array in written.items():
                binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

    def run(self, parity: int) -> int:
        try:
            self._session.run_with_iobinding(self._bindings[parity])
        except Exception as error:  # as above; a step never raises
            self.error = self.error or " ".join(str(error).split())
            return -1
        return 0

    def warm_up(self) -> None:
        self.run(0)

    def close(self) -> None:
        self._bindings.clear()


def _python_shape(value: Any) -> tuple[int, ...]:
    if value.type != "tensor(float)":
        raise OnnxRuntimeError(f"{value.name} is not a tensor of float32")
    return tuple(size if isinstance(size, int) else -1 for size in value.shape)
