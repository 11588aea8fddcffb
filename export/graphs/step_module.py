"""The trained net with the shapes of the model contract: a step or a batch of frames, states as plain tensors.

Written once more for few and fast nodes (`lean_bins`, `lean_layers`); `export.verify` holds it against the net.
"""

import math
from collections.abc import Collection
from typing import cast

import torch
from torch import Tensor, nn

from export.graphs.lean_bins import Decoder, Encoder, Envelope
from export.graphs.lean_layers import LeanLayer, PlainLayer
from training.nets.causal_restorer import Restorer
from training.nets.layers import CausalLayer

FOLDS = ("layers", "bins")
"""What can be written leanly, in the order in which `export.trials.folds` measures it."""


class StepModule(nn.Module):
    """`spectrum`, `carrier` and states in; `restored` and the next states out.

    Args:
        net: the trained net.
        tier: index of the exit.
        n_frames: frames of a call; one is written without the axis.
        folds: what is written leanly; the rest is called as it stands in the net.
    """

    frame_inputs = Restorer.frame_inputs
    average_kernel: Tensor
    average_decay: Tensor

    def __init__(self, net: Restorer, tier: int = -1, n_frames: int = 1, folds: Collection[str] = FOLDS) -> None:
        """Fold the weights; the net is left as it is.

        Raises:
            ValueError: the net has a lookahead, which only tells what causality costs.
        """
        super().__init__()
        if net.config.framing.lookahead_frames:
            raise ValueError(
                f"net must be causal to be exported, its lookahead_frames are "
                f"{net.config.framing.lookahead_frames}; evaluate it with --twin"
            )
        self.net, self.tier, self.n_frames = net, tier, n_frames
        self.depth = net.config.exits[tier]
        layer = LeanLayer if "layers" in folds else PlainLayer
        layers = cast("list[CausalLayer]", net.layers[: self.depth])
        self.layers = nn.ModuleList(layer(one, n_frames) for one in layers)
        self.encoder = Encoder(net, n_frames) if "bins" in folds else None
        self.envelope = Envelope(net) if "bins" in folds else None
        self.decoder = Decoder(net, n_frames, tier) if "bins" in folds else None
        decay = math.exp(-net.config.framing.hop_period_s / net.config.level_time_s)
        age = torch.arange(n_frames)[:, None] - torch.arange(n_frames)[None]
        self.register_buffer("average_kernel", torch.where(age >= 0, (1 - decay) * decay ** age.clamp(min=0), 0.0))
        self.register_buffer("average_decay", decay ** torch.arange(1.0, n_frames + 1)[:, None])

    def initial_state(self) -> list[Tensor]:
        """Zeros: (1, 2 * bands) running power, then (n_past_frames, bands * width) of each layer."""
        return [tensor[0].flatten(1) if tensor.dim() > 2 else tensor for tensor in self.net.initial_state(1, self.tier)]

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Inputs of the right shapes, for tracing.

        Shape:
            (2, bins, 2) twice, states; in batches with (frames,) before the first two
        """
        lead = () if self.n_frames == 1 else (self.n_frames,)
        shape = (*lead, 2, self.net.config.framing.n_bins, 2)
        frames = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        return frames, frames.flip(-3), *self.initial_state()

    def forward(self, spectrum: Tensor, carrier: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Restore one frame or a batch.

        Shape:
            (2, bins, 2), (2, bins, 2), states -> (2, bins, 2), states; in batches with (frames,) before
        """
        if self.encoder is None or self.envelope is None or self.decoder is None:
            return self._around_layers(spectrum, carrier, state)
        planes = self.encoder.planes_of(spectrum, carrier)
        rows, band_power, loudness = self.encoder(planes)
        averages = self.average_kernel @ band_power.reshape(self.n_frames, -1) + state[0] * self.average_decay
        average = averages.view(band_power.shape)
        envelope = self.envelope(band_power, average, loudness)
        tokens, newest = self._layers(self.encoder.tokens(rows, band_power, average), state[1:])
        return self.decoder(tokens, planes, envelope, loudness, spectrum), averages[-1:], *newest

    def _layers(self, tokens: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
        newest = []
        for layer, past in zip(self.layers, state, strict=True):
            tokens, kept = layer(tokens, past)
            newest.append(kept)
        return tokens, newest

    def _around_layers(self, spectrum: Tensor, carrier: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The parts around the layers, as the net has them; for a step only, to measure what folding brings."""
        net = self.net
        bins = net._to_mid_side(spectrum[None])
        power, band_power, average, running = net._powers(bins, state[0])
        tokens, loudness = net._encode(bins, power, band_power, average)
        envelope = net.envelope_of(band_power, average, loudness)
        tokens, newest = self._layers(tokens[0], state[1:])
        outputs = net._outputs(tokens[None], envelope, self.tier)
        restored = net._render(bins, net._to_mid_side(carrier[None], 1.0), outputs, loudness)
        return net._from_mid_side(restored, spectrum[None])[0], running, *newest
