"""Kinds of damage, as values with names: a codec with its settings, a sound server's resampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from training.data.audio import SAMPLE_RATE

Mode = Literal["joint", "stereo", "abr", "vbr", "fast", "best"]
Codec = Literal["mp3", "aac", "opus", "vorbis", "mp2", "ac3", "wma", "sbc", "musepack"]


@dataclass(frozen=True)
class Damage:
    """One lossy codec at one setting.

    Args:
        codec: The lossy codec; `encoders` knows who writes it.
        bitrate_bps: Bit rate asked of the encoder, in bits per second; of Musepack, and of Vorbis below 64 kbps, the
            nominal one of the quality that comes nearest. MP3 at 44.1 kHz has no 24 kbps: asking for it gives 32 kbps
            frames under the 24 kbps low-pass (4.4 kHz).
        encode_rate: Sample rate the encoder works at, in hertz. 22050 with MP3 is MPEG-2.
        mode: Constant bit rate with joint stereo, the same with plain stereo, or joint stereo with
            an average bit rate, or with LAME's true variable one: then ``bitrate_bps`` is the nominal
            rate of the quality that comes nearest. `fast` and `best` are joint stereo with LAME's -q 7 (what -f means)
            and -q 0. Codecs other than MP3 ignore it.

    Raises:
        ValueError: The codec is none of these, or the bit rate is not above 0.
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


@dataclass(frozen=True)
class ServerResampler:
    """A sound server between player and listener that runs at 48 kHz: cheap converters, there and back.

    soxr's LQ stands for them, there and back: 7 dB softer at 18 kHz, nothing above 21 kHz (measured).

    Args:
        rate: The server's sample rate, in hertz.
    """

    rate: int = 48_000
    label: ClassVar[str] = "server"


Stage = Damage | ServerResampler
"""What happens to music on its way, one after the other."""


def label(stages: Sequence[Stage]) -> str:
    """Short name of what was done one after the other, such as ``mp3-128+aac-48+server``; ``clean`` if nothing was."""
    return "+".join(stage.label for stage in stages) or "clean"


def read_label(text: str) -> tuple[str, int]:
    """Codec and bit rate from a label; of several, all the codecs and the lowest bit rate.

    A text that is no label counts as undamaged, and so does one of a sound server's resampler alone.

    >>> read_label("mp3-128-abr+aac-48+server")
    ('mp3+aac', 48000)
    """
    parts = [part.split("-") for part in text.split("+") if part != ServerResampler.label]
    if not parts or not all(len(part) > 1 and part[1].isdigit() for part in parts):
        return "clean", 0
    return "+".join(part[0] for part in parts), min(int(part[1]) for part in parts) * 1000
