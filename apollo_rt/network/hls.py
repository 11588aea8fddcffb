"""HLS as bytes: the segments of the best variant alone, one after another, in runs between discontinuities.

    playlist, again and again -> segments that are new -> [map] segment segment ... | [map] segment ...
                                                           <------ one run ------>   discontinuity

A run is one file to who decodes it: what begins anew in time, codec or layout gets a decoder of its own.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from apollo_rt.errors import NetworkError
from apollo_rt.network.address import shown
from apollo_rt.network.hls_playlist import MediaPlaylist, Resource, Segment, best_variant, media_playlist
from apollo_rt.network.http import Answer
from apollo_rt.network.id3 import title_of_tag
from apollo_rt.network.playlist import MOST_BYTES
from apollo_rt.network.station_text import text_of

_BEHIND_S = 1.35
"""Where a listener begins, in target durations before the newest segment's end: as much as the reserve asks for."""

_PATIENCE = 3.0
"""Target durations without a new segment, after which the stream counts as lost."""

_TAG_BYTES = 4096


class HlsBody:
    """The body of an HLS stream, as `http.Answer` has one.

    Args:
        url: of its playlist.
        text: of that.
        note_title: called with the place in the bytes and the title from there on.

    Attributes:
        url: of the media playlist.
        is_file: it has an end.
        is_complete: which was reached.
        lump_s: sound that comes at once, in seconds.
        n_gone: segments that could not be had, or broke off.

    Raises:
        NetworkError: it can't be read.
    """

    headers: dict[str, str] = {}  # noqa: RUF012  # none, ever

    def __init__(self, url: str, text: str, note_title: Callable[[int, str], None]) -> None:
        variant = best_variant(text, url)
        self.url, self._note = variant or url, note_title
        self.is_complete = False
        self.n_gone = 0
        self._reason: NetworkError | None = None  # why nothing came since
        self._heard_s = time.monotonic()
        self._closing = threading.Event()
        self._answer: Answer | None = None
        self._playlist = self._fetched() if variant else self._parsed(text)
        self.is_file, self.lump_s = self._playlist.has_ended, self._playlist.target_s
        self._waiting: deque[Segment] = deque(_first_of(self._playlist))
        self._last = self._waiting[-1].number if self._waiting else -1
        self._loaded_s = time.monotonic()
        self._map: Resource | None = None
        self._position = 0
        self._tag = b""
        self._is_between = False  # a run has ended, and the next has not begun
        self._joins = True

    @property
    def has_run(self) -> bool:
        """A run has ended, and another follows."""
        return self._is_between

    def read(self, n_bytes: int) -> bytes:
        """Bytes of this run that have come, or come next; none at its end, after which `begin_run` leads on.

        Raises:
            NetworkError: nothing new comes.
        """
        while not self._closing.is_set():
            if self._answer is None and not self._next_segment():
                return b""
            assert self._answer is not None
            part = self._read_on(n_bytes)
            if part:
                self._reason, self._heard_s = None, time.monotonic()
                self._position += len(part)
                return part
            self._answer = None
        return b""

    def begin_run(self) -> None:
        """Go on with the next run."""
        self._is_between, self._joins, self._map, self._position = False, True, None, 0

    def close(self) -> None:
        """Hang up; a read that waits in another thread ends."""
        self._closing.set()
        if answer := self._answer:
            answer.close()

    def _read_on(self, n_bytes: int) -> bytes:
        assert self._answer is not None
        try:
            part = self._answer.read(n_bytes)
        except NetworkError as error:
            self._note_gone(error)
            return b""
        if self._tag is not None and len(self._tag) < _TAG_BYTES and part:
            self._note_tag(part)
        return part

    def _note_gone(self, reason: NetworkError) -> None:
        """Pass over a segment that is gone already, or its rest: what follows begins anew."""
        if self._closing.is_set():
            return
        self._joins = False
        self.n_gone += 1
        self._reason = reason
        if not self.is_file and time.monotonic() - self._heard_s > _PATIENCE * self.lump_s:
            raise reason

    def _note_tag(self, part: bytes) -> None:
        """Titles of packed AAC stand in an ID3 tag in front of each segment."""
        if not self._tag and not part.startswith(b"ID3"):
            self._tag = bytes(_TAG_BYTES)
            return
        self._tag += part[:_TAG_BYTES]
        if title := title_of_tag(self._tag):
            self._note(self._position, title)
            self._tag = bytes(_TAG_BYTES)

    def _next_segment(self) -> bool:
        """Ask for the next; returns False at the end of a run, or of all."""
        while not self._closing.is_set():
            if not self._waiting:
                if self._playlist.has_ended:
                    if self._reason and self.n_gone == len(self._playlist.segments):
                        raise self._reason
                    self.is_complete = True
                    return False
                self._reload()
                continue
            segment = self._waiting[0]
            if self._position and not (segment.joins and self._joins):
                self._is_between = True
                self._waiting[0] = replace(segment, joins=True)
                return False
            if segment.map_resource and segment.map_resource != self._map:
                self._map = segment.map_resource
                self._answer = _answer_of(segment.map_resource)
                return True
            self._waiting.popleft()
            try:
                self._answer = _answer_of(segment.resource)
            except NetworkError as error:
                self._note_gone(error)
                continue
            self._tag = b""
            if segment.title:
                self._note(self._position, segment.title)
            return True
        return False

    def _reload(self) -> None:
        """Look for new segments, once in half a target duration."""
        begin_s = time.monotonic()
        while not self._waiting and not self._playlist.has_ended:
            if time.monotonic() - begin_s > _PATIENCE * self.lump_s:
                raise NetworkError(f"{shown(self.url)}: no new segment for {_PATIENCE * self.lump_s:.0f} s")
            if self._closing.wait(max(self._loaded_s + 0.5 * self._playlist.target_s - time.monotonic(), 0.0)):
                return
            self._playlist = self._fetched()
            self._loaded_s = time.monotonic()
            new = [segment for segment in self._playlist.segments if segment.number > self._last]
            if new and new[0].number > self._last + 1:
                self._joins = False  # what lay between is gone
            if not new and self._playlist.segments and self._playlist.segments[-1].number < self._last - 1:
                new, self._joins = list(_first_of(self._playlist)), False  # it was started anew
            self._waiting.extend(new)
            self._last = new[-1].number if new else self._last

    def _fetched(self) -> MediaPlaylist:
        return self._parsed(text_of(Answer(self.url).read_whole(MOST_BYTES)))

    def _parsed(self, text: str) -> MediaPlaylist:
        try:
            return media_playlist(text, self.url)
        except NetworkError as error:
            name, words = f"{shown(self.url)}: ", str(error)
            raise NetworkError(words if words.startswith(name) else name + words) from None


def _first_of(playlist: MediaPlaylist) -> list[Segment]:
    """Segments to begin with: all of what has an end, else the newest."""
    segments = list(playlist.segments)
    if playlist.has_ended:
        return segments
    begin, ahead_s = len(segments), 0.0
    while begin and ahead_s < _BEHIND_S * playlist.target_s:
        begin -= 1
        ahead_s += segments[begin].duration_s
    return segments[begin:]


def _answer_of(resource: Resource) -> Answer:
    return Answer(resource.url, byte_range=resource.byte_range)
