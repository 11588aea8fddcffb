"""The form of raw PCM, samples without a header as pipes between programs have them; `s16le,44100,2` tells it.

The names of sample formats are FFmpeg's and sox's: signed, unsigned or float, bits, and the order of bytes.
"""

import re
from dataclasses import dataclass

from apollo_rt.config import SAMPLE_RATES

_BITS = {"s": (16, 24, 32), "u": (8,), "f": (32, 64)}
FORMATS = ("u8", *(f"{kind}{bits}{order}" for kind in "sf" for bits in _BITS[kind] for order in ("le", "be")))
MOST_CHANNELS = 8


@dataclass(frozen=True)
class RawFormat:
    """Form of raw samples.

    Attributes:
        sample_format: one of `FORMATS`.
        sample_rate: Hz.
        channels: 1 to `MOST_CHANNELS`, interleaved.

    Raises:
        ValueError: a value is none of those, or beyond its bounds.
    """

    sample_format: str
    sample_rate: int = 44_100
    channels: int = 2

    def __post_init__(self) -> None:
        """Check once, before anything opens."""
        low, high = SAMPLE_RATES
        if self.sample_format not in FORMATS:
            raise ValueError(f"raw sample format must be one of {', '.join(FORMATS)}, got {self.sample_format!r}")
        if not low <= self.sample_rate <= high:
            raise ValueError(f"raw sample rate must be from {low} to {high} Hz, got {self.sample_rate}")
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise ValueError(f"raw channels must be from 1 to {MOST_CHANNELS}, got {self.channels}")

    @classmethod
    def parse(cls, text: str) -> "RawFormat":
        """Read `s16le,44100,2`; what is left out behind the first is 44100 and 2.

        Raises:
            ValueError: that is not its form.
        """
        if not re.fullmatch(r"\w+(,\d{1,7}(,\d{1,3})?)?", text):
            raise ValueError(f"raw samples are told as FORMAT,RATE,CHANNELS, such as s16le,44100,2; got {text!r}")
        name, *numbers = text.split(",")
        return cls(name.lower(), *map(int, numbers))

    def __str__(self) -> str:
        """The form that `parse` reads."""
        return f"{self.sample_format},{self.sample_rate},{self.channels}"

    @property
    def bits(self) -> int:
        """Of one value."""
        return int(re.sub(r"\D", "", self.sample_format))

    @property
    def is_float(self) -> bool:
        """Values are floats, full scale 1.0."""
        return self.sample_format[0] == "f"

    @property
    def is_unsigned(self) -> bool:
        """Silence is the middle of the range, not 0."""
        return self.sample_format[0] == "u"

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.bits // 8 * self.channels

    @property
    def is_little(self) -> bool:
        """The lowest byte comes first."""
        return not self.sample_format.endswith("be")
