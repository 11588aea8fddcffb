"""One model in ONNX Runtime: its session, and bindings through which compiled code runs a step.

Everything that a step needs is bound once and reduced to one array of addresses, with which `run_step` calls `Run`
without the interpreter.

Released in the order of need: values before their session, sessions before the environment, which stays for the
process. Nothing is released at the interpreter's exit, where a thread might still be inside `Run`.
"""

import ctypes
import weakref
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.native import atomic_store, call_address, flush_to_zero, realtime
from apollo_rt.inference.onnx_c_api import RELEASE, RUN, OnnxRuntimeError, Runtime, runtime

Tensors = Mapping[str, NDArray[np.float32]]
Shapes = dict[str, tuple[int, ...]]

SESSION_CONFIG = {"session.intra_op.allow_spinning": "0", "session.set_denormal_as_zero": "1"}
_SEQUENTIAL, _ALL_OPTIMISATIONS = 0, 99
_ARENA_ALLOCATOR, _DEFAULT_MEMORY, _FLOAT32 = 1, 0, 1

# What stands where in a binding's addresses; inputs and outputs take two places, one for each parity.
_RUN_CALL, _RELEASE_CALL, _SESSION, _FAILURE, _N_INPUTS, _N_OUTPUTS, _INPUT_NAMES, _OUTPUT_NAMES = range(8)
_INPUTS, _OUTPUTS, N_ADDRESSES = 8, 10, 12


class Session:
    """A model, loaded for one thread; any number of bindings may use it.

    Attributes:
        inputs, outputs: names and shapes of the graph's tensors in the graph's order, -1 where a size is not fixed.
    """

    def __init__(self, model: bytes, threads: int = 1) -> None:
        """Load a serialised model.

        Args:
            model: as in a file.
            threads: that share one run; a step is too short for more than one.

        Raises:
            LibraryMissingError: no C library.
            OnnxRuntimeError: the model can't be loaded, or has a tensor that is not float32.
        """
        self.runtime = runtime()
        options = _session_options(self.runtime, threads)
        was_flushing = flush_to_zero(False)
        try:
            environment = self.runtime.environment
            self.address = self.runtime.create("CreateSessionFromArray", environment, model, len(model), options)
        finally:
            flush_to_zero(was_flushing)  # ONNX Runtime changes it for the thread that makes a session
            self.runtime.release("SessionOptions", options)
        self._finalizer = weakref.finalize(self, self.runtime.release, "Session", self.address)
        self._finalizer.atexit = False
        self._bindings: weakref.WeakSet[Binding] = weakref.WeakSet()
        self.inputs = _shapes(self, "Input")
        self.outputs = _shapes(self, "Output")

    def bind(self, inputs: tuple[Tensors, Tensors], outputs: tuple[Tensors, Tensors]) -> "Binding":
        """Bind every tensor to an array, once for each of two parities."""
        binding = Binding(self, inputs, outputs)
        self._bindings.add(binding)
        return binding

    def close(self) -> None:
        """Release the bindings, then the session; no step may be running. Closing twice is fine."""
        for binding in list(self._bindings):
            binding.close()
        self._finalizer()


class Binding:
    """Arrays that a session reads and writes in place: all that `run_step` needs is in `addresses`.

    Args:
        session: kept alive.
        inputs, outputs: for parity 0 and 1, an array for each name; kept alive.
    """

    def __init__(self, session: Session, inputs: tuple[Tensors, Tensors], outputs: tuple[Tensors, Tensors]) -> None:
        """Make the values."""
        self._session, self._arrays = session, (inputs, outputs)
        self.addresses = np.zeros(N_ADDRESSES, np.int64)
        values: list[int] = []
        self._finalizer = weakref.finalize(self, _release_binding, session.runtime, values, self.addresses)
        self._finalizer.atexit = False
        memory = session.runtime.create("CreateCpuMemoryInfo", _ARENA_ALLOCATOR, _DEFAULT_MEMORY)
        try:
            for tensors, names in ((inputs, session.inputs), (outputs, session.outputs)):
                for of_parity in tensors:
                    values += [_value(session.runtime, memory, of_parity[name]) for name in names]
        finally:
            session.runtime.release("MemoryInfo", memory)
        self._fill_addresses(values)

    def _fill_addresses(self, values: list[int]) -> None:
        session, addresses = self._session, self.addresses
        n_inputs, n_outputs = len(session.inputs), len(session.outputs)
        self._names = [name.encode() for name in (*session.inputs, *session.outputs)]
        self._name_table = (ctypes.c_char_p * len(self._names))(*self._names)
        self._value_table = np.array(values, np.int64)
        word = ctypes.sizeof(ctypes.c_void_p)
        names, table = ctypes.addressof(self._name_table), self._value_table.ctypes.data
        addresses[[_RUN_CALL, _RELEASE_CALL]] = (
            session.runtime.address(RUN),
            session.runtime.address(RELEASE["Status"]),
        )
        addresses[_SESSION] = session.address
        addresses[[_N_INPUTS, _N_OUTPUTS]] = n_inputs, n_outputs
        addresses[[_INPUT_NAMES, _OUTPUT_NAMES]] = names, names + n_inputs * word
        addresses[_INPUTS : _INPUTS + 2] = table, table + n_inputs * word
        addresses[_OUTPUTS : _OUTPUTS + 2] = table + 2 * n_inputs * word, table + (2 * n_inputs + n_outputs) * word

    def run(self, parity: int) -> int:
        """One step from Python: `run_step`."""
        return run_step(self.addresses, parity)

    @property
    def error(self) -> str:
        """The message of the first step that failed, or nothing."""
        status = int(self.addresses[_FAILURE])
        return self._session.runtime.message(status) if status else ""

    def close(self) -> None:
        """Release the values; no step may be running. Closing twice is fine."""
        self._finalizer()


