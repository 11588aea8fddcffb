"""A file to read, opened once and by us: FFmpeg gets its bytes, never its name.

FFmpeg would take `Re:Zero.mp3` for a protocol, follow a playlist to other files and servers, and open a named pipe a
second time. So the names stay here, and of its formats and protocols only those are on that music comes in.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import av
from av.container import InputContainer

from apollo_rt.errors import AudioFileError

_HEAD_LENGTH = 65_536
"""Bytes that are kept of the beginning: headers that say how long the file is stand in them."""

FORMATS = (
    *("aa", "aac", "aax", "ac3", "act", "adx", "aea", "aiff", "amr", "amrnb", "amrwb", "apc", "ape"),
    *("aptx", "asf", "ast", "au", "avi", "avr", "bonk", "caf", "codec2", "daud", "dsf", "dss", "dts"),
    *("dtshd", "dv", "eac3", "epaf", "flac", "flv", "g722", "gsm", "gxf", "hca", "hcom", "iff", "ircam"),
    *("kux", "laf", "live_flv", "loas", "lxf", "matroska,webm", "mca", "mlp", "mmf"),
    *("mov,mp4,m4a,3gp,3g2,mj2", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "mxf", "nistsphere", "nsv", "nut"),
    *("ogg", "oma", "osq", "paf", "pvf", "qcp", "qoa", "rka", "rm", "rso", "sbc", "sds", "shn", "sln"),
    *("sol", "sox", "spdif", "svx", "swf", "tak", "truehd", "tta", "voc", "vqf", "w64", "wav", "wavarc"),
    *("wsd", "wtv", "wv", "wve", "xa", "xwma"),
)
"""FFmpeg's demuxers that are on: those of music and film in one file. None reads a list of other files."""

