"""The head of an FFmpeg container holds tags, chapters and cover; here it is written, as an ID3 chunk too.

FFmpeg's muxers for wav and AIFF know no covers, but its muxer for MP3 writes all of them into an ID3v2 tag, which both
formats can hold as a chunk at their end, where players and taggers look for it.
"""

import io
from contextlib import suppress
from fractions import Fraction

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from apollo_rt.atomic_file import AtomicFile
from apollo_rt.files.source_file import open_container
from apollo_rt.files.tags import Tags

_PICTURE_CLOCK = Fraction(1, 90_000)
_CHAPTER_CLOCK = Fraction(1, 1000)
_LONGEST_RIFF = 2**32 - 1
_INFO_NAMES = frozenset(
    ("album", "artist", "comment", "copyright", "date", "encoded_by", "genre", "language", "title", "track")
)
"""What FFmpeg writes into a wav file's INFO list (libavformat/riff.c)."""

_ORDERS = {"wav": ("little", b"id3 "), "aiff": ("big", b"ID3 ")}
"""Byte order of a format's lengths, and the chunk's name in it."""


def write_head(container: OutputContainer, metadata: dict[str, str], tags: Tags) -> None:
    """Write a container's header, and the cover, which muxers want before the music.

    Args:
        container: its streams are added.
        metadata: the tags in the container's words.
        tags: give chapters and cover.
    """
    container.metadata.update(metadata)
    container.set_chapters(
        [
            {
                "id": number,
                "start": round(chapter.start_s / _CHAPTER_CLOCK),
                "end": round(chapter.end_s / _CHAPTER_CLOCK),
                "time_base": _CHAPTER_CLOCK,
                "metadata": {"title": chapter.title},
            }
            for number, chapter in enumerate(tags.chapters, 1)
        ]
    )
    picture = _add_picture(container, tags) if tags.cover else None
    container.start_encoding()
    if picture and tags.cover:
        packet: Packet[Stream] = Packet(tags.cover)
        packet.stream, packet.time_base, packet.pts, packet.dts = picture, _PICTURE_CLOCK, 0, 0
        packet.is_keyframe = True
        container.mux(packet)


def _add_picture(container: OutputContainer, tags: Tags) -> Stream:
    demuxer, codec = ("png_pipe", "png") if tags.cover_mime == "image/png" else ("jpeg_pipe", "mjpeg")
    width, height = _size(tags.cover or b"", demuxer, codec)
    picture = container.add_mux_stream(codec, width=width, height=height)
    picture.disposition = Disposition.attached_pic
    picture.time_base = _PICTURE_CLOCK
    picture.metadata["comment"] = "Cover (front)"
    return picture


def _size(picture: bytes, demuxer: str, codec: str) -> tuple[int, int]:
    """Width and height, which muxers ask for; of a damaged picture one that does no harm.

    The format is told and not guessed: FFmpeg would find the description of a net stream in a picture, and listen.
    """
    with (
        suppress(av.FFmpegError, IndexError),
        open_container(io.BytesIO(picture), demuxer, (demuxer,), (codec,)) as container,
    ):
        stream = container.streams.video[0]
        return max(stream.width, 1), max(stream.height, 1)
    return 1, 1


def id3_tag(tags: Tags) -> bytes:
    """Tags, cover and chapters as an ID3v2.4 tag."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3", options={"write_xing": "0"}) as container:
        container.add_mux_stream("mp3", rate=44_100)
        write_head(container, dict(tags.values), tags)
    return file.getvalue()


def append_id3(file: AtomicFile, container: str, tags: Tags) -> None:
    """Put an ID3 chunk at the end of a wav or AIFF file, and its length into the file's.

    A wav file whose INFO list says all goes without; so does one that only the chunk would carry beyond 4 GB.

    Args:
        file: complete but for that.
        container: FFmpeg's name: "wav" or "aiff".
        tags: for the chunk.

    Raises:
        OSError: it can't be written.
    """
    if container == "wav" and not (tags.cover or tags.chapters or set(tags.values) - _INFO_NAMES):
        return
    order, name = _ORDERS[container]
    length = file.seek(0, io.SEEK_END)
    tag = id3_tag(tags)
    chunk = bytes(length % 2) + name + len(tag).to_bytes(4, order) + tag + bytes(len(tag) % 2)  # type: ignore[arg-type]
    before, after = length - 8, length - 8 + len(chunk)
    if before <= _LONGEST_RIFF < after:
        return
    file.write(chunk)
    is_rf64 = after > _LONGEST_RIFF
    file.seek(20 if is_rf64 else 4)  # EBU Tech 3306: the ds64 chunk, which stands first, has the length
    file.write(after.to_bytes(8 if is_rf64 else 4, order))  # type: ignore[arg-type]
