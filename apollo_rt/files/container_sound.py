"""Everything that FFmpeg demuxes, packet by packet: gaps, faults, announced ends, decoders that don't clip."""

import math
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.codec.context import Flags2
from av.packet import Packet

from apollo_rt.errors import AudioFileError
from apollo_rt.files.announced import Announcement
from apollo_rt.files.ape_tag import ApeTag, read_ape_tag
from apollo_rt.files.channel_layout import channel_names
from apollo_rt.files.container_clock import ContainerClock
from apollo_rt.files.container_opening import open_music
from apollo_rt.files.cut_off import announced_size, has_another_behind
from apollo_rt.files.mpeg_audio import adts_length, frame_header, is_info_frame, tag_length
from apollo_rt.files.sound import Sound, StartCutter, sound_of, without_end
from apollo_rt.files.source_file import DECODERS, SourceFile
from apollo_rt.files.tag_reading import read_tags
from apollo_rt.files.tracks import choose_track
from apollo_rt.files.wav_header import integer_codec

_SELF_SIZED = frozenset(("alac", "flac", "wavpack", "tta", "shorten", "ape", "tak"))
"""Codecs whose blocks know their length: what a container says of padding at the end (CAF) is cut already, and FFmpeg
would cut it again. Of all others FFmpeg cuts delay and padding itself; were it told not to, decoders would be late."""

_CHECKED = ("flac", "tta")
"""Codecs whose checksums are looked at: one flipped bit is a burst of noise in them, and FFmpeg says nothing."""

_BETTER_DECODERS = {
    **{name: f"{name}float" for name in ("mp1", "mp2", "mp3", "mp3adu", "mp3on4")},
    "libopencore_amrnb": "amrnb",
    "libopencore_amrwb": "amrwb",
    "opus": "libopus",
}
"""What FFmpeg takes by itself, and what doesn't clip at full scale; its own Opus decoder is late at low rates."""

_MISSING_TOLERANCE_S = 0.1
"""How much less than announced a file may hold before we call it cut off: encoders round by a few of their frames."""

_TAGGED = ("mp3", "aac")
"""Formats without a container, in which tags stand between the packets where files were joined."""

_HELD = 2 * 8192
"""Samples that are held back until it is known whether the sound ends in them: two of the longest blocks."""

_MOST_FAILURES = 100
"""Packets in a row that can't be read, after which nothing more is expected."""


