"""What a plugin must give, made in Python: resampler, stream, resampler, and the mixture with what is as old."""

import numpy as np

from apollo_rt.control.parameters import Parameters
from apollo_rt.inference.model import Model
from apollo_rt.stream import resample
from apollo_rt.stream.dry_line import DryLine
from apollo_rt.stream.restoration_stream import RestorationStream
from tests.doubles.sounds import gaussian_noise


def sound(n_samples: int = 30_000, seed: int = 0) -> np.ndarray:
    return np.ascontiguousarray(gaussian_noise(n_samples, seed=seed).T)


def resampled(audio: np.ndarray, in_rate: float, out_rate: float, delay: float, n_out: int) -> np.ndarray:
    """The first samples that the stream's own resampler gives, (samples, 2), beginning at -delay."""
    converter = resample.make_resampler(in_rate, out_rate, len(audio) + 4096, is_steered=False)
    resample.rewind(converter, delay)
    padded = np.concatenate((audio, np.zeros((4096, 2), np.float32)))
    resample.push(converter, padded)
    out = np.empty((n_out, 2), np.float32)
    resample.pull(converter, out, in_rate / out_rate)
    return out


def reference(model: Model, audio: np.ndarray, rate: float, latency: int, size: int, **values: float) -> np.ndarray:
    """What Python makes of it: resampler, stream, resampler, and the mixture with what is as old."""
    parameters, inside = Parameters(**values), model.framing.sample_rate
    samples = np.ascontiguousarray(audio.T)
    at_model = samples if rate == inside else resampled(samples, rate, inside, 0.0, len(samples) * inside // int(rate))
    stream = RestorationStream(model, parameters)
    restored = stream.process(np.concatenate((at_model, np.zeros((4096, 2), np.float32))))
    behind = latency * inside / rate - stream.latency_samples
    if rate == inside:
        wet = np.concatenate((np.zeros((int(behind), 2), np.float32), restored))[: len(samples)]
    else:
        wet = resampled(restored, inside, rate, behind, len(samples))
    line = DryLine(latency, parameters, rate)
    parts = [
        line.mixed(np.ascontiguousarray(samples[begin : begin + size]), np.ascontiguousarray(wet[begin : begin + size]))
        for begin in range(0, len(samples), size)
    ]
    return np.concatenate(parts).T


def difference_db(actual: np.ndarray, expected: np.ndarray) -> float:
    """The greatest difference, in dB of the greatest value that was expected."""
    assert np.isfinite(actual).all()
    peak = float(np.abs(expected).max())
    assert peak > 1e-3
    return 20 * float(np.log10(max(float(np.abs(actual - expected).max()), 1e-12) / peak))
