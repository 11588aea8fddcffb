"""A level net goes on as one with more hidden units, and at first says what the smaller one said.

Function-preserving growth as in Net2Net (Chen et al., arXiv 1511.05641): here new units begin with weights of their own
into them and none out of them, so that they learn other things than the old ones at once.
"""

import dataclasses

import torch

from training.nets.level_net import LevelLayer, LevelNet


@torch.no_grad()
def take_over(net: LevelNet, smaller: LevelNet) -> None:
    """Copies the weights of a level net into one of the same sizes, or with more hidden units.

    Args:
        net: gets the weights.
        smaller: gives them.

    Raises:
        ValueError: the two differ in more than that, or the first has fewer hidden units.
    """
    ours, theirs = net.config, smaller.config
    if dataclasses.replace(theirs, hidden=ours.hidden) != ours or ours.hidden < theirs.hidden:
        raise ValueError(
            "the net to start with must be a level net of the same sizes, or with fewer hidden units: "
            f"there it is {theirs}, here {ours}"
        )
    weights = {name: value for name, value in smaller.state_dict().items() if not name.startswith("layers.")}
    net.load_state_dict(weights, strict=False)
    for layer, other in zip(net.layers, smaller.layers, strict=True):
        assert isinstance(layer, LevelLayer)
        assert isinstance(other, LevelLayer)
        _widen(layer, other, theirs.hidden)


def _widen(layer: LevelLayer, other: LevelLayer, hidden: int) -> None:
    layer.taps.copy_(other.taps)
    layer.scale.copy_(other.scale)
    for ours, theirs in ((layer.widen.weight, other.widen.weight), (layer.widen.bias, other.widen.bias)):
        for part, given in zip(ours.chunk(2), theirs.chunk(2), strict=True):  # gates, then values
            part[:hidden] = given
    layer.narrow.weight.zero_()
    layer.narrow.weight[:, :hidden] = other.narrow.weight
    layer.narrow.bias.copy_(other.narrow.bias)
