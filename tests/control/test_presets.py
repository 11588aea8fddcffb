"""Presets as files: saved whole, read strictly, loaded again when they change."""

import os
import threading
from pathlib import Path

import pytest

from apollo_rt.control import yaml_file
from apollo_rt.control.parameters import PARAMETERS, Parameter, Parameters
from apollo_rt.control.presets import Presets, open_preset
from apollo_rt.errors import ControlError
from apollo_rt.session import upkeep
from tests.doubles.still_engine import StillEngine, session_of


@pytest.fixture
def live():
    return Parameters()


@pytest.fixture
def presets(live, tmp_path):
    return Presets(lambda: PARAMETERS, live.get, live.set, tmp_path / "presets")


def put(presets, name, text):
    presets._folder.mkdir(exist_ok=True)
    path = presets._folder / f"{name}.yaml"
    path.write_text(text)
    return path


def test_a_saved_preset_brings_every_value_back_and_leaves_switches_alone(presets, live):
    low = {row.name: row.minimum for row in PARAMETERS if not row.is_switch}
    for name, value in low.items():
        live.set(name, value)
    presets.save("all low")
    for row in PARAMETERS:
        live.set(row.name, row.maximum)
    presets.load("all low")
    assert {name: live.get(name) for name in low} == low
    assert live.bypass
    assert presets.current == "all low"


def test_what_a_file_does_not_name_takes_its_default_but_a_switch_stays(presets, live):
    put(presets, "mine", "")
    live.mix, live.bypass = 0.2, True
    presets.load("mine")
    assert (live.mix, live.bypass) == (1.0, True)
    put(presets, "mine", "bypass: false\nmix: 0.5")
    presets.load("mine")
    assert (live.mix, live.bypass) == (0.5, False)


def test_what_a_file_says_of_a_plugin_that_is_not_there_is_skipped_said_once_and_kept(presets, live):
    path = put(presets, "mine", "mix: 0.5\nlimiter.threshold_db: -3\nlimiter.bypass: true")
    presets.load("mine")
    assert live.mix == 0.5
    assert presets.resting == ("limiter.threshold_db", "limiter.bypass")
    (note,) = presets.poll()
    assert note == "preset mine: no such plugin in this run, skipped: limiter.threshold_db, limiter.bypass"
    assert presets.poll() == []
    live.mix = 0.25
    presets.save("mine")
    assert "mix: 0.25" in path.read_text()
    assert "limiter.threshold_db: -3" in path.read_text()
    put(presets, "other", "")
    presets.load("other")
    assert presets.resting == ()


