"""Primitives of `native` in compiled code: atomics, calls by address, views of memory, the floating-point control."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.np.arrayobj import populate_array

from apollo_rt.compiled import native
from apollo_rt.compiled.native import FLUSH_BITS, IS_ARM64, IS_X86
from apollo_rt.compiled.primitive_types import implements

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


@implements(native.atomic_load)
def _atomic_load(typing_context: Any, array: Any, index: Any) -> Any:
    _check_atomic(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer, size = _element_pointer(context, builder, signature, args)
        return builder.load_atomic(pointer, ordering="acquire", align=size)

    return array.dtype(array, index), generate


@implements(native.atomic_store)
def _atomic_store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    _check_atomic(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer, size = _element_pointer(context, builder, signature, args)
        element = context.cast(builder, args[2], signature.args[2], signature.args[0].dtype)
        builder.store_atomic(element, pointer, ordering="release", align=size)
        return context.get_dummy_value()

    return types.void(array, index, value), generate


# --- addresses -------------------------------------------------------------------------------------------------------


@implements(native.call_address)
def _call_address(typing_context: Any, address: Any, arguments: Any) -> Any:
    word = ir.IntType(64)
    signature = types.int64(types.int64, types.UniTuple(types.int64, len(arguments)))

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = cgutils.unpack_tuple(builder, args[1], signature.args[1].count)
        function_type = ir.FunctionType(word, [word] * len(words))
        return builder.call(builder.inttoptr(args[0], function_type.as_pointer()), words)

    return signature, generate


@implements(native.two_words_on_the_stack)
def _two_words_on_the_stack(typing_context: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(64), 2))
        return builder.ptrtoint(words, ir.IntType(64))

    return types.int64(), generate


@implements(native.array_from_address)
def _array_from_address(typing_context: Any, address: Any, shape: Any, dtype: Any) -> Any:
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


# --- denormals -------------------------------------------------------------------------------------------------------


def _read_control(builder: Any) -> Any:
    """The floating-point control register of this thread as int64."""
    word = ir.IntType(64)
    if IS_X86:
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        _call_llvm(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), [builder.bitcast(slot, cgutils.voidptr_t)])
        return builder.zext(builder.load(slot), word)
    if IS_ARM64:
        return _call_llvm(builder, "llvm.aarch64.get.fpcr", word, [])
    return word(0)


def _write_control(builder: Any, control: Any) -> None:
    if IS_X86:
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        builder.store(builder.trunc(control, ir.IntType(32)), slot)
        _call_llvm(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), [builder.bitcast(slot, cgutils.voidptr_t)])
    elif IS_ARM64:
        _call_llvm(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), [control])


def _call_llvm(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)


@implements(native.exchange_flush)
def _exchange_flush(typing_context: Any, on: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = ir.IntType(64)(FLUSH_BITS)
        before = _read_control(builder)
        _write_control(
            builder, builder.select(args[0], builder.or_(before, bits), builder.and_(before, builder.not_(bits)))
        )
        return builder.icmp_unsigned("==", builder.and_(before, bits), bits)

    return types.boolean(types.boolean), generate
