"""Damage by its label; `clean` is none at all.

`mp3-48`, `mp3-64-24khz`, `mp3-64-vbr`, `opus-32`; one after the other `mp3-128+aac-64`, `sbc-192+server`.
"""

from typing import get_args

from training.data.audio import SAMPLE_RATE, Audio
from training.data.damage_kinds import Codec, Damage, Mode, ServerResampler, Stage, label, read_label
from training.data.degrade import degrade_in_turn

CLEAN = "clean"
_ENCODE_RATES = {"8khz": 8_000, "16khz": 16_000, "mpeg2": 22_050, "24khz": 24_000, "32khz": 32_000}
_RATE_OF_CODEC = {"opus": 48_000}  # it works at no other


def parse(text: str) -> tuple[Stage, ...]:
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


def _one(text: str) -> Stage:
    if text == ServerResampler.label:
        return ServerResampler()
    codec, kbps, *more = [*text.split("-"), ""]
    rates = [rate for name, rate in _ENCODE_RATES.items() if name in more] or [_RATE_OF_CODEC.get(codec, SAMPLE_RATE)]
    modes = [mode for mode in get_args(Mode) if mode in more]
    if codec not in get_args(Codec) or not kbps.isdigit():
        raise ValueError(_hint(text))
    return Damage(codec, int(kbps) * 1000, rates[0], modes[0] if modes else "joint")  # type: ignore[arg-type]


def _hint(text: str) -> str:
    codecs = ", ".join(get_args(Codec))
    return (
        f"{text!r} is no damage; one is CODEC-KBPS such as mp3-48, mp3-64-vbr or opus-32 (codecs: {codecs}), "
        f"or {ServerResampler.label}, several with + between, or clean"
    )


def apply(audio: Audio, text: str) -> Audio:
    """Damage music as a label says. Shape: (samples, 2) -> the same."""
    return degrade_in_turn(audio, parse(text))


def codec_and_kbps(text: str) -> tuple[str, int]:
    """Codec and bit rate of a label; of several the lowest rate, and 0 for `clean`."""
    codec, bitrate_bps = read_label(text)
    return codec, bitrate_bps // 1000
