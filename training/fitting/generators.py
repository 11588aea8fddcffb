"""Generators show the training loop a net: damaged clips in, restored clips out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from training.fitting.losses import known_bins, missing_level_error
from training.fitting.planes import carrier_levels, from_planes, in_planes, recent_power, restored_planes
from training.nets import checkpoint
from training.nets.apollo_published import SAMPLE_RATE, PublishedApollo
from training.nets.causal_restorer import Restorer
from training.nets.framing import TorchFraming
from training.nets.net_config import ModelConfig


class Generator(nn.Module, ABC):
    """A net with its framing, trained as one.

    Attributes:
        net: what is exported.
        sample_rate: of the clips.
        n_tiers: sizes of the net that can be used alone.
        weights_name: where a pruned checkpoint holds the averaged weights.
    """

    net: nn.Module
    sample_rate: int
    n_tiers: int
    weights_name: str

    @abstractmethod
    def forward(self, damaged: Tensor, seeds: Sequence[int], tier: int = -1) -> Tensor:
        """Restore clips.

        Args:
            damaged: clips.
            seeds: of what is random, one an item.
            tier: which of the net's tiers restores, the best is the last.

        Returns:
            Restored clips; they lie on the damaged ones and may be shorter at the end.

        Shape:
            (batch, 2, samples) -> (batch, 2, samples or less)
        """

    def taught(
        self, damaged: Tensor, clean: Tensor, seeds: Sequence[int], tier: int = -1
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Restore clips as `forward` does, and tell how far parts of the net are from what they are taught by.

        Returns:
            Restored clips, and the losses of parts, which are added to that of the whole as they are.

        Shape:
            (batch, 2, samples), the same -> (batch, 2, samples or less), () each
        """
        return self(damaged, seeds, tier), {}

    def fuse(self) -> None:
        """Fuse what a step computes with `torch.compile`."""
        self.net.compile(dynamic=False)

    @abstractmethod
    def head(self) -> dict[str, Any]:
        """Facts of the net for a checkpoint, beside its weights; plain values, and equal heads can share weights."""


def carrier_like(spectrum: Tensor, seeds: Sequence[int]) -> Tensor:
    """Noise of unit variance per complex bin, drawn for each item from its own seed.

    On a CPU NumPy's SFC64 draws it, four times as fast as PyTorch's generator.

    Shape:
        frames of either layout -> the same
    """
    noise = torch.empty(spectrum.shape, device=spectrum.device)
    for item, seed in zip(noise, seeds, strict=True):
        if item.is_cuda:
            item.uniform_(generator=torch.Generator(item.device).manual_seed(seed))
        else:
            np.random.Generator(np.random.SFC64(seed)).random(dtype=np.float32, out=item.numpy())
        item.sub_(0.5).mul_(6**0.5)
    return noise


def item_seeds(seed: int, step: int, items: Sequence[int]) -> list[int]:
    """Seeds that differ for every step and item, and are the same in a run that was taken up again.

    Args:
        seed: of the run.
        step: of the training.
        items: places in the whole batch, over all processes.
    """
    return [int(np.random.SeedSequence((seed, step, item)).generate_state(1)[0]) for item in items]


_CONFIG = ModelConfig()
_MAPS_EVERY = 4  # frames that the maps are taught by: neighbours, of a window eight hops long, say much the same


