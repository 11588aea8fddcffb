"""Codec damage: encode music with a lossy codec, decode it, and prove that nothing moved.

The damaged half of a training pair must lie on the clean half to a fraction of a sample, or the
model learns a delay instead of a repair. So every codec is decoded with its own delay removed; what is
left is measured by `alignment`.

    clean -> [resample] -> encoder -> container in memory -> decoder -> [resample] -> damaged
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, cast, get_args

import av
import numpy as np
import soundfile

from training.data.alignment import AlignmentError
from training.data.audio import SAMPLE_RATE, Audio, resample

Mode = Literal["joint", "stereo", "abr", "vbr"]
Codec = Literal["mp3", "aac", "opus", "vorbis", "mp2", "ac3", "wma"]


@dataclass(frozen=True)
class _Format:
    """How one codec is written: PyAV's names for encoder, container and sample format.

    `late` is how many samples at its own rate the decoded signal comes late where the container doesn't say so
    (measured by `alignment` with PyAV 18.1); a negative number of samples is lost at the beginning.
    """

    encoder: str
    container: str
    sample_format: str
    late: int = 0


_FORMATS: dict[str, _Format] = {
    "mp3": _Format("libmp3lame", "mp3", "fltp"),
    "aac": _Format("aac", "mp4", "fltp"),
    "opus": _Format("libopus", "ogg", "flt"),
    "mp2": _Format("mp2", "mp2", "s16", late=481),
    "ac3": _Format("ac3", "ac3", "fltp", late=256),
    "wma": _Format("wmav2", "asf", "fltp", late=-2048),
}


_VBR_BPS = {9: 65_000, 8: 85_000, 7: 100_000, 6: 115_000, 5: 130_000, 4: 165_000, 2: 190_000}
"""LAME's VBR qualities and what they come to on average (LAME 3.100, `USAGE`, section VBR)."""

_LAMBDA = 118
"""FFmpeg's `FF_QP2LAMBDA`: its qualities are whole numbers of a 118th."""


@dataclass(frozen=True)
class Damage:
    """One way to damage music.

    Args:
        codec: The lossy codec. Vorbis is written by libsndfile, the others by PyAV's encoders.
        bitrate_bps: Bit rate asked of the encoder, in bits per second. MP3 at 44.1 kHz has no
            24 kbps: asking for it gives 32 kbps frames under the 24 kbps low-pass (4.4 kHz).
        encode_rate: Sample rate the encoder works at, in hertz. 22050 with MP3 is MPEG-2.
        mode: Constant bit rate with joint stereo, the same with plain stereo, or joint stereo with
            an average bit rate, or with LAME's true variable one: then ``bitrate_bps`` is the nominal
            rate of the quality that comes nearest. Codecs other than MP3 ignore it.
    """

    codec: Codec = "mp3"
    bitrate_bps: int = 64_000
    encode_rate: int = SAMPLE_RATE
    mode: Mode = "joint"

    def __post_init__(self) -> None:
        if self.codec not in get_args(Codec):
            raise ValueError(f"codec must be one of {get_args(Codec)}, got {self.codec!r}")
        if self.bitrate_bps <= 0:
            raise ValueError(f"bitrate_bps must be above 0, got {self.bitrate_bps}")

    @property
    def label(self) -> str:
        """Short name for file names, such as ``mp3-48`` or ``mp3-24-mpeg2``."""
        parts = [self.codec, str(round(self.bitrate_bps / 1000))]
        if self.codec == "mp3" and self.encode_rate != SAMPLE_RATE:
            parts.append("mpeg2" if self.encode_rate == 22_050 else f"{self.encode_rate // 1000}khz")
        if self.mode != "joint":
            parts.append(self.mode)
        return "-".join(parts)

    def encoder_options(self) -> dict[str, str]:
        """Options the encoder is opened with."""
        if self.codec == "opus":
            return {"application": "lowdelay"}
        if self.codec != "mp3":
            return {}
        options = {"joint_stereo": "0" if self.mode == "stereo" else "1", "abr": "1" if self.mode == "abr" else "0"}
        if self.mode == "vbr":
            quality = min(_VBR_BPS, key=lambda quality: abs(_VBR_BPS[quality] - self.bitrate_bps))
            options |= {"flags": "+qscale", "global_quality": str(quality * _LAMBDA)}
        return options


def label(damages: Sequence[Damage]) -> str:
    """Short name of what was done one after the other, such as ``mp3-128+aac-48``; ``clean`` if nothing was."""
    return "+".join(damage.label for damage in damages) or "clean"


def read_label(text: str) -> tuple[str, int]:
    """Codec and bit rate from a label; of several, all the codecs and the lowest bit rate.

    A text that is no label counts as undamaged.

    >>> read_label("mp3-128-abr+aac-48")
    ('mp3+aac', 48000)
    """
    parts = [part.split("-") for part in text.split("+")]
    if not all(len(part) > 1 and part[1].isdigit() for part in parts):
        return "clean", 0
    return "+".join(part[0] for part in parts), min(int(part[1]) for part in parts) * 1000


