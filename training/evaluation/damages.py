"""Damage by its label: `mp3-48`, `mp3-64-24khz`, `mp3-64-vbr`, `opus-32`, `mp3-128+aac-64`; `clean` is none at all."""

from typing import get_args

from training.data.audio import SAMPLE_RATE, Audio
from training.data.degrade import Codec, Damage, Mode, degrade_in_turn, label, read_label

CLEAN = "clean"
_ENCODE_RATES = {"mpeg2": 22_050, "24khz": 24_000, "32khz": 32_000}
_RATE_OF_CODEC = {"opus": 48_000}  # it works at no other


def parse(text: str) -> tuple[Damage, ...]:
    """Read a label.

    Returns:
        What is done, one after the other; nothing for `clean`.

    Raises:
        ValueError: it is no label; the message says what one looks like.
    """
    damages = () if text == CLEAN else tuple(_one(part) for part in text.split("+"))
    if (label(damages) if damages else CLEAN) != text:
        raise ValueError(_hint(text))
    return damages


def _one(text: str) -> Damage:
    codec, kbps, *more = [*text.split("-"), ""]
    rates = [rate for name, rate in _ENCODE_RATES.items() if name in more] or [_RATE_OF_CODEC.get(codec, SAMPLE_RATE)]
    modes = [mode for mode in get_args(Mode) if mode in more]
    if codec not in get_args(Codec) or not kbps.isdigit():
        raise ValueError(_hint(text))
    return Damage(codec, int(kbps) * 1000, rates[0], modes[0] if modes else "joint")  # type: ignore[arg-type]


def _hint(text: str) -> str:
    codecs = ", ".join(get_args(Codec))
    return (
        f"{text!r} is no damage; one is CODEC-KBPS such as mp3-48, mp3-64-vbr or opus-32 (codecs: {codecs}), or clean"
    )


def apply(audio: Audio, text: str) -> Audio:
    """Damage music as a label says. Shape: (samples, 2) -> the same."""
    return degrade_in_turn(audio, parse(text))


def codec_and_kbps(text: str) -> tuple[str, int]:
    """What a label says of codec and bit rate; of several the lowest rate, and 0 for `clean`."""
    codec, bitrate_bps = read_label(text)
    return codec, bitrate_bps // 1000
