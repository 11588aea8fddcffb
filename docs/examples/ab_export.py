"""Export A, B and their difference for a blind test: aligned to the sample, B as loud as A.

python docs/examples/ab_export.py SONG.mp3 FOLDER
"""

import sys
from pathlib import Path

import numpy as np
from pedalboard.io import AudioFile

from apollo_rt import ApolloEffect


def loudness_db(audio: np.ndarray) -> float:
    """Mean power in dB; good enough to match two versions of one song."""
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-12))


def main(source: str, folder: Path) -> None:
    """Write a.wav (the file as it is), b.wav (restored, level matched) and delta.wav (what the model changed)."""
    with AudioFile(source) as song:
        before, rate = song.read(song.frames), song.samplerate
    effect = ApolloEffect()
    after = effect(before, rate)
    effect.output_gain_db = float(np.clip(loudness_db(before) - loudness_db(after), -24, 12))
    matched = effect(before, rate)
    effect.output_gain_db, effect.delta = 0, True
    delta = effect(before, rate)
    folder.mkdir(parents=True, exist_ok=True)
    for name, audio in (("a", before), ("b", matched), ("delta", delta)):
        with AudioFile(str(folder / f"{name}.wav"), "w", rate, audio.shape[0], bit_depth=32) as file:
            file.write(audio)
    print(f"a {loudness_db(before):.2f} dB, b {loudness_db(matched):.2f} dB, delta {loudness_db(delta):.2f} dB")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
