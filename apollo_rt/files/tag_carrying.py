"""A source's tags go over into a file of another kind, in its words; what it can't hold is said.

| written | tags | cover | chapters |
|---|---|---|---|
| mp3, wav, aiff | ID3v2 (wav: the usual ones in an INFO list, too) | in it | in it |
| flac, ogg, opus | Vorbis comments | a picture block | CHAPTER001=..., CHAPTER001NAME=... |
| m4a | those that iTunes knows | yes | yes |
| w64 | | | |
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from apollo_rt.files.output_format import OutputFormat
from apollo_rt.files.tags import Chapter, Tags

_LEVELS = ("replaygain_", "r128_", "itunnorm", "mp3gain_")
"""Names that begin so say how loud the source was, which is no longer so."""

_MAKERS = frozenset(("encoded_by", "encoding_tool", "encodedby", "encoder"))
"""Names of what made the file, which is us now."""

_M4A_NAMES = frozenset(
    (
        *("album", "album_artist", "artist", "comment", "compilation", "composer", "copyright", "date", "description"),
        *("disc", "episode_id", "gapless_playback", "genre", "grouping", "hd_video", "keywords", "lyrics"),
        *("media_type", "network", "season_number", "show", "sort_album", "sort_album_artist", "sort_artist"),
        *("sort_composer", "sort_name", "sort_show", "synopsis", "title", "tmpo", "track"),
    )
)
"""What FFmpeg writes into an m4a file (libavformat/movenc.c, `mov_write_ilst_tag`)."""

_COMMENT_NAMES = {"album_artist": "albumartist", "track": "tracknumber", "disc": "discnumber"}
"""What Vorbis comments call them (https://xiph.org/vorbis/doc/v-comment.html and what players look for)."""

_ID3_NAMES = {"bpm": "TBPM", "isrc": "TSRC"}
"""Frames of ID3v2.4 that FFmpeg knows by these names alone."""

_OWN_NAMES = {"mp3": _ID3_NAMES, "wav": _ID3_NAMES, "aiff": _ID3_NAMES, "mp4": {"bpm": "tmpo"}}
"""What formats call a tag, by FFmpeg's name of the container; the others take it as it is."""

_PICTURES = ("image/jpeg", "image/png")
"""What FFmpeg writes as a cover."""

_FRONT_COVER = 3
"""Kind of picture in ID3v2 and in the picture block of FLAC (RFC 9639, 8.8)."""


def carry(source: Tags, form: OutputFormat, maker: str) -> tuple[Tags, list[str]]:
    """Choose what of a source's tags a file will hold.

    Args:
        source: what the source says.
        form: of the file.
        maker: names the program and the model.

    Returns:
        What to write, and what is left out: a few words for each kind of thing.
    """
    if form.container == "w64":
        return Tags(), [f"{form.name} holds no tags, covers or chapters"] if source != Tags() else []
    left_out = []
    own_names = _OWN_NAMES.get(form.container, {})
    values = {own_names.get(name, name): value for name, value in source.values.items() if name not in _MAKERS}
    if levels := [name for name in values if name.startswith(_LEVELS)]:
        left_out.append(f"the levels of the source no longer fit ({', '.join(levels)})")
    if names := [name for name in values if name not in (*levels, *_M4A_NAMES) and form.container == "mp4"]:
        left_out.append(f"{form.name} can't hold the tags {', '.join(names)}")
    cover = source.cover
    if cover and not _is_comments(form) and source.cover_mime not in _PICTURES:
        left_out.append(f"{form.name} can't hold a cover of type {source.cover_mime or 'unknown'}")
        cover = None
    kept = {name: value for name, value in values.items() if name not in {*levels, *names}}
    kept["encoding_tool" if form.container == "mp4" else "encoded_by"] = maker
    return replace(source, values=kept, cover=cover), left_out


def made_by(model: str = "") -> str:
    """Name what makes the files, for their tags: the program, its version, and the model where there is one."""
    try:
        release = f" {version('apollo-rt')}"
    except PackageNotFoundError:  # run from its folder, never installed
        release = ""
    return f"Apollo RT{release}{f', model {model}' if model else ''}"


def comments(tags: Tags) -> dict[str, str]:
    """All of the tags as Vorbis comments, cover and chapters included (for Ogg; FLAC has a block for pictures)."""
    picture = {"metadata_block_picture": base64.b64encode(picture_block(tags)).decode()} if tags.cover else {}
    values = {_COMMENT_NAMES.get(name, name): value for name, value in tags.values.items()}
    return {**values, **dict(_chapter_comments(tags.chapters)), **picture}


def chapter_comments(tags: Tags) -> Mapping[str, str]:
    """The chapters as Vorbis comments (https://wiki.xiph.org/Chapter_Extension)."""
    return dict(_chapter_comments(tags.chapters))


def picture_block(tags: Tags) -> bytes:
    """The cover as RFC 9639, 8.8 has it; its size is left for the reader to see in the picture."""
    mime, cover = tags.cover_mime.encode(), tags.cover or b""
    head = _FRONT_COVER.to_bytes(4, "big") + len(mime).to_bytes(4, "big") + mime
    return head + bytes(4) + bytes(16) + len(cover).to_bytes(4, "big") + cover


def _is_comments(form: OutputFormat) -> bool:
    return form.container in ("ogg", "opus")


def _chapter_comments(chapters: tuple[Chapter, ...]) -> Iterator[tuple[str, str]]:
    for number, chapter in enumerate(chapters, 1):
        minutes, seconds = divmod(chapter.start_s, 60)
        yield f"CHAPTER{number:03}", f"{minutes // 60:02.0f}:{minutes % 60:02.0f}:{seconds:06.3f}"
        yield f"CHAPTER{number:03}NAME", chapter.title
