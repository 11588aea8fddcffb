"""A step of the model that does what a test wants: comes late, hangs, fails, or answers nonsense.

It stands in front of ONNX Runtime's `Run`, as compiled code, for one processor; nothing else is changed.
"""

import numpy as np
from numba import cfunc, types

from apollo_rt.compiled.native import array_from_address, call_address, sleep_ns, system_calls
from apollo_rt.stream.processor import Processor

_REAL, _DELAY_NS, _N_DELAYED, _N_NONSENSE, _RESTORED, _N_VALUES, _N_RUNS = range(7)
_control, _value, _calls = np.zeros(7, np.int64), np.zeros(1, np.float32), system_calls()
_CONTROL, _VALUE, _CALLS = _control.ctypes.data, _value.ctypes.data, _calls.ctypes.data
_WORDS = (types.int64,) * 8


@cfunc(types.int64(*_WORDS), error_model="numpy")
def _run(session, options, input_names, inputs, n_inputs, output_names, n_outputs, outputs):
    control, value = array_from_address(_CONTROL, 7, np.int64), array_from_address(_VALUE, 1, np.float32)
    control[_N_RUNS] += 1
    if control[_N_DELAYED] > 0:
        control[_N_DELAYED] -= 1
        sleep_ns(array_from_address(_CALLS, 4, np.int64), control[_DELAY_NS])
    words = (session, options, input_names, inputs, n_inputs, output_names, n_outputs, outputs)
    status = call_address(control[_REAL], words)
    if control[_N_NONSENSE] > 0:
        control[_N_NONSENSE] -= 1
        restored = array_from_address(control[_RESTORED], control[_N_VALUES], np.float32)
        restored[:] = value[0]
    return status


class FaultyRun:
    """In front of one processor's model; the next one takes over."""

    def __init__(self, processor: Processor) -> None:
        state = processor.compiled
        restored = state.buffers.restored
        real = state.addresses[0] if state.addresses[0] != _run.address else _control[_REAL]
        _control[:] = 0
        _control[_REAL] = real
        _control[_RESTORED], _control[_N_VALUES] = restored.ctypes.data, 2 * restored.size
        state.addresses[0] = _run.address

    @property
    def n_runs(self) -> int:
        return int(_control[_N_RUNS])

    def be_late(self, seconds: float, times: int = 1) -> None:
        """The next steps take so much longer."""
        _control[_DELAY_NS], _control[_N_DELAYED] = round(seconds * 1e9), times

    def answer(self, value: float, times: int = 1) -> None:
        """The next steps return nothing but this value."""
        _value[0], _control[_N_NONSENSE] = value, times