DECODERS = (
    *("8svx_exp", "8svx_fib", "aac", "aac_latm", "ac3", "adpcm_adx", "adpcm_ct", "adpcm_g722"),
    *("adpcm_g726", "adpcm_ima_apc", "adpcm_ima_oki", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms"),
    *("adpcm_sbpro_2", "adpcm_sbpro_3", "adpcm_sbpro_4", "adpcm_swf", "adpcm_xa", "adpcm_yamaha", "alac"),
    *("als", "amrnb", "amrwb", "ape", "aptx", "aptx_hd", "atrac1", "atrac3", "atrac3al", "atrac3plus"),
    *("atrac3plusal", "atrac9", "bonk", "cook", "dca", "dolby_e", "dsd_lsbf", "dsd_lsbf_planar"),
    *("dsd_msbf", "dsd_msbf_planar", "dss_sp", "dst", "dvaudio", "eac3", "evrc", "flac", "g722", "g723_1"),
    *("g726", "g726le", "g729", "gsm", "gsm_ms", "hca", "hcom", "ilbc", "imc", "libopencore_amrnb"),
    *("libopencore_amrwb", "libopus", "mace3", "mace6", "metasound", "mlp", "mp1", "mp1float", "mp2"),
    *("mp2float", "mp3", "mp3adu", "mp3adufloat", "mp3float", "mp3on4", "mp3on4float", "mpc7", "mpc8"),
    *("nellymoser", "on2avc", "opus", "osq", "paf_audio", "pcm_alaw", "pcm_bluray", "pcm_dvd", "pcm_f16le"),
    *("pcm_f24le", "pcm_f32be", "pcm_f32le", "pcm_f64be", "pcm_f64le", "pcm_lxf", "pcm_mulaw", "pcm_s16be"),
    *("pcm_s16be_planar", "pcm_s16le", "pcm_s16le_planar", "pcm_s24be", "pcm_s24daud", "pcm_s24le"),
    *("pcm_s24le_planar", "pcm_s32be", "pcm_s32le", "pcm_s32le_planar", "pcm_s64be", "pcm_s64le", "pcm_s8"),
    *("pcm_s8_planar", "pcm_sga", "pcm_u16be", "pcm_u16le", "pcm_u24be", "pcm_u24le", "pcm_u32be"),
    *("pcm_u32le", "pcm_u8", "pcm_vidc", "qcelp", "qdm2", "qdmc", "qoa", "ra_144", "ra_288", "ralf"),
    *("real_144", "real_288", "rka", "s302m", "sbc", "shorten", "sipr", "sonic", "speex", "tak", "truehd"),
    *("truespeech", "tta", "twinvq", "vorbis", "wavarc", "wavpack", "wmalossless", "wmapro", "wmav1"),
    *("wmav2", "wmavoice", "ws_snd1", "xma1", "xma2"),
)
"""FFmpeg's decoders that are on: those of sound that is recorded, sold or sent. Pictures are never decoded."""


At = Callable[[int, int], bytes]
"""Gives bytes at a position, by position and number; fewer where there are not so many."""


class SourceFile:
    """The bytes of a file or a named pipe, and how many there were.

    Args:
        path: an existing file, or a pipe.

    Attributes:
        is_seekable: it is no pipe.
        head: its first bytes.
        name: its kind alone, for FFmpeg, which guesses some formats by the suffix.

    Raises:
        AudioFileError: there is no such file, it is a folder, empty, or can't be read.
    """

    def __init__(self, path: Path) -> None:
        """Open it."""
        self.path = path
        self.name = f"music{path.suffix}"
        self._file = _opened(path)
        self.is_seekable = self._file.seekable()
        try:
            self.head = _read_fully(self._file, _HEAD_LENGTH)
        except OSError as error:
            self._file.close()
            raise AudioFileError(f"{path}: can't be read: {error.strerror or error}") from None
        if not self.head:
            self._file.close()
            raise AudioFileError(f"{path}: the file is empty")
        self._n_read = 0
        if self.is_seekable:
            self._file.seek(0)

    @property
    def size(self) -> int:
        """Bytes in all; of a pipe those that have come so far."""
        return os.fstat(self._file.fileno()).st_size if self.is_seekable else max(self._n_read, len(self.head))

    def read(self, n_bytes: int) -> bytes:
        """Read on."""
        if self.is_seekable:
            return self._file.read(n_bytes)
        part = self.head[self._n_read : self._n_read + n_bytes] or self._file.read1(n_bytes)  # type: ignore[attr-defined]
        self._n_read += len(part)
        return bytes(part)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere, where that can be."""
        return self._file.seek(position, whence)

    def tell(self) -> int:
        """Position in the file."""
        return self._file.tell() if self.is_seekable else self._n_read

    def at(self, position: int, n_bytes: int) -> bytes:
        """So many bytes from elsewhere, none where that can't be; it stands where it stood afterwards."""
        if not self.is_seekable:
            return self.head[position : position + n_bytes] if position >= 0 else b""
        if position < 0:
            n_bytes, position = max(n_bytes + position, 0), 0
        here = self._file.tell()
        self._file.seek(position)
        data = self._file.read(n_bytes)
        self._file.seek(here)
        return data

    def tail(self) -> bytes:
        """The last bytes; none of a pipe."""
        return self.at(self.size - _HEAD_LENGTH, _HEAD_LENGTH) if self.is_seekable else b""

    def for_ffmpeg(self) -> Any:
        """As PyAV takes it: without `seek` where there is none."""
        return self if self.is_seekable else _ReadOnly(self)

    def close(self) -> None:
        """Close it."""
        self._file.close()


class _ReadOnly:
    def __init__(self, file: SourceFile) -> None:
        self.read = file.read
        self.name = file.name


def open_container(
    file: Any,
    format_name: str | None = None,
    formats: Sequence[str] = FORMATS,
    decoders: Sequence[str] = DECODERS,
) -> InputContainer:
    """Open bytes by FFmpeg, with nothing on but what they need; nobody else opens any, pictures neither.

    Args:
        file: an object with `read`.
        format_name: FFmpeg's name of the format, where it is not to be guessed.
        formats: demuxers that are on: those of music, if not given.
        decoders: that are on.

    Raises:
        av.FFmpegError: it can't be opened.
    """
    allowed = {"format_whitelist": ",".join(formats), "codec_whitelist": ",".join(decoders)}
    options = {**allowed, "protocol_whitelist": "file"}
    container: InputContainer = av.open(file, format=format_name, metadata_errors="replace", options=options)
    return container


def _opened(path: Path) -> IO[bytes]:
    if not path.exists():
        raise AudioFileError(f"{path}: no such file")
    if path.is_dir():
        raise AudioFileError(f"{path}: is a folder, not an audio file")
    try:
        return path.open("rb")
    except OSError as error:
        raise AudioFileError(f"{path}: can't be opened: {error.strerror or error}") from None


def _read_fully(file: IO[bytes], n_bytes: int) -> bytes:
    """So many bytes, fewer only at the end: a pipe gives what has come."""
    parts = []
    while n_bytes and (part := file.read(n_bytes)):
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)
