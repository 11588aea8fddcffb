"""LADSPA and LV2, by a host of a few lines and by those of Debian: the same stream, and ports as hosts want them."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from apollo_rt.control.parameters import PARAMETERS
from tests.doubles.plugin_bundles import bundles, ladspa_descriptor, ladspa_host, lv2_host
from tests.doubles.plugin_heart import needs_compiler
from tests.doubles.plugin_reference import difference_db, reference, sound

HOSTS = pytest.mark.parametrize("host", [ladspa_host, lv2_host], ids=["ladspa", "lv2"])
_DEFAULTS = {0x40: "minimum", 0x140: "maximum", 0x200: 0.0, 0x240: 1.0, 0x280: 100.0, 0x2C0: 440.0}


@pytest.fixture(autouse=True)
def _compiler() -> None:
    needs_compiler()


@HOSTS
@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 192_000])
def test_it_gives_what_python_gives_and_says_its_latency_when_activated(host, rate, busy):
    audio, values = sound(20_000), {"mix": 0.75, "air_db": 6.0, "low_cut_hz": 80.0}
    with host(rate) as plugin:
        for name, value in values.items():
            plugin.set(name, value)
        plugin.activate()
        assert plugin.latency > 0
        out = plugin.stream(audio, [480])
        assert difference_db(out, reference(busy, audio, rate, plugin.latency, 480, **values)) < -80


@HOSTS
def test_blocks_may_change_as_those_of_pipewire_do(host):
    audio = sound(30_000)
    with host(48_000) as plugin:
        plugin.activate()
        expected = plugin.stream(audio, [480])
        for sizes in ([2048] * 3 + [128] * 16, [1152], [4608], [1, 255, 77]):
            plugin.deactivate()
            plugin.activate()
            assert np.array_equal(plugin.stream(audio, sizes), expected)


@HOSTS
def test_instances_that_come_and_go_share_what_is_loaded(host):
    audio = sound(5000)
    outputs = []
    for _ in range(3):
        with host() as plugin, host() as other:
            plugin.activate()
            other.activate()
            outputs += [plugin.stream(audio), other.stream(audio)]
            plugin.deactivate()
    assert all(np.array_equal(output, outputs[0]) for output in outputs)


@HOSTS
def test_a_mono_plugin_has_one_port_each_way(host, busy):
    audio = sound(9000)[:1]
    with host(n_channels=1) as plugin:
        plugin.activate()
        out = plugin.stream(audio)
        expected = reference(busy, np.repeat(audio, 2, axis=0), 44_100, plugin.latency, 512).mean(axis=0)
    assert difference_db(out[0], expected) < -80


@HOSTS
def test_silence_comes_of_what_is_no_number(host):
    with host() as plugin:
        plugin.activate()
        out = plugin.stream(np.full((2, 4000), np.nan, np.float32))
        assert np.isfinite(out).all()


@HOSTS
def test_opening_and_running_changes_nothing_of_the_hosts_denormals(host):
    with host() as plugin:
        plugin.activate()
        plugin.stream(sound(3000))
        assert np.float32(1e-30) * np.float32(1e-10) > 0


def test_nothing_is_loaded_at_a_scan():
    program = (
        "from tests.doubles.plugin_bundles import ladspa_host, lv2_host\n"
        "with ladspa_host(), lv2_host() as plugin:\n"
        "    before = open('/proc/self/maps').read().count('libonnxruntime.so')\n"
        "    plugin.activate()\n"
        "    after = open('/proc/self/maps').read().count('libonnxruntime.so')\n"
        "print(before, after > 0)\n"
    )
    bundles()
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert result.stdout.split() == ["0", "True"], result.stderr


@pytest.mark.parametrize("index", [0, 1])
def test_ladspa_tells_every_default_range_and_name(index):
    descriptor = ladspa_descriptor(index)
    n_audio = 4 - 2 * index
    assert descriptor.port_count == n_audio + len(PARAMETERS) + 1
    names = [descriptor.port_names[port].decode() for port in range(descriptor.port_count)]
    assert names[n_audio:] == [*(row.name for row in PARAMETERS), "latency"]
    for port, row in enumerate(PARAMETERS, n_audio):
        hint = descriptor.hints[port]
        told = _DEFAULTS[hint.kind & 0x3C0]
        assert {"minimum": hint.lower, "maximum": hint.upper}.get(told, told) == pytest.approx(row.default)
        assert (hint.lower, hint.upper) == pytest.approx((row.minimum, row.maximum))
        assert bool(hint.kind & 0x4) is row.is_switch
        assert bool(hint.kind & 0x10) is (row.scale == "log")


def test_one_file_of_the_library_serves_all_formats():
    files = list(bundles().rglob("libonnxruntime.so"))
    assert len(files) == 5
    assert len({file.stat().st_ino for file in files}) == 1
    assert len({file.stat().st_ino for file in bundles().rglob("model.onnx")}) == 1


@pytest.mark.parametrize("program", ["ffmpeg", "sox"])
def test_programs_of_debian_play_ladspa(program, tmp_path, busy):
    if not shutil.which(program):
        pytest.skip(f"{program} isn't installed")
    audio = sound(30_000)
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, audio.T, 44_100, "FLOAT")
    with ladspa_host() as plugin:
        plugin.activate()
        latency = plugin.latency
    expected = reference(busy, np.pad(audio, ((0, 0), (0, latency))), 44_100, latency, 30_768)
    if program == "ffmpeg":  # compensates, because the port is called `latency`
        chain = "ladspa=file=test_rt:plugin=test_rt:latency=1"
        command = ["ffmpeg", "-v", "error", "-i", source, "-af", chain, "-c:a", "pcm_f32le", target]
        expected = expected[:, latency:]
    else:  # does not, and wants a value for each control port, even the latency
        defaults = [str(row.default) for row in PARAMETERS]
        command = ["sox", source, "-e", "floating-point", target, "ladspa", "test_rt", "test_rt", *defaults, "0"]
        expected = expected[:, : audio.shape[1]]
    environment = {"LADSPA_PATH": str(bundles() / ".ladspa"), "PATH": "/usr/bin:/bin"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert result.returncode == 0, result.stderr
    out, _ = soundfile.read(target, dtype="float32")
    assert difference_db(out.T[:, : expected.shape[1]], expected[:, : len(out)]) < -80
    assert len(out) == audio.shape[1]


def test_lv2_says_of_each_port_what_the_table_says():
    text = (bundles() / ".lv2/test_rt.lv2/test_rt.ttl").read_text()
    for row in PARAMETERS:
        assert text.count(f'lv2:symbol "{row.name}"') == 2  # stereo and mono
        assert f"lv2:default {float(row.default)!r} ; lv2:minimum {float(row.minimum)!r}" in text
    manifest = (bundles() / ".lv2/test_rt.lv2/manifest.ttl").read_text()
    assert manifest.count("a lv2:Plugin") == 2
    assert manifest.count('rdfs:label "Old tape"') == 2
    assert 'lv2:symbol "air_db" ; pset:value -7.25' in (bundles() / ".lv2/test_rt.lv2/presets.ttl").read_text()


def test_lv2s_documents_are_valid():
    program = shutil.which("lv2_validate")
    if not program:
        pytest.skip("lv2_validate isn't installed (Debian: apt install lv2-dev)")
    files = sorted(str(path) for path in (bundles() / ".lv2/test_rt.lv2").glob("*.ttl"))
    result = subprocess.run([program, *files], capture_output=True, text=True, timeout=120)
    assert "error" not in (result.stdout + result.stderr).lower().replace("0 errors", "")
