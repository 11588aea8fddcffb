"""Model files that are right, and all the ways in which they can be wrong."""

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from onnx import helper

from apollo_rt.config import Framing
from apollo_rt.errors import ModelFileError
from apollo_rt.inference import model_fields, model_file
from apollo_rt.inference.model_file import card_metadata, graph_sha256, read_card
from tests import ROOT
from tests.doubles import tiny_models


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tiny_models.delay_one_frame(tmp_path)


def change(path: Path, key: str, value: str | None) -> None:
    """Set or remove one field of the metadata."""
    model = onnx.load(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    metadata.pop("apollo_rt." + key)
    if value is not None:
        metadata["apollo_rt." + key] = value
    del model.metadata_props[:]
    helper.set_model_props(model, metadata)
    onnx.save(model, path)


def refusal(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(ModelFileError) as caught:
        read_card(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def keys() -> list[str]:
    framing = Framing()
    silence = np.zeros((1, framing.hop_length, 2), np.float32)
    golden = model_file.Golden(silence, silence)
    card = model_file.ModelCard(Path(), "n", framing, (), "none", ("full",), {}, {}, "MIT", golden)
    return [key.removeprefix("apollo_rt.") for key in card_metadata(card, "")]


def test_a_card_survives_writing_and_reading(path):
    card = read_card(path)
    assert card.name == "tiny delay"
    assert card.framing == tiny_models.SMALL
    assert card.states == (model_file.State("state_0", "state_0_next", (2, 129, 2)),)
    golden = model_file.Golden(*(np.full((3, 64, 2), value, np.float32) for value in (0.25, -0.5)))
    half = model_file.Golden(golden.input, golden.output / 2)
    step = model_file.Graph("half.step", "half", 1, 0, hashlib.sha256(b"nodes").hexdigest())
    changed = dataclasses.replace(
        card,
        name="other",
        quality={"visqol": 4.5},
        tiers=("full", "half"),
        golden=golden,
        graphs=(step,),
        further_goldens={"half": half},
    )
    model = onnx.load(path)
    del model.metadata_props[:]
    metadata = card_metadata(changed, graph_sha256(path.read_bytes()), {"half.step": b"nodes"})
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    again = read_card(str(path))
    assert again == changed
    np.testing.assert_array_equal(again.golden.input, golden.input)
    np.testing.assert_array_equal(again.golden.output, golden.output)
    np.testing.assert_array_equal(again.golden_of("half").output, half.output)


def test_a_card_can_not_be_changed(path):
    with pytest.raises(dataclasses.FrozenInstanceError):
        read_card(path).name = "other"


@pytest.mark.parametrize("key", keys())
def test_a_file_that_lacks_a_field_is_refused_by_the_fields_name(path, key):
    change(path, key, None)
    assert f"apollo_rt.{key}: is missing" in refusal(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format_version", "one"),
        ("format_version", "0"),
        ("sample_rate", "44100.0"),
        ("sample_rate", "1"),
        ("hop_length", "-64"),
        ("hop_length", "5000"),
        ("analysis_length", "257"),
        ("analysis_length", "9" * 5000),
        ("lookahead_frames", "129"),
        ("channels", "1"),
        ("window", "kaiser"),
        ("edges", "round"),
        ("carrier", "hash-uniform-2"),
        ("states", "[{]"),
        ("states", "{}"),
        ("states", "[" * 100_000),
        ("states", '[{"input": "state_0", "output": "state_0_next"}]'),
        ("states", '[{"input": "state_0", "output": "state_0_next", "shape": [2, -1]}]'),
        ("states", '[{"input": "state_0", "output": "state_0_next", "shape": [true]}]'),
        ("states", '[{"input": "state_0", "output": "state_0_next", "shape": [1000000, 1000000]}]'),
        ("states", '[{"input": "a", "output": "x", "shape": [1]}, {"input": "a", "output": "y", "shape": [1]}]'),
        ("states", '[{"input": "spectrum", "output": "x", "shape": [1]}]'),
        ("states", '[{"input": "x", "output": "restored", "shape": [1]}]'),
        ("tiers", "[]"),
        ("tiers", '["full", "full"]'),
        ("tiers", "[1]"),
        ("training", "[]"),
        ("quality", "very good"),
        ("licence", " "),
        ("graph_sha256", "0" * 64),
        ("golden", "not base64!"),
        ("golden", "AAAA"),
    ],
)
def test_a_field_that_does_not_parse_is_refused_by_its_name(path, key, value):
    change(path, key, value)
    message = refusal(path)
    assert f"apollo_rt.{key}" in message
    assert len(message) < 500


def test_a_file_of_a_newer_format_is_refused_with_what_to_do(path):
    change(path, "format_version", "5")
    assert "format 5" in refusal(path)
    assert "update apollo-rt" in refusal(path)


def test_a_field_that_stands_there_twice_is_refused(path):
    model = onnx.load(path)
    model.metadata_props.add(key="apollo_rt.licence", value="MIT")
    onnx.save(model, path)
    assert "metadata 'apollo_rt.licence' stands there twice" in refusal(path)


def test_a_graph_that_was_changed_after_writing_is_refused(path):
    model = onnx.load(path)
    model.graph.name = "changed"
    onnx.save(model, path)
    assert "graph_sha256" in refusal(path)


def test_metadata_outside_the_graph_may_change_without_a_new_hash(path):
    model = onnx.load(path)
    model.producer_name = "somebody"
    model.metadata_props.add(key="other", value="thing")
    onnx.save(model, path)
    assert read_card(path).name == "tiny delay"


@pytest.mark.parametrize("shape", [(3, 64), (3, 65, 2), (3, 64, 1)])
def test_a_golden_pair_of_another_shape_is_refused(path, shape):
    card = read_card(path)
    array = np.zeros(shape, np.float32)
    broken = dataclasses.replace(card, golden=model_file.Golden(array, array))
    change(path, "golden", card_metadata(broken, "")["apollo_rt.golden"])
    assert "apollo_rt.golden" in refusal(path)


@pytest.mark.parametrize("array", [np.full((1, 64, 2), np.nan, np.float32), np.zeros((1, 64, 2))])
def test_a_golden_pair_of_other_values_is_refused(path, array):
    broken = dataclasses.replace(read_card(path), golden=model_file.Golden(array, array))
    change(path, "golden", card_metadata(broken, "")["apollo_rt.golden"])
    assert "apollo_rt.golden" in refusal(path)


def test_a_golden_pair_that_unpacks_to_gigabytes_is_refused_before_unpacking(path, monkeypatch):
    monkeypatch.setattr(model_fields, "_MAX_GOLDEN_BYTES", 1000)
    assert "holds more than 1000 bytes" in refusal(path)


def test_an_onnx_file_without_our_metadata_is_refused(path):
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    assert "not an Apollo RT model" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"This is a text file.\n",
        b"\0" * 100,
        b"\xff" * 100,
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"\x08\x0a",
        b"\x08\x00" * 150_000,
    ],
    ids=["empty", "text", "zeros", "ones", "wav", "no graph", "many fields"],
)
def test_a_file_that_is_not_onnx_is_refused(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    assert "is not an ONNX model" in refusal(path)


@pytest.fixture
def read_bytes(path, monkeypatch):
    """Reads a card from bytes as if `path` held them: a thousand files would keep a busy disk for minutes."""

    def read(content: bytes) -> None:
        monkeypatch.setattr(model_file, "_read", lambda _: content)
        read_card(path)

    return read


def test_a_file_cut_off_anywhere_is_refused(path, read_bytes):
    whole = path.read_bytes()
    read_bytes(whole)
    for length in range(len(whole)):
        with pytest.raises(ModelFileError):
            read_bytes(whole[:length])


def test_no_single_wrong_byte_costs_more_than_a_refusal(path, read_bytes):
    whole = path.read_bytes()
    n_refused = 0
    for position, byte in enumerate(whole):
        try:
            read_bytes(whole[:position] + bytes([byte ^ 0xFF]) + whole[position + 1 :])
        except ModelFileError as error:
            assert "\n" not in str(error)  # noqa: PT017 - a few positions change nothing that is read
            n_refused += 1
    assert n_refused > 0.95 * len(whole)


def test_a_second_graph_is_refused(path):
    graph = onnx.load(path).graph.SerializeToString()
    assert 128 <= len(graph) < 2**14  # its length takes two bytes
    path.write_bytes(path.read_bytes() + bytes([0x3A, len(graph) & 0x7F | 0x80, len(graph) >> 7]) + graph)
    assert "it holds 2 graphs" in refusal(path)


def test_a_field_that_ends_beyond_the_file_is_refused_even_where_nobody_reads_it(path):
    path.write_bytes(path.read_bytes() + b"\x12\x7fproducer")
    assert "truncated" in refusal(path)


def test_a_length_of_exabytes_is_refused_before_anything_is_allocated(tmp_path):
    path = tmp_path / "huge.onnx"
    path.write_bytes(b"\x3a" + b"\xff" * 8 + b"\x7f")
    assert "truncated" in refusal(path)


def test_a_file_larger_than_any_model_is_refused_before_more_of_it_is_read(path, monkeypatch):
    size = path.stat().st_size
    monkeypatch.setattr(model_file, "_MOST_BYTES", size)
    read_card(path)
    monkeypatch.setattr(model_file, "_MOST_BYTES", size - 1)
    assert f"holds more than {size - 1} bytes" in refusal(path)


def test_a_missing_file_a_directory_and_a_device_are_refused(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.onnx")
    assert "is a directory" in refusal(tmp_path)
    if os.name == "posix":
        assert "not a regular file" in refusal(Path(os.devnull))


def test_a_hash_of_something_else_than_onnx_is_refused():
    with pytest.raises(ModelFileError, match="not an ONNX model"):
        graph_sha256(b"text")


def test_the_default_model_is_the_only_one_in_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(model_file, "_MODELS", tmp_path)
    with pytest.raises(ModelFileError, match="found 0"):
        model_file.default_model_path()
    path = tiny_models.identity(tmp_path)
    assert model_file.default_model_path() == path
    tiny_models.gain(tmp_path, 0.5)
    with pytest.raises(ModelFileError, match="found 2"):
        model_file.default_model_path()


def test_what_a_card_writes_is_text_throughout(path):
    metadata = card_metadata(read_card(path), "0" * 64)
    assert all(isinstance(value, str) for value in metadata.values())
    assert json.loads(metadata["apollo_rt.states"])[0]["shape"] == [2, 129, 2]


def test_the_newest_samples_that_a_graph_is_given_are_no_more_than_a_window_has(tmp_path):
    path = tiny_models.newest_samples(tmp_path, 96)
    assert read_card(path).inputs["recent"] == (2, 96)
    change(path, "recent_samples", "257")
    assert "recent_samples: must be 0 to 256" in refusal(path)


_COUNT_OPENS = """
import sys
opens, path = 0, sys.argv[1]
def count(event, arguments):
    global opens
    opens += event == "open" and str(arguments[0]) == path
sys.addaudithook(count)
from apollo_rt.commands.cli import main
try:
    main(sys.argv[2:])
except SystemExit as ended:
    print(f"code {ended.code or 0}, opens {opens}")
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["live", "--input", "demo", "--duration", "0.2", "--output", "{0}/out.wav", "--no-pace", "--plain", "--model"],
        ["restore", "{0}/in.wav", "-o", "{0}/out.wav", "--model"],
        ["model", "info", "--no-measure"],
        ["model", "info"],
        ["model", "verify"],
    ],
    ids=lambda arguments: " ".join(arguments[:3]),
)
def test_a_command_opens_the_models_file_once_and_makes_all_tiers_trials_and_sessions_of_that(tmp_path, arguments):
    model = tmp_path / "model.onnx"
    shutil.copy(model_file.default_model_path(), model)
    soundfile.write(tmp_path / "in.wav", np.zeros((4000, 2)), 44_100)
    command = [
        sys.executable,
        "-c",
        _COUNT_OPENS,
        str(model),
        *(text.format(tmp_path) for text in arguments),
        str(model),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "code 0, opens 1", done.stderr
