"""Imports follow the tables of docs/contracts.md; what is heavy or optional stands in one module and comes late.

`python -m tests.repository.test_import_directions` writes what `__init__`s say into the tables; which packages a
package may import is written there by hand.
"""

import ast
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests import ROOT

CONTRACTS = ROOT / "docs/contracts.md"
TOPS = ("apollo_rt", "training", "export", "tests", "benchmarks")
"""Bottom first: each may import those before it. `run_live.py` is a door to `apollo_rt` and imports nothing else."""

NEVER_IN_THE_PRODUCT = {"torch", "torchmetrics", "onnx", "onnxscript", "scipy", "matplotlib", "visqol", "pytest"}
ONE_MODULE_EACH = {
    "soundfile",
    "soxr",
    "onnxruntime",
    "sounddevice",
    "pulsectl",
    "rtmidi",
    "pedalboard",
    "yaml",
}
ONE_PACKAGE_EACH = {"av": "files", "textual": "screen", "rich": "screen", "websockets": "control.socket"}
"""Of `apollo_rt`; Textual draws with Rich's segments. Rich's progress bar stands in `console`."""
LATE_ONLY = {"sounddevice", "pulsectl", "rtmidi", "mido", "pedalboard", "rich", "textual", "websockets"}
"""Optional, or missing on some machines: imported inside a function, when it is really wanted."""

