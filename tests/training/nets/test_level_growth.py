"""A smaller level net in a larger one: says the same, learns on, and nothing else is taken."""

import dataclasses

import pytest
import torch

from training.nets.level_growth import take_over
from training.nets.level_net import LevelNet, LevelNetConfig

SMALL = LevelNetConfig(width=16, hidden=8, dilations=(1, 2), exits=(1, 2), correction=8)


def net_of(config: LevelNetConfig, seed: int) -> LevelNet:
    torch.manual_seed(seed)
    net = LevelNet(config)
    for weights in net.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    return net


def levels_of(net: LevelNet) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return {
        name: -3 + torch.randn((1, 12, *shape), generator=random) for name, shape in net.config.bands.widths.items()
    }


@pytest.mark.parametrize("hidden", [8, 20])
def test_a_grown_net_says_what_the_smaller_one_said(hidden: int) -> None:
    smaller, net = net_of(SMALL, 0), net_of(dataclasses.replace(SMALL, hidden=hidden), 1)
    take_over(net, smaller)
    levels = levels_of(net)
    for ours, theirs in zip(net.of_all_tiers(levels), smaller.of_all_tiers(levels), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_all_new_units_learn() -> None:
    smaller, net = net_of(SMALL, 0), net_of(dataclasses.replace(SMALL, hidden=20), 1)
    take_over(net, smaller)
    net.of_all_tiers(levels_of(net))[-1].missing.square().sum().backward()
    for layer in net.layers:
        assert (layer.narrow.weight.grad[:, 8:].abs().sum(0) > 0).all()


@pytest.mark.parametrize("change", [{"hidden": 4}, {"width": 24}, {"exits": (2,)}, {"correction": 0}])
def test_another_net_is_refused(change: dict[str, object]) -> None:
    smaller, net = net_of(SMALL, 0), net_of(dataclasses.replace(SMALL, **change), 1)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ValueError, match="fewer hidden units"):
        take_over(net, smaller)
    torch.testing.assert_close(net.state_dict(), before)
