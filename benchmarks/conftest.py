"""Options and fixtures of all: `python -m pytest benchmarks --benchmark-only [--short|--quick] [--data FOLDER]`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.inference.model import Model, load
from apollo_rt.inference.model_file import default_model_path, read_card
from apollo_rt.stream.stft import Samples
from benchmarks.measuring import machine
from benchmarks.measuring.extent import FULL, QUICK, SHORT, Extent

DEMO = machine.ROOT / "tests" / "data" / "demo_clean.flac"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("Apollo RT's benchmarks")
    add = group.addoption
    add(
        "--quick",
        dest="plan",
        action="store_const",
        const=QUICK,
        default=FULL,
        help="Does everything work? No figures.",
    )
    add("--short", dest="plan", action="store_const", const=SHORT, help="Figures up to p99.9, in a third of the time.")
    group.addoption(
        "--data",
        type=Path,
        default=DEMO,
        metavar="FOLDER",
        help="Clean music to measure quality on (default: %(default)s).",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Lists of the plan, and the model's tiers, of which a benchmark takes one after the other."""
    plan: Extent = metafunc.config.getoption("plan")
    for argument, values in {**plan.lists, "tier": read_card(default_model_path()).tiers}.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, values)


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    machine_info["apollo_rt"] = machine.facts() | {"versions": machine.versions()}


@pytest.fixture(scope="session")
def plan(request: pytest.FixtureRequest) -> Extent:
    plan: Extent = request.config.getoption("plan")
    return plan


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.config.getoption("--data")
    return folder


@pytest.fixture(scope="session")
def model() -> Model:
    """The one that ships, its best tier."""
    return load()


@pytest.fixture(scope="session")
def music() -> Samples:
    """A few seconds of it, at 44.1 kHz."""
    with AudioReader(DEMO, 44_100) as reader:
        return np.ascontiguousarray(reader.read(20 * 44_100))
