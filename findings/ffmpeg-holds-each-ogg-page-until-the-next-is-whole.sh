#!/bin/sh
# FFmpeg's Ogg muxer hands a page on only when the next one is whole: a live Ogg stream of its own (`-f ogg`, to icecast
# say, pages of a second by default) sends its first sound after two seconds, and all of it a page later than need be,
# whatever `flush_packets` says. A listener who waits for a station to come back hears nothing before. `page_duration`
# (microseconds) makes both shorter: at 200 ms the first sound leaves after 0.4 s.
# Exits with 0 while it is so, with 1 once it isn't any more.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import av
import numpy as np

RATE, LENGTH = 48_000, 960


class Sink:
    """Takes what the muxer hands on, and keeps it."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data
        return len(data)


def granules(data):
    """The clock at the end of each page that was handed on."""
    found, at = [], 0
    while data[at : at + 4] == b"OggS":
        n_segments = data[at + 26]
        found.append(int.from_bytes(data[at + 6 : at + 14], "little", signed=True))
        at += 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
    return found


def sent(options):
    """For each page with sound: seconds given to the muxer when it was handed on, and seconds of sound up to its end."""
    sink, known = Sink(), []
    container = av.open(sink, "w", format="ogg", options={"flush_packets": "1", **options})
    stream = container.add_stream("libopus", rate=RATE, layout="stereo")
    sound = np.random.default_rng(0).uniform(-0.1, 0.1, (1, 2 * LENGTH)).astype(np.float32)
    for number in range(300):
        frame = av.AudioFrame.from_ndarray(sound, format="flt", layout="stereo")
        frame.sample_rate, frame.pts = RATE, number * LENGTH
        for packet in stream.encode(frame):
            container.mux(packet)
        pages = [granule for granule in granules(sink.data) if granule > 0]
        known += [((number + 1) * LENGTH / RATE, granule / RATE) for granule in pages[len(known) :]]
    container.close()
    return known


print("PyAV", av.__version__, "libavformat", ".".join(map(str, av.library_versions["libavformat"])))
usual, short = sent({}), sent({"page_duration": "200000"})
for name, pages in (("as it comes", usual), ("page_duration 200 ms", short)):
    print(f"{name}: " + ", ".join(f"{end_s:.2f} s of sound left at {at_s:.2f} s" for at_s, end_s in pages[:3]))
sys.exit(0 if 1.9 < usual[0][0] < 2.2 and usual[0][1] < 1.1 and 0.35 < short[0][0] < 0.5 else 1)
PYTHON
