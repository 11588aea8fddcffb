"""A builder makes kept code: all entries of a module in one object file, optimised once.

    python -m apollo_rt.compiled.code_builder '[["apollo_rt.live.realtime.worker", "/.../FILE"], ...]'

Numba by itself makes for every function, also where only compiled code calls it, entries for Python and for C, and
optimised machine code of it with all that it calls. Here its types and its LLVM code are made, and no more; those of
all functions that a module's entries need are linked, optimised and turned into machine code together. That takes a
third of the time. It is done in a process of its own, since it changes what Numba does.
"""

import ctypes
import gc
import importlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import codegen, cpu
from numba.core.registry import cpu_target

from apollo_rt.compiled import numba_functions
from apollo_rt.compiled.entry_words import NUMBERS
from apollo_rt.compiled.functions import CompiledCallback, CompiledFunction
from apollo_rt.compiled.kept_code import read_code, symbol_of, write_code
from apollo_rt.compiled.numba_functions import c_type
from apollo_rt.compiled.table_lowering import member_type, place_of, read_member, read_word

_MAY_RAISE = "a_callback_that_may_raise"
_NUMBER_TYPES: dict[Any, Any] = {int: types.int64, float: types.float64, bool: types.boolean}
_WORD = ir.IntType(64)


def build(module: ModuleType) -> tuple[bytes, list[tuple[str, str]]]:
    """Make the object file of a module's entries.

    Returns:
        Its content, and the libraries that it calls, each by its package and its file there.

    Raises:
        ValueError: the module has no entries, or a callback that may raise.
    """
    library = cpu_target.target_context.codegen().create_library(module.__name__)
    names = []
    for member in vars(module).values():
        is_here = getattr(getattr(member, "py_func", None) or getattr(member, "body", None), "__module__", "")
        if is_here != module.__name__:
            continue
        if isinstance(member, CompiledFunction) and member.is_entry:
            names.append(_add_entry(library, member))
        elif isinstance(member, CompiledCallback) and member.is_kept:
            names.append(_add_callback(library, member))
    if not names:
        raise ValueError(f"{module.__name__} must have entries, it has none")
    return _object_file(library, names)


def only_lower() -> None:
    """Let Numba make LLVM code of each function, and neither optimise it by itself nor make machine code of it."""
    numba_functions.OPTIONS.update(cache=False, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)
    make_function = getattr(cpu, "_dynfunc").make_function  # noqa: B009  # no type checker knows it
    nowhere = ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p).value

    def finalize(library: Any) -> None:
        library._finalized = True

    def get_executable(_: Any, library: Any, description: Any, environment: Any) -> Any:
        library._ensure_finalized()
        name = description.qualname.split(".")[-1]
        return make_function(description.lookup_module(), name, "", nowhere, environment, (library,))

    def set_layout(library: Any, llvm_module: Any) -> None:
        llvm_module.data_layout = library._codegen._data_layout

    kinds: tuple[Any, ...] = codegen.CPUCodeLibrary, codegen.JITCodeLibrary
    for kind in kinds:
        kind.finalize = finalize
        kind._optimize_functions = set_layout
        kind.get_pointer_to_function = lambda *_: 0
    context: Any = cpu.CPUContext
    context.get_executable = get_executable


def _compiled(function: CompiledFunction, arguments: tuple[Any, ...]) -> Any:
    """Numba's result for a function and types of arguments."""
    function.dispatcher.compile(arguments)
    return function.dispatcher.overloads[arguments]


def _add_entry(library: Any, function: CompiledFunction) -> str:
    """Add a function that takes the address of a call's words, and returns 0, or 1 for an error."""
    fields = list(function.words.fields.values())
    result = _compiled(function, tuple(_NUMBER_TYPES.get(field) or member_type(field) for field in fields))
    name = symbol_of(function.py_func.__qualname__)
    module = library.create_ir_module(name)
    wrapper = ir.Function(module, ir.FunctionType(_WORD, [_WORD]), name)
    builder = ir.IRBuilder(wrapper.append_basic_block("entry"))
    context = cpu_target.target_context
    values, number = [], 1  # the first is the result's
    for field in fields:
        if field in NUMBERS:
            values.append(_number(builder, read_word(builder, wrapper.args[0], number), field))
            number += 1
        else:
            place, number = place_of(field, number, {})
            values.append(read_member(context, builder, wrapper.args[0], place))
    status, value = _call(library, module, builder, result, values)
    place = builder.inttoptr(wrapper.args[0], _WORD.as_pointer())
    if function.words.result is float:
        value = builder.bitcast(context.cast(builder, value, result.signature.return_type, types.float64), _WORD)
        builder.store(value, place)
    elif function.words.result in NUMBERS:
        builder.store(context.cast(builder, value, result.signature.return_type, types.int64), place)
    builder.ret(builder.zext(status.is_error, _WORD))
    library.add_ir_module(module)
    return name


