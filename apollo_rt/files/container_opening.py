"""Opening of a file by FFmpeg, and why it can't be opened, in words."""

import av
from av.container import InputContainer

from apollo_rt.errors import AudioFileError
from apollo_rt.files.mp4_boxes import top_boxes
from apollo_rt.files.source_file import SourceFile, open_container
from apollo_rt.files.stream_kind import StreamKind, kind_of_stream

_NO_INDEX = "is cut off or damaged: the index without which an MP4 can't be read, often its last part, is missing"


def open_music(file: SourceFile) -> InputContainer:
    """Open a file by FFmpeg; where that fails the file is closed.

    Args:
        file: at its beginning.

    Raises:
        AudioFileError: it is no audio file, or can't be read, with the reason.
    """
    try:
        _refuse_late_index(file)
        container = _opened(file)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = _reason(file, error)
        file.close()
        raise AudioFileError(f"{file.path}: {reason}") from None
    if file.at(4, 4) == b"ftyp" and not container.streams.audio and _is_cut_off(file):
        container.close()
        file.close()
        raise AudioFileError(f"{file.path}: {_NO_INDEX}")
    return container


def _opened(file: SourceFile) -> InputContainer:
    """FFmpeg finds out what a file is; of a pipe it would read too much for that."""
    kind = StreamKind() if file.is_seekable else kind_of_stream(file.at)
    if kind.begins_at:
        file.skip(kind.begins_at)
    return open_container(file.for_ffmpeg(), kind.format_name, options=kind.options)


def _reason(file: SourceFile, error: Exception) -> str:
    if file.at(4, 4) == b"ftyp":
        return _NO_INDEX
    if kind := _playlist_kind(file.at(0, 512)):
        return f"is a playlist ({kind}), not music; name the files that it lists"
    if isinstance(error, (av.InvalidDataError, av.ArgumentError, av.EOFError)):
        return "not an audio file, or of a kind that can't be read"
    return f"can't be opened: {getattr(error, 'strerror', None) or error}"


def _is_cut_off(file: SourceFile) -> bool:
    return any(position + length > file.size for _, position, length in top_boxes(file.at))


def _refuse_late_index(file: SourceFile) -> None:
    """FFmpeg would begin with sound that it knows nothing of."""
    if file.is_seekable or file.at(4, 4) != b"ftyp":
        return
    if next((kind for kind, _, _ in top_boxes(file.at) if kind in (b"moov", b"mdat")), b"") == b"mdat":
        file.close()
        raise AudioFileError(
            f"{file.path}: is an MP4 whose index stands behind the music, which can't be read from a pipe; "
            "save it as a file first"
        )


def _playlist_kind(head: bytes) -> str:
    """Kind of a list of other files that a text is; empty if it is none."""
    text = head.decode("utf-8", "replace").lstrip("\ufeff \r\n\t").lower()
    starts = {"#extm3u": "M3U", "[playlist]": "PLS", "ffconcat": "ffconcat", "<asx": "ASX", "[reference]": "ASX"}
    found = next((kind for start, kind in starts.items() if text.startswith(start)), "")
    marks = {"xspf.org/ns": "XSPF", "<playlist": "XSPF", "<mpd": "DASH", "m=audio": "SDP"}
    return found or next((kind for mark, kind in marks.items() if mark in text), "")
