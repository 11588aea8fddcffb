"""Other models while the engine runs: listed, loaded beside the music, faded over, refused."""

import shutil
import threading

import numpy as np
import pytest

from apollo_rt.config import Framing
from apollo_rt.errors import ControlError
from apollo_rt.inference import model_library
from apollo_rt.inference.model import load
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.session.model_picker import ModelPicker
from tests.doubles import tiny_models
from tests.doubles.hand_device import HandDevice

FRAMING = Framing()
OTHER_FRAMING = Framing(hop_length=128, analysis_length=512)


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Two models that fit, one of another framing, one that is none."""
    folder, made = tmp_path / "models", tmp_path / "made"
    for place in (folder, made):
        place.mkdir()
    shutil.move(tiny_models.gain(made, 0.5, FRAMING), folder / "half.onnx")
    shutil.move(tiny_models.gain(made, 0.25, FRAMING), folder / "quarter.onnx")
    shutil.move(tiny_models.identity(made, OTHER_FRAMING), folder / "other.onnx")
    (folder / "broken.onnx").write_bytes(b"no model")
    monkeypatch.setenv("APOLLO_RT_MODELS", str(folder))
    monkeypatch.setattr("apollo_rt.inference.model_library.bundled_model_paths", list)
    return folder


@pytest.fixture
def desk(library):
    model = load(library / "half.onnx")
    device, said = HandDevice(), []
    engine = Engine(model, device, EngineSettings())
    engine.start()
    yield ModelPicker(engine, model, "cpu", None, said.append), device, said
    engine.stop()


def play(device, n_hops):
    return device.play(np.full((n_hops * 256, 2), 0.5, np.float32), pause_s=0.004)


def test_those_that_fit_are_listed_and_the_one_that_plays_is_marked(desk):
    picker, _, _ = desk
    listed = picker.describe()
    assert [(entry["name"], entry["is_used"]) for entry in listed["models"]] == [("half", True), ("quarter", False)]
    assert listed["model"] == picker.name


def test_another_one_takes_over_what_is_heard_and_is_said_to(desk):
    picker, device, said = desk
    assert play(device, 60)[-1, 0] == pytest.approx(0.25, abs=1e-4)
    picker.choose("quarter")
    for _ in range(500):
        if said:
            break
        play(device, 10)
    picker.wait()
    assert said == [f"model {picker.name} plays now"]
    assert play(device, 60)[-1, 0] == pytest.approx(0.125, abs=1e-4)
    assert [(entry["name"], entry["is_used"]) for entry in picker.describe()["models"]] == [
        ("half", False),
        ("quarter", True),
    ]


@pytest.mark.parametrize("name", ["other", "broken", "none", "/etc/passwd", "half.onnx"])
def test_what_does_not_fit_or_is_no_name_of_the_library_is_refused(desk, name):
    picker, _, said = desk
    with pytest.raises(ControlError, match=rf"model must be one of half, quarter .* got '{name}'"):
        picker.choose(name)
    assert said == []


def test_while_one_is_made_ready_another_is_refused(desk, monkeypatch):
    picker, _, said = desk
    may_load = threading.Event()
    monkeypatch.setattr("apollo_rt.session.model_picker.open_model", lambda path, _: may_load.wait(60) and load(path))
    picker.choose("quarter")
    with pytest.raises(ControlError, match="another one is being made ready"):
        picker.choose("half")
    may_load.set()
    picker.wait()
    assert len(said) == 1


def test_one_that_is_spoilt_meanwhile_is_said_and_the_present_one_goes_on(desk, library, monkeypatch):
    picker, device, said = desk
    known = picker._known()
    monkeypatch.setattr(picker, "_known", lambda: known)
    (library / "quarter.onnx").write_bytes(b"spoilt")
    picker.choose("quarter")
    picker.wait()
    assert len(said) == 1
    assert "quarter.onnx" in said[0]
    assert said[0].endswith(f"; {picker.name} goes on")
    assert play(device, 60)[-1, 0] == pytest.approx(0.25, abs=1e-4)


def test_the_wanted_tier_is_kept_where_the_other_model_has_it(desk, monkeypatch):
    picker, _, said = desk
    swapped = []
    monkeypatch.setattr(picker, "_tier", "light")
    monkeypatch.setattr(picker._engine, "swap_model", lambda *models: swapped.append(models))
    picker.choose("quarter")
    picker.wait()
    assert said == [f"model {picker.name} plays now"]
    ((model, lighter),) = swapped
    assert (model.tier, lighter) == (model.card.tiers[0], {}), "it has no tier of that name: its best is taken"


def test_who_lists_models_again_and_again_reads_no_file_twice_but_sees_each_change(tmp_path, monkeypatch):
    monkeypatch.setenv("APOLLO_RT_MODELS", str(tmp_path))
    path = tiny_models.gain(tmp_path, 0.5)
    read = []
    real = model_library.read_card
    monkeypatch.setattr(model_library, "read_card", lambda path: read.append(path) or real(path))
    model_library._kept_entry.cache_clear()
    for _ in range(3):
        model_library.list_models()
    assert read.count(path) == 1
    path.write_bytes(b"no model")
    assert [entry.card for entry in model_library.list_models() if entry.path == path] == [None]
    path.unlink()
    assert path not in [entry.path for entry in model_library.list_models()]
