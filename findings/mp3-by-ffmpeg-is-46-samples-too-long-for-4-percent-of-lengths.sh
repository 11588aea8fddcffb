#!/bin/sh
# FFmpeg's MP3 muxer writes a wrong padding where its encoder (LAME) flushes two frames: for lengths of 1 to 46 samples
# beyond a multiple of 1152 the file decodes to 46 to 1 samples more than went in. Two tracks of one tone don't join.
# Exits with 0 while it is so, with 1 once it isn't any more.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import av
import numpy as np


def decoded(n_samples):
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=44_100, layout="stereo", bit_rate=192_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, n_samples), np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 44_100, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    file.seek(0)
    with av.open(file) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


print("PyAV", av.__version__, "libavformat", ".".join(map(str, av.library_versions["libavformat"])))
lengths = [100 * 1152 + extra for extra in (0, 1, 20, 46, 47, 576, 1151)]
found = {length: decoded(length) - length for length in lengths}
for length, surplus in found.items():
    print(f"{length} samples in ({length % 1152} beyond a whole frame): {surplus:+} out")
sys.exit(0 if [found[length] for length in lengths] == [0, 46, 27, 1, 0, 0, 0] else 1)
PYTHON
