"""Apollo in front of a DawDreamer graph (`pip install dawdreamer`): restored music through its filter and compressor.

DawDreamer calls no Python from its graph, so the restored music goes in as a playback processor.

python docs/examples/dawdreamer_graph.py SONG.mp3 OUT.wav
"""

import sys

import dawdreamer
from pedalboard.io import AudioFile

from apollo_rt import ApolloEffect


def main(source: str, target: str) -> None:
    """Restore, then render the graph; the restoration is aligned, so automation and other tracks fit as before."""
    with AudioFile(source) as song:
        audio, rate = song.read(song.frames), song.samplerate
    engine = dawdreamer.RenderEngine(rate, 512)
    restored = engine.make_playback_processor("restored", ApolloEffect(air_db=-2)(audio, rate))
    low_cut = engine.make_filter_processor("low cut", "high", 30.0, 0.7, 1.0)
    compressor = engine.make_compressor_processor("compressor", -20.0, 2.0, 10.0, 100.0)
    engine.load_graph([(restored, []), (low_cut, ["restored"]), (compressor, ["low cut"])])
    engine.render(audio.shape[1] / rate)
    rendered = engine.get_audio()[:, : audio.shape[1]]
    with AudioFile(target, "w", rate, rendered.shape[0], bit_depth=24) as file:
        file.write(rendered)
    print(f"{target}: {rendered.shape[1] / rate:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
