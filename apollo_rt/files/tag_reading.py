"""Tags, cover and chapters of an opened container, before its first packet is decoded."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition

from apollo_rt.files.ape_tag import ApeTag
from apollo_rt.files.tags import Chapter, Tags, picture_mime

_OF_THE_CONTAINER = frozenset(
    (
        *("bps", "compatible_brands", "creation_time", "duration", "encoder", "handler_name", "itunsmpb"),
        *("major_brand", "minor_version", "number_of_bytes", "number_of_frames", "source_id", "vendor_id"),
    )
)
"""Names that describe how the music is stored, which is no longer so in another file."""

_ONE_NAME = {"tbpm": "bpm", "tsrc": "isrc"}
"""Names that FFmpeg hands out as ID3v2 spells them, and what all other formats call the same."""


def read_tags(
    container: InputContainer, stream: AudioStream, packets: Iterator["Packet[Any]"], ape: ApeTag | None = None
) -> tuple[Tags, Iterator["Packet[Any]"]]:
    """Read what the container says about the music.

    Args:
        container: opened, with `metadata_errors="replace"`.
        stream: the stream that is the music.
        packets: all of the container's, none taken yet: FFmpeg hands out attached pictures first.
        ape: tag that FFmpeg doesn't read; what the container says goes before it.

    Returns:
        The tags, and the packets that follow the pictures.
    """
    ape = ape or ApeTag()
    cover, rest = _take_cover(container, packets)
    cover = cover or ape.cover
    values = {**ape.values, **_values(stream.metadata), **_values(container.metadata)}
    return Tags(values, cover, picture_mime(cover or b""), tuple(_chapters(container))), rest


def _values(metadata: dict[str, str]) -> dict[str, str]:
    lowered = {_ONE_NAME.get(name.lower(), name.lower()): value for name, value in metadata.items()}
    return {
        name: value
        for name, value in lowered.items()
        if name not in _OF_THE_CONTAINER and not name.startswith("_statistics") and (name, value) != ("language", "und")
    }


def _take_cover(
    container: InputContainer, packets: Iterator["Packet[Any]"]
) -> tuple[bytes | None, Iterator["Packet[Any]"]]:
    pictures = {stream.index for stream in container.streams.video if stream.disposition & Disposition.attached_pic}
    covers: dict[int, bytes] = {}
    other: Iterable[Packet[Any]] = ()
    while len(covers) < len(pictures):
        packet = next(packets, None)
        if packet is None or packet.stream.index not in pictures:  # one without bytes isn't handed out
            other = () if packet is None else (packet,)
            break
        covers[packet.stream.index] = bytes(packet)
    fronts = [data for index, data in covers.items() if "front" in _picture_kind(container, index)]
    return next(iter([*fronts, *covers.values()]), None), chain(other, packets)


def _picture_kind(container: InputContainer, index: int) -> str:
    return container.streams[index].metadata.get("comment", "").lower()


def _chapters(container: InputContainer) -> Iterator[Chapter]:
    for chapter in container.chapters():
        unit = float(chapter["time_base"] or 1)
        start, end = chapter["start"] * unit, chapter["end"] * unit
        yield Chapter(start, end, chapter["metadata"].get("title", ""))
