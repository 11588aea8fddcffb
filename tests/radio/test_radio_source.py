"""A radio against a server of ours: what is heard is what was sent, sample by sample, however it is sent."""

import time

import numpy as np
import pytest
import soundfile

from apollo_rt.errors import AudioFileError
from apollo_rt.files.flac_frame import is_flac_frame
from apollo_rt.radio.radio_source import RadioSource
from tests import ROOT
from tests.doubles.encoded_files import encode, joined, noise, place_of, vorbis
from tests.doubles.heard_radio import RATE, heard, station_aac, station_mp3, whole
from tests.doubles.radio_server import RadioServer, said, with_titles

BURST = 30_000
UNREAD = 12_000
"""Samples at the end of what was sent that FFmpeg has not read yet: it takes 1024 bytes at a time."""


def listen(server: RadioServer, name: str = "live", give_up_s: float = 0.0, n_most: int | None = None):
    """What is heard, and the source afterwards."""
    source = RadioSource(server.url(name), RATE, is_held=False, give_up_s=give_up_s)
    return heard(source, n_most), source


def assert_same(samples: np.ndarray, expected: np.ndarray, atol: float = 1e-6) -> None:
    """Equal but for the fade at the beginning."""
    assert len(samples) == len(expected)
    np.testing.assert_allclose(samples[64:], expected[64:], atol=atol)


def station_file(folder, kind):
    """Eight seconds of noise, as each kind of station sends it."""
    if kind == "mp3":
        return station_mp3(folder / "a.mp3")
    if kind == "aac":
        return station_aac(folder / "a.aac")
    if kind == "vorbis":
        return vorbis(folder / "a.ogg", 0.3 * noise(8 * RATE))
    if kind == "opus":
        return encode(folder / "a.opus", 0.3 * noise(8 * 48_000), "libopus", rate=48_000)
    return encode(folder / f"a.{kind}", 0.3 * noise(8 * RATE), "flac")


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("mp3", "audio/aacp"),
        ("aac", "audio/mpeg"),
        ("vorbis", None),
        ("opus", "text/plain"),
        ("flac", "application/octet-stream"),
        ("oga", "audio/mpeg"),
    ],
)
def test_every_kind_is_heard_to_the_sample_whatever_its_type_is_said_to_be(tmp_path, kind, content_type):
    path = station_file(tmp_path, kind)
    with RadioServer(live=said(path.read_bytes(), Content_Type=content_type)) as server:
        samples, _ = listen(server)
    expected = whole(path)
    assert abs(len(samples) - len(expected)) <= 1152  # an announced end is for who has a file
    n_samples = min(len(samples), len(expected))
    assert_same(samples[:n_samples], expected[:n_samples])


@pytest.mark.parametrize(("name", "encoder_delay"), [("he_aac", 5057), ("he_aac_v2", 7106)])
@pytest.mark.parametrize("begin", [0, 5000])
def test_he_aac_has_its_full_rate_and_both_channels_from_wherever_one_tunes_in(name, encoder_delay, begin):
    path = ROOT / "tests" / "data" / f"{name}.aac"
    with RadioServer(live=said(path.read_bytes()[begin:], Content_Type="audio/aacp")) as server:
        samples, source = listen(server)
    state, music, expected = source.state(0), noise(3 * RATE), whole(path)
    assert (state.sample_rate, state.channels) == (RATE, 2)
    assert state.faults <= (1 if begin else 0)
    if begin:  # its upper half is noise of the decoder's own, which depends on where one begins
        assert RATE < len(samples) < len(expected)
    else:
        assert_same(samples, expected)
    n_missing = len(expected) - len(samples)
    at = place_of(samples[-RATE:-4096, 0], music[:, 0])
    assert at == pytest.approx(n_missing + len(samples) - RATE - encoder_delay, abs=1)


def test_icy_blocks_are_taken_out_and_a_title_is_heard_with_its_frame(tmp_path):
    data = station_mp3(tmp_path / "a.mp3").read_bytes()
    titles = {0: "One", 2: "It's - two;", 4: "Café".encode("latin-1"), 5: "Größe"}
    answer = said(with_titles(data, 8000, titles), start="ICY", icy_metaint=8000, icy_name="Café")
    with RadioServer(live=answer) as server:
        source = RadioSource(server.url(), RATE, is_held=False, give_up_s=0)
        samples = heard(source)
        assert "Icy-MetaData: 1" in server.requests[0]
    assert_same(samples, whole(tmp_path / "a.mp3"))
    assert source.state(0).station == "Café"
    frame_s = 1152 / RATE
    for number, title in ((0, "One"), (2, "It's - two;"), (4, "Café"), (5, "Größe")):
        place = round(np.ceil(8000 * (number + 1) / 64_000 * 8 / frame_s) * 1152)  # of the first whole frame behind it
        before, after = source_titles(source)[title]
        assert before < place + 1152
        assert after >= place - 1152


