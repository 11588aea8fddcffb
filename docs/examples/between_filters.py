"""Apollo between a high-pass and a limiter, beside the dry signal: a chain and a mix whose branches stay aligned.

python docs/examples/between_filters.py SONG.mp3 OUT.wav
"""

import sys

from pedalboard import Gain, HighpassFilter, Limiter
from pedalboard.io import AudioFile

from apollo_rt import ApolloEffect, Board, Chain, Mix


def main(source: str, target: str) -> None:
    """Three quarters restored, one quarter dry; the dry branch waits for the restored one, to the sample."""
    board = Board(
        [
            HighpassFilter(cutoff_frequency_hz=30),
            Mix([Chain([ApolloEffect(crossover_hz=200), Gain(gain_db=-2.5)]), Gain(gain_db=-12.0)]),
            Limiter(threshold_db=-0.5),
        ]
    )
    with AudioFile(source) as song:
        audio, rate = song.read(song.frames), song.samplerate
    restored = board(audio, rate)
    with AudioFile(target, "w", rate, restored.shape[0], bit_depth=24) as file:
        file.write(restored)
    print(f"{board}\nlatency that was compensated: {board.latency_samples} samples at {rate:g} Hz")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
