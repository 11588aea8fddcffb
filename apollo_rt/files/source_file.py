"""A file to read, opened once and by us: FFmpeg gets its bytes, never its name.

FFmpeg would take `Re:Zero.mp3` for a protocol, follow a playlist to other files and servers, and open a named pipe a
second time. So the names stay here, and of its formats and protocols only those are on that music comes in.
"""

import os
import select
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import av
from av.container import InputContainer

from apollo_rt.errors import AudioFileError
from apollo_rt.network.address import Address, lacks_scheme
from apollo_rt.standard_streams import STDIN, open_stdin

_LOOK_S = 0.1
"""How often a read of a pipe looks whether it shall end."""

_PIECE_LENGTH = 256
"""Of a pipe so much is read at a time while its kind is found out: 30 ms of a radio of 64 kbit/s."""

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


class Stream(Protocol):
    """A stream's bytes, from a server say."""

    def read(self, n_bytes: int) -> bytes:
        """Bytes that have come, or come next; none at the end."""

    def close(self) -> None:
        """Let go; a read that waits in another thread ends."""


class SourceFile:
    """The bytes of a file, of stdin, a named pipe or a stream, and how many there were.

    What comes through a pipe is handed on as it comes; its first bytes are kept, and read ahead only as far as somebody
    asks for them, so that a program which writes as slowly as music plays is heard at once.

    Args:
        path: the file, or `STDIN`, or a stream's address.
        stream: is read in its place, live.

    Attributes:
        is_seekable: it is no pipe or stream.
        is_live: it is heard as it comes, so that nothing is kept back to know better.
        name: its kind alone, for FFmpeg, which guesses some formats by the suffix.
        is_interrupted: `interrupt` was called, so that its end means nothing.
        stream: what is read in a file's place; None: a file or a pipe is.

    Raises:
        AudioFileError: there is no such file, it is a folder, empty, or can't be read.
    """

    def __init__(self, path: Path | Address, stream: Stream | None = None) -> None:
        """Open it."""
        self.path = path
        self.name = f"music{path.suffix}"
        self.is_interrupted = False
        self.is_live = stream is not None
        if isinstance(path, Address):
            stream = stream or _opened_stream(path)
        self.stream = stream
        file: Any = stream if stream is not None else _opened(Path(str(path)))
        self._file = file
        self.is_seekable = stream is None and bool(self._file.seekable())
        self._head = b""
        self._n_read = 0
        self._is_at_end = False
        self._may_wait = not (self.is_seekable or stream or sys.platform == "win32")
        try:
            self._read_ahead(_HEAD_LENGTH if self.is_seekable else 1)
        except OSError as error:
            self._file.close()
            raise AudioFileError(f"{path}: can't be read: {error.strerror or error}") from None
        if not self._head:
            self._file.close()
            raise AudioFileError(f"{path}: the file is empty")
        if self.is_seekable:
            self._file.seek(0)

    @property
    def head(self) -> bytes:
        """Its first bytes; of a pipe those that have come so far."""
        return self._head

    @property
    def size(self) -> int:
        """Bytes in all; of a pipe those that have come so far."""
        return os.fstat(self._file.fileno()).st_size if self.is_seekable else max(self._n_read, len(self._head))

    def read(self, n_bytes: int) -> bytes:
        """Read on; of a pipe what there is, none at the end only."""
        if self.is_seekable:
            return bytes(self._file.read(n_bytes))
        part = self._head[self._n_read : self._n_read + n_bytes] or self._next(n_bytes)
        if self._n_read == len(self._head) < _HEAD_LENGTH:
            self._head += part
        self._n_read += len(part)
        return part

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere, where that can be."""
        return int(self._file.seek(position, whence))

    def tell(self) -> int:
        """Position in the file."""
        return int(self._file.tell()) if self.is_seekable else self._n_read

    def at(self, position: int, n_bytes: int) -> bytes:
        """So many bytes from elsewhere, none where that can't be; it stands where it stood afterwards."""
        if not self.is_seekable:
            if self._n_read <= len(self._head):
                self._read_ahead(position + n_bytes)
            return self._head[position : position + n_bytes] if position >= 0 else b""
        if position < 0:
            n_bytes, position = max(n_bytes + position, 0), 0
        here = self._file.tell()
        self._file.seek(position)
        data: bytes = self._file.read(n_bytes)
        self._file.seek(here)
        return data

    def first_bytes(self) -> Callable[[int], bytes]:
        """A function that reads its first bytes piece by piece, as `read` does; of a pipe no more than is needed."""
        position = 0

        def read(n_bytes: int) -> bytes:
            nonlocal position
            n_most = n_bytes if self.is_seekable else min(n_bytes, _PIECE_LENGTH)
            part = self.at(position, min(n_most, _HEAD_LENGTH - position))
            position += len(part)
            return part

        return read

    def tail(self) -> bytes:
        """The last bytes; none of a pipe."""
        return self.at(self.size - _HEAD_LENGTH, _HEAD_LENGTH) if self.is_seekable else b""

    def for_ffmpeg(self) -> Any:
        """As PyAV takes it: without `seek` where there is none."""
        return self if self.is_seekable else _ReadOnly(self)

    def interrupt(self) -> None:
        """Let a read of a pipe or stream that waits end now, as if nothing came any more; from another thread."""
        self.is_interrupted = True
        if self.stream is not None:
            self._file.close()

    def skip(self, n_bytes: int) -> None:
        """Leave out the first bytes of a pipe or stream, before any is read."""
        self._n_read = n_bytes

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def _read_ahead(self, n_bytes: int) -> None:
        """Have so many of the first bytes, or all there are."""
        while len(self._head) < min(n_bytes, _HEAD_LENGTH) and (part := self._next(_HEAD_LENGTH - len(self._head))):
            self._head += part

    def _next(self, n_bytes: int) -> bytes:
        """Bytes that come next, none at the end or after an interrupt."""
        while not (self._is_at_end or self.is_interrupted):
            if not self._may_wait or select.select((self._file,), (), (), _LOOK_S)[0]:
                part: bytes = self._file.read(n_bytes)
                self._is_at_end = not part
                return part
        return b""


