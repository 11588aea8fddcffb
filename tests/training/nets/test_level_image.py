"""What the image head makes of a centre, and of left and right exchanged."""

import torch

from training.nets.level_bands import LevelBands
from training.nets.level_image import ImageHead, places
from training.nets.level_net import LevelNet, LevelNetConfig

BANDS = LevelBands()


def lively_net() -> LevelNet:
    torch.manual_seed(0)
    net = LevelNet(LevelNetConfig(width=16, hidden=8, dilations=(1, 2), exits=(1, 2)))
    for weights in net.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    return net


def levels_of(balance: float) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    levels = {name: -4 + torch.randn((1, 9, *shape), generator=random) for name, shape in BANDS.widths.items()}
    for name, axis in (("long", 2), ("short", 2), ("slow", 3), ("fast", 2)):
        left = levels[name].select(axis, 0)
        levels[name].select(axis, 1).copy_(left - balance)
    return levels


def test_places_are_those_of_left_and_right() -> None:
    parts = [torch.full(shape, -1.0) for shape in BANDS.widths.values()]
    for (name, part), value in zip(zip(BANDS.widths, parts, strict=True), range(4), strict=True):
        if name != "fast":
            part[..., 0, :], part[..., 1, :] = 10 + value, 20 + value
    features = torch.cat([part.flatten() for part in parts])
    left, right = places(BANDS)
    assert (features[right] - features[left] == 10).all()
    assert len(left) == BANDS.n_long + 3 * BANDS.n_short


def test_of_a_centre_it_makes_a_centre() -> None:
    for one in lively_net().of_all_tiers(levels_of(0.0)):
        torch.testing.assert_close(one.missing[:, :, 0], one.missing[:, :, 1])
    for one in lively_net().of_all_tiers(levels_of(1.0)):
        assert float((one.missing[:, :, 0] - one.missing[:, :, 1]).abs().mean()) > 0.05


def test_it_is_odd() -> None:
    torch.manual_seed(0)
    head = ImageHead(BANDS, 8)
    torch.nn.init.normal_(head.place.weight)
    features, frames = torch.randn(1, 3, 1328), torch.randn(1, 3, 8)
    exchanged = features.clone()
    exchanged[..., head.left], exchanged[..., head.right] = features[..., head.right], features[..., head.left]
    assert float(head(features, frames).abs().mean()) > 0.1
    torch.testing.assert_close(head(exchanged, frames), -head(features, frames))
