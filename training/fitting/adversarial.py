"""Losses of critics and generator tell each what it learns from the other: one function a loss, one source each.

A verdict is a map of numbers, high where a critic takes a clip for music that was never damaged. Every loss is a mean
over the critics and over the items of a batch: a batch shared by several processes then gives the same gradients.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from training.nets.critics import FeatureMaps


@dataclass(frozen=True)
class AdversarySettings:
    """Settings of adversarial training say when critics join in, and how much they count.

    Attributes:
        kind: of the losses of both, `least_squares` or `hinge`.
        weight: of the critics' verdict in the generator's loss.
        feature_weight: of feature matching.
        critics_from_step: until here the generator learns alone.
        heard_from_step: until here the critics learn, but the generator doesn't listen to them.
        ramp_steps: over so many more steps its ear opens from 0 to `weight` and `feature_weight`.
    """

    kind: Literal["least_squares", "hinge"] = "least_squares"
    weight: float = 1.0
    feature_weight: float = 1.0
    critics_from_step: int = 0
    heard_from_step: int = 0
    ramp_steps: int = 0

    def __post_init__(self) -> None:
        """Check the order.

        Raises:
            ValueError: the generator would listen to critics that don't learn yet.
        """
        if not 0 <= self.critics_from_step <= self.heard_from_step:
            raise ValueError(
                "heard_from_step must be at least critics_from_step, which is at least 0, got "
                f"{self.heard_from_step} and {self.critics_from_step}"
            )

    def openness(self, step: int) -> float:
        """Share of the weights that counts at a step, 0 to 1."""
        if step < self.heard_from_step:
            return 0.0
        return min(1.0, (step - self.heard_from_step + 1) / (self.ramp_steps + 1))


def critic_loss(kind: str, real: list[FeatureMaps], fake: list[FeatureMaps]) -> Tensor:
    """Loss of the critics, by their verdicts on clean (`real`) and restored (`fake`) clips.

    Shape:
        maps of each critic, ``(batch, channels, bins, frames)`` -> ``()``
    """
    judge = _least_squares_critic if kind == "least_squares" else _hinge_critic
    losses = [judge(ours[-1], theirs[-1]) for ours, theirs in zip(real, fake, strict=True)]
    return torch.stack(losses).mean()


def generator_loss(kind: str, fake: list[FeatureMaps]) -> Tensor:
    """Loss of the generator, by the critics' verdicts on its clips.

    Shape:
        maps of each critic, ``(batch, channels, bins, frames)`` -> ``()``
    """
    judge = _least_squares_generator if kind == "least_squares" else _hinge_generator
    return torch.stack([judge(maps[-1]) for maps in fake]).mean()


# Least squares: Mao et al., arXiv 1611.04076, eq. 9 (a = 0, b = c = 1)


def _least_squares_critic(real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * ((real - 1).square().mean() + fake.square().mean())


def _least_squares_generator(fake: Tensor) -> Tensor:
    return (fake - 1).square().mean()


# Hinge: Lim & Ye, arXiv 1705.02894, eqs. 10 and 11


def _hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * (functional.relu(1 - real).mean() + functional.relu(1 + fake).mean())


def _hinge_generator(fake: Tensor) -> Tensor:
    return -fake.mean()


# Feature matching: Kumar et al. (MelGAN), arXiv 1910.06711, eq. 4, each map relative to the clean clip's own mean


def feature_loss(real: list[FeatureMaps], fake: list[FeatureMaps]) -> Tensor:
    """Distance between the critics' feature maps of restored clips and of clean ones, verdicts left out.

    Shape:
        maps of each critic, ``(batch, channels, bins, frames)`` -> ``()``
    """
    losses = []
    for ours, theirs in zip(real, fake, strict=True):
        for wanted, got in zip(ours[:-1], theirs[:-1], strict=True):
            wanted = wanted.detach()
            distance, size = ((map_.abs().mean((1, 2, 3))) for map_ in (got - wanted, wanted))
            losses.append((distance / (size + 1e-6)).mean())
    return torch.stack(losses).mean()
