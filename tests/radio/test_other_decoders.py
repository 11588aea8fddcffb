"""A chained stream is heard as `oggdec` and `opusdec` decode it, sample by sample, and as long as it was sent."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apollo_rt.radio.radio_source import RadioSource
from tests.doubles.encoded_files import joined, noise
from tests.doubles.heard_radio import heard
from tests.doubles.ogg_tools import decoded, need_tools
from tests.doubles.radio_server import RadioServer, said

N_FADED = 64
"""Samples at the beginning, where one has tuned in."""


@pytest.mark.parametrize(("kind", "rate"), [("vorbis", 44_100), ("opus", 48_000)])
@pytest.mark.parametrize("channels", [2, 1])
def test_source_other_decoder_and_radio_agree_over_title_changes(tmp_path, kind, rate, channels):
    need_tools()
    lengths = (rate + 777, rate // 2 + 1554, 5000)
    links = [link(tmp_path, kind, rate, n, number, channels) for number, n in enumerate(lengths)]
    path = joined(tmp_path / f"all.{kind}", links)
    with RadioServer(live=said(path.read_bytes())) as server:
        source = RadioSource(server.url(), rate, is_held=False, give_up_s=0.0)
        samples = heard(source)
    expected = decoded(path, kind)
    assert len(samples) == len(expected) == sum(lengths)
    np.testing.assert_allclose(samples[N_FADED:], expected[N_FADED:], atol=2e-5)  # oggdec writes 16 bits
    places = np.cumsum((0, *lengths[:-1])).tolist()
    assert list(source._titles.unheard) == [(place, f"Me - Title {number}") for number, place in enumerate(places)]


def link(folder: Path, kind: str, rate: int, n_samples: int, number: int, channels: int) -> Path:
    """Noise with a title, as Xiph's own encoder makes it."""
    wav, path = folder / f"{number}.wav", folder / f"{number}.{kind}"
    soundfile.write(wav, 0.3 * noise(n_samples, channels, seed=number), rate, subtype="PCM_16")
    command = ["oggenc", "-Q", "-q", "6", "-t"] if kind == "vorbis" else ["opusenc", "--quiet", "--title"]
    command += [f"Title {number}", "-a" if kind == "vorbis" else "--artist", "Me"]
    subprocess.run([*command, *(["-o", path, wav] if kind == "vorbis" else [wav, path])], check=True)
    return path
