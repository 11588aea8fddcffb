"""One link of an Ogg stream through a decoder of its own, each sample where the pages' clock puts it.

The clock (granule) counts samples at the end of each page. Where it runs ahead of what was decoded, something is
missing; on a link's last page it says where the sound ends inside the last block, on its first where it begins
(Vorbis I, annex A.2; RFC 7845, section 4; https://xiph.org/flac/ogg_mapping.html).

```
 granules        0 ........ 44608 ............ 88200 (last page)
 decoded         |  page 1  |      page 2      .....|  <- cut at the clock
 with a page lost|  page 1  |....silence.....|page 3|  <- page 3 ends where its clock says
```
"""

from collections.abc import Iterator
from dataclasses import replace

import av
from av.audio.codeccontext import AudioCodecContext
from av.codec.context import Flags2

from apollo_rt.files.channel_layout import channel_names
from apollo_rt.files.ogg_links import Link, LinkPage
from apollo_rt.files.sound import Sound, StartCutter, sound_of, without_end

_OPUS_RATE = 48_000
_JITTER_S = 0.005
"""How far a clock may be off before we believe that something is missing: muxers round to milliseconds."""

_LONGEST_HOLE_S = 3600
"""A clock that leaps further began anew; an hour of silence would help nobody, and a forged one would fill the disk."""


class LinkDecoder:
    """Decodes one link.

    Args:
        link: its pages not read yet.
        holds_back: a page's sound waits for the next, which may say that the link ended before its end; else only the
            last page is cut.

    Attributes:
        sample_rate: Hz.
        channels: names of its channels.
        n_lead_in: samples at the beginning that only prepare the decoder (Opus).
        n_faults: packets so far that could not be decoded.
        longest_page: samples of the longest page so far, which come at once.
    """

    def __init__(self, link: Link, holds_back: bool = True) -> None:
        """Make a decoder from the link's headers."""
        self._pages, self._holds_back = link.pages, holds_back
        self.n_faults = 0
        self.n_lead_in = 0
        head = link.headers[0]
        if link.codec == "vorbis":
            n_channels, self.sample_rate = head[11], int.from_bytes(head[12:16], "little")
            extradata = _xiph_laced(link.headers)
        elif link.codec == "opus":
            n_channels, self.sample_rate = head[9], _OPUS_RATE
            self.n_lead_in = int.from_bytes(head[10:12], "little")
            extradata = head
        elif link.codec == "speex":
            self.sample_rate, n_channels = (int.from_bytes(head[at : at + 4], "little") for at in (36, 48))
            extradata = head
        else:
            extradata = head[17:51]  # STREAMINFO, without its block's header
            self.sample_rate, n_channels = int.from_bytes(extradata[10:13], "big") >> 4, (extradata[12] >> 1 & 7) + 1
        self.channels = channel_names([""] * n_channels)
        self._decoder = _decoder(link.codec, extradata)
        self._starts_with = b"\xff" if link.codec == "flac" else b""
        self._clock: int | None = None  # granules at the end of what was decoded
        self._is_behind = False  # something is missing in front of the next page
        self._n_jitter = round(_JITTER_S * self.sample_rate)
        self._start = StartCutter(self.n_lead_in)
        self.longest_page = 0

    def sounds(self) -> Iterator[Sound]:
        """Decode the link to its end.

        Yields:
            Runs of samples; the first is held back until it is known whether the sound ends inside it.
        """
        held: list[Sound] = []
        for page in self._pages:
            sounds, gap_at = self._decoded(page)
            n_beyond = self._place(page, sounds, gap_at)
            is_ready = page.ends or not self._holds_back
            held, ready = ([], without_end([*held, *sounds], n_beyond)) if is_ready else (sounds, held)
            for sound in ready:
                yield from self._start.cut(sound)
        for sound in held:
            yield from self._start.cut(sound)

    def _decoded(self, page: LinkPage) -> tuple[list[Sound], int | None]:
        """A page's runs, and the number of the first behind the last place where something is missing."""
        sounds: list[Sound] = []
        gap_at = 0 if page.follows_loss or self._is_behind else None
        if page.follows_loss:
            self._decoder.flush_buffers()
        for packet in page.packets:
            if not packet.startswith(self._starts_with):
                continue
            try:
                sounds += [sound_of(frame) for frame in self._decoder.decode(av.Packet(packet))]
            except av.FFmpegError:
                self.n_faults += 1
                gap_at = len(sounds)
        return sounds, gap_at

    def _place(self, page: LinkPage, sounds: list[Sound], gap_at: int | None) -> int:
        """Put silence where the clock says that something is missing.

        Returns:
            Samples at the end of this page and the one before that lie beyond the link's end.
        """
        n_samples = sum(len(sound.samples) for sound in sounds)
        self.longest_page = max(self.longest_page, n_samples)
        if self._clock is None:
            self._clock = self._start_clock(page, n_samples, gap_at)
        self._clock += n_samples
        n_ahead = 0 if page.granule is None else page.granule - self._clock
        if page.ends and n_ahead < 0:
            return -n_ahead
        self._is_behind = gap_at == len(sounds)
        if self._is_behind or not (abs(n_ahead) > self._n_jitter or (n_ahead > 0 and gap_at is not None)):
            return 0
        self._clock += n_ahead
        if 0 < n_ahead <= _LONGEST_HOLE_S * self.sample_rate and sounds:
            at = len(sounds) - 1 if gap_at is None else gap_at  # FFmpeg's muxer ends a page behind a leap
            sounds[at] = replace(sounds[at], n_missing=n_ahead)
        return 0

    def _start_clock(self, page: LinkPage, n_samples: int, gap_at: int | None) -> int:
        """The clock at the link's first sample: not 0 where it was begun in the middle, or cut to the sample."""
        is_damaged = gap_at is not None and (page.n_skipped > 0 or not page.follows_loss)
        begins_at = (page.granule or 0) - n_samples
        if is_damaged or (page.ends and begins_at < 0):
            return 0
        if begins_at < 0 and not self.n_lead_in:
            self._start.n_left -= begins_at
        return begins_at


def _decoder(codec: str, extradata: bytes) -> AudioCodecContext:
    """One that hands out each packet's samples at once and cuts nothing by itself.

    FFmpeg's own Opus decoder keeps some samples back at low rates; libopus does not.
    """
    context = av.CodecContext.create("libopus" if codec == "opus" else codec, "r")
    assert isinstance(context, AudioCodecContext)
    context.extradata = extradata
    context.options = {"request_sample_fmt": "flt"} if codec == "opus" else {}
    context.thread_count = 1
    if codec == "opus":
        context.flags2 |= Flags2.skip_manual  # its lead-in is cut here; of Vorbis FFmpeg cuts the first overlap rightly
    return context


def _xiph_laced(headers: list[bytes]) -> bytes:
    """Vorbis's three headers as FFmpeg wants them: their number less one, the first two's lengths, and all of them."""
    lengths = b"".join(b"\xff" * (len(header) // 255) + bytes([len(header) % 255]) for header in headers[:2])
    return b"\x02" + lengths + b"".join(headers)
