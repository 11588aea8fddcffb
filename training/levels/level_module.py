"""The level net in training, as Lightning sees it."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from training.levels.level_losses import evidence_error, image_error, level_error, missing_error, movement, reached
from training.nets.level_growth import take_over
from training.nets.level_net import LevelNet, LevelNetConfig, reference
from training.nets.level_restorer import LevelRestorer

_SHARES = {"level": 1.0, "missing": 1.0, "evidence": 0.5, "image": 0.8}
_LIGHTER = 0.4
"""How much the error of a lighter tier counts."""


def follow(highest: float) -> Callable[..., None]:
    """A running average that at first keeps less, or it would long be what the run began with."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], n_averaged: Tensor) -> None:
        done = float(n_averaged)
        kept = min(highest, (1 + done) / (10 + done))
        torch._foreach_lerp_(averaged, current, 1 - kept)

    return update


Batch = tuple[dict[str, Tensor], Tensor, Tensor]
"""Damaged levels by part, (batch, frames, *bands.widths[part]); those to be reached, (batch, frames, 4, n_short); and
whether a band has something to teach, (batch, n_short)."""


class LevelModule(LightningModule):
    """Learns levels.

    The learning rate rises over the first steps, stays, and falls to nothing over the last part of the run: a run may
    be taken up and made longer as often as one likes before that (Hu et al., arXiv 2404.06395, section 4).

    Args:
        config: of the net.
        learning_rate: at its highest.
        warmup_steps: until it is.
        decay_from: share of the run from which it falls; 1 never.
        averaging: share of the averaged net that one step keeps.
        fuse: fuse net and losses with `torch.compile`: half a minute at the start, then 1.4 times as fast on a CPU.
    """

    def __init__(
        self,
        config: LevelNetConfig,
        learning_rate: float = 1.5e-3,
        warmup_steps: int = 300,
        decay_from: float = 1.0,
        averaging: float = 0.999,
        fuse: bool = False,
    ) -> None:
        """Build the net and its average."""
        super().__init__()
        self.net = LevelNet(config)
        self.averaged = AveragedModel(self.net, multi_avg_fn=follow(averaging)).requires_grad_(False)
        self._rates = learning_rate, warmup_steps, decay_from
        self._losses = torch.compile(self._errors, dynamic=False) if fuse else self._errors
        self._weights = [_LIGHTER] * (len(config.exits) - 1) + [1.0]
        self.heard_s = self.trained_s = 0.0
        self._since = time.monotonic()

    def begin_with(self, net: nn.Module, content: dict[str, Any]) -> None:
        """Take over the weights of another run, and what it has heard.

        Args:
            net: from `checkpoint.load_restorer`.
            content: what that said beside it.

        Raises:
            ValueError: it is no level net, or one that this net can't go on from (`level_growth.take_over`).
        """
        if not isinstance(net, LevelRestorer):
            raise ValueError("the net to start with must be a level net")
        take_over(self.net, net.levels)
        self.averaged.module.load_state_dict(self.net.state_dict())
        self.heard_s, self.trained_s = content["heard_s"], content["trained_s"]

    def facts(self) -> dict[str, Any]:
        """Facts for a checkpoint, beside the weights."""
        return {"step": self.global_step, "trained_s": self.trained_s, "heard_s": self.heard_s}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW (Loshchilov & Hutter, arXiv 1711.05101)."""
        return torch.optim.AdamW(self.net.parameters(), lr=self._rates[0], betas=(0.9, 0.98), weight_decay=0.01)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate."""
        self._since = time.monotonic()
        highest, warmup, decay_from = self._rates
        done = self.trainer.global_step / self.trainer.max_steps
        fall = 1.0 if done < decay_from else max((1 - done) / (1 - decay_from), 0.0)
        optimizer = cast("torch.optim.Optimizer", self.optimizers(use_pl_optimizer=False))  # there is one
        for group in optimizer.param_groups:
            group["lr"] = highest * min(1.0, (self.trainer.global_step + 1) / warmup) * fall

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """One step; all tiers learn from it."""
        levels, wanted, known = batch
        errors = self._losses(levels, wanted, known)
        loss = sum(
            weight * sum(share * of_tier[name] for name, share in _SHARES.items())
            for weight, of_tier in zip(self._weights, errors, strict=True)
        )
        self.heard_s += wanted.shape[0] * wanted.shape[1] * self.net.config.bands.framing.hop_period_s
        outputs = {name: error.detach() for name, error in errors[-1].items()}
        outputs["level"] = 10 * outputs["level"].sqrt()
        self.log_dict({f"train/{name}": value for name, value in outputs.items()})
        return {"loss": cast("Tensor", loss), **outputs}

    def _errors(self, levels: dict[str, Tensor], wanted: Tensor, known: Tensor) -> list[dict[str, Tensor]]:
        """Errors of each tier, by name."""
        tiers = self.net.of_all_tiers(levels)
        with torch.autocast(self.device.type, enabled=False):
            loud, short = reference(levels), levels["short"]
            known_of = (short, wanted, known)
            return [
                {
                    "level": level_error(reached(short, tier), wanted, known, loud),
                    "missing": missing_error(tier.missing, *known_of),
                    "evidence": evidence_error(tier.evidence, *known_of),
                    "image": image_error(tier.missing, *known_of),
                }
                for tier in tiers
            ]

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Average."""
        self.averaged.update_parameters(self.net)
        self.trained_s += time.monotonic() - self._since

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure one whole item."""
        levels, wanted, known = batch
        tiers = cast("LevelNet", self.averaged.module).of_all_tiers(levels)
        with torch.autocast(self.device.type, enabled=False):
            short = levels["short"]
            for tier, lighter in enumerate(tiers[:-1]):
                error = 10 * level_error(reached(short, lighter), wanted, known, reference(levels)).sqrt()
                self.log(f"valid/tier_{tier}_db", error, on_epoch=True, batch_size=1)
            ours = reached(short, tiers[-1])
            error = 10 * level_error(ours, wanted, known, reference(levels)).sqrt()
            parts = movement(ours[0].float(), wanted[0], short[0], known[0])
        kind = "damaged" if parts else "rest"
        self.log(f"valid/{kind}_db", error, on_epoch=True, batch_size=1)
        for name, value in (asdict(parts) if parts else {}).items():
            self.log(f"valid/{name}", value, on_epoch=True, batch_size=1)

    def on_save_checkpoint(self, content: dict[str, Any]) -> None:
        """Remember how much was heard."""
        content["heard_s"], content["trained_s"] = self.heard_s, self.trained_s

    def on_load_checkpoint(self, content: dict[str, Any]) -> None:
        """Take it up."""
        self.heard_s, self.trained_s = content["heard_s"], content["trained_s"]
