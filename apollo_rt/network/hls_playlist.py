"""HLS playlists (RFC 8216): a master names variants, a media playlist the segments of one."""

import re
from dataclasses import dataclass

from apollo_rt.errors import NetworkError
from apollo_rt.network.address import led_to

_MOST_SEGMENTS = 20_000
_MOST_TARGET_S = 60.0
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')


@dataclass(frozen=True)
class Segment:
    """Segment of a media playlist.

    Attributes:
        number: its media sequence number.
        url: where it is.
        duration_s: seconds.
        title: as EXTINF tells it; empty where it doesn't.
        map_url: of what has to be read before it (fMP4), empty where nothing has.
        joins: it follows the one before in the list; else there is a discontinuity.
    """

    number: int
    url: str
    duration_s: float
    title: str
    map_url: str
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
    lines = [line.strip() for line in text.splitlines() if line.strip()]
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
        NetworkError: it is encrypted, or of a kind that isn't read.
    """
    segments: list[Segment] = []
    number, target_s, duration_s, title, map_url, joins = 0, 6.0, 0.0, "", "", True
    for line in map(str.strip, text.splitlines()[: 10 * _MOST_SEGMENTS]):
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
            found = led_to(url, _attributes(line).get("URI", ""))
            joins, map_url = joins and found == (map_url or found), found
        elif name == "#EXT-X-KEY" and _attributes(line).get("METHOD", "NONE") != "NONE":
            raise NetworkError(f"is encrypted ({_attributes(line)['METHOD'][:20]}), which can't be read")
        elif name == "#EXT-X-BYTERANGE":
            raise NetworkError("lists ranges of bytes, which can't be read")
        elif line and not line.startswith("#"):
            segments.append(Segment(number, led_to(url, line), duration_s, title.strip(), map_url, joins))
            number, title, joins = number + 1, "", True
    return MediaPlaylist(tuple(segments[:_MOST_SEGMENTS]), target_s, "#EXT-X-ENDLIST" in text)


def _attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


def _number(text: str) -> float:
    try:
        return float(text.strip() or 0)
    except ValueError:
        return 0.0
