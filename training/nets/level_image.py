"""The image of what is missing: how much louder its left channel is than its right one."""

from typing import cast

import torch
from torch import Tensor, nn

from training.nets.level_bands import LevelBands

_WITH_IMAGE = ("long", "short", "slow")
_HIDDEN = 64


class ImageHead(nn.Module):
    """Predicts level differences between channels from those that are there.

    It is odd in what it listens to: with left and right exchanged it says the opposite, and of a centre it makes a
    centre, whatever else it has learnt. What the net knows of the music decides how much each of them counts.

    Args:
        bands: what is measured and what is predicted.
        width: channels of the net's frames.
        n_tiers: sizes of the net, each of which hears the same differences.
    """

    left: Tensor
    right: Tensor

    def __init__(self, bands: LevelBands, width: int, n_tiers: int = 1) -> None:
        """Begin with a plain centre."""
        super().__init__()
        left, right = places(bands)
        self.register_buffer("left", left, persistent=False)
        self.register_buffer("right", right, persistent=False)
        self.listen = nn.Linear(len(left), _HIDDEN, bias=False)
        self.gates = nn.ModuleList(nn.Linear(width, _HIDDEN) for _ in range(n_tiers))
        self.place = nn.Linear(_HIDDEN, bands.n_short, bias=False)
        for gate in cast("list[nn.Linear]", self.gates):
            nn.init.ones_(gate.bias)
        nn.init.zeros_(self.place.weight)

    def forward(self, features: Tensor, frames: Tensor, tier: int = -1) -> Tensor:
        """Predict level differences in bels.

        Args:
            features: of the level net.
            frames: its last layer's, normal.
            tier: index of the exit.

        Shape:
            (..., features), (..., width) -> (..., short bands)
        """
        differences = features[..., self.left] - features[..., self.right]
        found: Tensor = self.place(self.listen(differences) * self.gates[tier](frames))
        return found


def places(bands: LevelBands) -> tuple[Tensor, Tensor]:
    """Places of left's and of right's features among a level net's, of the parts that tell an image.

    Shape:
        ``(features of a channel,)`` each
    """
    left, right, begin = [], [], 0
    for part, shape in bands.widths.items():
        numbers = begin + torch.arange(int(torch.tensor(shape).prod())).reshape(shape)
        if part in _WITH_IMAGE:
            left.append(numbers[..., 0, :].flatten())
            right.append(numbers[..., 1, :].flatten())
        begin += numbers.numel()
    return torch.cat(left), torch.cat(right)
