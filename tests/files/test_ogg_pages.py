"""Pages of an Ogg stream found among anything, and links told apart."""

from io import BytesIO

import numpy as np
import pytest

from apollo_rt.files.ogg_links import OggLinks, is_ours
from apollo_rt.files.ogg_pages import OggPages
from tests.doubles.encoded_files import encode, joined, noise, ogg_pages, vorbis


@pytest.fixture
def song(tmp_path):
    return vorbis(tmp_path / "song.ogg", noise(400_000))


def pages_of(data):
    return list(OggPages(BytesIO(data).read))


def test_every_page_is_found_as_it_is(song):
    found = pages_of(song.read_bytes())
    assert [(page.raw, page.granule) for page in found] == ogg_pages(song)
    assert [page.begins for page in found] == [True] + [False] * (len(found) - 1)
    assert [page.ends for page in found] == [False] * (len(found) - 1) + [True]


@pytest.mark.parametrize("n_bytes", [1, 7, 4096])
def test_how_much_comes_at_a_time_makes_no_difference(song, n_bytes):
    data = song.read_bytes()
    file = BytesIO(data)
    assert list(OggPages(lambda _: file.read(n_bytes))) == pages_of(data)


def test_what_is_no_page_is_skipped_and_counted(song):
    data = song.read_bytes()
    junk = b"OggS" + bytes(50) + b"Ogg"
    found = pages_of(junk + data)
    assert [page.raw for page in found] == [page for page, _ in ogg_pages(song)]
    assert found[0].n_skipped == len(junk)


def test_a_page_with_a_wrong_checksum_is_left_out(song):
    pages = [page for page, _ in ogg_pages(song)]
    for at in (0, 10, 26, 27, 100, -1):
        damaged = bytearray(pages[3])
        damaged[at] ^= 0x55
        found = pages_of(b"".join([*pages[:3], bytes(damaged), *pages[4:]]))
        assert [page.raw for page in found] == pages[:3] + pages[4:]
        assert found[3].n_skipped == len(damaged)


def test_a_page_that_is_not_all_there_is_counted(song):
    for n_missing in (1, 100):
        pages = OggPages(BytesIO(song.read_bytes()[:-n_missing]).read)
        assert len(list(pages)) == len(ogg_pages(song)) - 1
        assert pages.n_cut_off == len(ogg_pages(song)[-1][0]) - n_missing


def test_links_are_told_apart_and_have_their_own_headers(tmp_path, song):
    other = encode(tmp_path / "other.opus", noise(50_000), "libopus", 48_000)
    whole = joined(tmp_path / "all.ogg", [song, other, song])
    found = []
    for link in OggLinks(OggPages(BytesIO(whole.read_bytes()).read)):
        pages = list(link.pages)
        found.append((link.codec, len(link.headers), pages[-1].ends, any(page.follows_loss for page in pages)))
    assert found == [("vorbis", 3, True, False), ("opus", 2, True, False), ("vorbis", 3, True, False)]


def test_a_link_that_nobody_reads_to_its_end_is_passed_over(tmp_path, song):
    whole = joined(tmp_path / "all.ogg", [song, song, song])
    assert len(list(OggLinks(OggPages(BytesIO(whole.read_bytes()).read)))) == 3


def test_packets_are_joined_across_pages_and_a_half_one_is_dropped(song):
    pages = [page for page, _ in ogg_pages(song)]

    def packets(data):
        links = OggLinks(OggPages(BytesIO(data).read))
        return [(page.packets, page.follows_loss) for link in links for page in link.pages]

    whole = packets(b"".join(pages))
    assert not any(lossy for _, lossy in whole)
    lossy = packets(b"".join(pages[:4] + pages[5:]))
    assert [flag for _, flag in lossy].count(True) == 1
    everything = [packet for found, _ in whole for packet in found]
    assert all(packet in everything for found, _ in lossy for packet in found)


def test_streams_side_by_side_are_one_link_and_either_can_be_read(tmp_path, song):
    """As a film's sound and its commentary: both begin, then their pages take turns."""
    other = encode(tmp_path / "other.opus", noise(50_000), "libopus", 48_000)
    both = [[page for page, _ in ogg_pages(path)] for path in (song, other)]
    data = (
        both[0][0]
        + both[1][0]
        + b"".join(page for turn in range(1, 30) for pages in both for page in pages[turn : turn + 1])
    )
    for track, codec in enumerate(("vorbis", "opus")):
        links = OggLinks(OggPages(BytesIO(data).read), track)
        (link,) = links
        assert (link.codec, links.n_streams, links.n_headless) == (codec, 2, 0)


def test_ours_are_those_with_a_codec_that_we_decode(song):
    assert is_ours(BytesIO(song.read_bytes()[:65_536]).read)
    assert is_ours(BytesIO(b"OggS" + bytes(100)).read)  # begun in the middle: what comes later may be ours
    assert not is_ours(BytesIO(b"ID3" + bytes(100)).read)
    first = ogg_pages(song)[0][0]
    assert is_ours(BytesIO(b"ID3" + bytes(30) + first).read)


@pytest.mark.parametrize("seed", range(30))
def test_noise_in_the_pages_ends_nothing_and_invents_nothing(song, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(song.read_bytes())
    for _ in range(20):
        data[rng.integers(len(data))] = rng.integers(256)
    known = {page for page, _ in ogg_pages(song)}
    found = pages_of(bytes(data))
    assert all(page.raw in known for page in found)
    for link in OggLinks(found):
        list(link.pages)
