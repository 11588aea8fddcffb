"""What is built is whole, refuses what it can't be, and replaces nothing unasked; generated texts follow the tables."""

import dataclasses
import re

import pytest
from click.testing import CliRunner

from apollo_rt.config import Framing
from apollo_rt.control.parameters import PARAMETERS
from apollo_rt.errors import ExistingFileError, ModelFileError
from apollo_rt.inference.model_file import read_model_file
from export.plugin import compiler
from export.plugin.build_plugins import plugin
from export.plugin.bundles import FORMATS, PluginBuild, bundle_of
from export.plugin.facts import Facts, PluginNameError, programs_of
from export.plugin.header import header, title
from export.plugin.onnx_library import installed_library
from tests.doubles import tiny_models
from tests.doubles.plugin_bundles import PRESETS, bundles

FRAMING = Framing()


def test_the_header_holds_the_table_row_by_row():
    rows = re.findall(
        r'^    \{"(\w+)", "([\w ]+)", "(\w*)", ".*", ([-\d.]+), ([-\d.]+), ([-\d.]+), ', header(), re.MULTILINE
    )
    assert [row[0] for row in rows] == [row.name for row in PARAMETERS]
    for found, row in zip(rows, PARAMETERS, strict=True):
        assert found[1:3] == (title(row), "" if row.is_switch else row.unit)
        assert [float(number) for number in found[3:]] == [row.minimum, row.maximum, row.default]


def test_two_names_are_two_plugins_to_every_host():
    first, second = Facts("Apollo RT", "MIT", FRAMING), Facts("My net 2", "MIT", FRAMING)
    assert (first.symbol, first.file_name) == ("apollo_rt", "ApolloRT")
    for what in ("symbol", "file_name", "uri", "ladspa_id"):
        assert getattr(first, what) != getattr(second, what)
    assert 0 < first.ladspa_id < 2**24 - 1


@pytest.mark.parametrize("name", ["", "1st", "a/b", "x" * 41, 'a"b', "Ä"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(PluginNameError, match="must be 1 to 40 letters"):
        Facts(name, "MIT", FRAMING)


def test_programs_begin_with_the_defaults():
    assert programs_of({}) == {}
    assert list(programs_of(PRESETS)) == ["Default", "Old tape"]


def test_a_model_whose_frames_the_plugin_lacks_is_refused(tmp_path):
    file = read_model_file(tiny_models.identity(tmp_path))
    framing = Framing(hop_length=64, analysis_length=128, window="hann", edges="reflected")
    other = dataclasses.replace(file, card=dataclasses.replace(file.card, framing=framing))
    with pytest.raises(ModelFileError, match="silent edges, got hann and reflected"):
        PluginBuild(other, installed_library(), "Test RT")


def test_what_is_there_is_not_replaced_unasked(tmp_path):
    file = read_model_file(tiny_models.identity(tmp_path))
    place = tmp_path / "home"
    entry = place / bundle_of("ladspa", Facts("Test RT", "MIT", FRAMING)).entries[0]
    entry.parent.mkdir(parents=True)
    entry.write_text("mine")
    with pytest.raises(ExistingFileError, match="--overwrite"):
        PluginBuild(file, installed_library(), "Test RT").write(["ladspa"], place)
    assert entry.read_text() == "mine"


def test_a_machine_without_a_compiler_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(compiler, "FOURIER", tmp_path / "missing.hh")
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/g++")
    with pytest.raises(compiler.CompilerError, match="apt install libkissfft-dev"):
        compiler.compile_heart(tmp_path)


def test_formats_that_there_are_not_are_named(tmp_path):
    result = CliRunner().invoke(plugin, ["--formats", "vst3,vst2", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "vst3,clap,lv2,ladspa" in result.output


def test_every_bundle_holds_model_library_and_licences():
    for format_name in FORMATS:
        for place in bundle_of(format_name, Facts("Test RT", "MIT", FRAMING)).resources:
            folder = bundles() / place
            assert {"model.onnx", "libonnxruntime.so", "licences"} <= {path.name for path in folder.iterdir()}
            names = {path.name for path in (folder / "licences").iterdir()}
            assert {"apollo-rt.txt", "dpf.txt", "kissfft.txt", "model.txt", "onnxruntime-LICENSE.txt"} <= names
