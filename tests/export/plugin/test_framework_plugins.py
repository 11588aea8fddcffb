"""VST3 in Pedalboard, CLAP in a C++ host of ours: the same stream, compensated, with state that lasts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pedalboard
import pytest

from apollo_rt.control.parameters import PARAMETERS
from apollo_rt.inference.model_file import read_model_file
from export.plugin import compiler
from export.plugin.framework import MENDS, mended_copy
from tests.doubles.plugin_bundles import PRESET, bundles, clap_host
from tests.doubles.plugin_heart import PluginHeart, needs_compiler
from tests.doubles.plugin_reference import difference_db, reference, sound

RATES = [22_050, 44_100, 48_000, 96_000, 192_000]
N_SAMPLES = 25_000


@pytest.fixture(autouse=True)
def _compiler() -> None:
    needs_compiler()


@pytest.fixture(scope="module")
def vst3() -> pedalboard.VST3Plugin:
    needs_compiler()
    return pedalboard.load_plugin(str(bundles() / ".vst3/TestRT.vst3"))


@pytest.fixture(autouse=True)
def _as_new(request) -> None:
    if "vst3" in request.fixturenames:
        plugin = request.getfixturevalue("vst3")
        plugin.reset()
        for row in PARAMETERS:
            parameter = plugin.parameters[row.name]
            parameter.raw_value = (row.default - row.minimum) / (row.maximum - row.minimum)


def latency_of(busy, rate: int) -> int:
    with PluginHeart(busy.card.path, rate) as heart:
        return heart.latency


def whole(busy, audio: np.ndarray, rate: int, size: int = 512, **values: float) -> np.ndarray:
    """What Python gives, aligned with its input."""
    latency = latency_of(busy, rate)
    padded = np.pad(audio, ((0, 0), (0, latency)))
    return reference(busy, padded, rate, latency, size, **values)[:, latency:]


# --- VST3 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", RATES)
def test_a_whole_call_in_pedalboard_is_aligned(vst3, busy, rate):
    audio = sound(N_SAMPLES)
    out = vst3(audio, rate, buffer_size=512)
    assert out.shape == audio.shape
    assert difference_db(out, whole(busy, audio, rate)) < -80
    assert np.array_equal(vst3(audio, rate, buffer_size=8192), out)  # bit for bit, whatever the blocks


def test_the_latency_stands_among_the_parameters_as_it_is(vst3, busy):
    assert vst3.parameters["latency_frames"].raw_value * 3_840_000 == pytest.approx(latency_of(busy, 44_100), abs=0.5)


def test_a_stream_in_pedalboard_is_late_when_new_and_short_after_a_reset(busy):
    plugin, audio = pedalboard.load_plugin(str(bundles() / ".vst3/TestRT.vst3")), sound(20_480)
    latency, blocks = latency_of(busy, 44_100), np.split(audio, 20, axis=1)

    def stream() -> np.ndarray:
        return np.concatenate([plugin(block, 44_100, buffer_size=1024, reset=False) for block in blocks], axis=1)

    plugin.parameters["mix"].raw_value = 0.0  # Pedalboard plays it some silence when it loads it: dry forgets that
    late = stream()
    assert np.array_equal(late[:, latency:], audio[:, :-latency])
    plugin.parameters["mix"].raw_value = 1.0
    plugin(audio, 44_100)
    plugin.reset()
    in_time = stream()
    assert in_time.shape[1] == audio.shape[1] - latency
    assert difference_db(in_time, reference(busy, audio, 44_100, latency, 1024)[:, latency:]) < -80


def test_it_plays_inside_a_native_pedalboard(vst3, busy):
    audio = sound(N_SAMPLES)
    board = pedalboard.Pedalboard([pedalboard.Gain(-6), vst3])
    gain = pedalboard.Gain(-6)(audio, 44_100)
    assert difference_db(board(audio, 44_100, buffer_size=512), whole(busy, gain, 44_100)) < -80


def test_parameters_have_names_units_and_ranges_of_the_table(vst3):
    for row in PARAMETERS:
        parameter = vst3.parameters[row.name]
        low, high = parameter.range[:2]
        expected = (0.0, 1.0) if row.is_switch else (row.minimum, row.maximum)
        assert (low, high) == pytest.approx(expected)
        place = (row.default - row.minimum) / (row.maximum - row.minimum)
        assert parameter.raw_value == pytest.approx(place, abs=1e-6)


def test_parameters_are_heard(vst3, busy):
    audio, values = sound(N_SAMPLES), {"mix": 0.25, "output_gain_db": 6.0, "low_cut_hz": 118.0}
    for row in PARAMETERS:
        if row.name in values:
            raw = (values[row.name] - row.minimum) / (row.maximum - row.minimum)
            vst3.parameters[row.name].raw_value = raw
    assert difference_db(vst3(audio, 44_100, buffer_size=512), whole(busy, audio, 44_100, **values)) < -70


def test_state_comes_back_in_another_instance_also_with_a_decimal_comma(vst3):
    vst3.parameters["mix"].raw_value = 0.62
    vst3(sound(2000), 44_100)
    state = Path("/tmp") / f"apollo-rt-state-{os.getpid()}"
    state.write_bytes(vst3.raw_state)
    program = (
        "import locale, pedalboard, sys\n"
        "locale.setlocale(locale.LC_ALL, '')\n"
        "plugin = pedalboard.load_plugin(sys.argv[1])\n"
        "plugin.raw_state = open(sys.argv[2], 'rb').read()\n"
        "print(plugin.parameters['mix'].raw_value, locale.localeconv()['decimal_point'])\n"
    )
    command = [sys.executable, "-c", program, str(bundles() / ".vst3/TestRT.vst3"), str(state)]
    try:
        for name in ("C", comma_locale()):
            if name:
                environment = os.environ | {"LC_ALL": name, **own_locales()}
                result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
                value, point = result.stdout.split()
                assert point == ("." if name == "C" else ",")
                assert float(value) == pytest.approx(0.62, abs=1e-6), result.stderr
    finally:
        state.unlink()


def test_a_preset_is_a_program(vst3):
    assert "Old tape" in str(vst3.parameters["current_program"].valid_values)
    vst3.current_program = "Old tape"
    vst3(sound(2000), 44_100)
    row = next(row for row in PARAMETERS if row.name == "air_db")
    place = (PRESET["air_db"] - row.minimum) / (row.maximum - row.minimum)
    assert vst3.parameters["air_db"].raw_value == pytest.approx(place, abs=1e-4)


def test_loading_and_playing_changes_nothing_of_the_hosts_denormals(vst3):
    vst3(sound(2000), 44_100)
    assert np.float32(1e-30) * np.float32(1e-10) > 0


def test_what_is_no_number_is_silence(vst3):
    assert np.isfinite(vst3(np.full((2, 5000), np.nan, np.float32), 44_100)).all()


def test_the_mono_one_plays_one_channel(busy):
    audio = sound(9000)[:1]
    out = pedalboard.load_plugin(str(bundles() / ".vst3/TestRTMono.vst3"))(audio, 44_100, buffer_size=512)
    assert difference_db(out[0], whole(busy, np.repeat(audio, 2, axis=0), 44_100).mean(axis=0)) < -80


# --- CLAP ------------------------------------------------------------------------------------------------------------

_LOCALE_FOLDER = Path("/tmp") / f"apollo-rt-locales-{os.getuid()}"


def comma_locale() -> str:
    """A locale whose decimal sign is a comma, compiled if the system has none; empty where that can't be."""
    if not (_LOCALE_FOLDER / "de_DE.UTF-8").exists() and shutil.which("localedef"):
        _LOCALE_FOLDER.mkdir(exist_ok=True)
        command = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(_LOCALE_FOLDER / "de_DE.UTF-8")]
        subprocess.run(command, capture_output=True, timeout=60)
    return "de_DE.UTF-8" if (_LOCALE_FOLDER / "de_DE.UTF-8").exists() else ""