def degrade_in_turn(audio: Audio, damages: Sequence[Damage]) -> Audio:
    """Encode and decode once for each damage: music that has been through several programs.

    Shape:
        audio and result: ``(samples, 2)``
    """
    for damage in damages:
        audio = degrade(audio, damage)
    return audio


def degrade(audio: Audio, damage: Damage) -> Audio:
    """Encode and decode once.

    Encode long stretches and cut afterwards: a short crop encoded alone has other edges and
    another bit reservoir than the same music inside a track.

    Args:
        audio: Music at 44.1 kHz, full scale 1.0.
        damage: What to do to it.

    Returns:
        The decoded signal, as long as the input and aligned with it.

    Shape:
        audio and result: ``(samples, 2)``

    Raises:
        ValueError: The audio isn't stereo, or is empty.
        AlignmentError: The decoder returned far fewer samples than were encoded.
    """
    if audio.ndim != 2 or audio.shape[1] != 2 or not len(audio):
        raise ValueError(f"audio must be (samples, 2) and not empty, got shape {audio.shape}")
    encoded = encode(resample(audio, SAMPLE_RATE, damage.encode_rate), damage)
    decoded, rate = decode(io.BytesIO(encoded))
    late = _FORMATS[damage.codec].late if damage.codec in _FORMATS else 0
    decoded = np.pad(decoded[max(late, 0) :], ((max(-late, 0), 0), (0, 0)))
    damaged = resample(decoded, rate, SAMPLE_RATE)
    missing = len(audio) - len(damaged)
    if missing > SAMPLE_RATE // 10:
        raise AlignmentError(f"{damage.label}: the decoder returned {missing} samples too few")
    return np.pad(damaged[: len(audio)], ((0, max(missing, 0)), (0, 0)))


def encode(audio: Audio, damage: Damage) -> bytes:
    """Encode stereo audio that is already at the damage's own sample rate.

    Args:
        audio: Music at ``damage.encode_rate``.
        damage: Codec and its settings.

    Returns:
        The complete encoded file.

    Shape:
        audio: ``(samples, 2)``
    """
    if damage.codec == "vorbis":
        return _encode_vorbis(audio, damage)
    written = _FORMATS[damage.codec]
    file = io.BytesIO()
    with av.open(file, "w", format=written.container) as container:
        stream = cast(
            "av.AudioStream",
            container.add_stream(written.encoder, rate=damage.encode_rate, options=damage.encoder_options()),
        )
        if damage.mode != "vbr" or damage.codec != "mp3":
            stream.bit_rate = damage.bitrate_bps
        stream.layout = "stereo"
        stream.format = written.sample_format
        for frame in _frames(audio, damage.encode_rate, written.sample_format):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def decode(file: io.BytesIO | str) -> tuple[Audio, int]:
    """Decode the first audio stream of a file, mono made stereo.

    Args:
        file: A path, or an encoded file in memory.

    Returns:
        The signal, and its sample rate in hertz.

    Shape:
        signal: ``(samples, 2)``
    """
    with av.open(file, "r") as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout="stereo")
        blocks = [
            converted.to_ndarray() for frame in container.decode(stream) for converted in resampler.resample(frame)
        ]
        rate = stream.rate
    return np.ascontiguousarray(np.concatenate(blocks, axis=1).T), rate


def _encode_vorbis(audio: Audio, damage: Damage) -> bytes:
    """Encode with libsndfile, whose Vorbis knows a quality and no bit rate.

    Its quality 0 is nominally 64 kbps, and a tenth more of quality is 16 kbps more (libvorbis,
    `modes/setup_44.h`, stereo at 44.1 kHz).
    """
    quality = float(np.clip((damage.bitrate_bps / 1000 - 64) / 160, 0.0, 1.0))
    file = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", damage.encode_rate, 2, "VORBIS", format="OGG", compression_level=1.0 - quality
    ) as written:
        for start in range(0, len(audio), damage.encode_rate):  # one long write overflows its stack
            written.write(audio[start : start + damage.encode_rate])
    return file.getvalue()


def _frames(audio: Audio, rate: int, sample_format: str) -> Iterator[av.AudioFrame]:
    """Cut audio into PyAV frames of one second."""
    if sample_format.startswith("s16"):
        audio = np.clip(np.round(audio * 32_767), -32_768, 32_767).astype(np.int16)
    for start in range(0, len(audio), rate):
        block = audio[start : start + rate]
        planes = block.T if sample_format.endswith("p") else block.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(planes), format=sample_format, layout="stereo")
        frame.sample_rate = rate
        frame.pts = start
        frame.time_base = Fraction(1, rate)
        yield frame
