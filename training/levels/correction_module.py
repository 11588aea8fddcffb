"""The correction in training, as Lightning sees it: the level net under it stays as it is."""

import dataclasses
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from training.levels.level_losses import correction_error
from training.levels.level_module import follow
from training.nets.level_net import LevelNet

Batch = tuple[dict[str, Tensor], Tensor, Tensor]
"""Damaged levels by part, (batch, frames, *bands.widths[part]); clean ones and their distance,
(batch, frames, 2, n_long)."""


class CorrectionModule(LightningModule):
    """Learns the gains of what the codec left.

    Args:
        levels: the level net, which is copied.
        facts: what its checkpoint said beside it.
        width: of the correction's layers.
        learning_rate: at its highest.
        decay_from: share of the run from which it falls to nothing; 1 never.
        fuse: fuse net and loss with `torch.compile`.
        averaging: share of the averaged net that one step keeps.
    """

    def __init__(
        self,
        levels: LevelNet,
        facts: dict[str, Any],
        width: int,
        learning_rate: float,
        decay_from: float = 1.0,
        fuse: bool = False,
        averaging: float = 0.999,
    ) -> None:
        """Build the net around the weights of the level net."""
        super().__init__()
        self.net = LevelNet(dataclasses.replace(levels.config, correction=width))
        self.net.load_state_dict(levels.state_dict(), strict=width == levels.config.correction)
        self.net.requires_grad_(False)
        assert self.net.correction
        self.net.correction.requires_grad_(True)
        self.averaged = AveragedModel(self.net, multi_avg_fn=follow(averaging)).requires_grad_(False)
        self._rates = learning_rate, decay_from
        self._error = torch.compile(self._of_crops, dynamic=False) if fuse else self._of_crops
        self._facts, self.heard_s = facts, 0.0

    def facts(self) -> dict[str, Any]:
        """Facts for a checkpoint, beside the weights: of the level net, and how much the correction has heard."""
        known = {name: self._facts[name] for name in ("step", "trained_s", "heard_s")}
        return known | {"correction_step": self.global_step, "correction_heard_s": self.heard_s}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW (Loshchilov & Hutter, arXiv 1711.05101)."""
        assert self.net.correction
        return torch.optim.AdamW(self.net.correction.parameters(), lr=self._rates[0], betas=(0.9, 0.98))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate."""
        highest, decay_from = self._rates
        done = self.trainer.global_step / self.trainer.max_steps
        fall = 1.0 if done < decay_from else max((1 - done) / (1 - decay_from), 0.0)
        optimizer = cast("torch.optim.Optimizer", self.optimizers(use_pl_optimizer=False))  # there is one
        for group in optimizer.param_groups:
            group["lr"] = highest * min(1.0, (self.trainer.global_step + 1) / 100) * fall

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """One step."""
        error, before = self._error(self.net, *batch)
        self.heard_s += batch[1].shape[0] * batch[1].shape[1] * self.net.config.bands.framing.hop_period_s
        outputs = {"error_db": 10 * error.detach(), "gained_db": 10 * (before - error.detach())}
        self.log_dict({f"train/{name}": value for name, value in outputs.items()})
        return {"loss": error, **outputs}

    def _of_crops(
        self, net: LevelNet, levels: dict[str, Tensor], wanted: Tensor, distance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The error with the correction, and without."""
        gains = net.gains(levels)
        with torch.autocast(self.device.type, enabled=False):
            present = levels["long"][:, :, :2]
            return (
                correction_error(gains.float(), present, wanted, distance),
                correction_error(torch.ones_like(gains), present, wanted, distance),
            )

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Average."""
        self.averaged.update_parameters(self.net)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure one whole item: how much closer damaged music comes, and how far undamaged music goes away."""
        net = cast("LevelNet", self.averaged.module)
        error, before = (10 * one for one in self._of_crops(net, *batch))
        if before < -44.5:
            self.log("valid/undamaged_db", error, on_epoch=True, batch_size=1)
        else:
            self.log("valid/gained_db", before - error, on_epoch=True, batch_size=1)

    def on_save_checkpoint(self, content: dict[str, Any]) -> None:
        """Remember how much was heard."""
        content["heard_s"] = self.heard_s

    def on_load_checkpoint(self, content: dict[str, Any]) -> None:
        """Take it up."""
        self.heard_s = content["heard_s"]
