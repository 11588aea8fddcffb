"""What is heard of a radio, gathered without an engine; and sounds as stations send them."""

import time
from pathlib import Path

import av
import numpy as np

from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.radio.radio_source import RadioSource
from tests.doubles.encoded_files import encode, noise

RATE = 44_100


def heard(source: RadioSource, n_most: int | None = None) -> np.ndarray:
    """All that it gives, to its end or at least so many samples."""
    source.start()
    parts, n_samples = [np.empty((0, 2), np.float32)], 0
    try:
        while (part := source.take(0)) is not None and (n_most is None or n_samples < n_most):
            parts.append(part)
            n_samples += len(part)
            if not len(part):
                time.sleep(0.002)
    finally:
        source.interrupt()
    return np.concatenate(parts)


def whole(path: Path) -> np.ndarray:
    """The same file, decoded off line."""
    with AudioReader(path, RATE) as reader:
        return reader.read(10**9)


def station_mp3(path: Path, duration_s: float = 8.0, seed: int = 0) -> Path:
    """Noise as MP3 of 64 kbit/s, as a station sends it: no tag, no announced length."""
    with av.open(path, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout="stereo", bit_rate=64_000)
        samples = 0.3 * noise(round(duration_s * RATE), seed=seed)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def station_aac(path: Path, duration_s: float = 8.0) -> Path:
    """Noise as AAC in ADTS."""
    return encode(path, 0.3 * noise(round(duration_s * RATE)), "aac")
