"""The published Apollo with random weights: sizes that a test has time for, and none of its numbers trained."""

from pathlib import Path

import numpy as np
import torch

from export import bundle, published
from training.nets.apollo_published import PublishedApollo


def random_net(width: int = 16, n_layers: int = 2, seed: int = 0) -> PublishedApollo:
    """In evaluation mode; biases and norms are random too, so that none of them can be forgotten."""
    random = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net = PublishedApollo(width, n_layers).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=random))
    return net


def model_of(net: PublishedApollo, path: Path, batch_frames: int = 5) -> Path:
    """Its model file."""
    graphs = published.export_graphs(net, batch_frames)
    bundle.write(graphs, published.make_card(net, graphs, path, path.stem, "CC0-1.0", {}, {}))
    return path


@torch.inference_mode()
def whole(net: PublishedApollo, samples: np.ndarray) -> np.ndarray:
    """PyTorch over a whole file. Shape: (samples, 2) -> the same."""
    return net(torch.from_numpy(np.ascontiguousarray(samples.T))[None])[0].numpy().T


def error_db(got: np.ndarray, wanted: np.ndarray) -> float:
    """Greatest difference, in dB of the peak of what is wanted."""
    assert got.shape == wanted.shape
    return float(20 * np.log10(np.abs(got - wanted).max() / np.abs(wanted).max() + 1e-12))
