"""Clips that no codec has touched, of the kinds that a restorer is tempted by: it must leave all of them as they are.

| kind | what |
|---|---|
| real-music | as it is |
| dark-master | the same, 9 dB an octave softer from 2 kHz on |
| soft-roll-off | an old recording: mono, 18 dB an octave from 5 kHz on, hiss 55 dB below |
| quiet-16-bit | 40 dB softer, rounded to 16 bits |
| from-22050, from-32000 | converted from that rate |
| from-48000 | through a sound server's converter to 48 kHz and back: 7 dB softer at 18 kHz |
| between-tracks | music, silence, music, room tone |
| room-tone, silence, tone | hiss and hum at -66 dBFS; zeros; three steady tones without overtones |
| outdoors, voice | wind and birds, wide; a speaker |
| voice-over-bed | a speaker in the middle of such a bed, 26 dB louder; first up to 8 kHz, over a bed far off |
| solo-... | one instrument: of a soundfont, or recorded |
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from training.data.audio import SAMPLE_RATE, Audio, resample
from training.data.degrade import through_server
from training.evaluation import clip_making
from training.evaluation.clip_making import LENGTH

_MUSIC_DB = -18.0
_EACH = 2
"""Clips of each kind that is made of music."""


def clips(music: Sequence[Audio], sounds: Mapping[str, Audio]) -> Iterator[tuple[str, Audio]]:
    """Makes all clips.

    Args:
        music: real recordings, `LENGTH` or a little less each.
        sounds: `voice` and solo instruments by kind, each as long as it is.

    Yields:
        Kind and clip; kinds repeat.

    Shape:
        (samples, 2) each
    """
    random = np.random.default_rng(20)
    yield from (("real-music", piece) for piece in music[:: max(1, len(music) // 4)][:4])
    yield from _of_music(music, random)
    yield from _of_nothing(random)
    for kind, sound in sounds.items():
        yield kind, clip_making.at_level(_as_long(sound), -20.0)
    bed = clip_making.outdoors(random)
    yield "outdoors", clip_making.at_level(bed, -30.0)
    if "voice" in sounds:
        voice = _as_long(sounds["voice"])
        far = clip_making.sloped(clip_making.outdoors(random), 2_000.0, -12.0)
        for speaker, bed in ((_converted(voice, 16_000), far), (voice, clip_making.outdoors(random))):
            yield "voice-over-bed", clip_making.at_level(speaker, -20.0) + clip_making.at_level(bed, -46.0)


def _of_music(music: Sequence[Audio], random: np.random.Generator) -> Iterator[tuple[str, Audio]]:
    for index in range(min(_EACH, len(music))):
        piece, other = (music[(3 * index + step) % len(music)] for step in (1, 2))
        piece, other = (clip_making.at_level(one, _MUSIC_DB) for one in (piece, other))
        yield "dark-master", clip_making.sloped(piece, 2_000.0, -9.0)
        yield "soft-roll-off", _old(piece, random)
        yield "quiet-16-bit", _rounded(clip_making.at_level(piece, _MUSIC_DB - 40))
        for rate in (22_050, 32_000):
            yield f"from-{rate}", _converted(piece, rate)
        yield "from-48000", through_server(piece)
        yield "between-tracks", _between(piece, other, random)


def _of_nothing(random: np.random.Generator) -> Iterator[tuple[str, Audio]]:
    time_s = np.arange(LENGTH)[:, None] / SAMPLE_RATE
    hum = np.sin(2 * np.pi * 100 * time_s) + 0.5 * np.sin(2 * np.pi * 50 * time_s)
    yield "room-tone", _rounded(_room(random) + 10 ** (-70 / 20) * hum.astype(np.float32))
    yield "silence", np.zeros((LENGTH, 2), np.float32)
    tones = cast("NDArray[np.float64]", sum(np.sin(2 * np.pi * hz * time_s * [1, 1]) for hz in (220.0, 660.0, 1760.0)))
    yield "tone", 0.1 * tones.astype(np.float32)


def _room(random: np.random.Generator) -> Audio:
    return clip_making.at_level(clip_making.noise(random), -66.0)


def _old(piece: Audio, random: np.random.Generator) -> Audio:
    """A recording of the time before tape was any good."""
    middle = np.repeat(piece.mean(1, keepdims=True), 2, axis=1)
    hiss = np.repeat(clip_making.noise(random)[: len(piece), :1], 2, axis=1)
    return clip_making.sloped(middle, 5_000.0, -18.0) + clip_making.at_level(hiss, _MUSIC_DB - 55)


def _converted(piece: Audio, rate: int) -> Audio:
    """From 44.1 kHz to another rate and back: nothing is left above half of it."""
    back = resample(resample(piece, SAMPLE_RATE, rate), rate, SAMPLE_RATE)[: len(piece)]
    return np.pad(back, ((0, len(piece) - len(back)), (0, 0)))


def _between(piece: Audio, other: Audio, random: np.random.Generator) -> Audio:
    """The end of one track, digital silence, the next one, room tone: a second and a quarter each, and again."""
    span = LENGTH // 8
    silence, room = np.zeros((span, 2), np.float32), _rounded(_room(random)[:span])
    parts = [piece[:span], silence, other[:span], room, piece[span : 2 * span], silence, other[span : 2 * span], room]
    ease = np.minimum(1.0, np.minimum(np.arange(span), np.arange(span)[::-1]) / 500)[:, None].astype(np.float32)
    return np.concatenate([part * ease if index % 2 == 0 else part for index, part in enumerate(parts)])


def _rounded(audio: Audio) -> Audio:
    return (np.round(audio * 32_768) / 32_768).astype(np.float32)


def _as_long(sound: Audio) -> Audio:
    """Repeated, or cut, to `LENGTH`."""
    return np.tile(sound, (-(-LENGTH // len(sound)), 1))[:LENGTH]