def source_titles(source: RadioSource) -> dict[str, tuple[int, int]]:
    """For each title the last sample before it, and the first with it, as the state tells them."""
    marks = list(source._titles.unheard)
    return {title: (place - 1, place) for place, title in marks}


def test_links_that_change_rate_layout_and_codec_go_on_and_tell_their_titles(tmp_path):
    parts = [
        vorbis(tmp_path / "1.ogg", 0.3 * noise(RATE)),
        vorbis(tmp_path / "2.ogg", 0.3 * noise(48_000, channels=1, seed=1), 48_000),
        encode(tmp_path / "3.opus", 0.3 * noise(48_000, seed=2), "libopus", rate=48_000),
        vorbis(tmp_path / "4.ogg", 0.3 * noise(RATE, seed=3)),
    ]
    path = joined(tmp_path / "all.ogg", parts)
    with RadioServer(live=said(path.read_bytes())) as server:
        samples, _ = listen(server)
    assert_same(samples, whole(path), 2e-5)


@pytest.mark.parametrize("kind", ["mp3", "aac", "vorbis"])
def test_a_connection_that_is_lost_goes_on_without_a_sample_missing_or_doubled(tmp_path, kind):
    """The server sends its last seconds again, as icecast does; what was heard is dropped by its bytes."""
    path = station_file(tmp_path, kind)
    data = path.read_bytes()
    at = len(data) * 2 // 3
    head = data[: _ogg_music_at(data)]
    again = head + data[_page_before(data, at - BURST) :]
    with RadioServer(live=[said(data[:at]), said(again)]) as server:
        samples, source = listen(server, give_up_s=60, n_most=len(whole(path)) - UNREAD)
    expected = whole(path)
    assert_same(samples, expected[: len(samples)])
    state = source.state(0)
    assert state.reconnections >= 1
    assert len(samples) >= len(expected) - UNREAD


def _ogg_music_at(data: bytes) -> int:
    """Bytes of an Ogg stream's header pages; 0 of others."""
    from apollo_rt.network.continued_stream import _music_at

    return _music_at(data)


def _page_before(data: bytes, at: int) -> int:
    """A place where a server may begin: anywhere, in Ogg at a page."""
    return data.rfind(b"OggS", 0, at) if data[:4] == b"OggS" else at


def test_a_stream_that_begins_anew_elsewhere_is_joined_by_a_fade(tmp_path):
    one, other = station_mp3(tmp_path / "1.mp3", 3.0, seed=1), station_mp3(tmp_path / "2.mp3", 3.0, seed=2)
    with RadioServer(live=[said(one.read_bytes()), said(other.read_bytes())]) as server:
        n_one, n_other = len(whole(one)), len(whole(other))
        samples, source = listen(server, give_up_s=60, n_most=n_one + n_other - UNREAD)
    assert source.state(0).reconnections >= 1
    assert_same(samples[: n_one - 64], whole(one)[:-64])
    n_rest = len(samples) - n_one
    assert_same(samples[n_one:], whole(other)[:n_rest])
    assert np.abs(samples[n_one - 1 : n_one + 1]).max() < 0.05  # silence at the seam


def test_a_file_is_played_to_its_end_and_no_further(tmp_path):
    path = station_mp3(tmp_path / "a.mp3")
    data = path.read_bytes()
    with RadioServer(live=said(data, Content_Length=len(data))) as server:
        samples, _ = listen(server, give_up_s=60)
        assert len(server.requests) == 1
    assert_same(samples, whole(path))


def test_a_file_that_breaks_off_goes_on_where_it_was(tmp_path):
    path = station_mp3(tmp_path / "a.mp3")
    data = path.read_bytes()
    answers = [said(data[:30_000], Content_Length=len(data)), said(data, Content_Length=len(data))]
    with RadioServer(live=answers) as server:
        samples, _ = listen(server, give_up_s=60)
        assert len(server.requests) == 2
    assert_same(samples, whole(path))


def test_a_server_that_comes_back_is_found_by_itself_and_one_that_does_not_is_given_up(tmp_path):
    data = station_mp3(tmp_path / "a.mp3").read_bytes()
    busy = said(b"", "503 Service Unavailable")
    with RadioServer(live=[said(data[:30_000]), busy, busy, said(data)]) as server:
        samples, source = listen(server, give_up_s=60, n_most=len(whole(tmp_path / "a.mp3")) - UNREAD)
        assert len(samples) > 6 * RATE
        lost, found = source.take_messages()[:2]
        assert lost.endswith("lost (the server ended it); it is being looked for")
        assert f"{server.url()}: found again after " in found
    with RadioServer(live=[said(data[:30_000]), busy]) as server:
        source = RadioSource(server.url(), RATE, is_held=False, give_up_s=0.3)
        with pytest.raises(AudioFileError, match="the server answers 503 Service Unavailable"):
            heard(source)
        assert any("lost (the server ended it)" in line for line in source.take_messages())


