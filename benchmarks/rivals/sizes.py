"""The net in other sizes, and the published one: what each costs, with random weights, on which time doesn't depend."""

import dataclasses
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from export.graphs.to_onnx import step_of, to_onnx
from export.trials.timing import GraphTime, product_flops, time_graphs
from training.nets.apollo_published import HOP_LENGTH, SAMPLE_RATE, PublishedApollo
from training.nets.causal_restorer import Restorer
from training.nets.level_net import LevelNetConfig
from training.nets.level_restorer import LevelRestorer
from training.nets.net_config import ModelConfig


@dataclass(frozen=True)
class Size:
    """Cost of a net of some size.

    Attributes:
        parameters: numbers in it.
        gmac_per_s: multiplications in matrix products and convolutions for a second of stereo, in 10^9.
        load_percent: of one core: the fastest step over its hop, and the median one.
        latency_ms: algorithmic.
    """

    parameters: int
    gmac_per_s: float
    load_percent: tuple[float, float]
    latency_ms: float


Config = ModelConfig | LevelNetConfig


def scaled(config: Config, factor: float) -> Config:
    """The same net with wider or narrower layers; all of them, one exit."""
    width, hidden = (max(1, round(size * factor)) for size in (config.width, config.hidden))
    exits = (len(config.dilations),) if isinstance(config, LevelNetConfig) else ()
    return dataclasses.replace(config, width=width, hidden=hidden, exits=exits)


def measure(config: Config) -> tuple[Size, GraphTime]:
    """Make a net, its step graph in float32, and time that on one thread."""
    torch.manual_seed(0)
    net = LevelRestorer(config) if isinstance(config, LevelNetConfig) else Restorer(config)
    framing, graph = config.framing, to_onnx(step_of(net.eval()))
    time = time_graphs({"step": graph})["step"]
    hop_ms = 1e3 * framing.hop_period_s
    return Size(
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        gmac_per_s=product_flops(graph) / 2e9 / framing.hop_period_s,
        load_percent=(100 * time.fastest_ms / hop_ms, 100 * time.median_ms / hop_ms),
        latency_ms=1e3 * framing.algorithmic_latency / framing.sample_rate,
    ), time  # fmt: skip


def published_cost(n_hops: int = 3) -> tuple[int, float]:
    """Parameters of the published net, and 10^9 multiplications for a second of stereo, counted over some frames."""
    net = PublishedApollo().eval()
    clip = torch.zeros(1, 2, n_hops * HOP_LENGTH)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        net(clip)
    frame_gmac = counter.get_total_flops() / 2e9 / (n_hops + 1)
    return sum(parameter.numel() for parameter in net.parameters()), frame_gmac * SAMPLE_RATE / HOP_LENGTH
