"""A model from somewhere is tried in a process of its own: what happens there happens to nobody else."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from apollo_rt.errors import ModelFileError
from apollo_rt.inference import probe
from apollo_rt.inference.model_choice import open_model
from apollo_rt.inference.model_file import read_model_file
from apollo_rt.inference.probe import probe_model
from tests import ROOT
from tests.doubles import tiny_models


@pytest.fixture
def file(tmp_path):
    return read_model_file(tiny_models.gain(tmp_path, 0.5))


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing was tried before, and no process runs."""
    monkeypatch.setattr(probe, "_TRIED", set())
    trial = probe._Trial()
    monkeypatch.setattr(probe, "_TRIAL", trial)
    yield trial
    trial._end()


def played_by(monkeypatch, script):
    """In place of the process that tries."""
    monkeypatch.setattr(probe, "module_command", lambda _: [sys.executable, "-c", script])


def test_a_right_file_is_tried_once_in_a_process_that_is_kept(file, fresh, tmp_path):
    probe_model(file)
    process = fresh._process
    assert process.poll() is None
    probe_model(file)
    probe_model(read_model_file(tiny_models.gain(tmp_path, 0.25)))
    assert fresh._process is process


def test_a_crash_ends_the_trial_and_not_us(file, monkeypatch):
    played_by(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(ModelFileError, match=r"the main graph is not usable: ends ONNX Runtime's process \(SIGSEGV\)"):
        probe_model(file)


def test_what_takes_for_ever_or_all_memory_is_killed(file, monkeypatch, fresh):
    monkeypatch.setattr(probe, "_PATIENCE_S", 0.3)
    played_by(monkeypatch, "while True: pass")
    with pytest.raises(ModelFileError, match="takes longer than any useful one"):
        probe_model(file)
    assert fresh._process is None
    monkeypatch.setattr(probe, "_PATIENCE_S", 30.0)
    played_by(monkeypatch, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ModelFileError, match="or more memory than there is"):
        probe_model(file)


def test_one_that_ended_by_itself_meanwhile_is_started_again(file, fresh, tmp_path):
    probe_model(file)
    fresh._process.stdin.close()
    assert fresh._process.wait(60) == 0
    probe_model(read_model_file(tiny_models.gain(tmp_path, 0.25)))


def test_it_ends_with_who_started_it_in_the_middle_of_a_graph_too(tmp_path):
    script = (
        "import sys, time; from apollo_rt.inference import probe\n"
        "from apollo_rt.inference.model_file import read_model_file\n"
        "probe.probe_model(read_model_file(sys.argv[1])); print(probe._TRIAL._process.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(tiny_models.gain(tmp_path, 0.5))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    assert gone(child)


def gone(process_id):
    ended = threading.Event()
    for _ in range(300):
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{process_id}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True  # nobody waits for it here
        ended.wait(0.1)
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_control_c_ends_a_trial_that_hangs(tmp_path):
    """Sent once the trial's process runs: before that there is nothing to end."""
    begun = tmp_path / "begun"
    hang = f"open({str(begun)!r}, 'w').close()\nwhile True: pass"
    script = (
        "import sys; from apollo_rt.inference import probe\n"
        "from apollo_rt.inference.model_file import read_model_file\n"
        f"probe.module_command = lambda _: [sys.executable, '-c', {hang!r}]\n"
        "probe.probe_model(read_model_file(sys.argv[1]))"
    )
    command = [sys.executable, "-c", script, str(tiny_models.gain(tmp_path, 0.5))]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not begun.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]


def test_what_was_tried_is_what_is_loaded_whatever_becomes_of_the_file(tmp_path, monkeypatch):
    path, other = tiny_models.gain(tmp_path, 0.5), tmp_path / "other"
    other.mkdir()
    exchanged, content = tiny_models.gain(other, 0.25), path.read_bytes()
    tried, real = [], probe.probe_model

    def then_exchanged(file):
        real(file)
        tried.append(file)
        exchanged.replace(path)

    monkeypatch.setattr("apollo_rt.inference.model_choice.probe_model", then_exchanged)
    loaded = open_model(path, "cpu")
    assert tried == [loaded.file]
    assert loaded.file.content == content != path.read_bytes()
    step = loaded.new_step()
    step.buffers.spectrum[:] = 1
    step.bound.run(0)
    assert np.all(step.buffers.restored == 0.5)


def test_a_pipe_with_a_models_name_is_refused_at_once(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelFileError, match="is not a regular file"):
        read_model_file(tmp_path / "pipe.onnx")


@pytest.mark.skipif(sys.platform != "linux", reason="the system bounds memory there alone")
def test_one_node_that_wants_more_than_the_process_may_have_is_refused(tmp_path):
    """2 GiB of products in one node: refused by the trial's own memory, not by the machine's."""
    path = tiny_models.delay_one_frame(tmp_path)
    from tests.inference import model_fuzz

    model = onnx.load(path)
    model_fuzz.GRAPH_CHANGES["outer product of 2 GiB"](model)
    path.write_bytes(model_fuzz.rehashed(model))
    with pytest.raises(ModelFileError, match="the main graph is not usable"):
        probe_model(read_model_file(path))
