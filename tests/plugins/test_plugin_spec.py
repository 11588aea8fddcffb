"""What the user says about plugins: read as meant, or refused with a line that says what is allowed."""

import pytest

from apollo_rt.errors import PluginError
from apollo_rt.plugins.chain_file import read_chain
from apollo_rt.plugins.plugin_rows import parameter_row, unique_names
from apollo_rt.plugins.plugin_spec import PluginSpec, parse_spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("Reverb", PluginSpec("Reverb")),
        ("Reverb()", PluginSpec("Reverb")),
        (" Gain( gain_db = -3.5 ) ", PluginSpec("Gain", {"gain_db": -3.5})),
        ("LadderFilter(mode='HPF24', drive=2)", PluginSpec("LadderFilter", {"mode": "HPF24", "drive": 2})),
        ("/a b/Limiter.vst3", PluginSpec("/a b/Limiter.vst3")),
        ("/a/L.vst3?threshold_db=-1&on=true&mode=Fast%20One", PluginSpec(
            "/a/L.vst3", {"threshold_db": -1.0, "on": True, "mode": "Fast One"})),
        ("/a/L.vst3?gain_db=+3", PluginSpec("/a/L.vst3", {"gain_db": 3.0})),
        ("/a/Suite.VST3#Big Limiter?x=1", PluginSpec("/a/Suite.VST3", {"x": 1.0}, "Big Limiter")),
        ("/Library/Audio/AUVerb.component", PluginSpec("/Library/Audio/AUVerb.component")),
    ],
)  # fmt: skip
def test_a_plugin_is_read_as_it_is_meant(text, spec):
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    "text",
    ["", "a b", "Gain(3)", "Gain(**{})", "Gain(gain_db=__import__('os').system('false'))", "Gain(gain_db=x)",
     "Gain(gain_db=[1])", "os.system('false')", "Gain(gain_db=1).reset()", "/a/L.vst3?threshold_db", "(" * 300, "x\0"],
)  # fmt: skip
def test_what_is_no_plugin_is_refused_in_one_line_and_never_run(text):
    with pytest.raises(PluginError) as caught:
        parse_spec(text)
    assert "\n" not in str(caught.value)
    assert "must" in str(caught.value)


def test_plugins_are_called_by_what_they_are_and_numbered_where_two_are_the_same():
    specs = [parse_spec("HighpassFilter"), parse_spec("HighpassFilter"), parse_spec("/a/Big-Limiter 2.vst3"),
             PluginSpec("Gain", name="Trim")]  # fmt: skip
    assert unique_names(specs) == ["highpass_filter", "highpass_filter_2", "big_limiter_2", "trim"]


def test_a_chain_file_is_read_in_its_order_and_seen_from_its_folder(tmp_path):
    path = tmp_path / "board.yaml"
    path.write_text(
        "before:\n  - HighpassFilter(cutoff_frequency_hz=30)\n"
        "after:\n  - plugin: sub/Suite.vst3\n    part: Limiter\n    name: limiter\n    parameters: {threshold_db: -1}\n"
        "  - /abs/Other.vst3?x=2\n"
    )
    before, after = read_chain(path)
    assert before == [PluginSpec("HighpassFilter", {"cutoff_frequency_hz": 30})]
    assert after == [
        PluginSpec(str(tmp_path / "sub/Suite.vst3"), {"threshold_db": -1}, "Limiter", "limiter"),
        PluginSpec("/abs/Other.vst3", {"x": 2.0}),
    ]
    path.write_text("")
    assert read_chain(path) == ([], [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("between: [Gain]", "must hold before and after"),
        ("before: Gain", "before must be a list"),
        ("before: [3]", "each plugin must be"),
        ("before: [{name: x}]", "each plugin must be"),
        ("before: [{plugin: Gain, gain: 3}]", "each plugin must be"),
        ("before: [{plugin: 3}]", "plugin must be a text"),
        ("after: [{plugin: Gain, parameters: [1]}]", "parameters must be"),
        ("after: [{plugin: Gain, parameters: {gain_db: [1]}}]", "gain_db must be"),
        ("after: [a b]", "plugin must be like"),
    ],
)
def test_a_chain_file_that_says_something_else_is_refused_by_name(tmp_path, text, reason):
    path = tmp_path / "board.yaml"
    path.write_text(text)
    with pytest.raises(PluginError, match=reason):
        read_chain(path)


def test_a_plugins_parameter_becomes_a_row_like_those_of_the_one_table():
    given = {"name": "mode", "unit": "", "minimum": 0.0, "maximum": 2.0, "value": 1.0, "scale": "linear",
             "choices": ["low", "mid", "high"]}  # fmt: skip
    row = parameter_row("ladder", "Ladder", given)
    assert (row.name, row.minimum, row.maximum, row.default, row.step) == ("ladder.mode", 0, 2, 1, 1)
    assert "0 low, 1 mid, 2 high" in row.description
    assert row.check(2) == 2
    with pytest.raises(ValueError, match=r"ladder\.mode must be from 0 to 2"):
        row.check(3)
