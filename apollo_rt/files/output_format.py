"""Output formats by suffix, with their bounds and what a user may wish. Numbers only; nothing is opened.

| suffix | what is written | rates, Hz | at most |
|---|---|---|---|
| .wav | 24 bits, or 32-bit floats; RF64 from 4 GB on | all of ours | |
| .flac | 24 bits | to 655350; above 65535 in steps of 10 | 2^36 samples |
| .aiff .aif | 24 bits | all of ours | 4 GB |
| .w64 | 24 bits, or 32-bit floats | all of ours | |
| .m4a | AAC, or ALAC with 24 bits | AAC: 12 of 8000 to 96000 | |
| .mp3 | MPEG layer III by LAME | 9 of 8000 to 48000 | |
| .ogg | Vorbis | 8000 to 192000 | |
| .opus | Opus | 48000 | |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from apollo_rt.config import SAMPLE_RATES
from apollo_rt.errors import AudioFileError
from apollo_rt.files.raw_format import RawFormat
from apollo_rt.standard_streams import is_pipe

Quality = Literal["standard", "high", "best", "lossless"]
QUALITIES: Final[tuple[Quality, ...]] = ("standard", "high", "best", "lossless")
RATES: Final = (44_100, 48_000, 88_200, 96_000)
"""What a user may ask for, beside what the source has."""

KBPS: Final = (6, 512)
"""Of all formats together; each has its own bounds."""

_MPEG_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


@dataclass(frozen=True)
class OutputSettings:
    """Wishes of the user for the files that are written.

    Attributes:
        float_wav: 32-bit floats instead of 24-bit integers, in formats that can hold them (.wav, .w64).
        rate: "auto" (the source's, but never below the model's), "keep" (the source's), or Hz.
        quality: of lossy formats; "lossless" is ALAC in .m4a.
        bitrate_kbps: instead of that; None for the quality's.
        raw: what a pipe gets, at its rate; None: a wav.

    Raises:
        ValueError: a value is none of those, or beyond its bounds.
    """

    float_wav: bool = False
    rate: int | Literal["auto", "keep"] = "auto"
    quality: Quality = "high"
    bitrate_kbps: int | None = None
    raw: RawFormat | None = None

    def __post_init__(self) -> None:
        """Check once, before anything opens."""
        if self.rate not in ("auto", "keep", *RATES):
            raise ValueError(f"rate must be auto, keep, {', '.join(map(str, RATES))} Hz, got {self.rate!r}")
        if self.quality not in QUALITIES:
            raise ValueError(f"quality must be one of {', '.join(QUALITIES)}, got {self.quality!r}")
        if self.bitrate_kbps is not None and not KBPS[0] <= self.bitrate_kbps <= KBPS[1]:
            raise ValueError(f"bitrate must be from {KBPS[0]} to {KBPS[1]} kbit/s, got {self.bitrate_kbps}")

    def rate_for(self, source_rate: int, model_rate: int, target: Path) -> int:
        """The rate to write: as wished, and as the format has it where it has only one.

        Args:
            source_rate: Hz.
            model_rate: Hz.
            target: its suffix picks the format.
        """
        rates = () if is_pipe(target) else format_of(target).rates
        if is_pipe(target) and self.raw:
            rates = (self.raw.sample_rate,)
        if len(rates) == 1:
            return rates[0]
        if self.rate == "auto":
            return max(source_rate, model_rate)
        return source_rate if self.rate == "keep" else self.rate


@dataclass(frozen=True)
class OutputFormat:
    """One format, as it is written.

    Attributes:
        name: for people.
        container: FFmpeg's name of the muxer.
        codec: FFmpeg's name of the encoder.
        sample_format: FFmpeg's name of the samples that the encoder is given: `s32` (24 bits of it), `flt`.
        rates: all that it can hold, in Hz; empty: `rate_bounds`.
        rate_bounds: lowest and highest, in Hz.
        most_bytes: of sound, where lengths are limited.
        channels: numbers of them that are written.
        kbps: by quality, of stereo; empty where nothing is lost.
        kbps_bounds: lowest and highest of stereo.
    """

    name: str
    container: str
    codec: str
    sample_format: str
    rates: tuple[int, ...] = ()
    rate_bounds: tuple[int, int] = SAMPLE_RATES
    most_bytes: int | None = None
    channels: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    kbps: Mapping[Quality, int] = field(default_factory=dict)
    kbps_bounds: tuple[int, int] = (0, 0)

    @property
    def clips(self) -> bool:
        """Samples beyond full scale are cut off."""
        return self.sample_format == "s32"

    def check(self, path: Path, sample_rate: int, channels: int, n_samples: int | None = None) -> None:
        """Refuse what the format can't hold.

        Args:
            path: for the message.
            sample_rate: Hz.
            channels: 1 or more.
            n_samples: as far as known.

        Raises:
            AudioFileError: rate, channels or length are beyond its bounds.
        """
        if channels not in self.channels:
            raise AudioFileError(
                f"{path}: {self.name} is written with {', '.join(map(str, self.channels))} channels, got {channels}; "
                "choose another format, or --downmix"
            )
        if not self._holds_rate(sample_rate):
            raise AudioFileError(
                f"{path}: {self.name} holds sample rates of {self._rates_in_words()} Hz, got {sample_rate}; "
                "choose another by --rate, or another format"
            )
        if n_samples is not None and n_samples > self.most_samples(channels):
            raise AudioFileError(
                f"{path}: {self.name} holds at most {self.most_samples(channels) / sample_rate / 60:.0f} minutes at "
                f"{sample_rate} Hz, the sound has {n_samples / sample_rate / 60:.0f}; write a .wav or .flac file"
            )

    def most_samples(self, channels: int) -> int:
        """Samples that a file can hold at most."""
        limit = 2**36 - 1 if self.codec == "flac" else 2**62
        return limit if self.most_bytes is None else self.most_bytes // (3 * channels)

    def kbps_for(self, path: Path, settings: OutputSettings, sample_rate: int, channels: int) -> int:
        """The bit rate to encode with, 0 where there is none to choose.

        Raises:
            AudioFileError: the bit rate is beyond what the format holds, or there is no such choice.
        """
        if not self.kbps:
            if settings.bitrate_kbps is not None:
                raise AudioFileError(f"{path}: {self.name} is lossless, there is no bit rate to choose")
            return 0
        if settings.quality == "lossless":
            raise AudioFileError(f"{path}: {self.name} is never lossless; write .flac, .wav, .aiff, .w64 or .m4a")
        low, high = self.kbps_bounds[0], self._most_kbps(sample_rate, channels)
        if settings.bitrate_kbps is None:
            return min(self.kbps[settings.quality] * channels // 2, high)
        if not low <= settings.bitrate_kbps <= high:
            raise AudioFileError(
                f"{path}: {self.name} at {sample_rate} Hz with {channels} channels holds bit rates from {low} to "
                f"{high} kbit/s, got {settings.bitrate_kbps}"
            )
        return settings.bitrate_kbps

    def _most_kbps(self, sample_rate: int, channels: int) -> int:
        if self.codec == "libmp3lame":  # MPEG 1, 2, 2.5: ISO/IEC 11172-3, 13818-3, and LAME's own bound
            return 320 if sample_rate >= 32_000 else 160 if sample_rate >= 16_000 else 64
        most = self.kbps_bounds[1] * channels // 2
        if self.codec == "aac":  # 6144 bits for each channel and 1024 samples: ISO/IEC 14496-3, 4.5.3.3
            return min(most, 6144 * channels * sample_rate // 1024 // 1000)
        return most

    def _holds_rate(self, rate: int) -> bool:
        if self.rates:
            return rate in self.rates
        low, high = self.rate_bounds
        return low <= rate <= high and not (self.codec == "flac" and rate > 65_535 and rate % 10)

    def _rates_in_words(self) -> str:
        if self.rates:
            return ", ".join(map(str, self.rates))
        return f"{self.rate_bounds[0]} to {self.rate_bounds[1]}" + (
            ", above 65535 in steps of 10," if self.codec == "flac" else ""
        )


_AIFF = OutputFormat("AIFF", "aiff", "pcm_s24be", "s32", most_bytes=2**32 - 2**24)
"""Lengths in an AIFF file have 32 bits; 16 MB are left for the tags."""

_FORMATS: Final[Mapping[str, OutputFormat]] = {
    ".wav": OutputFormat("wav", "wav", "pcm_s24le", "s32"),
    ".flac": OutputFormat("FLAC", "flac", "flac", "s32", rate_bounds=(SAMPLE_RATES[0], 655_350)),
    ".ogg": OutputFormat(
        "Ogg Vorbis",
        "ogg",
        "vorbis",
        "flt",
        rate_bounds=(8000, 192_000),
        channels=(1, 2),
        kbps={"standard": 192, "high": 320, "best": 500},
        kbps_bounds=(64, 500),
    ),
    ".mp3": OutputFormat(
        "MP3",
        "mp3",
        "libmp3lame",
        "flt",
        rates=_MPEG_RATES,
        channels=(1, 2),
        kbps={"standard": 192, "high": 320, "best": 320},
        kbps_bounds=(8, 320),
    ),
    ".m4a": OutputFormat(
        "AAC",
        "mp4",
        "aac",
        "flt",
        rates=(*_MPEG_RATES, 64_000, 88_200, 96_000),
        channels=(1, 2, 3, 4, 5, 6),
        kbps={"standard": 192, "high": 320, "best": 448},
        kbps_bounds=(16, 512),
    ),
    ".opus": OutputFormat(
        "Opus",
        "opus",
        "libopus",
        "flt",
        rates=(48_000,),
        channels=(1, 2, 3, 4, 6),  # FFmpeg 8.1 puts others in a wrong order
        kbps={"standard": 128, "high": 256, "best": 448},
        kbps_bounds=(6, 510),
    ),
    ".aiff": _AIFF,
    ".aif": _AIFF,
    ".w64": OutputFormat("Wave64", "w64", "pcm_s24le", "s32"),
}
_ALAC: Final = OutputFormat(
    "ALAC", "mp4", "alac", "s32", rate_bounds=(SAMPLE_RATES[0], 384_000), channels=(1, 2, 3, 5, 6)
)
_FLOAT_CODEC: Final = "pcm_f32le"

WRITABLE_SUFFIXES: Final = tuple(_FORMATS)


def format_of(path: Path, settings: OutputSettings | None = None) -> OutputFormat:
    """The format of a file to write.

    Args:
        path: its suffix picks the format.
        settings: None for the usual ones.

    Raises:
        AudioFileError: the suffix is none that can be written.
    """
    settings = settings or OutputSettings()
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        raise AudioFileError(f"{path}: can't write this kind of file; use one of {' '.join(WRITABLE_SUFFIXES)}")
    if settings.quality == "lossless" and form.codec == "aac":
        return _ALAC
    if settings.float_wav and form.codec == "pcm_s24le":
        return OutputFormat(form.name, form.container, _FLOAT_CODEC, "flt")
    return form