def _number(builder: Any, word: Any, kind: type) -> Any:
    """A word as an int, a float or a bool."""
    if kind is float:
        return builder.bitcast(word, ir.DoubleType())
    return builder.icmp_signed("!=", word, _WORD(0)) if kind is bool else word


def _add_callback(library: Any, callback: CompiledCallback) -> str:
    """Add a function with C's own arguments and result."""
    arguments = tuple(map(c_type, callback.arguments))
    result = _compiled(CompiledFunction(callback.body, _nrt=False), arguments)
    name = symbol_of(callback.body.__qualname__)
    module = library.create_ir_module(name)
    context, c_result = cpu_target.target_context, c_type(callback.result)
    kinds = [context.get_value_type(kind) for kind in arguments]
    wrapper = ir.Function(module, ir.FunctionType(context.get_value_type(c_result), kinds), name)
    builder = ir.IRBuilder(wrapper.append_basic_block("entry"))
    status, value = _call(library, module, builder, result, list(wrapper.args))
    with builder.if_then(status.is_error):  # nothing of it is left where nothing can raise
        builder.call(ir.Function(module, ir.FunctionType(ir.VoidType(), []), _MAY_RAISE), [])
    builder.ret(context.cast(builder, value, result.signature.return_type, c_result))
    library.add_ir_module(module)
    return name


def _call(library: Any, module: Any, builder: Any, result: Any, values: list[Any]) -> Any:
    library.add_linking_library(result.library)
    convention, description = cpu_target.target_context.call_conv, result.fndesc
    kind = convention.get_function_type(description.restype, description.argtypes)
    callee = ir.Function(module, kind, description.llvm_func_name)
    return convention.call_function(builder, callee, description.restype, description.argtypes, values)


def _object_file(library: Any, names: list[str]) -> tuple[bytes, list[tuple[str, str]]]:
    module = library._final_module
    for needed in _needed_by(library, {}):
        own = needed._final_module
        for part in own.functions:
            if not part.is_declaration and part.linkage.name == "external":
                part.linkage = "linkonce_odr"
        module.link_in(own, preserve=True)
    for part in (*module.functions, *module.global_variables):
        if not part.is_declaration and part.name not in names:
            part.linkage = "internal"
    library._optimize_final_module()
    module.verify()
    called = [part.name for part in module.functions if part.is_declaration and not part.name.startswith("llvm.")]
    if _MAY_RAISE in called:
        raise ValueError(f"{library.name}: what C calls must not raise, one of {', '.join(names)} may")
    return library._codegen._tm.emit_object(module), sorted(_libraries(called))


def _needed_by(library: Any, seen: dict[int, Any]) -> list[Any]:
    for needed in library._linking_libraries:
        if id(needed) not in seen:
            seen[id(needed)] = needed
            _needed_by(needed, seen)
    return list(seen.values())


class _Origin(ctypes.Structure):
    """`Dl_info` of dlfcn.h."""

    _fields_ = [(name, ctypes.c_char_p if name.endswith("name") else ctypes.c_void_p)
                for name in ("file_name", "file_base", "symbol_name", "symbol_address")]  # fmt: skip


def _libraries(called: list[str]) -> set[tuple[str, str]]:
    """Libraries of the called functions, without those that every process has: a compiled package brought them."""
    process, found = ctypes.CDLL(None), set()
    for name in called:
        origin = _Origin()
        if process.dladdr(getattr(process, name, None), ctypes.byref(origin)):
            found.add(os.fsdecode(origin.file_name))
    folders = {Path(folder) for folder in sys.path if folder}
    return {(path.parent.name, path.name) for path in map(Path, found) if path.parents[1] in folders}


def main(jobs: str) -> None:
    """Build and write; what was written is loaded once, so that what can't be is found here."""
    gc.disable()  # an eighth of the time: nothing of what Numba makes is let go before the end
    only_lower()
    for name, path in json.loads(jobs):
        write_code(Path(path), *build(importlib.import_module(name)))
        read_code(Path(path))


if __name__ == "__main__":
    main(sys.argv[1])
