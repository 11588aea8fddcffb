"""Records and address tables: where fields lie, what a wrong name does, and what compiled code makes of them."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pytest
from numba import cfunc, njit, types
from numba.core.errors import NumbaError
from numpy.typing import NDArray

from apollo_rt.compiled.address_table import AddressTable, declared, from_address
from apollo_rt.compiled.native import realtime
from apollo_rt.compiled.records import (
    CACHE_LINE,
    Record,
    add,
    address_of,
    copy_fields,
    load,
    new_record,
    store,
)


class Control(Record):
    """Two whole numbers and a real one."""

    delay: int
    gain: float
    consumed: int


class Marks(Record, spacing=CACHE_LINE):
    """On cache lines of their own."""

    written: int
    taken: int


class Ring(NamedTuple):
    """An array and a record."""

    samples: Annotated[NDArray[np.float32], "capacity", 2]
    marks: Marks


class Shared(NamedTuple):
    """Tuples in a tuple, records, and arrays of one length."""

    history: Ring
    control: Control
    tags: Annotated[NDArray[np.int64], "slots"]
    hops: Annotated[NDArray[np.float32], "slots", 4, 2]


def ring(capacity: int) -> Ring:
    return Ring(np.zeros((capacity, 2), np.float32), new_record(Marks))


def shared_state(n_slots: int = 3) -> Shared:
    return Shared(ring(8), new_record(Control), np.zeros(n_slots, np.int64), np.zeros((n_slots, 4, 2), np.float32))


# --- layout ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "spacing"), [(Control, 8), (Marks, CACHE_LINE)])
def test_every_field_is_a_whole_aligned_word_and_a_record_begins_a_cache_line(kind, spacing):
    for _ in range(20):
        record = new_record(kind)
        places = [address_of(record) + kind.dtype.fields[name][1] for name in kind.dtype.names]
        assert [place % 8 for place in places] == [0] * len(places)
        assert list(np.diff(places)) == [spacing] * (len(places) - 1)
        assert places[0] % CACHE_LINE == 0


def test_the_address_is_that_of_the_memory_and_fields_begin_at_zero():
    control = new_record(Control)
    assert (control.delay, control.gain, control.consumed) == (0, 0.0, 0)
    control.consumed = 5
    words = np.frombuffer(control, np.int64)
    assert words.ctypes.data == address_of(control)
    assert list(words) == [0, 0, 5]


def test_a_field_that_could_not_be_read_whole_or_by_its_name_is_refused():
    with pytest.raises(TypeError, match=r"field Wide.flag must be int or float, got <class 'bool'>"):

        class Wide(Record):
            """Not a word."""

            flag: bool

    with pytest.raises(TypeError, match=r"field Hidden\.fill: records have an attribute of that name"):

        class Hidden(Record):
            """NumPy's method would be found in its place."""

            fill: int


# --- from Python -----------------------------------------------------------------------------------------------------


def test_python_loads_and_stores_what_the_fields_hold():
    control = new_record(Control)
    store(control, "delay", 512)
    store(control, "gain", 0.25)
    add(control, "delay", 3)
    add(control, "gain", 0.5)
    assert (control.delay, control.gain, control.consumed) == (515, 0.75, 0)
    assert (load(control, "delay"), load(control, "gain")) == (515, 0.75)
    other = new_record(Control)
    copy_fields(control, other)
    assert other.item() == (515, 0.75, 0)


def test_python_is_told_of_a_wrong_name():
    control = new_record(Control)
    with pytest.raises(AttributeError, match="record has no field 'dely', it has delay, gain, consumed"):
        load(control, "dely")
    with pytest.raises(AttributeError, match="record has no field 'dely', it has delay, gain, consumed"):
        store(control, "dely", 1)
    with pytest.raises(AttributeError, match="dely"):
        add(control, "dely", 1)


# --- in compiled code ------------------------------------------------------------------------------------------------


@realtime
def change(control: Control, other: Control) -> float:
    """All that can be done with a record."""
    control.delay += 2
    store(control, "consumed", control.delay + 1)
    add(control, "gain", 1)
    add(control, "consumed", 10)
    copy_fields(control, other)
    return load(control, "gain") + load(control, "consumed")


def test_compiled_code_changes_the_very_memory_that_python_sees():
    control, other = new_record(Control), new_record(Control)
    control.delay, control.gain = 40, 0.5
    assert change(control, other) == 1.5 + 53
    assert control.item() == other.item() == (42, 1.5, 53)


def test_a_wrong_name_a_wrong_value_or_a_name_of_run_time_does_not_compile():
    def wrong_load(control):
        return load(control, "dely")

    def wrong_store(control):
        store(control, "dely", 1)

    def wrong_add(control):
        add(control, "dely", 1)

    def wrong_value(control):
        store(control, "delay", "soon")

    for function in (wrong_load, wrong_store, wrong_add, wrong_value):
        with pytest.raises(NumbaError, match="No implementation of function"):
            realtime(function)(new_record(Control))

    def plain(control):
        return control.dely

    with pytest.raises((NumbaError, KeyError), match="dely"):
        realtime(plain)(new_record(Control))

    def of_run_time(control, name):
        return load(control, name)

    with pytest.raises(NumbaError, match="No implementation of function"):
        realtime(of_run_time)(new_record(Control), "delay")


def test_loads_acquire_and_stores_release_whole_words():
    code = njit(_nrt=False)(change.py_func)  # code from the cache can't be inspected
    code(new_record(Control), new_record(Control))
    text = next(iter(code.inspect_llvm().values()))
    assert "load atomic i64" in text
    assert "store atomic i64" in text
    assert {part for part in ("monotonic", "seq_cst", "unordered") if f" {part}, align" in text} == set()


