"""Compiled functions that Numba lacks: atomics, calls by address, a clock, a sleep, flush-to-zero.

Nothing here bakes an address into machine code: addresses are found once in Python and travel as integers, so that
compiled functions can be cached on disk and serve the next process too.
"""

import ctypes
import platform
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic as untyped_intrinsic
from numba.np.arrayobj import populate_array
from numpy.typing import NDArray

from apollo_rt.compiled.code_cache import kept_by_sources

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function for the real-time path: without the GIL, without raising on division, cached on disk."""
    return _compiled(function)


def intrinsic(function: Callable[..., Any]) -> Any:
    """Numba's `intrinsic`, for type checkers: compiled code calls the result without the typing context."""
    return untyped_intrinsic(function)


def realtime(function: Function) -> Function:
    """Compile a function that the audio callback may call: as `compiled`, and what would allocate does not compile.

    Numba's run time (`_nrt`), which owns all memory that compiled code allocates, is left out.
    """
    return _compiled(function, _nrt=False)


def realtime_sum(function: Function) -> Function:
    """Compile a function as `realtime` does, with additions in any order: a sum then uses vector instructions."""
    return _compiled(function, _nrt=False, fastmath={"reassoc", "contract"})


def _compiled(function: Function, **options: Any) -> Function:
    with kept_by_sources(function):
        return cast("Function", njit(cache=True, nogil=True, error_model="numpy", **options)(function))


# --- atomics ---------------------------------------------------------------------------------------------------------


def _element_pointer(context: Any, builder: Any, signature: Any, args: Any) -> tuple[Any, int]:
    """Address of `array[index]` and the element's size in bytes; no bounds check, no negative index."""
    array = context.make_array(signature.args[0])(context, builder, args[0])
    index = context.cast(builder, args[1], signature.args[1], types.intp)
    element = context.get_data_type(signature.args[0].dtype)
    return builder.gep(array.data, [index]), context.get_abi_sizeof(element)


def _check_atomic(array: Any) -> None:
    is_array = isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C"
    if not is_array or array.dtype not in (types.int64, types.float64):
        raise TypingError(f"an atomic needs a contiguous 1-D array of int64 or float64, got {array}")


