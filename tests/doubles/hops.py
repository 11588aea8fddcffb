"""Whole hops of the tiny models, and a processor that is given them."""

import numpy as np

from apollo_rt.stream.processor import Processor
from tests.doubles.sounds import gaussian_noise
from tests.doubles.tiny_models import SMALL

H = SMALL.hop_length


def music(n_hops: int, seed: int = 0) -> np.ndarray:
    return gaussian_noise(n_hops * H, seed=seed)


def run(processor: Processor, samples: np.ndarray) -> np.ndarray:
    n_hop = processor.framing.hop_length
    return np.concatenate([processor.process(hop) for hop in samples.reshape(-1, n_hop, 2)])
