"""Restore every song of a folder as a DAW would bounce a track: one board, file by file, 24-bit FLAC.

python docs/examples/restore_folder.py SONGS RESTORED
"""

import sys
from pathlib import Path

from pedalboard import Gain, HighpassFilter, Limiter
from pedalboard.io import AudioFile

from apollo_rt import ApolloEffect, Board

SUFFIXES = {".mp3", ".ogg", ".m4a", ".wav", ".flac"}


def main(source: Path, target: Path) -> None:
    """Restore all music in `source` into `target`, under the same names."""
    restorer = ApolloEffect(strength=1.0, air_db=-1.0)
    board = Board([HighpassFilter(25), restorer, Gain(gain_db=-1.0), Limiter(threshold_db=-1.0)])
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES):
        with AudioFile(str(path)) as song:
            audio, rate = song.read(song.frames), song.samplerate
        restored = board(audio, rate)  # aligned with the input, and as long
        out = (target / path.relative_to(source)).with_suffix(".flac")
        out.parent.mkdir(parents=True, exist_ok=True)
        with AudioFile(str(out), "w", rate, restored.shape[0], bit_depth=24) as file:
            file.write(restored)
        print(f"{path} -> {out}: {restored.shape[1] / rate:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