@intrinsic
def atomic_load(typing_context: Any, array: Any, index: Any) -> Any:
    """`array[index]`, read with acquire order: what the writer stored before its release is visible afterwards."""
    _check_atomic(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer, size = _element_pointer(context, builder, signature, args)
        return builder.load_atomic(pointer, ordering="acquire", align=size)

    return array.dtype(array, index), generate


@intrinsic
def atomic_store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """`array[index] = value`, written with release order: everything stored before is visible to who reads this."""
    _check_atomic(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer, size = _element_pointer(context, builder, signature, args)
        element = context.cast(builder, args[2], signature.args[2], signature.args[0].dtype)
        builder.store_atomic(element, pointer, ordering="release", align=size)
        return context.get_dummy_value()

    return types.void(array, index, value), generate


# --- addresses -------------------------------------------------------------------------------------------------------


@intrinsic
def call_address(typing_context: Any, address: Any, arguments: Any) -> Any:
    """Call the C function at `address` with a tuple of int64 (integers and pointers); returns its result as int64.

    A C function that returns `int` leaves the upper half of the result undefined: mask it.
    """
    word = ir.IntType(64)
    signature = types.int64(types.int64, types.UniTuple(types.int64, len(arguments)))

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = cgutils.unpack_tuple(builder, args[1], signature.args[1].count)
        function_type = ir.FunctionType(word, [word] * len(words))
        return builder.call(builder.inttoptr(args[0], function_type.as_pointer()), words)

    return signature, generate


@intrinsic
def _two_words_on_the_stack(typing_context: Any) -> Any:
    """Address of two int64, valid until the calling function returns."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(64), 2))
        return builder.ptrtoint(words, ir.IntType(64))

    return types.int64(), generate


@intrinsic
def array_from_address(typing_context: Any, address: Any, shape: Any, dtype: Any) -> Any:
    """A view of C-ordered memory that somebody else owns; allocates nothing and keeps nothing alive.

    As `numba.carray` does, but without a function that returns an array: `realtime` functions can't call one.
    """
    n_axes = len(shape) if isinstance(shape, types.BaseTuple) else 0
    array_type = types.Array(dtype.dtype, n_axes or 1, "C")
    shape_type = types.UniTuple(types.intp, n_axes) if n_axes else types.intp

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lengths = cgutils.unpack_tuple(builder, args[1]) if n_axes else [args[1]]
        array = context.make_array(array_type)(context, builder)
        item_size = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(dtype.dtype)))
        strides = [item_size]
        for length in lengths[:0:-1]:
            strides.insert(0, builder.mul(length, strides[0]))
        pointer = builder.inttoptr(args[0], array.data.type)
        populate_array(array, data=pointer, shape=lengths, strides=strides, itemsize=item_size, meminfo=None)
        return array._getvalue()

    return array_type(types.int64, shape_type, dtype), generate


# --- clock and sleep -------------------------------------------------------------------------------------------------

_CLOCK, _SLEEP, _CLOCK_ID, _TICKS_PER_S = range(4)
_NS_PER_S = 1_000_000_000


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


def system_calls() -> NDArray[np.int64]:
    """The operating system's clock and sleep as addresses, for `now_ns` and `sleep_ns`: `(4,)`."""
    calls = np.zeros(4, np.int64)
    if sys.platform == "win32":
        kernel = ctypes.windll.kernel32
        ctypes.windll.winmm.timeBeginPeriod(1)  # else Windows sleeps in steps of 15.6 ms
        frequency = ctypes.c_int64()
        kernel.QueryPerformanceFrequency(ctypes.byref(frequency))
        calls[:] = _address(kernel.QueryPerformanceCounter), _address(kernel.Sleep), 0, frequency.value
    else:
        library = ctypes.CDLL(None)
        calls[:] = _address(library.clock_gettime), _address(library.nanosleep), time.CLOCK_MONOTONIC, 0
    return calls


@compiled
def now_ns(calls: NDArray[np.int64]) -> int:
    """Monotonic time in ns; needs no interpreter. `calls` comes from `system_calls()`."""
    words = array_from_address(_two_words_on_the_stack(), 2, np.int64)
    ticks_per_s = calls[_TICKS_PER_S]
    if ticks_per_s:
        call_address(calls[_CLOCK], (words.ctypes.data,))
        # In two parts: ticks times 10^9 would pass 2^63 after 15 minutes.
        return int(words[0] // ticks_per_s * _NS_PER_S + words[0] % ticks_per_s * _NS_PER_S // ticks_per_s)
    call_address(calls[_CLOCK], (calls[_CLOCK_ID], words.ctypes.data))
    return int(words[0] * _NS_PER_S + words[1])


@compiled
def sleep_ns(calls: NDArray[np.int64], duration_ns: int) -> None:
    """Let the calling thread sleep for about `duration_ns`; needs no interpreter and never waits for it."""
    if calls[_TICKS_PER_S]:
        call_address(calls[_SLEEP], (max(1, (duration_ns + 500_000) // 1_000_000),))
        return
    words = array_from_address(_two_words_on_the_stack(), 2, np.int64)
    words[0], words[1] = duration_ns // _NS_PER_S, duration_ns % _NS_PER_S
    call_address(calls[_SLEEP], (words.ctypes.data, 0))


@compiled
def sleep_until(calls: NDArray[np.int64], due_ns: int) -> int:
    """Sleep until a moment of `now_ns`; returns by how many ns it got late, or was already."""
    late_ns = now_ns(calls) - due_ns
    while late_ns < 0:
        sleep_ns(calls, -late_ns)
        late_ns = now_ns(calls) - due_ns
    return late_ns


# --- denormals -------------------------------------------------------------------------------------------------------

_IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
_IS_ARM64 = platform.machine().lower() in ("arm64", "aarch64")
# Intel SDM vol. 1, 10.2.3: FTZ is bit 15 and DAZ bit 6 of MXCSR. Arm ARM, FPCR: FZ is bit 24.
_FLUSH_BITS = 1 << 15 | 1 << 6 if _IS_X86 else 1 << 24


def _read_control(builder: Any) -> Any:
    """The floating-point control register of this thread as int64."""
    word = ir.IntType(64)
    if _IS_X86:
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        _call_llvm(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), [builder.bitcast(slot, cgutils.voidptr_t)])
        return builder.zext(builder.load(slot), word)
    if _IS_ARM64:
        return _call_llvm(builder, "llvm.aarch64.get.fpcr", word, [])
    return word(0)


def _write_control(builder: Any, control: Any) -> None:
    if _IS_X86:
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        builder.store(builder.trunc(control, ir.IntType(32)), slot)
        _call_llvm(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), [builder.bitcast(slot, cgutils.voidptr_t)])
    elif _IS_ARM64:
        _call_llvm(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), [control])


def _call_llvm(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)


@intrinsic
def _exchange_flush(typing_context: Any, on: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = ir.IntType(64)(_FLUSH_BITS)
        before = _read_control(builder)
        _write_control(
            builder, builder.select(args[0], builder.or_(before, bits), builder.and_(before, builder.not_(bits)))
        )
        return builder.icmp_unsigned("==", builder.and_(before, bits), bits)

    return types.boolean(types.boolean), generate


@compiled
def flush_to_zero(on: bool) -> bool:
    """Let the calling thread treat denormal numbers as zero, or not; returns how it was before.

    Denormals cost about a hundred times what other numbers do. Does nothing where the processor is neither x86 nor Arm.
    """
    return bool(_exchange_flush(on))
