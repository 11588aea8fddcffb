"""A track is chosen from several: the one that is the music."""

from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from apollo_rt.errors import AudioFileError
from apollo_rt.network.address import Address

_ASIDE = Disposition.comment | Disposition.visual_impaired | Disposition.hearing_impaired | Disposition.dub
"""What is told beside the music: commentary, descriptions."""


def choose_track(container: InputContainer, path: Path | Address, track: int | None) -> tuple[AudioStream, str]:
    """Choose the track to read.

    Args:
        container: an opened file.
        path: its name, for the errors.
        track: from 1; None for FFmpeg's choice, or if that has more than two channels, for a mono or stereo one.

    Returns:
        The track, and a line where it is another than FFmpeg, and so most players, would take.

    Raises:
        AudioFileError: there is no such track, or none that can be read.
    """
    tracks = container.streams.audio
    if not tracks:
        raise AudioFileError(f"{path}: holds no audio")
    if track is not None:
        if not 1 <= track <= len(tracks):
            raise AudioFileError(f"{path}: has {len(tracks)} audio tracks, so there is no track {track}")
        return _usable(tracks[track - 1], path), ""
    known = [each for each in tracks if _is_known(each)]
    if not known:
        return _usable(tracks[0], path), ""
    best = container.streams.best("audio")
    first = best if isinstance(best, AudioStream) and best in known else known[0]
    few = [each for each in known if each.channels <= 2 and not each.disposition & _ASIDE]
    if first.channels <= 2 or not few:
        return first, ""
    chosen = max(few, key=lambda each: (each.channels, _language(each) == _language(first)))
    layout = "stereo" if chosen.channels == 2 else "mono"
    number, other = tracks.index(chosen) + 1, tracks.index(first) + 1
    return chosen, f"track {number} is read, which is {layout}, and not track {other} of {first.channels} channels"


def _is_known(stream: AudioStream) -> bool:
    """Whether FFmpeg has a decoder, which found out what it decodes; PyAV gives no codec to a stream without one."""
    return stream.codec_context is not None and stream.channels > 0 and stream.rate > 0


def _usable(stream: AudioStream, path: Path | Address) -> AudioStream:
    if not _is_known(stream):
        raise AudioFileError(f"{path}: not an audio file, or of a kind that can't be read")
    return stream


def _language(stream: AudioStream) -> str | None:
    return stream.metadata.get("language")
