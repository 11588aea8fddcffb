"""The scripts in docs/examples run as they stand, with the model that ships, and do what they say."""

import importlib.util
import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apollo_rt import ApolloEffect
from tests import ROOT
from tests.doubles.sound_files import write

EXAMPLES = ROOT / "docs" / "examples"
RATE = 44_100


@pytest.fixture
def song(tmp_path):
    """A quarter of a second of noise, whose place shows to the sample, too quiet for any limiter."""
    noise = np.random.default_rng(0).standard_normal((RATE // 4, 2)).astype(np.float32)
    return write(tmp_path / "song.wav", 0.05 * noise, subtype="FLOAT")


def run(monkeypatch, name, *arguments):
    path = EXAMPLES / f"{name}.py"
    monkeypatch.setattr("sys.argv", [str(path), *map(str, arguments)])
    runpy.run_path(str(path), run_name="__main__")


def read(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def lag(one, other):
    """Samples by which `one` lies behind `other`."""
    size = 2 * len(one)
    product = np.fft.rfft(one[:, 0], size) * np.conj(np.fft.rfft(other[:, 0], size))
    peak = int(np.fft.irfft(product).argmax())
    return peak if peak < size // 2 else peak - size


def test_every_example_is_run_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "restore_folder",
        "between_filters",
        "ab_export",
        "stream_blocks",
        "dawdreamer_graph",
    }


def test_a_folder_is_restored(monkeypatch, song, tmp_path):
    (tmp_path / "songs" / "album").mkdir(parents=True)
    write(tmp_path / "songs" / "one.wav", read(song))
    write(tmp_path / "songs" / "album" / "two.ogg", read(song)[:5000], 48_000)
    (tmp_path / "songs" / "cover.txt").write_text("no music")
    run(monkeypatch, "restore_folder", tmp_path / "songs", tmp_path / "restored")
    found = sorted(path.relative_to(tmp_path / "restored") for path in (tmp_path / "restored").rglob("*.*"))
    assert found == [Path("album/two.flac"), Path("one.flac")]
    info = soundfile.info(tmp_path / "restored/album/two.flac")
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (48_000, 2, 5000, "PCM_24")
    assert lag(read(tmp_path / "restored/one.flac"), read(song)) == 0


def test_apollo_stands_between_a_high_pass_and_a_limiter(monkeypatch, song, tmp_path, capsys):
    run(monkeypatch, "between_filters", song, tmp_path / "out.wav")
    out, dry = read(tmp_path / "out.wav"), read(song)
    assert out.shape == dry.shape
    assert lag(out, dry) == 0
    assert 0.5 * np.abs(dry).max() < np.abs(out).max() <= 1
    assert "compensated: 512 samples at 44100 Hz" in capsys.readouterr().out


def test_a_and_b_are_aligned_and_as_loud_and_delta_is_their_difference(monkeypatch, song, tmp_path):
    run(monkeypatch, "ab_export", song, tmp_path / "ab")
    a, b, delta = (read(tmp_path / "ab" / f"{name}.wav") for name in ("a", "b", "delta"))
    np.testing.assert_array_equal(a, read(song))
    assert np.std(b) == pytest.approx(np.std(a), rel=1e-3)
    assert lag(b, a) == 0
    np.testing.assert_allclose(delta, ApolloEffect()(a.T, RATE).T - a, atol=1e-6)


def test_a_stream_in_blocks_has_the_files_length_and_lies_on_it(monkeypatch, song, tmp_path):
    run(monkeypatch, "stream_blocks", song, tmp_path / "out.flac")
    out, dry = read(tmp_path / "out.flac"), read(song)
    assert out.shape == dry.shape
    assert lag(out, dry) == 0


@pytest.mark.skipif(
    importlib.util.find_spec("dawdreamer") is None, reason="NO dawdreamer HERE: its example was not run"
)
def test_apollo_feeds_a_dawdreamer_graph(monkeypatch, song, tmp_path):
    run(monkeypatch, "dawdreamer_graph", song, tmp_path / "out.wav")
    out, dry = read(tmp_path / "out.wav"), read(song)
    assert out.shape == dry.shape
    assert np.std(out) > 0.2 * np.std(dry)
