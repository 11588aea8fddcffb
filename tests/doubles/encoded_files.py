"""Files of many codecs and containers, made from noise whose every place can be told from every other."""

import struct
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile

Samples = npt.NDArray[np.float32]

_FORMATS = {
    "libmp3lame": "fltp",
    "aac": "fltp",
    "libopus": "flt",
    "flac": "s16",
    "alac": "s16p",
    "mp2": "s16",
    "pcm_s16le": "s16",
    "wavpack": "s16p",
    "ac3": "fltp",
    "tta": "s16",
    "wmav2": "fltp",
}
_BIT_RATES = {
    "libmp3lame": 128_000,
    "aac": 160_000,
    "libopus": 128_000,
    "mp2": 160_000,
    "ac3": 192_000,
    "wmav2": 160_000,
}


def noise(n_samples: int, channels: int = 2, seed: int = 0) -> Samples:
    """Soft noise without highs, which every codec keeps; `(samples, channels)`, each channel its own."""
    white = np.random.default_rng(seed).standard_normal((n_samples + 16, channels))
    window = np.hanning(18)[1:-1]
    smooth = [np.convolve(white[:, channel], window / window.sum(), "same")[:n_samples] for channel in range(channels)]
    return (0.25 * np.stack(smooth, axis=1)).clip(-0.95, 0.95).astype(np.float32)


def encode(
    path: Path,
    samples: Samples,
    codec: str,
    rate: int = 44_100,
    left_out: range = range(0),
    late_s: float = 0.0,
    kind: str | None = None,
    options: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> Path:
    """Store samples by FFmpeg.

    Args:
        path: the suffix chooses the container unless `kind` does.
        samples: `(samples, channels)`.
        codec: FFmpeg's name of the encoder.
        rate: Hz.
        left_out: numbers of packets that are not stored, as if they had been lost.
        late_s: how much later than 0 the sound begins.
        kind: FFmpeg's name of the container.
        options: of the container.
        tags: of the file.
    """
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[samples.shape[1]]
    values = samples if "flt" in _FORMATS[codec] else (samples * 32767).astype(np.int16)
    planar = _FORMATS[codec].endswith("p")
    with av.open(path, "w", format=kind, options=options or {}) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.metadata.update(tags or {})  # where Ogg has them
        stream.bit_rate = _BIT_RATES.get(codec, 0)
        shaped = np.ascontiguousarray(values.T) if planar else np.ascontiguousarray(values.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(shaped, format=_FORMATS[codec], layout=layout)
        frame.sample_rate, frame.pts = rate, round(late_s * rate)
        for number, packet in enumerate([*(stream.encode(frame) if len(samples) else []), *stream.encode(None)]):
            if number not in left_out:
                container.mux(packet)
    return path


def remux(source: Path, target: Path, kind: str | None = None) -> Path:
    """The same packets in another container."""
    with av.open(source) as read, av.open(target, "w", format=kind) as written:
        track = read.streams.audio[0]
        stream = written.add_stream_from_template(track)
        for packet in read.demux(track):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)
    return target


def vorbis(path: Path, samples: Samples, rate: int = 44_100) -> Path:
    """Ogg Vorbis by libsndfile."""
    soundfile.write(path, samples, rate, format="OGG", subtype="VORBIS")
    return path


def n_packets(path: Path) -> int:
    """Packets of the first audio track."""
    with av.open(path) as container:
        return sum(packet.size > 0 for packet in container.demux(audio=0))


def joined(path: Path, parts: list[Path]) -> Path:
    """One file behind the other, as `cat` does it."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def ogg_pages(path: Path) -> list[tuple[bytes, int]]:
    """The pages of an undamaged Ogg file, each with its clock; that of headers is 0."""
    data = path.read_bytes()
    pages, at = [], 0
    while at < len(data):
        end = at + 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]])
        pages.append((data[at:end], int.from_bytes(data[at + 6 : at + 14], "little", signed=True)))
        at = end
    return pages


def place_of(part: npt.NDArray[np.floating], whole: npt.NDArray[np.floating]) -> int:
    """Where a part lies in a whole, both one channel: the place of the highest correlation."""
    n_fft = 1 << (len(whole) + len(part)).bit_length()
    spectrum = np.fft.rfft(whole, n_fft) * np.conj(np.fft.rfft(part, n_fft))
    return int(np.argmax(np.fft.irfft(spectrum, n_fft)[: len(whole)]))


def integer_wav(path: Path, container_bits: int, valid_bits: int, extensible: bool, n_samples: int = 9000) -> Samples:
    """A stereo wav of integers of so many valid bits in so many, from the highest bit on; returns what it holds."""
    limit = 2 ** (valid_bits - 1)
    values = np.random.default_rng(valid_bits).integers(-limit, limit, (n_samples, 2)) << (container_bits - valid_bits)
    n_bytes = container_bits // 8
    raw = (values & (2**container_bits - 1)).astype("<u8").view(np.uint8).reshape(n_samples, 2, 8)[:, :, :n_bytes]
    data = (raw ^ 0x80 if container_bits == 8 else raw).tobytes()
    tag, bits = (0xFFFE, container_bits) if extensible else (1, valid_bits)
    head = struct.pack("<HHIIHH", tag, 2, 44_100, 88_200 * n_bytes, 2 * n_bytes, bits)
    if extensible:
        head += struct.pack("<HHI", 22, valid_bits, 3) + bytes.fromhex("0100000000001000800000aa00389b71")
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return (values / 2 ** (container_bits - 1)).astype(np.float32)


def ape_tag(items: dict[str, bytes], binary: tuple[str, ...] = ()) -> bytes:
    """An APEv2 tag with header and footer."""
    body = b"".join(
        struct.pack("<II", len(value), 2 if name in binary else 0) + name.encode() + b"\0" + value
        for name, value in items.items()
    )

    def end(flags: int) -> bytes:
        return b"APETAGEX" + struct.pack("<IIII", 2000, len(body) + 32, len(items), flags) + bytes(8)

    return end(0xA000_0000) + body + end(0x8000_0000)
