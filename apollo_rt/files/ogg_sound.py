"""Vorbis, Opus, FLAC and Speex in Ogg, link by link, each sample where its page's clock puts it.

The clock (granule) counts samples at the end of each page. Where it runs ahead of what was decoded, something is
missing; at a link's last page it says where the sound ends inside the last block (RFC 3533; Vorbis I, annex A.2;
RFC 7845, section 4).
"""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import av

from apollo_rt.errors import AudioFileError
from apollo_rt.files.link_decoder import LinkDecoder
from apollo_rt.files.ogg_links import Link, OggLinks
from apollo_rt.files.ogg_pages import OggPages
from apollo_rt.files.sound import Sound
from apollo_rt.files.source_file import SourceFile, open_container
from apollo_rt.files.tag_reading import read_tags
from apollo_rt.files.tags import Tags


class OggSound:
    """All links of one Ogg file.

    Args:
        file: the file, at its beginning.
        track: which audio stream, from 1; None for the first.

    Attributes:
        longest_page_s: seconds of the longest page so far, which come at once.

    Raises:
        AudioFileError: there is no link with a beginning, or not such a track.
    """

    def __init__(self, file: SourceFile, track: int | None = None) -> None:
        """Read the first link's headers."""
        self._file = file
        self._pages = OggPages(file.read)
        self._links = OggLinks(self._pages, (track or 1) - 1)
        self._rest = iter(self._links)
        link = next(self._rest, None)
        if link is None:
            raise AudioFileError(f"{file.path}: its beginning is missing, and nothing can be decoded without it")
        if track is not None and not 1 <= track <= self._links.n_streams:
            raise AudioFileError(f"{file.path}: has {self._links.n_streams} audio tracks, so there is no track {track}")
        self._first = self._decoder(link)
        self.codec = link.codec
        self.sample_rate, self.channels = self._first.sample_rate, self._first.channels
        self.tags = _tags(link)
        self.n_faults = 0
        self.longest_page_s = 0.0
        self.n_announced = self._announced(link)

    def sounds(self) -> Iterator[Sound]:
        """Decode one link after another."""
        decoder, tags = self._first, self.tags
        while True:
            for number, sound in enumerate(decoder.sounds()):
                self.longest_page_s = max(self.longest_page_s, decoder.longest_page / decoder.sample_rate)
                yield sound if number else replace(sound, title=tags.title)
            self.n_faults += decoder.n_faults
            if (link := next(self._rest, None)) is None:
                return
            decoder, tags = self._decoder(link), _tags(link)

    def end_warnings(self, n_decoded: int) -> list[str]:
        """Warnings of what is missing at the end, or has no beginning."""
        lines = []
        if self._pages.n_cut_off:
            lines.append("cut off: it ends in the middle of a page")
        if self._links.n_headless:
            n_pages = self._links.n_headless
            lines.append(f"{n_pages} of its pages belong to a stream without a beginning, and are left out")
        return lines

    def interrupt(self) -> None:
        """Let a read that waits end now, from another thread."""
        self._file.interrupt()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _decoder(self, link: Link) -> LinkDecoder:
        return LinkDecoder(link, holds_back=not self._file.is_live)

    def _announced(self, link: Link) -> int | None:
        """The clock of the last page, if that is the first link's and the file can be looked at from behind."""
        last = None
        for page in OggPages(BytesIO(self._file.tail()).read):
            last = page
        if last is None or last.granule is None or last.serial.to_bytes(4, "little") != link.raw_headers[14:18]:
            return None
        return max(last.granule - self._first.n_lead_in, 0)


def _tags(link: Link) -> Tags:
    """Tags of the link's headers, read by FFmpeg."""
    try:
        with open_container(BytesIO(link.raw_headers), "ogg") as container:
            return read_tags(container, container.streams.audio[0], iter(container.demux()))[0]
    except (av.FFmpegError, IndexError):
        return Tags()
