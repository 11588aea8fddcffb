"""Damage by its label: `mp3-48`, `mp3-24-mpeg2`, `mp3-64-vbr`, `opus-32`, `mp3-128+aac-64`; `clean` is none at all."""

from typing import get_args

from training.data.audio import Audio
from training.data.degrade import Codec, Damage, Mode, degrade_in_turn, label, read_label

CLEAN = "clean"
_ENCODE_RATES = {"opus": 48_000, "mpeg2": 22_050}  # the codec works at no other rate; half of ours


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
    rate = _ENCODE_RATES["mpeg2"] if "mpeg2" in more else _ENCODE_RATES.get(codec, 44_100)
    modes = [mode for mode in get_args(Mode) if mode in more]
    if codec not in get_args(Codec) or not kbps.isdigit():
        raise ValueError(_hint(text))
    return Damage(codec, int(kbps) * 1000, rate, modes[0] if modes else "joint")  # type: ignore[arg-type]


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
