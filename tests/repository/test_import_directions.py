"""Imports point down the layers of docs/contracts.md; what is heavy or optional stands in one module and comes late."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("apollo_rt", "training", "export", "tests", "benchmarks")
"""Bottom first: each may import those before it. `run_live.py` is a door to `apollo_rt` and imports nothing else."""

NEVER_IN_THE_PRODUCT = {"torch", "torchmetrics", "onnx", "onnxscript", "scipy", "matplotlib", "visqol", "pytest"}
ONE_MODULE_EACH = {
    "soundfile",
    "soxr",
    "onnxruntime",
    "sounddevice",
    "rtmidi",
    "pedalboard",
    "yaml",
    "websockets",
}
ONE_PACKAGE_EACH = {"av": "files", "textual": "screen", "rich": "screen"}
"""Of `apollo_rt`; Textual draws with Rich's segments. Rich's progress bar stands in a module beside it."""
LATE_ONLY = {"sounddevice", "rtmidi", "mido", "pedalboard", "rich", "textual", "websockets"}
"""Optional, or missing on some machines: imported inside a function, when it is really wanted."""

PRODUCT = sorted((ROOT / "apollo_rt").glob("**/*.py"))
OTHERS = sorted(path for package in ("training", "export", "benchmarks") for path in (ROOT / package).glob("**/*.py"))


def layer_order() -> list[str]:
    """The modules of `apollo_rt` from the table in the contracts, lowest first."""
    text = (ROOT / "docs/contracts.md").read_text()
    rows = re.findall(r"^\| \d+ \| (?:`(\w+)`)? ?\| (.+) \|$", text, re.MULTILINE)
    return [
        f"{package}.{name}" if package else name
        for package, modules in rows
        for name in re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", modules))
    ]


def name_in_product(path: Path) -> str:
    """`stream.stft` of `apollo_rt/stream/stft.py`."""
    return ".".join(path.relative_to(ROOT / "apollo_rt").with_suffix("").parts)


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


def product_faults(module: str, source: str, order: list[str]) -> list[str]:
    """What is wrong with the imports of one module of `apollo_rt`."""
    if module not in order and not module.split(".")[-1].startswith("__"):
        return [f"{module} stands in no layer of docs/contracts.md"]
    rank = order.index(module) if module in order else len(order)
    faults = []
    for name, _ in imports_of(source, f"apollo_rt.{module}".rpartition(".")[0]):
        top, _, rest = name.partition(".")
        if top in NEVER_IN_THE_PRODUCT or top in PACKAGES[1:]:
            faults.append(f"{module} imports {name}, which the product never does")
        if top == "apollo_rt":
            target = next((known for known in order if f"{rest}.".startswith(f"{known}.")), "")
            if not target:
                faults.append(f"{module} imports {name}, which is no module in docs/contracts.md")
            elif order.index(target) >= rank:
                faults.append(f"{module} imports {name} upwards")
    return faults


def package_faults(package: str, source: str) -> list[str]:
    """What a source of a top-level package imports from packages above it."""
    above = PACKAGES[PACKAGES.index(package) + 1 :]
    return [
        f"{package} imports {name} upwards" for name, _ in imports_of(source, package) if name.split(".")[0] in above
    ]


@pytest.mark.parametrize("path", PRODUCT, ids=name_in_product)
def test_a_module_of_the_product_imports_only_what_stands_below_it(path):
    assert product_faults(name_in_product(path), path.read_text(), layer_order()) == []


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_training_export_and_benchmarks_import_only_downwards(path):
    assert package_faults(path.relative_to(ROOT).parts[0], path.read_text()) == []


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
        name_in_product(path)
        for path in PRODUCT
        if library in {name.split(".")[0] for name, _ in imports_of(path.read_text())}
    }
    outside = {name for name in users if not name.startswith(f"{package}.")}
    assert outside <= {"app.progress"}
    assert users - outside


def imports_at_the_top(source: str) -> set[str]:
    """Libraries, and everything of ours by its full name, that a source of the product imports at the top."""
    names = [name for name, at_top in imports_of(source, "apollo_rt") if at_top]
    return {name if name.startswith("apollo_rt.") else name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", PRODUCT, ids=name_in_product)
def test_optional_libraries_are_imported_late(path):
    optional = imports_at_the_top(path.read_text()) & LATE_ONLY
    if optional:
        module = f"apollo_rt.{name_in_product(path)}"
        own_package = next((f"{ONE_PACKAGE_EACH[name]}." for name in ONE_PACKAGE_EACH if name in optional), "nothing")
        users = [
            name_in_product(other)
            for other in PRODUCT
            if not name_in_product(other).startswith(own_package)
            if any(f"{name}.".startswith(f"{module}.") for name in imports_at_the_top(other.read_text()))
        ]
        assert users == []


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
        ("stream.stft", "from apollo_rt.stream.processor import Processor", "upwards"),
        ("stream.stft", "def f():\n    from apollo_rt.live import engine", "upwards"),
        ("stream.stft", "from .processor import Processor", "upwards"),
        ("stream.stft", "from ..live.engine import Engine", "upwards"),
        ("stream.stft", "from apollo_rt.stream import stft", "upwards"),
        ("live.engine", "from apollo_rt import ApolloEffect", "is no module"),
        ("live.engine", "class A:\n    def f(self):\n        import torch.nn", "never"),
        ("live.engine", "import importlib\nimportlib.import_module('onnx')", "never"),
        ("live.engine", "from training.nets.model import Net", "never"),
        ("novelty", "import os", "stands in no layer"),
    ],
)
def test_the_detector_finds_every_way_to_break_the_rule(module, source, fault):
    (found,) = product_faults(module, source, layer_order())
    assert fault in found


def test_the_detector_tells_late_imports_from_early_ones():
    source = "import rich.live\ndef f():\n    import sounddevice\n    from mido import Message"
    assert imports_of(source) == [("rich.live", True), ("sounddevice", False), ("mido.Message", False)]
    assert package_faults("training", "import export.bundle\nimport apollo_rt.stream.stft") == [
        "training imports export.bundle upwards"
    ]


def test_the_table_of_layers_is_read_whole():
    order = layer_order()
    assert len(order) == len(set(order)) >= 20
    assert (
        order.index("errors")
        < order.index("stream.stft")
        < order.index("stream.processor")
        < order.index("live.engine")
    )
