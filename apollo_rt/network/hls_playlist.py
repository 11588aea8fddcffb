"""HLS playlists (RFC 8216): a master names variants, a media playlist the segments of one."""

import re
from dataclasses import dataclass

from apollo_rt.errors import NetworkError
from apollo_rt.network.address import led_to
from apollo_rt.network.station_text import lines_of

_MOST_SEGMENTS = 20_000
_MOST_TARGET_S = 60.0
_BYTE_RANGE = re.compile(r"\s*(\d{1,15})(?:@(\d{1,15}))?\s*$")
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')


@dataclass(frozen=True)
class Resource:
    """Bytes that a server has.

    Attributes:
        url: where they are.
        byte_range: place of the first and number, where they are part of a file; None: all of it.
    """

    url: str
    byte_range: tuple[int, int] | None = None


@dataclass(frozen=True)
class Segment:
    """Segment of a media playlist.

    Attributes:
        number: its media sequence number.
        resource: where it is.
        duration_s: seconds.
        title: as EXTINF tells it; empty where it doesn't.
        map_resource: what has to be read before it (fMP4); None where nothing has.
        joins: it follows the one before in the list; else there is a discontinuity.
    """

    number: int
    resource: Resource
    duration_s: float
    title: str
    map_resource: Resource | None
    joins: bool


@dataclass(frozen=True)
class MediaPlaylist:
    """Media playlist at one moment.

    Attributes:
        segments: in order.
        target_s: no segment is longer, in seconds.
        has_ended: nothing will follow.
    """

    segments: tuple[Segment, ...]
    target_s: float
    has_ended: bool


def best_variant(text: str, url: str) -> str | None:
    """Address of the media playlist that a master playlist offers with the highest bit rate; None if it is no master.

    Args:
        text: of the playlist.
        url: its own address.

    Raises:
        NetworkError: that leads to no server.
    """
    lines = [line for line in lines_of(text) if line]
    groups = {
        (found["GROUP-ID"], found.get("DEFAULT", "NO") != "YES"): found["URI"]
        for found in map(_attributes, (line for line in lines if line.startswith("#EXT-X-MEDIA:")))
        if found.get("TYPE") == "AUDIO" and "URI" in found and "GROUP-ID" in found
    }
    variants = [
        (int(found.get("BANDWIDTH", "0") or 0), number, found.get("AUDIO", ""), lines[number + 1])
        for number, line in enumerate(lines[:-1])
        if line.startswith("#EXT-X-STREAM-INF:") and (found := _attributes(line)).get("BANDWIDTH", "0").isdecimal()
    ]
    if not variants:
        return None
    _, _, group, place = max(variants, key=lambda variant: (variant[0], -variant[1]))
    alone = groups.get((group, False)) or groups.get((group, True))
    return led_to(url, alone or place)


def media_playlist(text: str, url: str) -> MediaPlaylist:
    """Read a media playlist.

    Args:
        text: of the playlist.
        url: its own address.

    Raises:
        NetworkError: it is encrypted, or a range of bytes in it can't be understood.
    """
    segments: list[Segment] = []
    number, target_s, duration_s, title, joins = 0, 6.0, 0.0, "", True
    part, map_resource, before = "", None, Resource("")
    for line in lines_of(text)[: 10 * _MOST_SEGMENTS]:
        name, _, value = line.partition(":")
        if name == "#EXT-X-MEDIA-SEQUENCE" and value.strip().isdecimal():
            number = int(value)
        elif name == "#EXT-X-TARGETDURATION":
            target_s = min(max(_number(value), 0.5), _MOST_TARGET_S)
        elif name == "#EXTINF":
            seconds, _, title = value.partition(",")
            duration_s = min(max(_number(seconds), 0.0), _MOST_TARGET_S)
        elif name == "#EXT-X-DISCONTINUITY":
            joins = False
        elif name == "#EXT-X-MAP":
            found = _attributes(line)
            new = _resource(led_to(url, found.get("URI", "")), found.get("BYTERANGE", ""), None)
            joins, map_resource = joins and new == (map_resource or new), new
        elif name == "#EXT-X-KEY" and _attributes(line).get("METHOD", "NONE") != "NONE":
            raise NetworkError(f"is encrypted ({_attributes(line)['METHOD'][:20]}), which can't be read")
        elif name == "#EXT-X-BYTERANGE":
            part = value
        elif line and not line.startswith("#"):
            before = _resource(led_to(url, line), part, before)
            segments.append(Segment(number, before, duration_s, title.strip(), map_resource, joins))
            number, title, joins, part = number + 1, "", True, ""
    return MediaPlaylist(tuple(segments[:_MOST_SEGMENTS]), target_s, "#EXT-X-ENDLIST" in text)


def _resource(url: str, part: str, before: Resource | None) -> Resource:
    """A resource, of which the playlist may name a part: `length@begin`, or `length` behind the part before."""
    if not part:
        return Resource(url)
    match = _BYTE_RANGE.match(part)
    if not match:
        raise NetworkError(f"lists a range of bytes that can't be understood: {part.strip()[:40]!r}")
    begin = int(match[2] or 0)
    if match[2] is None and before:
        if before.url != url or before.byte_range is None:
            raise NetworkError(f"lists a range of bytes without its beginning: {part.strip()[:40]!r}")
        begin = sum(before.byte_range)
    return Resource(url, (begin, int(match[1])))


def _attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


def _number(text: str) -> float:
    try:
        return float(text.strip() or 0)
    except ValueError:
        return 0.0
