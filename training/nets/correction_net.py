"""The correction: one gain for each narrow band of left and of right, of what the codec left.

What a codec quantised coarsely has less in common with the original than it has power: the gain that brings it closest
is below one (Wiener 1949), and above one where the codec left some of the partials out. It hears the levels and what
the first layers of the level net made of them, and changes neither.
"""

import torch
from torch import Tensor, nn

HIGHEST = 2.0
"""Of the gains: 6 dB."""


class CorrectionNet(nn.Module):
    """Levels in, gains out.

    Args:
        n_features: values of a frame as the level net takes them.
        trunk_width: channels of the level net.
        layers: look back in time, all of one width.
        width: of theirs.
        n_bands: of left and of right.
    """

    def __init__(self, n_features: int, trunk_width: int, layers: nn.ModuleList, width: int, n_bands: int) -> None:
        """Begin by leaving everything as it is."""
        super().__init__()
        self.encode = nn.Linear(n_features, width)
        self.listen = nn.Linear(trunk_width, width, bias=False)
        self.layers = layers
        self.scale = nn.Parameter(torch.ones(width))
        self.decoder = nn.Linear(width, 2 * n_bands)
        nn.init.zeros_(self.decoder.weight)
        nn.init.zeros_(self.decoder.bias)

    def forward(
        self, features: Tensor, trunk: Tensor, lost: Tensor, state: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Predict gains.

        Args:
            features: as the level net takes them.
            trunk: its first layers' answer, normalised.
            lost: how likely each band of a channel lost something, 0 to 1: where none did, nothing is corrected.
            state: past frames of each layer.

        Shape:
            (batch, frames, values), (batch, frames, trunk width), (batch, frames, 2, any), state
            -> (batch, frames, 2, bands), state
        """
        x, newest = self.encode(features) + self.listen(trunk), []
        for layer, past in zip(self.layers, state, strict=True):
            x, kept = layer(x, past.to(x.dtype))
            newest.append(kept)
        normal = x * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6).to(x.dtype)
        change = self.decoder(normal * self.scale.to(x.dtype)).float().unflatten(-1, (2, -1))
        gains = 1 + change * lost.amax(-1, keepdim=True)
        return gains.clamp(0.0, HIGHEST), newest
