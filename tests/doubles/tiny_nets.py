"""Nets as small as they can be with all parts that a trained one has, so that tests of the export need no training."""

import dataclasses

import torch

from apollo_rt.config import Framing
from training.nets.causal_restorer import Restorer
from training.nets.level_bands import LevelBands
from training.nets.level_net import LevelNetConfig
from training.nets.level_restorer import LevelRestorer
from training.nets.net_config import ModelConfig

SMALL = ModelConfig(
    framing=Framing(hop_length=64, analysis_length=256),
    band_groups=((8, 8), (4, 16)),
    fine_groups=1,
    width=16,
    hidden=24,
    context=4,
    dilations=(1, 2),
    exits=(1, 2),
)
PLAIN = dataclasses.replace(SMALL, fine_groups=2, context=0, exits=(2,))
"""All bins fine, no summary of the frame, one tier."""


def lively(config: ModelConfig = SMALL, seed: int = 0) -> Restorer:
    """A net of which every weight matters, and whose output differs from its input, as after training."""
    torch.manual_seed(seed)
    net = Restorer(config).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return net


SMALL_LEVELS = LevelNetConfig(
    bands=LevelBands(
        framing=SMALL.framing,
        long_groups=((16, 2), (12, 8)),
        short_groups=((8, 2), (6, 8)),
        fast_groups=((4, 1), (6, 2)),
        fast_length=32,
        slow_times_s=(0.02, 0.2),
    ),
    width=16,
    hidden=24,
    dilations=(1, 2),
    exits=(1, 2),
    correction=8,
    correction_dilations=(1, 2),
)


def lively_levels(seed: int = 0) -> LevelRestorer:
    """The same of a level net, which generates something at once."""
    torch.manual_seed(seed)
    net = LevelRestorer(SMALL_LEVELS).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return net
