#!/bin/sh
# FFmpeg's Vorbis decoder isn't begun anew at a link of a chained Ogg stream: the first packet of a link only primes the
# overlap and gives no sound (Vorbis I, 1.3.2), but is heard there, overlapped with the last of the link before. Links
# of libvorbis, which begin with a short block, come back 128 samples too long each, so that what follows is late, and
# the later the more titles a radio has sent. Each link by itself is decoded to the sample; `oggdec` decodes the chain
# to the sample, too. In a link's first packet PyAV shows the side data `new_extradata`: who leaves that packet's frame
# out hears as much as was sent.
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


def decoded(data, leaves_out=False):
    """How many samples come."""
    n_samples = 0
    with av.open(io.BytesIO(data), format="ogg") as container:
        for packet in container.demux(audio=0):
            is_first = any(each.data_type == "new_extradata" for each in packet.iter_sidedata())
            frames = packet.decode()
            n_samples += 0 if leaves_out and is_first else sum(frame.samples for frame in frames)
    return n_samples


print("PyAV", av.__version__, "libavcodec", ".".join(map(str, av.library_versions["libavcodec"])))
links = [link(44_100, 2, seed) for seed in range(5)]
alone = [decoded(each) for each in links]
print("each link alone, samples:", alone)
surplus = [decoded(b"".join(links[:n])) - sum(alone[:n]) for n in (1, 2, 3, 5)]
print("1, 2, 3, 5 of them in one stream, samples too many:", surplus)
left = decoded(b"".join(links), leaves_out=True) - sum(alone)
print("5 without the frames of packets with new_extradata:", left)
sys.exit(0 if alone == [88_200] * 5 and surplus == [0, 128, 256, 512] and left == 0 else 1)
PYTHON
