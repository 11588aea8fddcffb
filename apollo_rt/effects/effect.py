"""The call contract of an effect is Pedalboard's, kept once for `ApolloEffect`, `Board`, `Chain` and `Mix`.

    effect(audio, sample_rate)                  whole: as long as the input, aligned with it
    effect(block, sample_rate, reset=False)     a stream: as many samples as came in, `latency_samples` later

Where Pedalboard guesses, this refuses: which axis holds the channels is said, not inferred from the sizes.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from numbers import Integral, Real
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.config import SAMPLE_RATES

Samples = NDArray[np.float32]
"""`(channels, samples)`, full scale 1.0."""

_INT16_SCALE = np.float32(1 / 32_768)
_RATE_BEFORE_A_CALL = 44_100


class Effect(ABC):
    """Takes arrays, keeps a stream. What it does is its subclass's: it starts, pushes and forgets."""

    __slots__ = ("__weakref__", "_latency", "_lock", "_stream")

    is_effect = True
    is_instrument = False

    def __init__(self) -> None:
        """No stream has begun."""
        self._lock = RLock()
        self._stream: tuple[float, int] | None = None
        self._latency: int | None = None

    @abstractmethod
    def _start(self, sample_rate: float, n_channels: int) -> int:
        """Get ready for a fresh stream; returns its latency in samples."""

    @abstractmethod
    def _push(self, block: Samples) -> Samples:
        """The next block, any size, `(channels, samples)`; as many samples come out, the latency later."""

    def _end(self, n_channels: int, latency: int, buffer_size: int) -> Samples:
        """Bring out what is still inside, the latency's samples; silence does, where an end is nothing special."""
        return self._pushed(np.zeros((n_channels, latency), np.float32), buffer_size)

    @abstractmethod
    def _forget(self) -> None:
        """End the stream; the next one is as the first."""

    def _held(self) -> AbstractContextManager[Any]:
        """Keep other threads from what a call plays through, until it is over."""
        return self._lock

    def _has_changed(self) -> bool:
        """Whether what makes the stream is not what it was when the stream began."""
        return False

    @property
    def latency_samples(self) -> int:
        """Samples by which output lags behind input with `reset=False`.

        At the sample rate and channels of the last call; before the first, of stereo at 44100 Hz.
        """
        with self._held():
            self._end_if_changed()
            if self._latency is None:
                self._latency = self._start(_RATE_BEFORE_A_CALL, 2)
                self._forget()
            return self._latency

    def process(
        self,
        input_array: NDArray[Any],
        sample_rate: float,
        buffer_size: int = 8192,
        reset: bool = True,
        *,
        channel_axis: int = 0,
    ) -> Samples:
        """Process audio.

        Args:
            input_array: float32 or float64 with full scale 1.0, or int16; any length, none included.
            sample_rate: Hz, from 1000 to 768000.
            buffer_size: samples to work on at a time, at least 1; it bounds memory and does not change the result.
            reset: True: the audio is complete; output is aligned with it, and the effect is as new afterwards.
                False: the audio is the next block of a stream; output lags by `latency_samples`, and after the last
                block so many samples of silence bring out the rest.
            channel_axis: 0 where the shape is `(channels, samples)`, 1 or -1 where it is `(samples, channels)`.

        Returns:
            float32 with full scale 1.0, of the input's shape.

        Shape:
            `(channels, samples)` or `(samples, channels)` with 1 or 2 channels, or `(samples,)`.

        Raises:
            TypeError: the audio is no array of those types, or another argument is no number.
            ValueError: shape, rate or size is out of bounds, a sample is not finite, or rate or channels change within
                a stream.
        """
        audio = _as_channels(input_array, channel_axis)
        rate, size = _checked_rate(sample_rate), _checked_size(buffer_size)
        with self._held():
            self._end_if_changed()
            out = self._whole(audio, rate, size) if reset else self._next(audio, rate, size)
        return _as_given(out, input_array.ndim, channel_axis)

    __call__ = process

    def reset(self) -> None:
        """Forget what was heard: equals a new effect with the same settings."""
        with self._held():
            self._stream = None
            self._forget()

    def _end_if_changed(self) -> None:
        if self._has_changed():
            self.reset()
            self._latency = None

    def begin(self, sample_rate: float, n_channels: int) -> int:
        """Begin a stream for somebody who pushes blocks (`Board`); returns the latency in samples."""
        with self._held():
            return self._prepare(sample_rate, n_channels)

    def push(self, block: Samples) -> Samples:
        """The next block of a stream that has begun, unchecked; as many samples come out.

        Shape:
            (channels, samples)
        """
        with self._held():
            return self._push(block)

    def _whole(self, audio: Samples, sample_rate: float, buffer_size: int) -> Samples:
        self.reset()
        try:
            latency = self._prepare(sample_rate, len(audio))
            parts = self._pushed(audio, buffer_size), self._end(len(audio), latency, buffer_size)
            return np.concatenate(parts, axis=1)[:, latency:]
        finally:
            self.reset()

    def _next(self, audio: Samples, sample_rate: float, buffer_size: int) -> Samples:
        if self._stream not in (None, (sample_rate, len(audio))):
            before = " and ".join(f"{value:g}" for value in self._stream or ())
            raise ValueError(
                f"sample_rate and channels must stay {before} within a stream, "
                f"got {sample_rate:g} and {len(audio)}; call reset() between streams"
            )
        if self._stream is None:
            self._prepare(sample_rate, len(audio))
        return self._pushed(audio, buffer_size)

    def _prepare(self, sample_rate: float, n_channels: int) -> int:
        self._latency = self._start(sample_rate, n_channels)
        self._stream = (sample_rate, n_channels)
        return self._latency

    def _pushed(self, audio: Samples, buffer_size: int) -> Samples:
        blocks = (audio[:, begin : begin + buffer_size] for begin in range(0, audio.shape[1], buffer_size))
        return np.concatenate([audio[:, :0], *(self._push(block) for block in blocks)], axis=1)


