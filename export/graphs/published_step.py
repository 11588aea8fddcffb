"""The published Apollo with the shapes of the model contract: it looks ahead, so what comes out is late.

```
 newest frame t -> bands -> tokens -> block: convolution over t-6 .. t, its middle t-3 comes out -> ... -> t - 54
```

A convolution pads the frames of a whole file with zeros at both ends, at each layer anew: where `present` says that
there is no frame, what comes out of a layer is zero, so that states of zeros mean "nothing yet".
"""

from typing import cast

import torch
from torch import Tensor, nn

from apollo_rt.config import Framing
from export.graphs.published_parts import LeanTimeBlock, LeanTransformer, PublishedDecoder, PublishedEncoder
from training.nets.apollo_published import BandAndTimeLayer, PublishedApollo


def framing_of(net: PublishedApollo) -> Framing:
    """The framing of a stream for this net.

    Raises:
        ValueError: its sizes are beyond what the engine takes.
    """
    return Framing(
        net.sample_rate, net.hop_length, net.window_length, net.context_frames, window="hann", edges="reflected"
    )


class PublishedStep(nn.Module):
    """`spectrum`, `present` and states in; `restored`, as late as the framing says, and the next states out.

    Args:
        net: the trained net, which is left as it is.
        n_frames: frames of a call; one is written without the axis.
    """

    frame_inputs = ("spectrum", "present")
    tier = 0

    def __init__(self, net: PublishedApollo, n_frames: int = 1) -> None:
        super().__init__()
        self.n_frames, self.n_bands = n_frames, len(net.band_widths)
        self.n_bins, self.n_ahead = sum(net.band_widths), net.context_frames
        layers = cast("list[BandAndTimeLayer]", list(net.net))
        blocks = [list(layer.seq_net.blocks) for layer in layers]
        self.encoder, self.decoder = PublishedEncoder(net), PublishedDecoder(net)
        self.over_bands = nn.ModuleList(LeanTransformer(layer.band_net, self.n_bands) for layer in layers)
        n_tokens = 2 * self.n_bands
        self.over_time = nn.ModuleList(
            nn.ModuleList(LeanTimeBlock(block, n_frames, n_tokens) for block in of_layer)  # type: ignore[arg-type]
            for of_layer in blocks
        )
        width = net.BN[0][1].weight.shape[0]  # type: ignore[index]
        self.past_shape = (self._all_blocks()[0].n_past, n_tokens * width)

    def _all_blocks(self) -> list[LeanTimeBlock]:
        return [cast("LeanTimeBlock", block) for layer in self.over_time for block in layer]  # type: ignore[attr-defined]

    def initial_state(self) -> list[Tensor]:
        """Zeros: which of the last frames were there, then the last frames before each convolution.

        Shape:
            (lookahead, 1), then (6, tokens * width) each
        """
        return [torch.zeros(self.n_ahead, 1), *(torch.zeros(self.past_shape) for _ in self._all_blocks())]

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Inputs of the right shapes, for tracing. Shape: as `forward` takes them."""
        lead = () if self.n_frames == 1 else (self.n_frames,)
        spectrum = torch.randn((*lead, 2, self.n_bins, 2), generator=torch.Generator().manual_seed(0))
        return spectrum, torch.ones((*lead, 1)), *self.initial_state()

    def forward(self, spectrum: Tensor, present: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Take one frame or a batch, and restore as many that are older by the lookahead.

        Shape:
            (2, bins, 2), (1,), states -> (2, bins, 2), states; in batches with (frames,) before the first two
        """
        known = torch.cat((state[0], present.view(self.n_frames, 1)))
        rows = self.encoder(spectrum.reshape(-1, self.n_bins, 2))
        first = known[self.n_ahead :]
        tokens = (rows.reshape(self.n_frames, -1) * first).view(-1, rows.shape[-1])
        pasts, newest, age = iter(state[1:]), [], 0
        for over_bands, blocks in zip(self.over_bands, self.over_time, strict=True):
            tokens = over_bands(tokens)
            for block in cast("list[LeanTimeBlock]", blocks):
                age += block.n_past // 2
                there = known[self.n_ahead - age : self.n_ahead - age + self.n_frames]
                tokens, kept = block(tokens, next(pasts), there)
                newest.append(kept)
        bins = self.decoder(tokens.view(-1, self.n_bands, tokens.shape[-1]))
        restored = bins.reshape(self.n_frames, -1) * known[: self.n_frames]
        return restored.view(spectrum.shape), known[self.n_frames :], *newest
