#!/bin/sh
# A wav file of WAVE_FORMAT_EXTENSIBLE with 24 valid bits in a container of 32, as WASAPI tools write it, is valid, and
# libsndfile reads it. FFmpeg (through PyAV) takes the valid bits for the size of the container and decodes floats.
# Seen with av 18.1.0: decoder pcm_f24le, and values that are not the file's. Exits with 1 if that has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 numpy==2.4.6 soundfile==0.14.0
"$folder/venv/bin/python" - "$folder/a.wav" <<'PYTHON'
import struct
import sys

import av
import numpy as np
import soundfile

path = sys.argv[1]
values = np.arange(-1000, 1000, dtype=np.int32) * 4000 * 256  # 24 bits, from the highest bit on
guid = bytes.fromhex("0100000000001000800000aa00389b71")
head = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 44100, 176400, 4, 32, 22, 24, 4) + guid
data = values.astype("<i4").tobytes()
body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
with open(path, "wb") as file:
    file.write(b"RIFF" + struct.pack("<I", len(body)) + body)

by_libsndfile = soundfile.read(path)[0]
with av.open(path) as container:
    stream = container.streams.audio[0]
    by_ffmpeg = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(stream)])
    decoder = stream.codec_context.name
is_right = np.array_equal(by_libsndfile, values / 2**31)
print(f"av {av.__version__}, decoder {decoder}; libsndfile right: {is_right}; FFmpeg: {by_ffmpeg[:3]} for {by_libsndfile[:3]}")
same = len(by_ffmpeg) == len(values) and np.allclose(by_ffmpeg, by_libsndfile)
sys.exit(1 if same or not is_right else 0)
PYTHON
