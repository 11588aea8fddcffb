"""Machine code of an object file is put into memory, as a compiler's own loader would, without the compiler.

Read are relocatable ELF files for x86-64 as LLVM writes them for its large code model: all addresses in the code are
whole words that are filled in here. The pages are written first and made executable afterwards, never both.

Source: System V Application Binary Interface, AMD64 Architecture Processor Supplement, chapters 4.1 and 4.4.
"""

import ctypes
import mmap
import platform
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

CAN_LOAD = sys.platform == "linux" and platform.machine() == "x86_64"

_MAGIC, _RELOCATABLE, _X86_64 = b"\x7fELF\x02\x01", 1, 62
_SYMBOLS, _RELOCATIONS, _EMPTY, _UNWINDING = 2, 4, 8, 0x70000001  # kinds of sections
_IN_MEMORY, _CODE = 2, 4  # flags of sections
_UNDEFINED, _ABSOLUTE = 0, 0xFFF1
_WORD_64, _DISTANCE_32, _DISTANCE_32_CALL, _DISTANCE_64 = 1, 2, 4, 24
_READ, _WRITE, _EXECUTE = 1, 2, 4
_PAGE = mmap.PAGESIZE


class _Section(NamedTuple):
    """A row of the section table."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class _Symbol(NamedTuple):
    """A row of the symbol table."""

    name: int
    info: int
    other: int
    section: int
    value: int
    size: int


class MachineCode:
    """Holds loaded code; it stays in memory for as long as the process lives.

    Args:
        content: of an object file.
        libraries: paths of shared libraries that it calls beside those of the process.

    Attributes:
        addresses: of what the file defines for others, by name.
        span: where it lies, address and length in bytes.

    Raises:
        ValueError: the file is none of these, or calls what isn't there.
    """

    def __init__(self, content: bytes, libraries: Sequence[str] = ()) -> None:
        self._content = content
        self._libraries = [ctypes.CDLL(None), *map(ctypes.CDLL, libraries)]
        try:
            sections = self._sections()
            places, self.span = self._placed(sections)
            symbols = list(self._symbols(sections, places))
            self._relocate(sections, places, symbols)
        except (struct.error, IndexError) as error:
            raise ValueError(f"object file must be whole, got one that ends early: {error}") from None
        self._protect(sections, places)
        self.addresses = {name: address for name, address, is_global in symbols if is_global and name}

    def _sections(self) -> list[_Section]:
        kind, machine = struct.unpack_from("<HH", self._content, 16)
        if self._content[: len(_MAGIC)] != _MAGIC or (kind, machine) != (_RELOCATABLE, _X86_64):
            raise ValueError("object file must be relocatable ELF for x86-64, got something else")
        (table,) = struct.unpack_from("<Q", self._content, 40)
        size, count, _ = struct.unpack_from("<HHH", self._content, 58)
        return [_Section(*struct.unpack_from("<IIQQQQIIQQ", self._content, table + size * n)) for n in range(count)]

    def _placed(self, sections: list[_Section]) -> tuple[dict[int, int], tuple[int, int]]:
        """Memory with all sections copied to it: of each the address, code on pages of its own; and where it is."""
        wanted = [n for n, s in enumerate(sections) if s.flags & _IN_MEMORY and s.kind != _UNWINDING and s.size]
        wanted.sort(key=lambda n: sections[n].flags & _CODE == 0)
        offsets, end, was_code = {}, 0, False
        for number in wanted:
            is_code = sections[number].flags & _CODE != 0
            alignment = max(sections[number].alignment, 1) if is_code == was_code or not end else _PAGE
            offsets[number] = -(-end // alignment) * alignment
            end, was_code = offsets[number] + sections[number].size, is_code
        size = -(-max(end, 1) // _PAGE) * _PAGE
        base = _map_pages(size)
        for number, offset in offsets.items():
            section = sections[number]
            if section.kind != _EMPTY:
                ctypes.memmove(
                    base + offset, self._content[section.offset : section.offset + section.size], section.size
                )
        return {number: base + offset for number, offset in offsets.items()}, (base, size)

    def _symbols(self, sections: list[_Section], places: dict[int, int]) -> Iterator[tuple[str, int, bool]]:
        """Of each symbol its name, its address (0 where it isn't needed) and whether others may ask for it."""
        (table,) = (section for section in sections if section.kind == _SYMBOLS)
        names = sections[table.link]
        for offset in range(table.offset, table.offset + table.size, table.entry_size):
            symbol = _Symbol(*struct.unpack_from("<IBBHQQ", self._content, offset))
            begin = names.offset + symbol.name
            name = self._content[begin : self._content.index(b"\0", begin)].decode()
            is_global = symbol.info >> 4 != 0
            if symbol.section == _UNDEFINED and name:
                yield name, self._elsewhere(name), False
            elif symbol.section == _ABSOLUTE:
                yield name, symbol.value, False
            else:
                yield name, places[symbol.section] + symbol.value if symbol.section in places else 0, is_global

    def _elsewhere(self, name: str) -> int:
        for library in self._libraries:
            try:
                return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
            except AttributeError:
                continue
        raise ValueError(f"object file calls {name}, which no library has")

    def _relocate(self, sections: list[_Section], places: dict[int, int], symbols: list[Any]) -> None:
        for section in sections:
            if section.kind != _RELOCATIONS or section.info not in places:
                continue
            for offset in range(section.offset, section.offset + section.size, section.entry_size):
                where, info, addend = struct.unpack_from("<QQq", self._content, offset)
                name, target, _ = symbols[info >> 32]
                if not target:
                    raise ValueError(f"object file refers to {name or 'a section'}, which is not loaded")
                _fill_in(places[section.info] + where, info & 0xFFFFFFFF, target + addend)

    def _protect(self, sections: list[_Section], places: dict[int, int]) -> None:
        base, size = self.span
        ends = [places[n] + sections[n].size for n in places if sections[n].flags & _CODE]
        code_size = -(-(max(ends, default=base) - base) // _PAGE) * _PAGE
        if code_size:
            _protect_pages(base, code_size, _READ | _EXECUTE)
        if size > code_size and not any(sections[n].flags & 1 for n in places):  # 1: may be written
            _protect_pages(base + code_size, size - code_size, _READ)


def _fill_in(place: int, kind: int, target: int) -> None:
    """Write an address, or the distance to it, as a relocation wants."""
    if kind == _WORD_64:
        ctypes.c_uint64.from_address(place).value = target
    elif kind == _DISTANCE_64:
        ctypes.c_int64.from_address(place).value = target - place
    elif kind in (_DISTANCE_32, _DISTANCE_32_CALL) and -(2**31) <= target - place < 2**31:
        ctypes.c_int32.from_address(place).value = target - place
    else:
        raise ValueError(f"relocation must be a word or a distance within reach, got kind {kind}")


def _map_pages(size: int) -> int:
    """Address of fresh pages, which are never given back: a thread may be in them."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    address = library.mmap(None, size, _READ | _WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "no memory for compiled code")
    return int(address)


def _protect_pages(address: int, size: int, rights: int) -> None:
    """Raises OSError where the system allows no code that a program wrote itself."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), rights):
        raise OSError(ctypes.get_errno(), "compiled code may not be run")