@realtime
def count_up(control: Control, n: int) -> None:
    """Publish pairs whose halves are equal."""
    for number in range(n):
        control.delay = number
        store(control, "consumed", number)


@realtime
def watch(control: Control, n: int) -> int:
    """How often what was stored before the release was not there yet."""
    n_wrong, seen = 0, 0
    while seen < n - 1:
        seen = load(control, "consumed")
        n_wrong += control.delay < seen
    return n_wrong


def test_what_was_stored_before_a_release_is_seen_after_the_load():
    control, found = new_record(Control), []
    count_up(control, 1)
    watch(control, 1)
    writer = threading.Thread(target=count_up, args=(control, 3_000_000))
    reader = threading.Thread(target=lambda: found.append(watch(control, 3_000_000)))
    for thread in (reader, writer):
        thread.start()
    for thread in (reader, writer):
        thread.join()
    assert found == [0]


# --- address tables --------------------------------------------------------------------------------------------------


def _body(address: int) -> int:
    shared = from_address(address, Shared)
    store(shared.history.marks, "taken", shared.history.samples.shape[0])
    add(shared.control, "gain", 0.5)
    shared.history.samples[-1, 1] = np.float32(shared.hops.shape[0] + shared.hops.shape[1] / 10)
    shared.hops[2, 3, 1] = np.float32(7.0)
    shared.tags[1] = shared.control.delay
    return shared.control.delay


def test_a_callback_gets_the_whole_tuple_by_one_address_without_the_run_time():
    shared = shared_state()
    shared.control.delay = 512
    table = AddressTable(shared)
    body = cfunc(types.int64(types.int64), _nrt=False)(_body)
    assert body.ctypes(table.address) == 512
    assert shared.history.marks.taken == 8
    assert shared.control.gain == 0.5
    assert shared.history.samples[-1, 1] == np.float32(3.4)
    assert shared.hops[2, 3, 1] == 7.0
    assert list(shared.tags) == [0, 512, 0]
    assert np.count_nonzero(shared.hops) == np.count_nonzero(shared.history.samples) == 1
    assert not any(word in body.inspect_llvm() for word in ("NRT_incref", "NRT_MemInfo", "malloc"))


def test_a_table_keeps_what_it_points_to_alive():
    table = AddressTable(shared_state())
    table.value.control.delay = 3
    body = cfunc(types.int64(types.int64), _nrt=False)(_body)
    assert body.ctypes(table.address) == 3


def test_a_field_that_is_not_there_does_not_compile():
    def wrong(address):
        return from_address(address, Shared).histroy.samples.shape[0]

    with pytest.raises(NumbaError, match="histroy"):
        realtime(wrong)(AddressTable(shared_state()).address)

    def no_tuple(address):
        return from_address(address, 3)

    with pytest.raises(NumbaError, match="from_address needs the class of a named tuple"):
        realtime(no_tuple)(0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tags", np.zeros(3, np.int32)),
        ("tags", np.zeros((3, 1), np.int64)),
        ("tags", np.zeros(6, np.int64)[::2]),
        ("tags", np.zeros(4, np.int64)),
        ("hops", np.zeros((3, 5, 2), np.float32)),
        ("control", new_record(Marks)),
    ],
    ids=["type", "axes", "order", "length", "shape", "record"],
)
def test_what_is_not_as_declared_gets_no_table(field, value):
    with pytest.raises(ValueError, match=r"Shared\.\w+ must be a"):
        AddressTable(shared_state()._replace(**{field: value}))


def test_memory_that_must_not_be_written_gets_no_table():
    tags = np.zeros(3, np.int64)
    tags.flags.writeable = False
    with pytest.raises(ValueError, match=r"Shared\.tags must be"):
        AddressTable(shared_state()._replace(tags=tags))


def test_a_field_that_says_no_shape_is_refused():
    class Vague(NamedTuple):
        """Lacks a shape."""

        samples: NDArray[np.float32]

    with pytest.raises(TypeError, match=r"Vague\.samples must be an annotated array, a record or a tuple of these"):
        declared(Vague)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from kept import at, table
import numpy as np
print(at(table.address), sum(at.stats.cache_hits.values()), sum(at.stats.cache_misses.values()))
"""

MODULE = """
from typing import Annotated, NamedTuple
import numpy as np
from numpy.typing import NDArray
from apollo_rt.compiled.address_table import AddressTable, from_address
from apollo_rt.compiled.native import realtime
from apollo_rt.compiled.records import Record, load, new_record

class Control(Record):
    delay: int
    gain: float

class Shared(NamedTuple):
    tags: Annotated[NDArray[np.int64], "slots"]
    control: Control

@realtime
def at(address):
    shared = from_address(address, Shared)
    return shared.tags[1] + load(shared.control, "delay")

table = AddressTable(Shared(np.arange(3), new_record(Control)))
table.value.control.delay = 40
"""


def test_compiled_code_with_records_is_kept_for_the_next_process(tmp_path: Path) -> None:
    (tmp_path / "kept.py").write_text(MODULE)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    (tmp_path / "cache").mkdir(mode=0o700)
    said = [
        subprocess.check_output([sys.executable, "-c", PROGRAM, tmp_path], env=environment, text=True).split()
        for _ in range(2)
    ]
    assert said == [["41", "0", "1"], ["41", "1", "0"]]