def own_locales() -> dict[str, str]:
    return {"LOCPATH": str(_LOCALE_FOLDER)}


def clap(audio: np.ndarray, rate: int, *words: str, **environment: str) -> tuple[np.ndarray, dict[str, float]]:
    """What the host played, and what it said."""
    name = "TestRT.clap" if len(audio) == 2 else "TestRTMono.clap"
    command = [str(clap_host()), str(bundles() / ".clap/test_rt" / name), str(rate), str(len(audio)), *words]
    data = np.ascontiguousarray(audio.T).tobytes()
    result = subprocess.run(command, input=data, capture_output=True, timeout=120, env=os.environ | environment)
    assert result.returncode == 0, result.stderr
    said = dict(line.split("=") for line in result.stderr.decode().splitlines() if "=" in line)
    return np.frombuffer(result.stdout, np.float32).reshape(-1, len(audio)).T, {k: float(v) for k, v in said.items()}


@pytest.mark.parametrize("rate", RATES)
def test_clap_gives_what_python_gives(busy, rate):
    audio = sound(N_SAMPLES)
    out, said = clap(audio, rate)
    assert said["latency"] == latency_of(busy, rate)
    assert difference_db(out, reference(busy, audio, rate, int(said["latency"]), 512)) < -80


def test_clap_takes_blocks_of_any_size_and_a_reset_is_as_new():
    audio = sound(N_SAMPLES)
    expected, _ = clap(audio, 48_000)
    for words in (["blocks=1,255,4608,77"], ["blocks=2048,128"], ["reset"], ["offline"], ["bare"]):
        assert np.array_equal(clap(audio, 48_000, *words)[0], expected), words


def test_clap_plays_one_channel(busy):
    audio = sound(9000)[:1]
    out, said = clap(audio, 44_100)
    expected = reference(busy, np.repeat(audio, 2, axis=0), 44_100, int(said["latency"]), 512).mean(axis=0)
    assert difference_db(out[0], expected) < -80


def test_clap_keeps_its_state_also_with_a_decimal_comma(tmp_path):
    state = tmp_path / "state"
    _, said = clap(sound(2000), 44_100, "Mix=0.62", "Air=-7.25", f"save={state}")
    assert (said["Mix"], said["Air"]) == pytest.approx((0.62, -7.25))
    for name in ("C", comma_locale()):
        if name:
            _, again = clap(sound(2000), 44_100, f"load={state}", LC_ALL=name, **own_locales())
            assert (again["Mix"], again["Air"]) == pytest.approx((0.62, -7.25)), name


# --- the framework ---------------------------------------------------------------------------------------------------


def test_another_version_of_the_framework_is_refused_by_name(tmp_path):
    source = tmp_path / "newer"
    shutil.copytree(compiler.FRAMEWORK, source)
    file = source / MENDS[-1].file
    file.write_text(file.read_text().replace(MENDS[-1].before, "// mended upstream\n"))
    with pytest.raises(compiler.CompilerError, match="another version of DPF"):
        mended_copy(tmp_path, source)


def test_every_mend_has_a_reason():
    assert all(mend.reason and mend.before != mend.after for mend in MENDS)
    assert read_model_file(bundles() / ".clap/test_rt/model.onnx").card.name == "tiny busy"
