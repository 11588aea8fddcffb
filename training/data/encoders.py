"""Encoders and decoders of each codec: FFmpeg through PyAV, libsndfile, and two commands that Debian has.

HE-AAC (v1 and v2) is missing: FFmpeg's own encoder has no spectral band replication, and of those that do, FDK AAC is
not among Debian's free packages and exhale in no package at all.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import soundfile

from training.data.audio import Audio
from training.data.damage_kinds import Damage


@dataclass(frozen=True)
class _Format:
    """PyAV's names for a codec's encoder, container and sample format.

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
    "sbc": _Format("sbc", "sbc", "s16", late=73),
}

_MUSEPACK_LATE = 481
"""Samples that Musepack comes late when FFmpeg decodes it: the filter bank is that of MP2, as measured."""

_VBR_BPS = {9: 65_000, 8: 85_000, 7: 100_000, 6: 115_000, 5: 130_000, 4: 165_000, 2: 190_000}
"""LAME's VBR qualities and what they come to on average (LAME 3.100, `USAGE`, section VBR)."""

_MUSEPACK_BPS = {2: 60_000, 3: 90_000, 4: 130_000, 5: 180_000}
"""Musepack's qualities and what they come to on average (`mpcenc --longhelp`): telephone, thumb, radio, standard."""

_EFFORTS = {"fast": "7", "best": "0"}
"""LAME's -q: how hard it looks for the best use of its bits (0 best, 9 worst)."""

_LAMBDA = 118
"""FFmpeg's `FF_QP2LAMBDA`: its qualities are whole numbers of a 118th."""

_LOWEST_SNDFILE_BPS = 64_000  # Vorbis of quality 0
PACKAGES = {"oggenc": "vorbis-tools", "mpcenc": "musepack-tools"}
"""Commands that write what no library writes, and the Debian packages they are in."""


class EncoderMissingError(ValueError):
    """A command that writes a codec isn't installed; the message names the package."""


def can_encode(damage: Damage) -> bool:
    """Whether this machine has what writes it."""
    return _command_of(damage) is None or bool(shutil.which(str(_command_of(damage))))


def encode(audio: Audio, damage: Damage) -> bytes:
    """Encode stereo audio that is already at the damage's own sample rate.

    Args:
        audio: Music at ``damage.encode_rate``.
        damage: Codec and its settings.

    Returns:
        The complete encoded file.

    Shape:
        audio: ``(samples, 2)``

    Raises:
        EncoderMissingError: It takes a command that isn't there.
    """
    command = _command_of(damage)
    if command:
        return _by_command(audio, damage, command)
    return _by_sndfile(audio, damage) if damage.codec == "vorbis" else _by_ffmpeg(audio, damage)


def decode(file: io.BytesIO | str, container: str | None = None) -> tuple[Audio, int]:
    """Decode the first audio stream of a file, mono made stereo.

    Args:
        file: A path, or an encoded file in memory.
        container: FFmpeg's name of its format; None lets it look.

    Returns:
        The signal, and its sample rate in hertz.

    Shape:
        signal: ``(samples, 2)``
    """
    with av.open(file, "r", format=container) as opened:
        stream = opened.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout="stereo")
        blocks = [converted.to_ndarray() for frame in opened.decode(stream) for converted in resampler.resample(frame)]
        rate = stream.rate
    return np.ascontiguousarray(np.concatenate(blocks, axis=1).T), rate


def decode_own(encoded: bytes, damage: Damage) -> tuple[Audio, int]:
    """Decode what `encode` made, and take the codec's own delay off.

    Returns:
        The signal, and its sample rate in hertz.

    Shape:
        signal: ``(samples, 2)``
    """
    # SBC has no header that FFmpeg would know it by.
    decoded, rate = decode(io.BytesIO(encoded), "sbc" if damage.codec == "sbc" else None)
    late = _MUSEPACK_LATE if damage.codec == "musepack" else 0
    late = _FORMATS[damage.codec].late if damage.codec in _FORMATS else late
    return np.pad(decoded[max(late, 0) :], ((max(-late, 0), 0), (0, 0))), rate


def _command_of(damage: Damage) -> str | None:
    """The command that writes it, where no library does."""
    if damage.codec == "musepack":
        return "mpcenc"
    return "oggenc" if damage.codec == "vorbis" and damage.bitrate_bps < _LOWEST_SNDFILE_BPS else None


def _by_command(audio: Audio, damage: Damage, command: str) -> bytes:
    program = shutil.which(command)
    if program is None:
        raise EncoderMissingError(
            f"{damage.label} is written by {command}, which is not installed; on Debian: apt-get install "
            f"{PACKAGES[command]}"
        )
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "source.wav", Path(name) / "target"
        soundfile.write(source, audio, damage.encode_rate, "PCM_16")
        if command == "mpcenc":
            quality = min(_MUSEPACK_BPS, key=lambda quality: abs(_MUSEPACK_BPS[quality] - damage.bitrate_bps))
            arguments = ["--silent", "--quality", str(quality), str(source), str(target.with_suffix(".mpc"))]
        else:
            arguments = ["--quiet", "--quality", "-1", "--output", str(target), str(source)]
        subprocess.run([program, *arguments], check=True, capture_output=True)  # noqa: S603
        return next(file for file in Path(name).iterdir() if file.stem == "target").read_bytes()


def _by_ffmpeg(audio: Audio, damage: Damage) -> bytes:
    written = _FORMATS[damage.codec]
    file = io.BytesIO()
    with av.open(file, "w", format=written.container) as container:
        stream = cast(
            "av.AudioStream",
            container.add_stream(written.encoder, rate=damage.encode_rate, options=_options(damage)),
        )
        if damage.mode != "vbr" or damage.codec != "mp3":
            stream.bit_rate = damage.bitrate_bps
        stream.layout = "stereo"
        stream.format = written.sample_format
        for frame in _frames(audio, damage.encode_rate, written.sample_format):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def _options(damage: Damage) -> dict[str, str]:
    """Options that the encoder is opened with."""
    if damage.codec == "opus":
        # As `audio` it would be 0.16 samples early at 24 and 48 kbps (measured): more than a pair may be.
        return {"application": "lowdelay"}
    if damage.codec != "mp3":
        return {}
    options = {"joint_stereo": str(int(damage.mode != "stereo")), "abr": str(int(damage.mode == "abr"))}
    if damage.mode == "vbr":
        quality = min(_VBR_BPS, key=lambda quality: abs(_VBR_BPS[quality] - damage.bitrate_bps))
        options |= {"flags": "+qscale", "global_quality": str(quality * _LAMBDA)}
    if damage.mode in _EFFORTS:
        options["compression_level"] = _EFFORTS[damage.mode]
    return options


def _by_sndfile(audio: Audio, damage: Damage) -> bytes:
    """Encode with libsndfile, whose Vorbis knows a quality and no bit rate.

    Its quality 0 is nominally 64 kbps, and a tenth more of quality is 16 kbps more (libvorbis,
    `modes/setup_44.h`, stereo at 44.1 kHz).
    """
    quality = float(np.clip((damage.bitrate_bps - _LOWEST_SNDFILE_BPS) / 160_000, 0.0, 1.0))
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
