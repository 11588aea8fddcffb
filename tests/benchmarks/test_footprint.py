"""Footprint: commits take turns, a figure is a ratio of medians, packages are weighed, tables go where they belong."""

import math
import subprocess

import pytest

from benchmarks.footprint import turns
from benchmarks.footprint.footprint_page import ROWS, fill, ratios_table, weights_table
from benchmarks.footprint.packages import needed, weights
from benchmarks.footprint.turns import AFTER, BEFORE, WHEEL, ratio, take_turns, tree_of


def test_trees_take_turns_and_who_begins_alternates(monkeypatch, tmp_path):
    asked = []

    def probe(tree, cache, what, number):
        asked.append((tree.name, what))
        assert cache.stat().st_mode & 0o077 == 0  # else compiled code is not kept there
        return {"figure": float(len(asked))}

    monkeypatch.setattr(turns, "probe", probe)
    found = take_turns({BEFORE: tmp_path / "old", AFTER: tmp_path / "new"}, 2, 1.0, lambda line: None)
    assert asked[:4] == [("old", "start"), ("new", "start"), ("old", "start"), ("new", "start")]
    assert asked[10:14] == [("new", "start"), ("old", "start"), ("new", "start"), ("old", "start")]
    assert found[BEFORE]["cold.figure"] == [1.0, 12.0]
    assert found[AFTER]["cold.figure"] == [2.0, 11.0]


def test_what_a_wheel_installs_differs_in_its_first_start_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(turns, "probe", lambda tree, cache, what, number: {"sound_s": float(len(tree.name))})
    trees = {BEFORE: tmp_path / "20", AFTER: tmp_path / "newer", WHEEL: tmp_path / "1"}
    found = take_turns(trees, 3, 1.0, lambda line: None)
    assert found[WHEEL] == {"cold.sound_s": [1.0] * 3}
    assert ratio(found, "wheel.sound_s") == (2.0, 1.0, 0.5)
    assert ratio(found, "cold.sound_s") == (2.0, 5.0, 2.5)


def test_a_ratio_is_one_of_medians():
    found = {BEFORE: {"x": [1.0, 100.0, 4.0]}, AFTER: {"x": [2.0, 2.0, 50.0]}}
    assert ratio(found, "x") == (4.0, 2.0, 0.5)
    assert math.isnan(ratio({BEFORE: {"x": [0.0]}, AFTER: {"x": [1.0]}}, "x")[2])


def test_the_table_has_each_figure_with_its_ratio():
    found = {BEFORE: {figure: [4.0] for figure in ROWS}, AFTER: {figure: [1.0] for figure in ROWS}}
    found[WHEEL] = found[AFTER]
    lines = ratios_table(found, "Of a test.").splitlines()
    assert lines[0] == "Of a test."
    assert len(lines) == 4 + len(ROWS)
    assert all(line.endswith("| 0.25 |") for line in lines[4:])


def test_a_commit_that_is_none_is_refused():
    with pytest.raises(ValueError, match="got 'no-such-commit'"), tree_of("no-such-commit"):
        pass


def test_a_tree_is_the_commit_and_is_gone_afterwards():
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=turns.ROOT, capture_output=True, check=False).returncode:
        pytest.skip("this copy has no history")
    with tree_of("HEAD") as tree:
        assert (tree / "apollo_rt/__init__.py").is_file()
    assert not tree.exists()


def test_the_program_s_packages_are_weighed_and_light_ones_are_one_row():
    rows = weights()
    assert {"numpy", "numba", "llvmlite"} <= needed() == {row[0] for row in rows}
    assert "pytest" not in needed()
    assert rows[0][1] > 50  # megabytes: LLVM, or ONNX Runtime for GPUs
    table = weights_table([("a", 9.6, "x"), ("b", 0.4, "y"), ("c", 0.3, "z")])
    assert table.splitlines()[2:] == ["| a | 10 | x |", "| 2 more | 1 | each below 1 MB |", "| **all** | **10** | |"]


def test_a_table_goes_between_its_marks_and_nowhere_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- footprint: one -->\nold\n<!-- end of footprint -->\nb\n")
    fill("one", "new", page)
    assert page.read_text() == "a\n<!-- footprint: one -->\nnew\n<!-- end of footprint -->\nb\n"
    with pytest.raises(ValueError, match="one place for 'two', it has 0"):
        fill("two", "new", page)
