"""Stream a file of any length through a board in small blocks; the copy has its length and lies on it to the sample.

python docs/examples/stream_blocks.py SONG.mp3 OUT.flac
"""

import sys

import numpy as np
from pedalboard import Compressor
from pedalboard.io import AudioFile

from apollo_rt import ApolloEffect, Board

BLOCK = 4096


def main(source: str, target: str) -> None:
    """Read, restore and write block by block; memory stays small however long the song is."""
    effect = ApolloEffect()
    board = Board([Compressor(threshold_db=-18, ratio=2), effect])
    with AudioFile(source) as song, AudioFile(target, "w", song.samplerate, song.num_channels, bit_depth=24) as out:
        n_early, n_left = None, song.frames
        while n_left > 0:
            block = song.read(BLOCK)
            if block.shape[1] == 0:  # the file has ended: silence brings out what is still inside
                block = np.zeros((song.num_channels, BLOCK), np.float32)
            effect.mix = min(1.0, 2 * (1 - n_left / song.frames))  # fades the restoration in; nothing clicks
            restored = board(block, song.samplerate, reset=False)
            n_early = board.latency_samples if n_early is None else n_early
            fresh = restored[:, n_early:][:, :n_left]
            n_early, n_left = max(n_early - restored.shape[1], 0), n_left - fresh.shape[1]
            out.write(fresh)
    print(f"{target}: written in blocks of {BLOCK} samples, {board.latency_samples} samples behind the input")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