class ContainerSound:
    """One track of a file that FFmpeg demuxes.

    Args:
        file: at its beginning; closed with this.
        track: which audio track, from 1; None for the best one, that is mono or stereo if there is such a one.

    Raises:
        AudioFileError: it is no audio file, or of a kind that isn't read.
    """

    def __init__(self, file: SourceFile, track: int | None = None) -> None:
        """Open the file and read its headers."""
        self._file = file
        self._container = open_music(file)
        try:
            self._stream, self._note = choose_track(self._container, file.path, track)
            self._decoder = _decoder(self._stream, file)
        except BaseException:
            self._container.close()
            raise
        self.codec = self._decoder.name
        self.sample_rate: int = self._stream.rate
        self.channels = channel_names([channel.name for channel in self._stream.layout.channels])
        self.n_faults = 0
        self._format = self._container.format.name
        ape = read_ape_tag(file.at, file.size) if file.is_seekable and self._format == "mp3" else ApeTag()
        self.tags, self._packets = read_tags(self._container, self._stream, self._demuxed(), ape)
        self._announcement = Announcement(self._container, self._stream, file.at, self.codec)
        self.n_announced = self._announcement.n_samples
        self._clock = ContainerClock(self._container, self._stream)
        self._start = StartCutter()
        self._is_padded = False
        self._last_packet = b""
        self._n_trailing = 0  # faults behind the last sound
        self._tag_end = 0  # position behind the last tag between joined files

    def sounds(self) -> Iterator[Sound]:
        """Decode the track to its end, less what lies behind the announced one."""
        held: deque[Sound] = deque()
        n_held, decoded_s = 0, 0.0
        n_kept = _HELD if self._announcement.may_cut else 0
        for sound in self._cut_sounds():
            n_missing = sound.n_missing if held else 0  # what is late at the beginning is no part of the length
            decoded_s += (n_missing + len(sound.samples)) / sound.sample_rate
            held.append(sound)
            n_held += len(sound.samples)
            while held and n_held - len(held[0].samples) >= n_kept:
                n_held -= len(held[0].samples)
                yield held.popleft()
        if self._announcement.is_exact and decoded_s * self.sample_rate >= (self.n_announced or math.inf) - 1:
            self.n_faults -= self._n_trailing  # all is there: what can't be read behind it is no music
        beyond_s = self._announcement.beyond_s(decoded_s, self._clock, self._is_exact())
        yield from without_end(list(held), round(beyond_s * held[-1].sample_rate) if held else 0)

    def end_warnings(self, n_decoded: int) -> list[str]:
        """Was this all that there should have been, and of this track?"""
        lines = [self._note] if self._note else []
        missing_s = ((self.n_announced or 0) - n_decoded) / self.sample_rate - self._clock.begun_s
        size = announced_size(self._file.at, self._file.size)
        if has_another_behind(self._file.at, self._file.size):
            return [*lines, "another file stands behind it (joined by `cat`?), which is left out: restore it by itself"]
        if missing_s > _MISSING_TOLERANCE_S and self._announcement.is_exact:
            lines.append(f"cut off: the last {missing_s:.1f} s of what it announces are missing")
        elif size is not None and size - 1 > self._file.size:  # a last byte that only fills up is often left out
            lost_s = n_decoded / self.sample_rate * (size / self._file.size - 1)
            about = f"about {lost_s:.1f}" if lost_s >= 0.1 else "less than 0.1"
            lines.append(f"cut off: {about} s of what it announces are missing")
        elif 0 < len(self._last_packet) < self._whole_length():
            lines.append("cut off: it ends in the middle of a block")
        return lines

    def interrupt(self) -> None:
        """Let a read that waits end now, from another thread."""
        self._file.interrupt()

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        self._file.close()

    def _cut_sounds(self) -> Iterator[Sound]:
        """All runs, each less what the container says is only delay or padding."""
        for packet in self._packets:
            if packet.stream.index != self._stream.index:
                continue
            n_delay, n_padding = _trims(packet)
            if packet.size:
                self._is_padded = n_padding > 0
            if self.codec in _SELF_SIZED:
                self._start.n_left += n_delay
            self._clock.note_packet(packet, n_delay / self.sample_rate)
            sounds = self._decoded(packet)
            self._n_trailing = 0 if sounds else self._n_trailing
            for sound in sounds:
                yield from self._start.cut(sound)

    def _decoded(self, packet: "Packet[AudioStream]") -> list[Sound]:
        """One packet's runs; a damaged packet gives none and is counted."""
        if not packet.size and packet.dts is not None:
            return []  # an empty one in the middle, which would end the decoder
        music = self._music(packet) if self._format in _TAGGED and packet.size else packet
        if music is None:
            return []
        before, self._last_packet = self._last_packet, bytes(music) if packet.size else self._last_packet
        try:
            frames = self._decoder.decode(music if packet.size else None)
        except av.FFmpegError:
            self._note_fault()
            n_frames = round(len(self._last_packet) / len(before)) if before and self._format == "mp3" else 1
            self._clock.note_fault(max(n_frames, 1))  # what lies between two frames of MP3 comes as one packet
            self._last_packet = before
            return []
        header = frame_header(self._last_packet) if self.codec.startswith(("mp1", "mp2", "mp3")) else None
        sounds = [replace(sound_of(frame, self._clock.missing_before(frame)), position=packet.pos) for frame in frames]
        # Where MPEG audio changes its rate, FFmpeg gives the first frame the rate of the one before.
        return [replace(sound, sample_rate=header.sample_rate) for sound in sounds] if header else sounds

    def _music(self, packet: "Packet[AudioStream]") -> "Packet[AudioStream] | None":
        """A packet without the tags that stand in front of it where files were joined; None where nothing is left."""
        data, position = bytes(packet), packet.pos or 0
        if position < self._tag_end:
            data = data[self._tag_end - position :]
            position = self._tag_end
        while length := tag_length(data):
            data, position = data[length:], position + length
            self._tag_end = position
        if not data or (self._format == "mp3" and is_info_frame(data)):
            return None
        if len(data) == packet.size:
            return packet
        rest: Packet[Any] = Packet(data)
        rest.pts, rest.dts, rest.time_base = packet.pts, packet.dts, packet.time_base
        return rest

    def _demuxed(self) -> Iterator["Packet[Any]"]:
        """The container's packets; those that can't be read are counted."""
        n_failures = 0
        packets = iter(self._container.demux())
        while n_failures < _MOST_FAILURES:
            try:
                packet = next(packets, None)
            except IndexError:
                return  # PyAV's way to end where a stream began on the way
            except av.FFmpegError:
                if not n_failures:
                    self._note_fault()
                n_failures += 1
                packets = iter(self._container.demux())
                continue
            if packet is None:
                return
            n_failures = 0
            yield packet

    def _note_fault(self) -> None:
        self.n_faults += 1
        self._n_trailing += 1

    def _is_exact(self) -> bool:
        """Whether the end is cut already: by padding, or because the codec's blocks have any length."""
        return self._is_padded or self.codec in _SELF_SIZED or self.codec.startswith("pcm_")

    def _whole_length(self) -> int:
        """Bytes that the last packet announces itself to have, where its codec lets us see that."""
        if self.codec.startswith(("mp1", "mp2", "mp3")) and self._format in ("mp3", "wav"):
            header = frame_header(self._last_packet)
            return header.length if header else 0
        return adts_length(self._last_packet) if self._format == "aac" else 0


def _decoder(stream: AudioStream, file: SourceFile) -> AudioCodecContext:
    """The track's decoder: of floats where there is one, and of the integers that a wav file really holds."""
    own = stream.codec_context
    name = _BETTER_DECODERS.get(own.name, own.name)
    if own.name.startswith("pcm_") and file.at(0, 4) in (b"RIFF", b"RF64", b"BW64", b"riff"):
        name = integer_codec(file.head) or name
    if name not in DECODERS:
        raise AudioFileError(f"{file.path}: its sound is {own.name}, which can't be read")
    if name == own.name:
        context = own
    else:
        created = av.CodecContext.create(name, "r")
        assert isinstance(created, AudioCodecContext)
        context = created
        context.extradata, context.sample_rate, context.layout = own.extradata, own.sample_rate, own.layout
        context.options = {"request_sample_fmt": "flt"} if name == "libopus" else {}
    if name in _SELF_SIZED:
        context.flags2 |= Flags2.skip_manual
    if name in _CHECKED:
        context.options = {"err_detect": "crccheck+explode"}
    context.thread_count = 1
    return context


def _trims(packet: "Packet[AudioStream]") -> tuple[int, int]:
    """Samples at a packet's beginning and end that are not to be heard (FFmpeg's AV_PKT_DATA_SKIP_SAMPLES)."""
    if not packet.has_sidedata("skip_samples"):
        return 0, 0
    n_start, n_end = struct.unpack_from("<II", bytes(packet.get_sidedata("skip_samples")))
    return n_start, n_end
