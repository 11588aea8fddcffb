"""Kept code: a child makes the machine code of entries; it is loaded without the compiler, never blindly."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from apollo_rt.compiled import kept_code, machine_code
from apollo_rt.control import parameters
from apollo_rt.live.realtime import gaps, ring

SMALL = "apollo_rt.control.parameters"
"""A module whose entries are made within a second."""

needs_loader = pytest.mark.skipif(not machine_code.CAN_LOAD, reason="here Numba compiles in the process itself")
pytestmark = needs_loader


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that holds nothing yet, as a process finds it that has loaded nothing."""
    monkeypatch.setattr(kept_code, "base_folder", lambda _: tmp_path)
    monkeypatch.setattr(kept_code, "_LOADED", {})
    monkeypatch.setattr(kept_code, "_BUILDS", {})
    monkeypatch.setattr(kept_code, "_GROUPS", [])
    monkeypatch.setattr(kept_code, "READY", tmp_path / "nothing ready")
    return tmp_path


def no_child(*_: object, **__: object) -> None:
    raise AssertionError("a child was started though all is there")


def test_what_a_child_made_is_loaded_by_the_next_start_without_one(folder, monkeypatch):
    assert kept_code.entry_address(SMALL, "_load")
    (file,) = folder.glob("kept/*")
    assert file == kept_code.code_file(SMALL)
    monkeypatch.setattr(kept_code, "_LOADED", {})
    monkeypatch.setattr(subprocess, "Popen", no_child)
    assert kept_code.entry_address(SMALL, "_load")
    assert kept_code.entry_address(SMALL, "with_parameters") is None, "no entry"


def test_what_another_start_makes_at_the_same_moment_is_taken(folder, monkeypatch):
    assert kept_code.entry_address(SMALL, "_load")
    (file,) = folder.glob("kept/*")
    content, begin_builds = file.read_bytes(), kept_code._begin_builds
    file.unlink()

    def begin_late(module: str) -> None:
        file.write_bytes(content)
        begin_builds(module)

    monkeypatch.setattr(kept_code, "_begin_builds", begin_late)
    monkeypatch.setattr(kept_code, "_LOADED", {})
    monkeypatch.setattr(kept_code, "_BUILDS", {})
    monkeypatch.setattr(subprocess, "Popen", no_child)
    assert kept_code.entry_address(SMALL, "_load")


@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "other code", "no object file"])
def test_a_damaged_file_is_said_dropped_and_made_anew(folder, monkeypatch, damage):
    assert kept_code.entry_address(SMALL, "_load")
    (file,) = folder.glob("kept/*")
    whole = file.read_bytes()
    changed = bytes([whole[-1] ^ 1])
    damaged = {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "zeros": bytes(len(whole)),
        "other code": whole[:-1] + changed,
    }
    if damage == "no object file":
        kept_code.write_code(file, b"nonsense", [])
    else:
        file.write_bytes(damaged[damage])
    monkeypatch.setattr(kept_code, "_LOADED", {})
    monkeypatch.setattr(kept_code, "_BUILDS", {})
    with pytest.warns(RuntimeWarning, match="is damaged .* dropped and compiled anew") as said:
        assert kept_code.entry_address(SMALL, "_load")
    ours = [one for one in said if one.category is RuntimeWarning]  # an earlier test's child may be collected meanwhile
    assert len(ours) == 1
    assert file.read_bytes() == whole, "the same sources make the same code"


def test_a_child_that_fails_is_said_and_numba_compiles_instead(folder, monkeypatch):
    monkeypatch.setattr(kept_code, "_BUILDER", "apollo_rt.no_such_module")
    with pytest.warns(RuntimeWarning, match=r"no_such_module.*; this start compiles by itself"):
        assert kept_code.entry_function(SMALL, "_load") is None
    assert list(folder.glob("kept/*")) == []


def test_a_missing_module_starts_one_child_for_each_group_that_lacks_something(folder, monkeypatch):
    started = []

    class Ended:
        """A child that has done nothing."""

        returncode = 0

        def __init__(self, command: list[str], **_: object) -> None:
            started.append([name for name, _ in json.loads(command[-1])])

        def poll(self) -> int:
            return 0

    monkeypatch.setattr(subprocess, "Popen", Ended)
    kept_code.expect(("apollo_rt.stream.mixer", SMALL), ("apollo_rt.stream.processor",))
    with pytest.warns(RuntimeWarning, match="exit code 0"):
        kept_code.entry_address(SMALL, "_load")
    assert started == [["apollo_rt.stream.mixer", SMALL], ["apollo_rt.stream.processor"]]
    assert kept_code.is_made_aside(SMALL), "it has been tried"
    with pytest.warns(RuntimeWarning, match="exit code 0"):
        kept_code.entry_address("apollo_rt.live.realtime.gaps", "clear_gaps")
    assert started[2:] == [["apollo_rt.live.realtime.gaps"]], "it is in no group"