def test_of_a_plugin_that_is_there_an_unknown_parameter_is_refused(live, tmp_path):
    rows = (*PARAMETERS, Parameter("limiter.threshold_db", "dB", -60.0, 0.0, 0.0, "Of a plugin.", 1.0))
    presets = Presets(lambda: rows, live.get, live.set, tmp_path)
    put(presets, "mine", "limiter.treshold_db: -3")
    with pytest.raises(ControlError, match=r"parameter must be one of .*limiter.threshold_db, got 'limiter.treshold"):
        presets.load("mine")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mix: 0.5\nwetness: 1", "parameter must be one of mix, .* got 'wetness'"),
        ("mix: 2", "mix must be from 0 to 1, got 2"),
        ("mix: .nan", "mix must be from 0 to 1"),
        ("mix: loud", "mix must be a number, got 'loud'"),
        ("mix: 0.2\nmix: 0.3", "line 2: no YAML: 'mix' is said twice"),
        ("mix: [", "line 1: no YAML"),
        ("- mix", "must be lines of `name: value`, got list"),
        ("7", "got int"),
        ("\x00", "no YAML"),
        ("mix: !!python/object/apply:os.system ['true']", "no YAML"),
        ("? [a, b]\n: 1", "parameter must be one of|no YAML"),
        ("a: &a [1]\nb: [*a, *a]", "parameter must be one of"),
        ("x: " + "[" * 5000, "no YAML"),
        ("#" * 70_000, "longer than 65536 bytes"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_its_name_and_the_values_stay(presets, live, text, message):
    path = put(presets, "bad", text)
    live.mix = 0.25
    with pytest.raises(ControlError, match=message) as caught:
        presets.load("bad")
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert (live.mix, presets.current) == (0.25, None)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a ", "x" * 65, "a\nb", "~", "a:b"])
def test_a_name_is_a_files_name_and_nothing_else(presets, name):
    for action in (presets.save, presets.load, presets.delete):
        with pytest.raises(ControlError, match="preset's name must be"):
            action(name)
    assert not presets._folder.exists()


def test_names_are_listed_in_order_and_other_files_are_not(presets):
    assert presets.names() == []
    for name in ("b", "A", "ärger", ".c.yaml.1.part"):
        put(presets, name, "")
    (presets._folder / "notes.txt").touch()
    assert presets.names() == ["A", "b", "ärger"]


def test_a_preset_is_written_beside_its_place_and_a_failure_leaves_the_old_one(presets, live, monkeypatch):
    presets.save("mine")
    before = (presets._folder / "mine.yaml").read_text()
    live.mix = 0.1

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(ControlError, match=r"mine\.yaml: can't be written: No space left"):
        presets.save("mine")
    assert [path.name for path in presets._folder.iterdir()] == ["mine.yaml"]
    assert (presets._folder / "mine.yaml").read_text() == before


def test_a_change_of_the_file_is_heard_and_a_bad_one_is_told_once(presets, live):
    path = put(presets, "mine", "mix: 0.5")
    presets.load("mine")
    assert presets.poll() == []
    path.write_text("mix: 0.25  # softer")
    assert presets.poll() == []
    assert live.mix == 0.25
    path.write_text("mix: 25")
    (line,) = presets.poll()
    assert "mix must be from 0 to 1, got 25; the values from before are kept" in line
    assert presets.poll() == []
    path.unlink()
    assert presets.poll() == []
    path.write_text("mix: 0.75")
    assert presets.poll() == []
    assert (live.mix, presets.current) == (0.75, "mine")


def test_what_a_user_turns_by_hand_stays_until_the_file_changes(presets, live):
    put(presets, "mine", "mix: 0.5")
    presets.load("mine")
    live.mix = 0.9
    presets.poll()
    assert live.mix == 0.9


def test_saving_is_no_change_from_outside(presets, live):
    presets.save("mine")
    live.mix = 0.4
    presets.poll()
    assert live.mix == 0.4


def test_a_preset_is_opened_by_name_or_as_a_file(presets, live, tmp_path):
    put(presets, "mine", "mix: 0.5")
    open_preset(presets, "mine")
    assert live.mix == 0.5
    (tmp_path / "other.yml").write_text("mix: 0.75")
    open_preset(presets, os.fspath(tmp_path / "other.yml"))
    assert (live.mix, presets.current) == (0.75, str(tmp_path / "other.yml"))
    with pytest.raises(ControlError, match="preset must be a file or one of mine, got 'yours'"):
        open_preset(presets, "yours")
    with pytest.raises(ControlError, match=r"gone\.yaml: can't be read: No such file"):
        open_preset(presets, "gone.yaml")


# --- files that are none, or cost more than they should -------------------------------------------------------------


def nested(n_levels, n_each):
    """Aliases of lists of aliases: some bytes more for each level, `n_each` times as much once they are spelt out."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * n_each)}]" for n in range(1, n_levels)]
    return "\n".join(lines)


@pytest.mark.parametrize("shape", [(2, 17), (9, 10), (30, 2), (100, 2)])
def test_nested_aliases_are_bounded_before_anything_is_spelt_out(presets, shape):
    put(presets, "bomb", nested(*shape))
    with pytest.raises(ControlError, match=r"bomb\.yaml: line \d+: no YAML: more than 16 aliases") as caught:
        presets.load("bomb")
    assert len(str(caught.value)) < 300


def test_the_worst_that_is_allowed_stays_small(presets):
    put(presets, "worst", nested(6, 3))
    with pytest.raises(ControlError, match="parameter must be one of") as caught:
        presets.load("worst")
    assert len(str(caught.value)) < 1000


def test_a_value_that_repeats_another_is_as_if_it_were_written_out(presets, live):
    put(presets, "same", "mix: &half 0.5\nstrength: *half")
    presets.load("same")
    assert (live.mix, live.strength) == (0.5, 0.5)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_and_a_device_are_refused_at_once(presets, tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", Path(os.devnull), tmp_path):
        with pytest.raises(ControlError, match=r"can't be read: (is not a regular file|Is a directory)"):
            presets.load_file(path)
    presets._folder.mkdir(parents=True)
    os.mkfifo(presets._folder / "pipe.yaml")
    with pytest.raises(ControlError, match="is not a regular file"):
        presets.load("pipe")


def test_while_a_file_does_not_answer_everything_else_goes_on(tmp_path, monkeypatch):
    session = session_of(StillEngine())
    session.controls.presets._folder = tmp_path
    for name in ("slow", "quick"):
        (tmp_path / f"{name}.yaml").write_text("mix: 0.5")
    answers, asked = threading.Event(), threading.Event()
    real = yaml_file.read_regular

    def read(path, most):
        if path.stem == "slow":
            asked.set()
            answers.wait()
        return real(path, most)

    monkeypatch.setattr(yaml_file, "read_regular", read)
    waits = threading.Thread(target=session.commands.run, args=("load_preset", {"name": "slow"}), daemon=True)
    waits.start()
    assert asked.wait(60)
    session.commands.run("set", {"name": "mix", "value": 0.25})
    session.commands.run("load_preset", {"name": "quick"})
    session.commands.run("save_preset", {"name": "kept"})
    session.commands.run("toggle", {"name": "bypass"})
    assert session.controls.presets.poll() == []
    answers.set()
    waits.join(60)
    assert session.controls.current_preset() == "slow"


def test_an_end_does_not_wait_for_a_poll_that_hangs(monkeypatch):
    monkeypatch.setattr(upkeep, "_ENDING_S", 0.1)
    monkeypatch.setattr(upkeep, "_PERIOD_S", 0.01)
    answers, asked = threading.Event(), threading.Event()

    def poll():
        asked.set()
        answers.wait()
        return []

    watch = upkeep.Upkeep([poll], print)
    watch.start()
    assert asked.wait(60)
    watch.stop()
    answers.set()
