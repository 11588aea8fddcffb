"""Every parameter acts in the live engine as it does in a stream and an effect: the same code, the same samples."""

import numpy as np
import pytest

from apollo_rt.control.parameters import PARAMETERS, Parameters
from apollo_rt.stream.dry_line import DryLine
from apollo_rt.stream.restoration_stream import RestorationStream
from apollo_rt.stream.sample_guard import guard_output
from tests.doubles import tiny_models
from tests.doubles.stepped import Stepped

FRAMING = tiny_models.MEDIUM
N_SAMPLES = 40 * 256


def streamed(model, samples, values):
    parameters = Parameters(**values)
    stream = RestorationStream(model, parameters)
    line = DryLine(stream.latency_samples, parameters, FRAMING.sample_rate)
    return line.mixed(samples, stream.process(samples))


@pytest.mark.parametrize("row", PARAMETERS, ids=lambda row: row.name)
def test_live_and_in_a_stream_a_parameter_does_the_same_to_the_bit(busy, row):
    samples = np.random.default_rng(1).uniform(-0.1, 0.1, (N_SAMPLES, 2)).astype(np.float32)
    value = row.value_at(1.0 if row.is_switch else 0.4)
    live = Stepped(busy, 256, **{row.name: value})
    out = live.play(samples)[live.delay :]
    expected = streamed(busy, samples, {row.name: value})[FRAMING.algorithmic_latency :][: len(out)]
    guard_output(expected)
    plain = streamed(busy, samples, {})[FRAMING.algorithmic_latency :][: len(out)]
    assert np.abs(expected - plain).max() > 1e-4, "it does something"
    if row.name == "low_cut_hz":  # live it has begun earlier, and what it heard then rings on
        np.testing.assert_allclose(out[2048:], expected[2048:], atol=1e-4)
    else:
        np.testing.assert_array_equal(out, expected)
