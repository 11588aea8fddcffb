#!/bin/sh
# FFmpeg 8.1 ends a chained Ogg stream for good at a link of another rate or layout: three valid links of Vorbis one
# after the other, 44.1 kHz stereo, 48 kHz mono, 44.1 kHz stereo, as a radio that changes its programme sends them. At
# the first join `demux` raises PatchWelcomeError, then InvalidDataError however often it is asked again; not even the
# third link, which is as the first, is heard. Each link by itself is decoded whole.
# Exits with 0 while it is so, with 1 once it isn't any more.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 numpy==2.4.6 soundfile==0.14.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import av
import numpy as np
import soundfile

av.logging.set_level(av.logging.PANIC)


def link(rate, n_channels, seed):
    """Two seconds of noise as Ogg Vorbis."""
    file = io.BytesIO()
    sound = np.random.default_rng(seed).uniform(-0.2, 0.2, (2 * rate, n_channels)).astype(np.float32)
    soundfile.write(file, sound, rate, format="OGG", subtype="VORBIS")
    return file.getvalue()


def decoded(data):
    """How many samples come, and what is raised; demux is asked a hundred times more."""
    n_samples, errors = 0, []
    with av.open(io.BytesIO(data), format="ogg") as container:
        for _ in range(100):
            try:
                for packet in container.demux(audio=0):
                    n_samples += sum(frame.samples for frame in packet.decode())
                break
            except av.FFmpegError as error:
                errors.append(type(error).__name__)
    return n_samples, errors


print("PyAV", av.__version__, "libavformat", ".".join(map(str, av.library_versions["libavformat"])))
links = [link(44_100, 2, 1), link(48_000, 1, 2), link(44_100, 2, 3)]
alone = [decoded(each) for each in links]
print("each link alone, samples:", [n_samples for n_samples, _ in alone])
n_samples, errors = decoded(b"".join(links))
print(f"one after the other: {n_samples} samples; raised:", {name: errors.count(name) for name in set(errors)})
is_whole = alone == [(88_200, []), (96_000, []), (88_200, [])]
is_ended = n_samples == 88_200 and len(errors) == 100 and errors[0] == "PatchWelcomeError"
sys.exit(0 if is_whole and is_ended else 1)
PYTHON
