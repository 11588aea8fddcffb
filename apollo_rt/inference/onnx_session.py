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
from apollo_rt.errors import ProviderError
from apollo_rt.inference.accelerator import pinned_zeros
from apollo_rt.inference.execution_provider import (
    RECORD_ASSIGNMENT,
    append_provider,
    check_assignment,
    node_assignment,
    reason,
)
from apollo_rt.inference.onnx_c_api import (
    RELEASE,
    RUN,
    OnnxRuntimeError,
    Runtime,
    Shapes,
    runtime,
    session_options,
    tensor_shapes,
    tensor_value,
)
from apollo_rt.inference.provider import CPU, Provider, mark_prepared

Tensors = Mapping[str, NDArray[np.float32]]

SESSION_CONFIG = {"session.intra_op.allow_spinning": "0", "session.set_denormal_as_zero": "1", RECORD_ASSIGNMENT: "1"}
_GRAPH_ID = b"gpu_graph_id"  # onnxruntime_run_options_config_keys.h
_DEVICE_ALLOCATOR, _ARENA_ALLOCATOR, _DEFAULT_MEMORY = 0, 1, 0

# What stands where in a binding's addresses; inputs, outputs and options take two places, one for each parity.
_RUN_CALL, _RELEASE_CALL, _SESSION, _FAILURE, _N_INPUTS, _N_OUTPUTS, _INPUT_NAMES, _OUTPUT_NAMES = range(8)
_INPUTS, _OUTPUTS, _RUN_OPTIONS = 8, 10, 12
KEEPS_CADENCE, N_ADDRESSES = 14, 15
"""Not 0 where steps must go on at their pace, whether their result is needed or not."""


