"""Children run our own code and nobody else's, and get nothing that is for the program alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import apollo_rt
from apollo_rt.control.midi.host_process import PortProcess
from apollo_rt.plugins.plugin_process import PluginProcess
from apollo_rt.system.child_process import child_environment, module_command, wait_or_kill
from tests.doubles.audio_servers import wait_for

PLANTED = ("apollo_rt", "json", "mmap", "numpy", "pedalboard", "rtmidi", "runpy", "sitecustomize", "threading")
ORDER = {"sample_rate": 44_100, "hop_length": 256, "priority": None, "plugins": []}


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: each file in it would leave a trace if Python ran it."""
    for name in PLANTED:
        (tmp_path / f"{name}.py").write_text("open('ran', 'a').write(__name__)\nraise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_detector_sees_a_file_of_the_current_folder_that_runs(planted: Path) -> None:
    assert subprocess.run([sys.executable, "-c", "import json"], cwd=planted).returncode == 9
    assert (planted / "ran").exists()


def test_no_file_of_the_current_folder_runs_in_the_process_of_plugins(planted: Path) -> None:
    process = PluginProcess(ORDER, 1.0)
    try:
        assert wait_for(process.is_ready), process.last_words
    finally:
        process.end()
    assert not (planted / "ran").exists()


def test_no_file_of_the_current_folder_runs_in_that_of_a_midi_port(planted: Path) -> None:
    script = Path(module_command("x")[2])
    with pytest.raises(Exception, match="midi: ") as error:
        PortProcess(module_command("apollo_rt.control.midi.host", "no port is called so"))
    assert "ended with code" not in str(error.value)
    assert script.parents[1] == Path(apollo_rt.__file__).parent
    assert not (planted / "ran").exists()


@pytest.mark.parametrize(
    "command", [["plugins", "Gain()"], ["live", "--input", "demo", "--output", "x.wav", "--midi", "x"]]
)
def test_no_file_of_the_current_folder_runs_by_a_command(planted: Path, command: list[str]) -> None:
    started = [sys.executable, "-P", "-m", "apollo_rt", *command]
    environment = os.environ | {"PYTHONPATH": str(Path(apollo_rt.__file__).parents[1])}
    done = subprocess.run(started, cwd=planted, env=environment, capture_output=True, timeout=120, text=True)
    assert "SystemExit" not in done.stderr
    assert not (planted / "ran").exists()


def test_python_m_looks_for_nothing_in_the_current_folder_once_it_has_begun(planted: Path) -> None:
    """What Python itself imports before is its own matter: only names that it has no use for are planted here."""
    for name in ("apollo_rt", "json", "runpy", "sitecustomize", "threading", "mmap"):
        (planted / f"{name}.py").unlink()
    (planted / "click.py").write_text("open('ran', 'a').write(__name__)\n")
    environment = os.environ | {"PYTHONPATH": str(Path(apollo_rt.__file__).parents[1])}
    command = [sys.executable, "-m", "apollo_rt", "--version"]
    done = subprocess.run(command, cwd=planted, env=environment, capture_output=True, timeout=60, text=True)
    assert "version" in done.stdout, done.stderr
    assert not (planted / "ran").exists()


def test_a_child_runs_the_very_package_that_its_parent_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        module_command("apollo_rt.config"), cwd=tmp_path, env=child_environment(), capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    text = "import apollo_rt, sys; print(apollo_rt.__file__, sys.path)"
    copy = tmp_path / "elsewhere" / "apollo_rt"
    (copy / "system").mkdir(parents=True)
    (copy / "__init__.py").touch()
    (copy / "shows.py").write_text(text)
    (copy / "system" / "child_start.py").write_bytes(Path(module_command("x")[2]).read_bytes())
    command = [sys.executable, "-P", str(copy / "system" / "child_start.py"), "apollo_rt.shows"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60).stdout
    assert shown.startswith(str(copy))
    assert str(tmp_path) not in shown.partition("[")[2], "its folder is not where other modules are looked for"


def test_what_is_for_the_program_alone_is_not_handed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("APOLLO_RT_LIVE_CONTROL_TOKEN", "a-token-for-the-tests")
    monkeypatch.setenv("SOMETHING_ELSE", "stays")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(tmp_path), ".", "relative"]))
    environment = child_environment()
    assert not [name for name in environment if name.startswith("APOLLO_RT")]
    assert "a-token-for-the-tests" not in environment.values()
    assert environment["SOMETHING_ELSE"] == "stays"
    assert environment["PYTHONPATH"] == str(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")
    assert "PYTHONPATH" not in child_environment()


def test_every_process_that_the_product_starts_gets_that_environment() -> None:
    product = Path(apollo_rt.__file__).parent
    starters = [path for path in product.glob("**/*.py") if "subprocess.Popen(" in (text := path.read_text())
                or "subprocess.run(" in text]  # fmt: skip
    assert len(starters) >= 3
    for path in starters:
        assert "child_environment()" in path.read_text(), path


def test_one_that_ignores_everything_is_killed_within_its_time() -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        assert wait_or_kill(process, 0.1)
        assert process.poll() is not None