TABLED = [
    path
    for top in TOPS
    if top != "tests"
    for path in sorted((ROOT / top).glob("**/*.py"))
    if path.name not in ("__init__.py", "__main__.py", "conftest.py")
]
PRODUCT = sorted((ROOT / "apollo_rt").glob("**/*.py"))
_ROW = re.compile(r"^\| `([\w.]+)` \| (.*) \| (.*) \| (.*) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """A package in the tables: what it is for, its rule, and the packages that it may import beside itself."""

    purpose: str
    rule: str
    may_import: tuple[str, ...]


def full_name(package: str) -> str:
    """`apollo_rt.live.realtime` of `live.realtime`, as the table of the product calls it."""
    return package if package.split(".")[0] in TOPS else f"apollo_rt.{package}"


@cache
def table() -> dict[str, Row]:
    """The rows of the contracts' tables by full package name, lowest first."""
    return {
        full_name(name): Row(purpose, rule, tuple(full_name(other) for other in re.findall(r"`([\w.]+)`", packages)))
        for name, purpose, rule, packages in _ROW.findall(CONTRACTS.read_text())
    }


def module_name(path: Path) -> str:
    """`apollo_rt.stream.stft` of its file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def package_of(module: str) -> str:
    """The package that a module stands in."""
    return module.rpartition(".")[0]


@cache
def modules() -> frozenset[str]:
    """Every module of ours but the tests."""
    return frozenset(map(module_name, TABLED))


@cache
def imports_of(source: str, package: str = "") -> list[tuple[str, bool]]:
    """Every module that a source imports, as a full dotted name, with whether it is imported at the top.

    `from a import b` counts as `a.b`; late imports, `importlib.import_module("a")` and `__import__("a")` count too.
    """
    tree = ast.parse(source)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        at_top = id(node) not in inside
        if isinstance(node, ast.Import):
            found += [(alias.name, at_top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found += [(f"{base}.{alias.name}", at_top) for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("import_module", "__import__"):
                found.append((str(node.args[0].value), at_top))
    return found


def ours(name: str) -> str:
    """The module of ours that an imported name is, or is in; empty for what is none."""
    while name and name not in modules():
        name = name.rpartition(".")[0]
    return name


def faults_of(module: str, source: str) -> list[str]:
    """What is wrong with the imports of one module."""
    package, faults = package_of(module), []
    row = table().get(package)
    if row is None:
        return [f"{package} stands in no table of docs/contracts.md"]
    for name, _ in imports_of(source, package):
        top, target = name.split(".")[0], ours(name)
        if package.split(".")[0] == "apollo_rt" and top in (*NEVER_IN_THE_PRODUCT, *TOPS[1:]):
            faults.append(f"{module} imports {name}, which the product never does")
        elif top in TOPS and TOPS.index(top) > TOPS.index(package.split(".")[0]):
            faults.append(f"{module} imports {name} upwards")
        elif target and package_of(target) not in (package, *row.may_import):
            faults.append(f"{module} imports {name}, which its row in docs/contracts.md doesn't allow")
        elif top == "apollo_rt" and not target and package.split(".")[0] == "apollo_rt":
            faults.append(f"{module} imports {name}, which is no module")
    return faults


def circle_in(graph: dict[str, set[str]]) -> set[str]:
    """The nodes that stand in a circle, or behind one; each node points to what it needs."""
    left = set(graph)
    while ready := {node for node in left if not graph[node] & left}:
        left -= ready
    return left


@cache
def import_graph() -> dict[str, set[str]]:
    """Every module of ours, and the modules of ours that it imports, late or early."""
    return {
        module_name(path): {
            target
            for name, _ in imports_of(path.read_text(), package_of(module_name(path)))
            if (target := ours(name)) and target != module_name(path)
        }
        for path in TABLED
    }


def expected_row(package: str) -> Row:
    """What `__init__` of a package says of it: the first line is what it is for, the rest its rule."""
    path = ROOT.joinpath(*package.split("."), "__init__.py")
    purpose, _, rule = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")
    return Row(" ".join(purpose.split()), " ".join(rule.split()), table()[package].may_import)


def test_a_module_imports_only_what_its_row_allows():
    assert [fault for path in TABLED for fault in faults_of(module_name(path), path.read_text())] == []


def test_no_import_runs_in_a_circle_whether_early_or_late():
    assert circle_in(import_graph()) == set()


def test_the_tables_have_a_row_for_each_package_with_what_it_imports_above_it():
    assert set(table()) == {package_of(module) for module in modules()}
    seen: list[str] = []
    for package, row in table().items():
        assert set(row.may_import) <= set(seen), f"{package} may import what stands below it"
        seen.append(package)


def test_a_row_allows_nothing_that_is_not_needed():
    for package, row in table().items():
        used = {
            package_of(other) for name, used in import_graph().items() if package_of(name) == package for other in used
        }
        assert used - {package} == set(row.may_import), package


def test_a_row_says_what_the_package_says_in_three_sentences():
    for package, row in table().items():
        if package != "apollo_rt":  # whose `__init__` is the front page for users
            assert row == expected_row(package)
            assert len(re.findall(r"[.!?](?= |$)", f"{row.purpose} {row.rule}")) == 3, package


@pytest.mark.skipif(not (ROOT / "run_live.py").exists(), reason="run_live.py is not written yet")
def test_run_live_is_a_door_to_the_product_and_nothing_else():
    imported = {name.split(".")[0] for name, _ in imports_of((ROOT / "run_live.py").read_text())}
    assert imported <= {"apollo_rt", *sys.stdlib_module_names}


@pytest.mark.parametrize("library", sorted(ONE_MODULE_EACH))
def test_a_library_stands_in_one_module(library):
    users = [path.stem for path in PRODUCT if library in {n.split(".")[0] for n, _ in imports_of(path.read_text())}]
    assert len(users) <= 1


@pytest.mark.parametrize(("library", "package"), ONE_PACKAGE_EACH.items())
def test_a_toolkit_stands_in_one_package(library, package):
    users = {
        module_name(path)
        for path in PRODUCT
        if library in {name.split(".")[0] for name, _ in imports_of(path.read_text())}
    }
    outside = {name for name in users if not name.startswith(f"apollo_rt.{package}.")}
    assert outside <= {"apollo_rt.console.progress"}
    assert users - outside


def imports_at_the_top(source: str) -> set[str]:
    """Libraries, and everything of ours by its full name, that a source of the product imports at the top."""
    names = [name for name, at_top in imports_of(source, "apollo_rt") if at_top]
    return {name if name.startswith("apollo_rt.") else name.split(".")[0] for name in names}


def early_users(path: Path) -> list[str]:
    """Modules that import one at the top which itself imports an optional library at the top."""
    optional = imports_at_the_top(path.read_text()) & LATE_ONLY
    own = next((f"apollo_rt.{ONE_PACKAGE_EACH[name]}." for name in ONE_PACKAGE_EACH if name in optional), "nothing")
    return [
        module_name(other)
        for other in PRODUCT
        if optional and not module_name(other).startswith(own)
        if any(f"{name}.".startswith(f"{module_name(path)}.") for name in imports_at_the_top(other.read_text()))
    ]


def test_optional_libraries_are_imported_late():
    assert {module_name(path): users for path in PRODUCT if (users := early_users(path))} == {}


def modules_after(statement: str) -> set[str]:
    """Top-level names in `sys.modules` of a fresh interpreter after a statement."""
    script = f"{statement}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    heavy = (
        {"numpy", "numba", "llvmlite", "onnxruntime"} | NEVER_IN_THE_PRODUCT | ONE_MODULE_EACH | set(ONE_PACKAGE_EACH)
    )
    assert modules_after("import apollo_rt") & heavy == set()


def test_using_the_front_page_never_loads_torch_or_a_sound_library():
    loaded = modules_after("from apollo_rt import ApolloEffect, RestorationStream, load_model, restore_file")
    assert loaded & (NEVER_IN_THE_PRODUCT | LATE_ONLY) <= {"scipy"}  # rocket-fft looks whether it is there


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("apollo_rt.stream.stft", "from apollo_rt.files.sound import Sound", "doesn't allow"),
        ("apollo_rt.stream.stft", "def f():\n    from apollo_rt.live import engine", "doesn't allow"),
        ("apollo_rt.stream.stft", "from ..live.engine import Engine", "doesn't allow"),
        ("apollo_rt.stream.stft", "import apollo_rt.live.realtime.ring", "doesn't allow"),
        ("apollo_rt.live.engine", "from apollo_rt import ApolloEffect", "is no module"),
        ("apollo_rt.live.engine", "class A:\n    def f(self):\n        import torch.nn", "never"),
        ("apollo_rt.live.engine", "import importlib\nimportlib.import_module('onnx')", "never"),
        ("apollo_rt.live.engine", "from training.nets.causal_restorer import Net", "never"),
        ("training.data.audio", "import export.bundle", "upwards"),
        ("training.data.audio", "from training.nets.causal_restorer import Net", "doesn't allow"),
        ("apollo_rt.novelty.new", "import os", "stands in no table"),
    ],
)
def test_the_detector_finds_every_way_to_break_the_rule(module, source, fault):
    (found,) = faults_of(module, source)
    assert fault in found


def test_the_detector_lets_pass_what_is_allowed():
    source = "import numpy\nfrom apollo_rt.config import Framing\nfrom .stft import analyse"
    assert faults_of("apollo_rt.stream.processor", source) == []
    assert faults_of("training.data.audio", "import apollo_rt\nimport torch") == []


def test_the_detector_tells_late_imports_from_early_ones():
    source = "import rich.live\ndef f():\n    import sounddevice\n    from mido import Message"
    assert imports_of(source) == [("rich.live", True), ("sounddevice", False), ("mido.Message", False)]


def test_a_circle_is_found():
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == {"a", "b", "c"}
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": set()}) == set()


def sources(package: str) -> dict[str, str]:
    """Module name to source, of a package of `apollo_rt.live`."""
    return {path.stem: path.read_text() for path in (ROOT / "apollo_rt/live" / package).glob("*.py")}


COMPILED_CODE_NEEDS = {"apollo_rt", "collections", "ctypes", "functools", "math", "numba", "numpy", "time", "typing"}
"""All that `realtime` and `clock_bridge` may import: no `logging`, no `threading`, nothing that waits or allocates."""


def path_faults(source: str) -> list[str]:
    """What brings a Python object, a lock or a line of a log into the path of the samples."""
    faults = [name for name, _ in imports_of(source) if name.split(".")[0] not in COMPILED_CODE_NEEDS]
    return faults + [word for word in ("objmode", "numba.typed", "reflected_list") if word in source]


def test_no_python_object_stands_in_the_path_of_the_samples():
    for package in ("realtime", "clock_bridge"):
        assert {name: path_faults(source) for name, source in sources(package).items() if path_faults(source)} == {}
    assert path_faults("import logging\nfrom threading import Lock") == ["logging", "threading.Lock"]
    assert path_faults("from numba import objmode") == ["objmode"]


def test_endpoints_know_realtime_only():
    assert {name for name in table()["apollo_rt.live.endpoints"].may_import if ".live" in name} == {
        "apollo_rt.live.realtime"
    }


def stores_in(source: str) -> list[str]:
    """Atomic stores that a source imports or calls, and assignments into what it was handed as shared state."""
    stores = [
        name for name, _ in imports_of(source) if re.fullmatch(r"(atomic_)?(store|add|exchange)", name.split(".")[-1])
    ]
    targets = [
        target
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign | ast.AugAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    shared = re.compile(r"(self\.)?_?(line|stats|state|shared)\b.*\[.*\]$")
    return stores + [text for target in targets if shared.match(text := ast.unparse(target))]


def test_monitoring_stores_nothing_in_shared_state():
    assert {name: stores_in(source) for name, source in sources("monitoring").items() if stores_in(source)} == {}
    assert stores_in("from apollo_rt.compiled.native import atomic_store") == ["apollo_rt.compiled.native.atomic_store"]
    assert stores_in("def f(line):\n    line.stats.counters[3] = 1") == ["line.stats.counters[3]"]


def test_only_supervision_logs_in_a_run():
    for path in sorted((ROOT / "apollo_rt/live").glob("**/*.py")):
        if "logging" in {name.split(".")[0] for name, _ in imports_of(path.read_text())}:
            assert path.parent.name == "supervision"


def write() -> None:
    """Put what `__init__`s say into the tables of the contracts."""
    rows = {package: expected_row(package) for package in table() if package != "apollo_rt"}

    def anew(match: re.Match[str]) -> str:
        row = rows.get(full_name(match[1]))
        return f"| `{match[1]}` | {row.purpose} | {row.rule} | {match[4]} |" if row else match[0]

    CONTRACTS.write_text(_ROW.sub(anew, CONTRACTS.read_text()))


if __name__ == "__main__":
    write()


def test_nothing_of_the_network_is_loaded_before_an_address_is_named():
    script = "import sys, apollo_rt.session.run, apollo_rt.files.jobs\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not {"apollo_rt.network.http", "apollo_rt.network.stream", "apollo_rt.radio.radio_source"} & loaded
    assert "apollo_rt.network.address" in loaded
