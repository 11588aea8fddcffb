"""A radio on a real liquidsoap, which begins a new link of Ogg with each title."""

import os
import shutil
import socket
import subprocess
import time

import numpy as np
import pytest
import soundfile

from apollo_rt.errors import NetworkError
from apollo_rt.radio.radio_source import RadioSource
from tests.doubles.audio_servers import wait_for
from tests.doubles.encoded_files import noise
from tests.doubles.heard_radio import RATE

pytestmark = pytest.mark.server

SCRIPT = """{root}
music = playlist(mode="normal", loop=true, "songs.m3u")
output.harbor(fallible=true, %vorbis(quality=0.5), port={port}, mount="vorbis", music)
output.harbor(fallible=true, %opus, port={port}, mount="opus", music)
"""


@pytest.fixture(scope="module")
def radio(tmp_path_factory):
    """Address of a liquidsoap that plays two songs of four seconds in turn; it takes a quarter of a minute to start."""
    if not shutil.which("liquidsoap"):
        assert not os.environ.get("CI"), "liquidsoap is missing"
        pytest.skip("needs liquidsoap")
    folder = tmp_path_factory.mktemp("liquidsoap")
    for name in ("One", "Two"):
        soundfile.write(folder / f"{name}.wav", 0.2 * noise(4 * RATE), RATE)
    lines = [f'annotate:title="{name}",artist="Me":{folder}/{name}.wav\n' for name in ("One", "Two")]
    (folder / "songs.m3u").write_text("".join(lines))
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    root = 'set("init.allow_root", true)' if os.getuid() == 0 else ""
    (folder / "radio.liq").write_text(SCRIPT.format(root=root, port=port))
    with subprocess.Popen(
        ["liquidsoap", "radio.liq"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


@pytest.mark.parametrize("mount", ["vorbis", "opus"])
def test_titles_of_links_are_heard_and_no_link_ends_the_stream(radio, mount):
    _listen(f"{radio}/{mount}")


def _listen(url: str) -> None:
    sources: list[RadioSource] = []

    def answers() -> bool:
        try:
            sources.append(RadioSource(url, RATE, is_held=False))
        except NetworkError:
            return False
        return True

    assert wait_for(answers, 120)
    source, titles, parts = sources[0], [], []
    source.start()
    try:

        def is_heard() -> bool:
            part = source.take(0)
            assert part is not None
            parts.append(part)
            title = source.state(10**12).title
            if title and title not in titles[-1:]:
                titles.append(title)
            time.sleep(0.002)
            return len(titles) >= 3

        assert wait_for(is_heard, 120)
    finally:
        source.interrupt()
    assert titles[:3] in (["Me - One", "Me - Two", "Me - One"], ["Me - Two", "Me - One", "Me - Two"])
    samples = np.concatenate(parts)
    sent = 0.2 * noise(4 * RATE)
    assert np.std(samples[RATE:]) == pytest.approx(np.std(sent), rel=0.2)
    assert source.state(0).reconnections == 0