class OnnxSession:
    """A model, loaded for one thread; any number of bindings may use it.

    Attributes:
        inputs, outputs: names and shapes of the graph's tensors in the graph's order, -1 where a size is not fixed.
        provider: what runs it.
        assignment: who really runs which of its nodes.
    """

    def __init__(self, model: bytes, threads: int = 1, provider: Provider = CPU) -> None:
        """Load a serialised model; for TensorRT that builds the engine, unless it is in the cache.

        Args:
            model: as in a file.
            threads: that share one run on the CPU; a step is too short for more than one.
            provider: what shall run it.

        Raises:
            LibraryMissingError: no C library.
            OnnxRuntimeError: the model can't be loaded, or has a tensor that is not float32.
            ProviderError: the provider can't be used, or not for this model.
        """
        self.runtime, self.provider = runtime(), provider
        options = session_options(self.runtime, threads, SESSION_CONFIG)
        was_flushing = flush_to_zero(False)
        try:
            cache = append_provider(self.runtime, options, provider, model)
            environment = self.runtime.environment
            self.address = self.runtime.create("CreateSessionFromArray", environment, model, len(model), options)
        except OnnxRuntimeError as error:
            if provider != CPU:
                raise ProviderError(reason(provider, str(error))) from error
            raise
        finally:
            flush_to_zero(was_flushing)  # ONNX Runtime changes it for the thread that makes a session
            self.runtime.release("SessionOptions", options)
        self._finalizer = weakref.finalize(self, self.runtime.release, "Session", self.address)
        self._finalizer.atexit = False
        self._bindings: weakref.WeakSet[Binding] = weakref.WeakSet()
        self._n_graphs = 0
        self.inputs: Shapes = tensor_shapes(self.runtime, self.address, "Input")
        self.outputs: Shapes = tensor_shapes(self.runtime, self.address, "Output")
        self.assignment = node_assignment(self.runtime, self.address)
        check_assignment(provider, self.assignment)
        if cache:
            mark_prepared(cache, provider)

    def zeros(self, n_bytes: int) -> NDArray[np.uint8]:
        """Memory for tensors, of the kind that a binding wants."""
        return pinned_zeros(n_bytes, self.provider.device) if self.provider.cuda_graph else np.zeros(n_bytes, np.uint8)

    def new_graph(self) -> int:
        """A number for one more recorded graph."""
        self._n_graphs += 1
        return self._n_graphs

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

    def __init__(self, session: OnnxSession, inputs: tuple[Tensors, Tensors], outputs: tuple[Tensors, Tensors]) -> None:
        """Make the values."""
        self._session, self._inputs, self._outputs = session, inputs, outputs
        self.addresses = np.zeros(N_ADDRESSES, np.int64)
        values: list[int] = []
        self._finalizer = weakref.finalize(self, _release_binding, session.runtime, values, self.addresses)
        self._finalizer.atexit = False
        memory = _memory(session)
        try:
            for tensors, names in ((inputs, session.inputs), (outputs, session.outputs)):
                for of_parity in tensors:
                    values += [_value(session.runtime, memory, of_parity[name]) for name in names]
        finally:
            session.runtime.release("MemoryInfo", memory)
        self._fill_addresses(values)
        if session.provider.cuda_graph:
            self.addresses[_RUN_OPTIONS : _RUN_OPTIONS + 2] = [_run_options(session) for _ in range(2)]

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
        addresses[KEEPS_CADENCE] = session.provider != CPU
        addresses[[_N_INPUTS, _N_OUTPUTS]] = n_inputs, n_outputs
        addresses[[_INPUT_NAMES, _OUTPUT_NAMES]] = names, names + n_inputs * word
        addresses[_INPUTS : _INPUTS + 2] = table, table + n_inputs * word
        addresses[_OUTPUTS : _OUTPUTS + 2] = table + 2 * n_inputs * word, table + (2 * n_inputs + n_outputs) * word

    def run(self, parity: int) -> int:
        """One step from Python: `run_step`."""
        return run_step(self.addresses, parity)

    def warm_up(self) -> None:
        """Let an accelerator make what belongs to the calling thread, which is the one that must run the steps later.

        A CUDA graph is recorded in the course of several runs (onnxruntime#32243). Since a parity never writes what it
        reads, each of them has the same result; what is left in the arrays afterwards is for the caller to clear.

        Raises:
            ProviderError: a run fails, or writes elsewhere than to its parity's arrays.
        """
        if self._session.provider == CPU:
            return
        for parity in (0, 1, 0, 1):  # once to record, once more to replay
            for array in self._outputs[parity].values():
                array.fill(np.nan)
            if self.run(parity):
                raise ProviderError(reason(self._session.provider, self.error))
            strange = [name for name, array in self._outputs[parity].items() if np.isnan(array).any()]
            if strange:
                raise ProviderError(f"{self._session.provider}: a step left {strange[0]} unwritten; leave out +graph")

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
    for options in addresses[_RUN_OPTIONS : _RUN_OPTIONS + 2]:
        if options:
            runtime.release("RunOptions", int(options))
    if addresses[_FAILURE]:
        runtime.release("Status", int(addresses[_FAILURE]))
    addresses[:] = 0


def _memory(session: OnnxSession) -> int:
    """Address of a description of where the arrays lie: for a recorded graph, where kernels reach them."""
    if session.provider.cuda_graph:
        device = session.provider.device
        return session.runtime.create("CreateMemoryInfo", b"Cuda", _DEVICE_ALLOCATOR, device, _DEFAULT_MEMORY)
    return session.runtime.create("CreateCpuMemoryInfo", _ARENA_ALLOCATOR, _DEFAULT_MEMORY)


def _run_options(session: OnnxSession) -> int:
    """Address of options under which a run records and replays a graph of its own."""
    options = session.runtime.create("CreateRunOptions")
    session.runtime.call("AddRunConfigEntry", options, _GRAPH_ID, str(session.new_graph()).encode())
    return options


def _value(runtime: Runtime, memory: int, array: NDArray[np.float32]) -> int:
    """An OrtValue over the array's own memory."""
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    return tensor_value(runtime, memory, array.ctypes.data, array.nbytes, array.shape)


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
    status = call_address(
        addresses[_RUN_CALL], (addresses[_SESSION], addresses[_RUN_OPTIONS + parity], *inputs, *outputs)
    )
    if status == 0:
        return 0
    if addresses[_FAILURE] == 0:  # the first is kept, for whoever asks
        atomic_store(addresses, _FAILURE, status)
    else:
        call_address(addresses[_RELEASE_CALL], (status,))
    return -1