def _release_binding(runtime: Runtime, values: list[int], addresses: NDArray[np.int64]) -> None:
    for value in values:
        runtime.release("Value", value)
    if addresses[_FAILURE]:
        runtime.release("Status", int(addresses[_FAILURE]))
    addresses[:] = 0


def _value(runtime: Runtime, memory: int, array: NDArray[np.float32]) -> int:
    """An OrtValue over the array's own memory."""
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    shape = (ctypes.c_int64 * array.ndim)(*array.shape)
    create = "CreateTensorWithDataAsOrtValue"
    return runtime.create(create, memory, array.ctypes.data, array.nbytes, shape, array.ndim, _FLOAT32)


def _session_options(runtime: Runtime, threads: int) -> int:
    """In order, no spinning, denormals as zero: what a hop-by-hop model on a real-time thread needs."""
    options = runtime.create("CreateSessionOptions")
    runtime.call("SetIntraOpNumThreads", options, threads)
    runtime.call("SetInterOpNumThreads", options, 1)
    runtime.call("SetSessionExecutionMode", options, _SEQUENTIAL)
    runtime.call("SetSessionGraphOptimizationLevel", options, _ALL_OPTIMISATIONS)
    for key, value in SESSION_CONFIG.items():
        runtime.call("AddSessionConfigEntry", options, key.encode(), value.encode())
    return options


def _shapes(session: Session, kind: str) -> Shapes:
    """Names and shapes of the graph's inputs or outputs."""
    runtime, count = session.runtime, ctypes.c_size_t()
    runtime.call(f"SessionGet{kind}Count", session.address, ctypes.byref(count))
    allocator = runtime.create("GetAllocatorWithDefaultOptions")  # the library's own, never released
    shapes = {}
    for index in range(count.value):
        name = runtime.create(f"SessionGet{kind}Name", session.address, index, allocator)
        text = ctypes.string_at(name).decode()
        runtime.call("AllocatorFree", allocator, name)
        information = runtime.create(f"SessionGet{kind}TypeInfo", session.address, index)
        try:
            shapes[text] = _shape(runtime, information, text)
        finally:
            runtime.release("TypeInfo", information)
    return shapes


def _shape(runtime: Runtime, information: int, name: str) -> tuple[int, ...]:
    tensor = runtime.create("CastTypeInfoToTensorInfo", information)  # a part of `information`, not released alone
    element, n_axes = ctypes.c_int(), ctypes.c_size_t()
    if tensor:
        runtime.call("GetTensorElementType", tensor, ctypes.byref(element))
    if element.value != _FLOAT32:
        raise OnnxRuntimeError(f"{name} is not a tensor of float32")
    runtime.call("GetDimensionsCount", tensor, ctypes.byref(n_axes))
    sizes = (ctypes.c_int64 * n_axes.value)()
    runtime.call("GetDimensions", tensor, sizes, n_axes.value)
    return tuple(sizes)


@realtime
def run_step(addresses: NDArray[np.int64], parity: int) -> int:
    """One step of the model, on the arrays of a `Binding`; needs no interpreter.

    Args:
        addresses: `Binding.addresses`.
        parity: 0 or 1, which of the two sets of arrays.

    Returns:
        0, or -1 when ONNX Runtime refused (`Binding.error` says why) or the binding is closed.
    """
    if addresses[_RUN_CALL] == 0:
        return -1
    inputs = (addresses[_INPUT_NAMES], addresses[_INPUTS + parity], addresses[_N_INPUTS])
    outputs = (addresses[_OUTPUT_NAMES], addresses[_N_OUTPUTS], addresses[_OUTPUTS + parity])
    status = call_address(addresses[_RUN_CALL], (addresses[_SESSION], 0, *inputs, *outputs))
    if status == 0:
        return 0
    if addresses[_FAILURE] == 0:  # the first is kept, for whoever asks
        atomic_store(addresses, _FAILURE, status)
    else:
        call_address(addresses[_RELEASE_CALL], (status,))
    return -1
