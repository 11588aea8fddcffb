"""`apollo-rt model` and `--model NAME`: what there is, what a model says of itself, and whether it is true."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from click.testing import CliRunner
from onnx import helper

from apollo_rt.commands.cli import apollo_rt
from apollo_rt.errors import ModelFileError, ParityError
from apollo_rt.inference.model import load
from apollo_rt.inference.model_file import default_model_path
from apollo_rt.inference.model_library import find_model, list_models, user_folder
from apollo_rt.inference.provider import Provider
from apollo_rt.stream.golden import golden_error_db, tolerance_db
from tests.doubles import tiny_models


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of models, with one in it."""
    folder = tmp_path / "models"
    folder.mkdir()
    tiny_models.delay_one_frame(folder)
    monkeypatch.setenv("APOLLO_RT_MODELS", str(folder))
    return folder


def output_of(*arguments: str) -> str:
    result = CliRunner().invoke(apollo_rt, ["model", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_users_folder_is_the_platforms_unless_the_environment_says_otherwise(monkeypatch, folder):
    assert user_folder() == folder
    monkeypatch.delenv("APOLLO_RT_MODELS")
    assert user_folder().name == "models"
    assert user_folder().parent.name == "apollo-rt"


def test_a_name_finds_the_users_file_then_the_bundled_one_then_a_cards_name(folder):
    assert find_model("delay") == folder / "delay.onnx"
    assert find_model("tiny delay") == folder / "delay.onnx"
    bundled = default_model_path()
    assert find_model(bundled.stem) == bundled
    shutil.copy(folder / "delay.onnx", folder / bundled.name)
    assert find_model(bundled.stem) == folder / bundled.name
    assert find_model(None) == bundled


def test_what_looks_like_a_file_is_a_file(folder, tmp_path, monkeypatch):
    assert find_model(str(folder / "none.onnx")) == folder / "none.onnx"
    assert find_model(Path("delay")) == Path("delay")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "delay").write_bytes(b"mine")
    assert find_model("delay") == Path("delay")


def test_an_unknown_name_is_refused_with_those_that_are_known(folder):
    with pytest.raises(ModelFileError, match=r"dealy: is neither a file nor the name .*known: .*delay") as caught:
        find_model("dealy")
    assert str(folder) in str(caught.value)


def test_a_name_that_two_cards_have_is_refused_with_both(folder):
    shutil.copy(folder / "delay.onnx", folder / "again.onnx")
    with pytest.raises(ModelFileError, match=r"again\.onnx and .*delay\.onnx both have this name"):
        find_model("tiny delay")


def test_list_shows_the_users_and_the_bundled_models_and_why_one_is_not_usable(folder):
    (folder / "broken.onnx").write_bytes(b"text")
    lines = output_of("list").splitlines()
    assert lines[0].startswith("broken  (user)  not usable: ")
    assert lines[1] == "delay  (user)  tiny delay, full"
    assert any(line.startswith(f"{default_model_path().stem}  (bundled)") for line in lines)
    assert str(folder) in lines[-1]
    assert [entry.place for entry in list_models()][:2] == ["user", "user"]


def test_info_shows_everything_that_a_card_says(folder):
    text = output_of("info", "--no-measure", "--all")
    card = load(default_model_path()).card
    for wanted in ("11.6 ms", card.licence, *card.tiers, "44100 Hz", "visqol", *map(str, card.training)):
        assert wanted in text
    assert len(next(line for line in text.splitlines() if line.startswith("  sha256      ")).split()[1]) == 64


def test_info_is_one_screen_whose_figures_are_a_table(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = output_of("info", "--no-measure").splitlines()
    card = load(default_model_path()).card
    path, sha256 = (next(line for line in lines if line.startswith(f"  {name} ")) for name in ("file", "sha256"))
    assert len(lines) < 24  # one more says how fast it is
    assert max(len(line) for line in lines if line not in (path, sha256)) <= 80
    group, systems = next(iter(card.quality["summary"].items()))
    row = next(line for line in lines if line.startswith(f"  {group} "))
    shown = [f"{systems[system]['visqol']:.2f}" for system in systems if system != "exciter"]
    assert row.split()[1 : 1 + len(shown)] == shown
    assert len(output_of("info", "--no-measure", "--all").splitlines()) > len(lines)


@pytest.mark.parametrize(
    "quality",
    [
        {"summary": {"mp3-64": {"restored": {"lsd": 1.5, "note": "good"}}, "odd": {"untouched": {"lsd": None}}}},
        {"summary": {"mp3-64": {"restored": {}}}, "empty": {}, "none": None, "list": [1, [2]], "true": True},
        {"mixed": {"a": {"b": {"c": 1}}, "d": 2}, "fails": ["birds", "bells"], "long": "x" * 500},
        {"summary": {"a": {"exciter": {"lsd": 1.0}}}},
    ],
)
def test_info_shows_whatever_a_card_of_somebody_else_says(folder, quality, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    path = folder / "delay.onnx"
    model = onnx.load(path)
    texts = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]
    helper.set_model_props(model, texts | {"apollo_rt.quality": json.dumps(quality)})
    onnx.save(model, path)
    text = output_of("info", "delay", "--no-measure")
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith("  file"))
    assert "  quality  " in text


def test_info_measures_the_step_on_this_machine():
    assert "ms a step on cpu here and now (median), load" in output_of("info", "delay")


def test_a_card_can_not_steer_the_terminal(folder):
    path = folder / "delay.onnx"
    model = onnx.load(path)
    texts = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]
    helper.set_model_props(model, texts | {"apollo_rt.licence": "MIT\x1b]0;owned\x07\nfree"})
    onnx.save(model, path)
    text = output_of("info", "delay", "--no-measure")
    assert "\x1b" not in text
    assert "MIT\\x1b]0;owned\\x07\\nfree" in text