class CausalGenerator(Generator):
    """The causal restorer over whole clips.

    Args:
        config: sizes of the net.
        start: a checkpoint whose averaged net, of the same sizes, is where training begins.

    Raises:
        ValueError: `start` can't be read, or has other sizes than `config`.
    """

    weights_name = "averaged"
    net: Restorer

    def __init__(self, config: ModelConfig = _CONFIG, start: Path | None = None) -> None:
        """Build the net, or take it from a checkpoint."""
        super().__init__()
        if start:
            self.net = cast("Restorer", checkpoint.load_restorer(start)[0])
            checkpoint.refuse_other(start, self._head_of(config), self.head())
            self.net.train()
        else:
            self.net = Restorer(config)
        self.framing = TorchFraming(self.net.config.framing)
        self.sample_rate = self.net.config.framing.sample_rate
        self.n_tiers = len(self.net.config.exits)
        self._planes, self._map_error = restored_planes, self.error_of_maps

    def forward(self, damaged: Tensor, seeds: Sequence[int], tier: int = -1) -> Tensor:
        """Restore; the last hop is missing, since no frame completed it.

        Shape:
            (batch, 2, samples) -> (batch, 2, samples or less)
        """
        spectrum = self.framing.analyse(damaged)
        carrier = carrier_like(spectrum, seeds)
        restored, _ = self.net(spectrum, carrier, self.net.initial_state(len(damaged), tier), tier)
        return self._synthesised(restored)

    def taught(
        self, damaged: Tensor, clean: Tensor, seeds: Sequence[int], tier: int = -1
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The maps have a loss of their own; they say how loud the carrier is before the layers do.

        Shape:
            (batch, 2, samples), the same -> (batch, 2, samples or less), () each
        """
        if self.framing.framing.lookahead_frames:  # a twin, whose frames come late
            restored = self(damaged, seeds, tier)
            spectrum = in_planes(self.framing.analyse(damaged))
        else:
            spectrum = in_planes(self.framing.analyse(damaged))
            planes = self._planes(self.net, spectrum, carrier_like(spectrum, seeds), tier)
            restored = self._synthesised(from_planes(planes))
        n_samples = restored.shape[-1]
        with torch.autocast(damaged.device.type, enabled=False):  # logarithms need all digits
            wanted = in_planes(self.framing.analyse(clean[..., :n_samples], _MAPS_EVERY))
            error = self._map_error(spectrum[:, : n_samples // self.framing.framing.hop_length], wanted)
        return restored, {"envelope": error}

    def fuse(self) -> None:
        """Fuse the net, and what the maps are taught by."""
        self._planes = torch.compile(restored_planes, dynamic=False)
        self._map_error = torch.compile(self.error_of_maps, dynamic=False)

    def _synthesised(self, restored: Tensor) -> Tensor:
        with torch.autocast(restored.device.type, enabled=False):  # an inverse FFT knows no half precision
            return self.framing.synthesise(restored.float())[..., self.framing.framing.hop_delay :]

    def error_of_maps(self, spectrum: Tensor, wanted: Tensor) -> Tensor:
        """Distance between what the maps say and what is missing, in every `_MAPS_EVERY`th frame.

        Shape:
            (batch, frames, 2, 2, bins), (batch, frames / _MAPS_EVERY, 2, 2, bins) -> ()
        """
        power = wanted.square().sum((2, 3))
        known = known_bins(power[..., :-1], self.sample_rate / self.net.config.framing.analysis_length)
        said, present = carrier_levels(self.net, spectrum, _MAPS_EVERY)
        known_bands = (known @ self.net.bins_to_bands.T).transpose(1, 2)[:, None]
        return missing_level_error(said, present, recent_power(self.net, wanted), known_bands)

    def head(self) -> dict[str, Any]:
        """As `checkpoint.load_restorer` wants it."""
        return self._head_of(self.net.config)

    def _head_of(self, config: ModelConfig) -> dict[str, Any]:
        return {"config": checkpoint.config_to_dict(config)}


class PublishedGenerator(Generator):
    """The published, non-causal Apollo.

    Args:
        width: channels of a token.
        n_layers: layers.
        start: a published checkpoint, or one of our own, where training begins.

    Raises:
        ValueError: `start` can't be read, or has other sizes.
    """

    sample_rate = SAMPLE_RATE
    n_tiers = 1
    weights_name = "state_dict"
    net: PublishedApollo

    def __init__(self, width: int = 256, n_layers: int = 6, start: Path | None = None) -> None:
        """Build the net, or take it from a checkpoint."""
        super().__init__()
        self.net = PublishedApollo(width, n_layers)
        if start:
            given = checkpoint.load_published(start)
            checkpoint.refuse_other(start, self.head(), self._head_of(given))
            self.net.load_state_dict(given.state_dict())

    def forward(self, damaged: Tensor, seeds: Sequence[int], tier: int = -1) -> Tensor:
        """Restore; nothing is random, and there is one tier.

        Shape:
            (batch, 2, samples) -> the same
        """
        restored: Tensor = self.net(damaged)
        return restored

    def head(self) -> dict[str, Any]:
        """As published checkpoints have it."""
        return self._head_of(self.net)

    def _head_of(self, net: PublishedApollo) -> dict[str, Any]:
        sizes = {"feature_dim": cast("nn.Sequential", net.BN[0])[1].out_channels, "layer": len(net.net)}
        return {"model_name": "Apollo", "model_args": {"sr": self.sample_rate, "win": 20, **sizes}}