def _as_channels(audio: NDArray[Any], channel_axis: int) -> Samples:
    """Check the caller's array and bring it into `(channels, samples)`."""
    if not isinstance(audio, np.ndarray):
        raise TypeError(f"input_array must be a numpy array, got {type(audio).__name__}")
    if (audio.dtype.kind, audio.dtype.itemsize) not in (("f", 4), ("f", 8), ("i", 2)):
        raise TypeError(f"input_array must hold float32, float64 (full scale 1.0) or int16, got {audio.dtype}")
    if channel_axis not in (0, 1, -1, -2):
        raise ValueError(f"channel_axis must be 0, 1, -1 or -2, got {channel_axis}")
    is_last = channel_axis in (1, -1)
    channels = audio.T if audio.ndim == 2 and is_last else np.atleast_2d(audio)
    if audio.ndim not in (1, 2) or len(channels) not in (1, 2):
        wanted = "(samples, channels)" if is_last else "(channels, samples)"
        other = audio.ndim == 2 and audio.shape[0 if is_last else 1] in (1, 2)
        hint = f"; say channel_axis={0 if is_last else -1} if its other axis holds the channels" if other else ""
        raise ValueError(
            f"input_array must have the shape {wanted} with 1 or 2 channels, or (samples,), got {audio.shape}{hint}"
        )
    if audio.dtype.kind == "i":
        scaled: Samples = np.multiply(channels, _INT16_SCALE, dtype=np.float32)
        return scaled
    finite = np.isfinite(channels)
    if not finite.all():
        channel, sample = np.argwhere(~finite)[0]
        raise ValueError(f"input_array must be finite, got {channels[channel, sample]} at {channel=!s}, {sample=!s}")
    return np.ascontiguousarray(channels, np.float32)


def _as_given(audio: Samples, n_axes: int, channel_axis: int) -> Samples:
    if n_axes == 1:
        audio = audio[0]
    return np.array(audio.T if n_axes == 2 and channel_axis in (1, -1) else audio, np.float32, order="C")


def _checked_rate(sample_rate: float) -> float:
    if not isinstance(sample_rate, Real):
        raise TypeError(f"sample_rate must be a number of Hz, got {sample_rate!r}")
    lowest, highest = SAMPLE_RATES
    if not lowest <= sample_rate <= highest:
        raise ValueError(f"sample_rate must be from {lowest} to {highest} Hz, got {sample_rate}")
    return int(sample_rate) if float(sample_rate).is_integer() else float(sample_rate)


def _checked_size(buffer_size: int) -> int:
    if not isinstance(buffer_size, Integral):
        raise TypeError(f"buffer_size must be a whole number of samples, got {buffer_size!r}")
    if buffer_size < 1:
        raise ValueError(f"buffer_size must be at least 1, got {buffer_size}")
    return int(buffer_size)