def test_verify_says_how_near_the_golden_pair_is():
    assert "the golden pair (24 hops) comes out, relative to its peak: full to -" in output_of("verify")


def test_verify_finds_a_model_that_does_not_do_what_its_file_says(folder):
    """`busy` adds noise; its golden pair is silence."""
    tiny_models.busy(folder)
    with pytest.raises(ParityError, match=r"differs by .* dB from the golden pair in the file, at most -80 dB"):
        CliRunner().invoke(apollo_rt, ["model", "verify", "busy"], catch_exceptions=False)


def test_a_golden_pair_that_is_met_to_the_bit_is_told_as_such(folder):
    assert golden_error_db(load(folder / "delay.onnx")) == -200.0


def test_only_coarser_arithmetic_may_differ_more():
    limits = [tolerance_db(p) for p in (Provider(), Provider("cuda"), Provider("tensorrt"), Provider("tensorrt", True))]
    assert limits == sorted(limits)
    assert limits[0] == limits[1] == -80.0
    assert limits[2] < tolerance_db(Provider(), weight_bits=8) < limits[3]


def test_every_command_takes_a_name(folder, tmp_path):
    import soundfile

    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, 0.1 * np.random.default_rng(0).standard_normal((2000, 2)), 44_100)
    result = CliRunner().invoke(
        apollo_rt,
        ["restore", str(source), str(target), "--model", "delay", "--provider", "cpu"],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    assert target.exists()


def test_prepare_says_how_fast_and_how_near_each_tier_is(folder):
    result = CliRunner().invoke(
        apollo_rt, ["build-engine", "--model", "delay", "--provider", "cpu"], catch_exceptions=False
    )
    assert "tiny delay, tier full, is ready: " in result.output
    assert "its output differs by -200 dB" in result.output


def test_a_card_is_told_as_json_with_its_speed_if_that_is_measured():
    told = json.loads(output_of("info", "--json", "--no-measure"))
    file = default_model_path()
    assert (told["path"], told["size_bytes"]) == (str(file), file.stat().st_size)
    assert (told["tiers"], told["sample_rate"], told["algorithmic_latency"]) == (["full", "light"], 44_100, 512)
    assert told["quality"]["summary"]["mp3-64"]["apollo-rt full"]["visqol"] > 3
    assert "step_ms" not in told
    measured = json.loads(output_of("info", "delay", "--json"))
    assert measured["provider"] == "cpu"
    assert measured["step_ms"] > 0


def test_a_card_for_the_hub_has_its_metadata_and_every_figure():
    text = output_of("card", "--format", "hub")
    _, head, body = text.split("---\n", 2)
    metadata, told = yaml.safe_load(head), json.loads(output_of("info", "--json", "--no-measure"))
    assert (metadata["license"], metadata["library_name"], metadata["pipeline_tag"]) == (
        "mit", "apollo-rt", "audio-to-audio",
    )  # fmt: skip
    (index,) = metadata["model-index"]
    figures = told["quality"]["summary"]
    assert [result["dataset"]["type"] for result in index["results"]] == list(figures)
    for result in index["results"]:
        best = figures[result["dataset"]["type"]]["apollo-rt full"]
        assert {row["type"]: row["value"] for row in result["metrics"]} == best
    assert "| mp3-64 | untouched | 2.51 |" in body
    assert told["sha256"] in body
    assert all(fact[:40] in body for fact in told["quality"]["fails"])
    assert output_of("card", "delay").startswith("---\nlicense:"), "one without figures, too"
