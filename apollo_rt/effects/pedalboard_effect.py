"""Apollo RT as an effect with Pedalboard's call contract, for scripts that use Pedalboard's own effects beside it.

Pedalboard (0.9.26) lets no Python class into a `Pedalboard([...])`, so it is called beside one, not put inside:

    audio = board(effect(audio, sample_rate), sample_rate)

Pedalboard itself is not needed. Where its contract guesses, ours refuses: which axis holds the channels is not inferred
from the sizes, and integers are not taken for floats.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.control.parameters import Parameters
from apollo_rt.effects.resampled_stream import ResampledStream
from apollo_rt.files.audio_file import Samples
from apollo_rt.inference.model import Model
from apollo_rt.inference.model_choice import open_model
from apollo_rt.stream.dry_line import DryLine
from apollo_rt.stream.restoration_stream import RestorationStream

_SAMPLE_RATES = (8000, 384_000)


class ApolloEffect:
    """Restore audio in memory, at once or block by block.

    Several effects may work in several threads at once; one effect is for one thread at a time.

    Args:
        mix: how much of the restored signal, 0 (the input) to 1.
        model: a model file, a model's name or a loaded model; None for the one that ships with the package.
        provider: what runs the model, `auto`, `cpu`, `cuda` or `tensorrt` (see `model_choice.open_model`); a loaded
            model has its own.

    Raises:
        ModelFileError: the model file is not usable.
        ProviderError: the provider can't be used.
        ValueError: `mix` is out of bounds, or there is no such provider.
    """

    def __init__(
        self, mix: float = 1.0, model: Model | str | os.PathLike[str] | None = None, provider: str = "auto"
    ) -> None:
        """Load the model and make a stream at its sample rate."""
        self._model = model if isinstance(model, Model) else open_model(model, provider)
        self._parameters = Parameters(mix=mix)
        self._restoration = RestorationStream(self._model, self._parameters)
        self._stream = ResampledStream(self._restoration, self._model.framing.sample_rate)
        self._line = self._new_line()
        self._channels: int | None = None

    @property
    def mix(self) -> float:
        """How much of the restored signal, 0 to 1. A change fades in over 64 samples."""
        return self._parameters.get("mix")

    @mix.setter
    def mix(self, value: float) -> None:
        self._parameters.mix = value

    @property
    def latency_samples(self) -> int:
        """Samples by which output lags behind input with `reset=False`, at the sample rate of the last call."""
        return self._stream.latency_samples

    def process(
        self, input_array: NDArray[Any], sample_rate: float, buffer_size: int = 8192, reset: bool = True
    ) -> Samples:
        """Restore audio.

        Args:
            input_array: float32 or float64, full scale 1.0, any length.
            sample_rate: Hz, a whole number from 8000 to 384000; what is not the model's is converted both ways.
            buffer_size: samples to work on at a time, at least 1; it bounds memory and does not change the result.
            reset: True: the audio is complete; output is aligned with it, and the effect is as new afterwards.
                False: the audio is the next block of a stream; output lags by `latency_samples`, and after the last
                block so many samples of silence bring out the rest.

        Returns:
            float32, as many samples as came in.

        Shape:
            `(channels, samples)` with 1 or 2 channels, or `(samples,)`; the same comes out.

        Raises:
            TypeError: the audio is not of float32 or float64.
            ValueError: shape, rate or size is out of bounds, a sample is not finite, or rate or channels change within
                a stream.
        """
        samples = _as_stream(input_array)
        if buffer_size < 1:
            raise ValueError(f"buffer_size must be at least 1, got {buffer_size}")
        if reset:
            self.reset()
        self._prepare(_checked_rate(sample_rate), 1 if np.ndim(input_array) == 1 else len(input_array))
        if reset:
            restored = self._pushed(_with_silence(samples, self.latency_samples), buffer_size)[self.latency_samples :]
            self.reset()
        else:
            restored = self._pushed(samples, buffer_size)
        return _as_given(restored, np.shape(input_array))

    __call__ = process

    def reset(self) -> None:
        """Forget everything: equals a new effect of the same mix."""
        self._stream.reset()
        self._line = self._new_line()
        self._channels = None

    def __repr__(self) -> str:
        """What it is and how it is set."""
        return f"<apollo_rt.ApolloEffect mix={self.mix:g} model={self._model.card.name!r}>"

    def _new_line(self) -> DryLine:
        return DryLine(self._stream.latency_samples, self._parameters, self._stream.sample_rate)

    def _prepare(self, sample_rate: int, channels: int) -> None:
        """Fit the stream to what comes; within a stream nothing may change."""
        if self._channels is not None and (sample_rate, channels) != (self._stream.sample_rate, self._channels):
            raise ValueError(
                f"sample_rate and channels must stay {self._stream.sample_rate} and {self._channels} within a stream, "
                f"got {sample_rate} and {channels}; call reset() between streams"
            )
        if sample_rate != self._stream.sample_rate:
            self._stream = ResampledStream(self._restoration, sample_rate)
            self._line = self._new_line()
        self._channels = channels

    def _pushed(self, samples: Samples, buffer_size: int) -> Samples:
        blocks = (samples[start : start + buffer_size] for start in range(0, len(samples), buffer_size))
        restored = [self._line.mixed(block, self._stream.process(block)) for block in blocks]
        return np.concatenate([np.empty((0, 2), np.float32), *restored])


def _as_stream(audio: NDArray[Any]) -> Samples:
    """Check the caller's array and bring it into the stream's layout, `(samples, 2)`."""
    array = np.asarray(audio)
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"input_array must hold float32 or float64 with full scale 1.0, got {array.dtype}")
    channels = np.atleast_2d(array)
    if channels.ndim != 2 or len(channels) not in (1, 2):
        hint = "; transpose it" if array.ndim == 2 and array.shape[1] in (1, 2) else ""
        raise ValueError(
            f"input_array must have the shape (channels, samples) with 1 or 2 channels, or (samples,), "
            f"got {array.shape}{hint}"
        )
    finite = np.isfinite(channels)
    if not finite.all():
        channel, sample = np.argwhere(~finite)[0]
        raise ValueError(f"input_array must be finite, got {channels[channel, sample]} at {channel=!s}, {sample=!s}")
    return np.ascontiguousarray(np.broadcast_to(channels, (2, channels.shape[1])).T, np.float32)


def _checked_rate(sample_rate: float) -> int:
    lowest, highest = _SAMPLE_RATES
    if not (lowest <= sample_rate <= highest and float(sample_rate).is_integer()):
        raise ValueError(f"sample_rate must be a whole number of Hz from {lowest} to {highest}, got {sample_rate}")
    return int(sample_rate)


def _with_silence(samples: Samples, length: int) -> Samples:
    return np.concatenate((samples, np.zeros((length, 2), np.float32)))


def _as_given(samples: Samples, shape: tuple[int, ...]) -> Samples:
    """From the stream's layout to the caller's; mono is the average of both channels."""
    if len(shape) == 2 and shape[0] == 2:
        return np.ascontiguousarray(samples.T)
    mono: Samples = samples.mean(axis=1, dtype=np.float32)
    return mono.reshape(shape)