class _ReadOnly:
    def __init__(self, file: SourceFile) -> None:
        self.read = file.read
        self.name = file.name


def open_container(
    file: Any,
    format_name: str | None = None,
    formats: Sequence[str] = FORMATS,
    decoders: Sequence[str] = DECODERS,
    options: Mapping[str, str] | None = None,
) -> InputContainer:
    """Open bytes by FFmpeg, with nothing on but what they need; nobody else opens any, pictures neither.

    Args:
        file: an object with `read`.
        format_name: FFmpeg's name of the format, where it is not to be guessed.
        formats: demuxers that are on: those of music, if not given.
        decoders: that are on.
        options: of the demuxer.

    Raises:
        av.FFmpegError: it can't be opened.
    """
    allowed = {"format_whitelist": ",".join(formats), "codec_whitelist": ",".join(decoders)}
    options = {**(options or {}), **allowed, "protocol_whitelist": "file"}
    container: InputContainer = av.open(file, format=format_name, metadata_errors="replace", options=options)
    return container


def _opened_stream(address: Address) -> Stream:
    # Late: nothing of the network is there before it is named.
    from apollo_rt.network.served_file import ServedFile
    from apollo_rt.network.stream import NetworkStream

    stream = NetworkStream(address.url)
    return ServedFile(address.url, stream) if stream.is_file and not stream.lump_s else stream


def _opened(path: Path) -> IO[bytes]:
    """The file; a pipe without a buffer of ours, which would keep back what has come."""
    try:
        if path != STDIN and not path.exists():
            more = "; an address begins with http:// or https://" if lacks_scheme(str(path)) else ""
            raise AudioFileError(f"{path}: no such file{more}")
        if path != STDIN and path.is_dir():
            raise AudioFileError(f"{path}: is a folder, not an audio file")
        file = _opened_stdin() if path == STDIN else path.open("rb", -1 if path.is_file() else 0)
    except OSError as error:
        raise AudioFileError(f"{path}: can't be opened: {error.strerror or error}") from None
    if file.isatty():
        file.close()
        raise AudioFileError(f"{path}: is a terminal; lead sound into it, from a program (`|`) or a file (`<`)")
    return file


def _opened_stdin() -> IO[bytes]:
    number = open_stdin()
    return os.fdopen(number, "rb", -1 if stat.S_ISREG(os.fstat(number).st_mode) else 0)
