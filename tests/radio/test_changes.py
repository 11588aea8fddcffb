"""Streams without a container that change their rate and layout on the way, as stations do between programmes."""

import numpy as np
import pytest

from apollo_rt.radio.radio_source import RadioSource
from tests.doubles.encoded_files import encode, joined, noise, place_of
from tests.doubles.heard_radio import RATE, heard, whole
from tests.doubles.radio_server import RadioServer, said

BARE = {"write_xing": "0", "id3v2_version": "0"}


def part(folder, kind: str, number: int, rate: int, channels: int):
    samples = 0.3 * noise(2 * rate, channels, seed=number)
    path = folder / f"{number}.{kind}"
    if kind == "mp3":
        return encode(path, samples, "libmp3lame", rate, options=BARE)
    return encode(path, samples, "aac", rate)


@pytest.mark.parametrize("kind", ["mp3", "aac"])
def test_a_stream_that_changes_its_rate_and_channels_goes_on_in_pitch_and_in_time(tmp_path, kind):
    shapes = ((RATE, 2), (48_000, 1), (RATE, 2))
    parts = [part(tmp_path, kind, number, *shape) for number, shape in enumerate(shapes)]
    path = joined(tmp_path / f"all.{kind}", parts)
    with RadioServer(live=said(path.read_bytes())) as server:
        source = RadioSource(server.url(), RATE, is_held=False, give_up_s=0.0)
        samples = heard(source)
    alone = [whole(each) for each in parts]
    assert len(samples) == pytest.approx(sum(map(len, alone)), abs=3 * 2048)
    begin = 0
    for music in alone:  # half a second from the middle of each is where it belongs, at its pitch
        middle = music[RATE // 2 : RATE]
        at = place_of(middle[:, 0], samples[:, 0])
        assert at == pytest.approx(begin + RATE // 2, abs=3 * 2048)
        np.testing.assert_allclose(samples[at : at + len(middle)], middle, atol=2e-3)
        begin += len(music)
    assert source.state(0).faults <= 2  # frames that lean on those of the part before
