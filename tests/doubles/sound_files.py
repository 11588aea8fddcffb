"""Files to read: one sine in many encodings, and every way a file can be bad; made here, so that none is stored."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile

Samples = npt.NDArray[np.float32]


def tone(n_samples: int, sample_rate: int = 44_100, channels: int = 2) -> Samples:
    """A 440 Hz sine with a slow swell, `(samples, channels)`; channel 2 is softer than channel 1."""
    t = np.arange(n_samples) / sample_rate
    wave = 0.4 * np.sin(2 * np.pi * 440 * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 1.5 * t))
    return np.stack([wave / (1 + c) for c in range(channels)], axis=1).astype(np.float32)


def write(path: Path, samples: Samples, sample_rate: int = 44_100, subtype: str | None = None) -> Path:
    """Store samples by libsndfile, in the format of the suffix."""
    soundfile.write(path, samples, sample_rate, subtype=subtype)
    return path


def write_aac(path: Path, samples: Samples, sample_rate: int = 44_100) -> Path:
    """Store stereo samples as AAC in an mp4 container, with the edit list that makes it gapless."""
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=sample_rate, layout="stereo", bit_rate=256_000)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = sample_rate, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def write_video(path: Path) -> Path:
    """A film of one black picture and no sound."""
    with av.open(path, "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for packet in [*stream.encode(picture), *stream.encode(None)]:
            container.mux(packet)
    return path


def with_cover(path: Path, source: Path, picture: bytes) -> Path:
    """The mp3 `source` behind an ID3v2.3 tag that holds a picture of its cover."""
    body = b"\0image/jpeg\0\x03\0" + picture
    frame = b"APIC" + len(body).to_bytes(4, "big") + b"\0\0" + body
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + frame + source.read_bytes())
    return path


def truncated_mp3(folder: Path) -> Path:
    """The first half of an mp3 of 3 s, cut inside a block."""
    whole = write(folder / "whole.mp3", tone(3 * 44_100)).read_bytes()
    path = folder / "truncated.mp3"
    path.write_bytes(whole[: len(whole) // 2 + 77])
    return path


def headerless_mp3(folder: Path, sample_rate: int, n_bytes_missing: int = 0) -> Path:
    """A constant-bit-rate mp3 without the Xing block that would announce its length."""
    with av.open(folder / "headerless.mp3", "w", options={"write_xing": "0", "id3v2_version": "0"}) as container:
        stream = container.add_stream("libmp3lame", rate=sample_rate, layout="stereo", bit_rate=64_000)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone(44_100).T), format="fltp", layout="stereo")
        frame.sample_rate = sample_rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    path = folder / "headerless.mp3"
    path.write_bytes(path.read_bytes()[: -n_bytes_missing or None])
    return path


def bad_source(folder: Path, kind: str) -> Path:
    """A file of the named kind that can't be restored; the kinds are the keys of `BAD_SOURCES`."""
    path = folder / BAD_SOURCES[kind][0]
    if kind == "a folder":
        path.mkdir()
    elif kind == "an empty file":
        path.touch()
    elif kind == "a text file":
        path.write_text("This is no music.\n" * 200)
    elif kind == "a film without sound":
        write_video(path)
    elif kind == "a playlist":
        path.write_text("#EXTM3U\nsong.mp3\n")
    elif kind in ("NaN", "infinity"):
        samples = tone(3000)
        samples[1234, 1] = np.nan if kind == "NaN" else np.inf
        write(path, samples, subtype="FLOAT")
    return path


BAD_SOURCES = {
    "a missing file": ("missing.wav", "no such file"),
    "a folder": ("folder.wav", "is a folder"),
    "an empty file": ("empty.wav", "is empty"),
    "a text file": ("text.wav", "not an audio file"),
    "a film without sound": ("film.avi", "holds no audio"),
    "a playlist": ("songs.mp3", "is a playlist"),
    "NaN": ("nan.wav", "sample 1234 of channel 2 is not a finite number"),
    "infinity": ("infinity.wav", "sample 1234 of channel 2 is not a finite number"),
}
"""Kind of bad file: its name, and what the error says about it."""