def test_bytes_that_are_no_music_are_passed_over_and_counted(tmp_path):
    """In the middle, and more than a frame of them; what follows is where it was."""
    path = station_mp3(tmp_path / "a.mp3")
    data, begin = path.read_bytes(), 30_000
    broken = data[:begin] + bytes(range(1, 256)) * 4 + data[begin + 4 * 255 :]
    with RadioServer(live=said(broken)) as server:
        samples, source = listen(server)
    expected = whole(path)
    assert source.state(0).faults >= 1
    assert_same(samples[: 3 * RATE], expected[: 3 * RATE])
    np.testing.assert_allclose(samples[-2 * RATE :], expected[-2 * RATE :], atol=1e-5)


@pytest.mark.parametrize(("subtype", "channels"), [("PCM_16", 2), ("PCM_24", 1)])
def test_flac_that_is_joined_on_its_way_is_heard_from_its_next_frame_on(tmp_path, subtype, channels):
    """Icecast hands it on as it comes: who tunes in later gets no header."""
    path = tmp_path / "a.flac"
    soundfile.write(path, 0.3 * noise(6 * RATE, channels=channels), RATE, subtype=subtype)
    data, expected = path.read_bytes(), whole(path)
    for begin in (len(data) // 3, len(data) // 2 + 7):
        with RadioServer(live=said(data[begin:], Content_Type="audio/flac")) as server:
            samples, source = listen(server)
        assert source.state(0).codec == "flac"
        assert source.state(0).faults == 0
        assert len(expected) - len(samples) <= (begin / len(data) * 6 + 0.2) * RATE
        assert_same(samples, expected[len(expected) - len(samples) :])


def test_a_header_of_flac_is_told_by_its_checksum_alone(tmp_path):
    soundfile.write(tmp_path / "a.flac", 0.3 * noise(3 * RATE), RATE)
    data = (tmp_path / "a.flac").read_bytes()
    begin = next(at for at in range(9000, len(data)) if is_flac_frame(data[at : at + 16]))
    head = data[begin : begin + 16]
    for bit in range(8 * 5):
        broken = bytearray(head)
        broken[bit // 8] ^= 1 << bit % 8
        assert not is_flac_frame(bytes(broken))


def test_what_is_no_sound_ends_it_with_the_reason():
    with RadioServer(live=said(b"This is no music. " * 5000)) as server:
        source = RadioSource(server.url(), RATE, is_held=False)
        with pytest.raises(AudioFileError, match=r"/live: not an audio file"):
            heard(source)


def test_a_listener_is_interrupted_at_once_while_the_server_says_nothing(tmp_path):
    data = station_mp3(tmp_path / "a.mp3").read_bytes()
    with RadioServer() as server:
        server._answers["live"] = lambda connection, _: (
            said(data[:20_000])(connection, ""),
            server.stopping.wait(),
        )
        source = RadioSource(server.url(), RATE, is_held=False)
        source.start()
        n_samples = 0
        while n_samples < RATE:
            n_samples += len(source.take(0))
        source.interrupt()
        assert not source._thread.is_alive
        source._note_lost("hung up by ourselves")
        assert source.state(0).connected
        assert source.take_messages() == [], "nothing was lost, so nothing is found again"


def test_a_title_that_is_said_again_and_again_begins_once(tmp_path):
    data = station_mp3(tmp_path / "a.mp3", 8.0).read_bytes()
    titles = ["One", "One", "Two", "Two", "", "", "Two", "One"]
    with RadioServer(live=said(with_titles(data, 8000, dict(enumerate(titles))), icy_metaint=8000)) as server:
        _, source = listen(server)
    assert [title for _, title in source.take_titles(10**9)] == ["One", "Two", "", "Two", "One"]


def test_a_million_titles_take_no_memory(tmp_path):
    data = station_mp3(tmp_path / "a.mp3", 60.0).read_bytes()
    flood = with_titles(data, 16, {number: f"title {number}" for number in range(len(data) // 16)})
    with RadioServer(live=said(flood, icy_metaint=16)) as server:
        samples, source = listen(server)
    assert len(samples) > 55 * RATE
    assert len(source._titles.unheard) <= 64
    assert source.state(10**9).title.startswith("title ")


def test_a_burst_is_cut_to_the_reserve_and_music_begins_by_itself(tmp_path):
    """Held for a device: eight seconds come at once, a quarter is kept."""
    path = station_mp3(tmp_path / "a.mp3", 8.0)
    data = path.read_bytes()
    with RadioServer() as server:
        server._answers["live"] = lambda connection, _: (said(data)(connection, ""), server.stopping.wait())
        source = RadioSource(server.url(), RATE, is_held=True)
        source.start()
        part = np.empty((0, 2), np.float32)
        begin_s = time.monotonic()
        while not len(part) and time.monotonic() < begin_s + 120:
            part = source.take(0)
            time.sleep(0.002)
        state = source.state(0)
        source.interrupt()
    assert len(part)
    assert state.reserve_s == pytest.approx(0.25)
    assert state.buffered_s <= 0.25
    assert state.dropped_s == pytest.approx(len(whole(path)) / RATE - 0.25, abs=UNREAD / RATE)