def test_an_entry_given_what_it_does_not_declare_is_compiled_by_numba():
    values = np.arange(4.0)
    assert parameters._load(values, 2) == 2.0
    assert parameters._load(values[::-1].copy(), True) == 2.0
    queue = ring.make_ring(16)
    assert ring.put(queue, np.ones((3, 2), np.float32)) == 3
    assert ring.put(queue, np.ones((6, 2), np.float32)[::2]) == 3, "no kept code takes every other sample"
    assert ring.n_queued(queue) == 6
    with pytest.raises(Exception, match="get attribute"):
        ring.put(queue, "samples")
    with pytest.raises(Exception, match="marks"):
        ring.n_queued(gaps.make_gaps())  # another tuple, which has arrays and records too


def test_code_that_came_with_the_package_is_taken_where_the_processor_is_of_its_kind(folder, monkeypatch, tmp_path):
    kept_code.entry_address(SMALL, "_load")
    (made,) = folder.glob("kept/*")
    monkeypatch.setattr(kept_code, "READY", tmp_path / "ready")
    monkeypatch.setattr(kept_code, "levels_here", lambda: ["better", "good"])
    (tmp_path / "ready").mkdir()
    made.rename(kept_code.ready_file(SMALL, "good"))
    monkeypatch.setattr(subprocess, "Popen", no_child)
    for better in (None, b"of another version"):
        if better:
            kept_code.ready_file(SMALL, "better").write_bytes(better)
        monkeypatch.setattr(kept_code, "_LOADED", {})
        assert kept_code.entry_address(SMALL, "_load"), "nothing is kept yet, and no child was needed"
        assert kept_code.is_made_aside(SMALL)


def test_a_processor_is_of_a_kind_with_the_abilities_of_all_below_it(monkeypatch):
    old, new = (" ".join(kept_code.LEVELS[level].split()) for level in ("x86-64-v2", "x86-64-v3"))
    for flags, levels in ((f"{old} {new} sse", ["x86-64-v3", "x86-64-v2"]), (old, ["x86-64-v2"]), (new, []), ("", [])):
        monkeypatch.setattr(kept_code, "_processor", lambda flags=flags: f"model 1\nflags {flags}")
        kept_code.levels_here.cache_clear()
        assert kept_code.levels_here() == levels
    kept_code.levels_here.cache_clear()


def test_code_made_for_another_version_of_a_library_is_not_taken(folder):
    path = folder / "kept" / "file.code"
    kept_code.write_code(path, b"", [("numpy", "__init__.py")])
    head, _, content = path.read_bytes().partition(b"\n")
    other = json.loads(head)
    other["libraries"][0][2] += 1
    path.write_bytes(json.dumps(other).encode() + b"\n" + content)
    with pytest.raises(ValueError, match="another version of numpy"):
        kept_code.read_code(path)


def after(script: str, cache: Path) -> str:
    """What a process of its own prints, with its compiled code in a folder of its own."""
    cache.mkdir(mode=0o700, exist_ok=True)
    (cache.parent / "script.py").write_text(script)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, cache.parent / "script.py"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    return done.stdout.strip()


def test_where_no_code_can_be_loaded_numba_compiles_in_the_process_and_finds_its_own_cache(tmp_path):
    script = """
from apollo_rt.compiled import kept_code
kept_code.CAN_LOAD = False
from apollo_rt.compiled.native import now_ns, system_calls
assert now_ns(system_calls()) > 0
print(sum(now_ns.stats.cache_hits.values()), list(kept_code.loaded_code()))
"""
    assert [after(script, tmp_path / "cache") for _ in range(2)] == ["0 []", "1 []"]


def test_a_callback_that_may_raise_is_not_built(tmp_path):
    script = """
import types
from apollo_rt.compiled import code_builder
from apollo_rt.live.realtime.callback import stream_callback
code_builder.only_lower()
module = types.ModuleType("__main__")
def raising(a, b, n, t, flags, userdata):
    if flags:
        raise ValueError("never")
    return 0
def quiet(a, b, n, t, flags, userdata):
    return flags + 1
module.one = stream_callback(quiet, is_kept=True)
print(len(code_builder.build(module)[0]) > 100)
module.one = stream_callback(raising, is_kept=True)
try:
    code_builder.build(module)
except ValueError as error:
    print(error)
"""
    assert after(script, tmp_path / "cache").splitlines() == [
        "True",
        "__main__: what C calls must not raise, one of apollo_rt.raising may",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "early|relocatable"),
        (b"\x7fELF" + bytes(60), "relocatable"),
        (b"\x7fELF\x02\x01" + bytes(10) + b"\1\0\x3e\0", "early"),
    ],
    ids=["empty", "nothing", "cut"],
)
def test_what_is_no_object_file_is_refused(content, said):
    with pytest.raises(ValueError, match=said):
        machine_code.MachineCode(content)


def test_loaded_code_can_be_run_and_not_written(folder):
    kept_code.entry_address(SMALL, "_load")
    ((address, length),) = kept_code.loaded_code()
    rows = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    spans = [(*(int(end, 16) for end in row[0].split("-")), row[1]) for row in rows]
    rights = {right for begin, end, right in spans if begin < address + length and end > address}
    assert "r-xp" in rights
    assert not any("w" in right and "x" in right for right in rights)
